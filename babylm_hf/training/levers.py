"""What makes a training step faster without changing what is learnt; each has a switch, and all are on by default.

| option | what it does | what stays |
|---|---|---|
| `fast_attention` | DeBERTa-v2: our attention (`models.deberta_attention`) | the stock numbers, to rounding |
| `fast_dropout` | CPU: dropout drawn at the speed of memory (`models.dropout`) | rate and scale; another stream |
| `short_last_layer` | what follows the last attention, at the targets only (`models.heads`) | the stock numbers |
| `chunked_loss` | logits of a chunk of targets at a time (`objectives.chunked`) | the stock numbers, to rounding |
| `keep_freed_memory` | CPU: the allocator keeps freed memory (`training.allocator`) | everything |

`bf16` and `torch_compile` are stock options; here is said where a device cannot do them.
"""

from __future__ import annotations

import logging
import os
import shutil
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..errors import OptionError
from ..models.attention_dropout import use_fast_attention_dropout
from ..models.deberta_attention import use_fast_attention
from ..models.dropout import use_fast_dropout
from .allocator import keep_freed_memory
from .compiling import compile_layers

if TYPE_CHECKING:
    from .arguments import BabyLMTrainingArguments

logger = logging.getLogger(__name__)

_COMPILERS = ("c++", "g++", "clang++", "cl")


def pull_levers(model: nn.Module, args: BabyLMTrainingArguments) -> None:
    """Make ready the model and the process for fast steps, as the arguments say; before the model is wrapped."""
    if args.fast_attention:
        use_fast_attention(model)
    if args.device.type == "cpu":
        _pull_cpu_levers(model, args)
    if args.compiler is not None:
        compile_layers(model, **args.compiler)


def _pull_cpu_levers(model: nn.Module, args: BabyLMTrainingArguments) -> None:
    if args.fast_dropout:
        use_fast_dropout(model)
        use_fast_attention_dropout(model)
    if args.keep_freed_memory:
        keep_freed_memory()


def seed_generators(seed: int, device: torch.device) -> None:
    """As `torch.manual_seed`, for the CPU and the device of the run only.

    The stock function tells every kind of accelerator that torch knows; where one is missing, it keeps the seed for
    later with a description of the whole call stack, which takes 0.1 ms and more of every step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)


def has_fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; elsewhere it is emulated, and slower than float32."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) if torch.backends.mkldnn.is_available() else False


def take_compiler(args: BabyLMTrainingArguments) -> dict[str, str | None] | None:
    """What `--torch_compile` and its like ask for, taken away from the stock Trainer; None where they do not.

    The stock Trainer would compile the whole model with its choice of targets, anew for every batch.
    """
    asked = args.torch_compile or bool(args.torch_compile_backend or args.torch_compile_mode)
    options = {"backend": args.torch_compile_backend, "mode": args.torch_compile_mode}
    args.torch_compile, args.torch_compile_backend, args.torch_compile_mode = False, None, None
    if asked:  # stock arguments that were adopted have told accelerate already
        os.environ.pop("ACCELERATE_DYNAMO_BACKEND", None)
        os.environ.pop("ACCELERATE_DYNAMO_MODE", None)
    return options if asked else None


def check_device(args: BabyLMTrainingArguments) -> None:
    """Replace or refuse what the device of the run cannot do.

    Raises:
        OptionError: `--torch_compile` on a CPU without a C++ compiler.
    """
    if args.device.type != "cpu":
        return
    if args.bf16 and not has_fast_bf16():
        logger.warning("--bf16: this processor has no bfloat16 instructions, so that it would be slow; float32 is used")
        args.bf16 = False
        args.mixed_precision = "no"
    if args.compiler is not None and not any(shutil.which(name) for name in _COMPILERS):
        raise OptionError(
            "--torch_compile needs a C++ compiler on a CPU, and none is found; install g++ or leave it out"
        )
