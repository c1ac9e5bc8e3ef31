"""Text from any model with a vocabulary head: prompts in, texts out.

Masked diffusion models and plain masked models are sampled as `diffusion/sampling_babylm_diffusion.py` describes (a
plain one was trained at one mask rate, and a long text of it will show that); causal models from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import OptionError
from .diffusion.generation_babylm_diffusion import DiffusionGenerationMixin
from .heads import evaluating

MASK_SIGN = "_"
"""What a mask looks like in a draft."""


@dataclass(frozen=True)
class GeneratedText:
    """One text.

    Attributes:
        text: without special tokens, prompt included.
        new_tokens: tokens put after the prompt, or filled in; up to the end-of-text token where there is one.
        ended: whether the model ended it.
    """

    text: str
    new_tokens: int
    ended: bool = False


def generate_texts(
    model: nn.Module,
    tokenizer: Any,
    prompt: str = "",
    *,
    num: int = 1,
    max_new_tokens: int = 64,
    stop: str | None = None,
    seed: int = 0,
    on_draft: Callable[[list[str]], None] | None = None,
    **sampling: Any,
) -> list[GeneratedText]:
    """Continue a prompt, or write from nothing.

    Args:
        model: masked diffusion, masked or causal.
        tokenizer: the model's.
        num: texts.
        stop: "eos" or "length"; by default as the model was trained.
        seed: of all draws.
        on_draft: called with the drafts, one string a text, as they come about; masks are `MASK_SIGN`. Not for causal
            models.
        sampling: `temperature` and `top_p`; for masked models the rest of `SamplingOptions` too.

    Raises:
        OptionError: an option cannot work with this model.
    """
    ids = _prompt_ids(tokenizer, prompt)
    common = {"max_new_tokens": max_new_tokens, "num_return_sequences": num}
    if max_new_tokens < 1 or num < 1:
        raise OptionError(f"--max_new_tokens is {max_new_tokens} and --num {num}; both must be 1 or more")
    if is_causal(model):
        if on_draft is not None:
            raise OptionError("--show_steps is for masked and diffusion models: a causal model has no drafts")
        rows, start = _causal(model, tokenizer, ids, stop, seed, {**common, **sampling})
    else:
        sampler = _sampler(model, tokenizer)
        ids = ids or [_begin(tokenizer)]
        kept = () if stop == "length" else (tokenizer.eos_token_id,)
        rows = _sampled(
            sampler.generate,
            torch.tensor([ids]),
            {
                **common,
                "stop": stop,
                "eos_token_id": tokenizer.eos_token_id,
                "suppress_tokens": _never(model, tokenizer, kept),
                "seed": seed,
                "on_draft": _reader(tokenizer, on_draft),
                **sampling,
            },
        )
        start = len(ids)
    return [_text(tokenizer, row, start) for row in rows.tolist()]


def infill_texts(
    model: nn.Module,
    tokenizer: Any,
    text: str,
    *,
    num: int = 1,
    seed: int = 0,
    on_draft: Callable[[list[str]], None] | None = None,
    **sampling: Any,
) -> list[GeneratedText]:
    """Fill the masks of a text, written `[MASK]` or as the tokenizer writes them, with a token each.

    Arguments and errors are those of `generate_texts`; the model may not be causal.
    """
    if is_causal(model):
        raise OptionError("--infill is for masked and diffusion models; a causal model continues a --prompt")
    mask = tokenizer.mask_token
    if mask is None:
        raise OptionError("--infill: the tokenizer has no mask token")
    # A piece brings the space before it along, so that before a mask there must be none.
    marked = re.sub(rf"\s*(?:\[MASK\]|{re.escape(mask)})", lambda _: mask, text)
    ids = tokenizer(marked)["input_ids"]
    gaps = ids.count(tokenizer.mask_token_id)
    if gaps == 0:
        raise OptionError(f"--infill: the text holds no [MASK]: {text!r}")
    if num < 1:
        raise OptionError(f"--num is {num}; it must be 1 or more")
    rows = _sampled(
        _sampler(model, tokenizer).infill,
        torch.tensor([ids]),
        {
            "num_return_sequences": num,
            "suppress_tokens": _never(model, tokenizer, ()),
            "seed": seed,
            "on_draft": _reader(tokenizer, on_draft),
            **sampling,
        },
    )
    return [GeneratedText(_decoded(tokenizer, row), gaps) for row in rows.tolist()]


def is_causal(model: nn.Module) -> bool:
    """Whether the model predicts the next token.

    Raises:
        OptionError: it has no head for a vocabulary that this package knows.
    """
    name = type(model).__name__
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        return True
    if name.endswith("ForMaskedLM"):
        return False
    raise OptionError(f"{name} is neither a masked nor a causal language model: it cannot write")


class _PlainMaskedModel(nn.Module, DiffusionGenerationMixin):
    """A masked model that knows nothing of samplers, with what they ask of a configuration."""

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        self.model = model
        roles = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos", "pad", "mask")}
        self.config = SimpleNamespace(special_token_ids=list(tokenizer.all_special_ids), **roles)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
        """The model's own output."""
        return self.model(input_ids=input_ids, attention_mask=attention_mask)


def _sampler(model: nn.Module, tokenizer: Any) -> Any:
    return model if hasattr(model, "infill") else _PlainMaskedModel(model, tokenizer)


def _sampled(call: Callable[..., Tensor], ids: Tensor, options: dict[str, Any]) -> Tensor:
    """The sampler's rows; its errors, which are those of code that travels with weights, as ours."""
    try:
        return call(ids, **options)
    except ValueError as error:
        raise OptionError(str(error)) from error


def _causal(
    model: Any, tokenizer: Any, ids: list[int], stop: str | None, seed: int, options: dict[str, Any]
) -> tuple[Tensor, int]:
    """Rows written from left to right by transformers, and where the new tokens begin."""
    temperature, top_p = options.pop("temperature", 1.0), options.pop("top_p", 1.0)
    foreign = sorted(set(options) - {"max_new_tokens", "num_return_sequences"})
    if foreign:
        raise OptionError(f"--{foreign[0]} is for masked and diffusion models; this one is causal")
    if temperature < 0 or not 0 < top_p <= 1:
        raise OptionError(f"--temperature is {temperature} and --top_p {top_p}; they must be >= 0 and in (0, 1]")
    start = ids or [_begin(tokenizer)]
    device = next(model.parameters()).device
    row = torch.tensor([start], device=device)
    draw = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0} if temperature > 0 else {}
    if not draw:
        options["num_return_sequences"], repeat = 1, options["num_return_sequences"]
    if stop == "length":
        options["min_new_tokens"] = options["max_new_tokens"]
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    with evaluating(model):  # it also puts the random state back
        torch.manual_seed(seed)
        try:
            made = model.generate(
                row,
                attention_mask=torch.ones_like(row),
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=pad,
                **{"do_sample": False, **draw},
                **options,
            )
        except ValueError as error:
            raise OptionError(f"the model cannot write as asked ({' '.join(str(error).split())})") from error
    return (made if draw else made.repeat_interleave(repeat, 0)), len(start)


def _prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """The prompt with the tokenizer's special tokens, but for those it puts at the end."""
    ids = list(tokenizer(prompt)["input_ids"])
    special = set(tokenizer.all_special_ids)
    while len(ids) > 1 and ids[-1] in special and ids[-1] != tokenizer.mask_token_id:
        ids.pop()
    return ids


def _begin(tokenizer: Any) -> int:
    for role in ("bos", "cls", "eos"):
        token = getattr(tokenizer, f"{role}_token_id", None)
        if token is not None:
            return int(token)
    raise OptionError("give a --prompt: the tokenizer has no token to begin a text with")


def _never(model: Any, tokenizer: Any, kept: tuple[int | None, ...]) -> list[int]:
    """Special ids, and those that the tokenizer has no piece for."""
    beyond = range(len(tokenizer), int(getattr(model.config, "vocab_size", len(tokenizer))))
    return [i for i in (*tokenizer.all_special_ids, *beyond) if i not in kept]


def _text(tokenizer: Any, row: list[int], start: int) -> GeneratedText:
    end = tokenizer.eos_token_id
    ended = end is not None and end in row[start:]
    stop = row.index(end, start) if ended else len(row)
    return GeneratedText(_decoded(tokenizer, row[:stop]), stop - start, ended)


def _decoded(tokenizer: Any, row: list[int]) -> str:
    return str(tokenizer.decode(row, skip_special_tokens=True)).strip()


def _reader(tokenizer: Any, on_draft: Callable[[list[str]], None] | None) -> Callable[[Tensor], None] | None:
    """From a draft's ids to its strings."""
    if on_draft is None:
        return None
    special = set(tokenizer.all_special_ids) - {tokenizer.mask_token_id}

    def read(draft: Tensor) -> None:
        texts = (tokenizer.decode([i for i in row if i not in special]) for row in draft.tolist())
        signed = (text.replace(tokenizer.mask_token, f" {MASK_SIGN}") for text in texts)
        on_draft([re.sub(r" +", " ", text).strip() for text in signed])

    return read
