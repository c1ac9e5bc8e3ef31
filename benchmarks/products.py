"""The matrix products that a training step cannot do without, and how fast the machine multiplies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SIDE = 2048
"""Of the square matrices whose product is the machine's peak."""
AT_ONCE = 8
"""Products in a turn."""
PEAK_WORK = AT_ONCE * 2 * SIDE**3
"""Operations in a turn."""
_OF_ALL = ("key", "value", "key_proj", "value_proj")
"""Names of the layers that make keys and values."""


def multiply(half: bool, pause: Callable[[], None]) -> None:
    """Multiplies large matrices for ever, with `pause()` after every turn."""
    import torch

    dtype = torch.bfloat16 if half else torch.float32
    left, right = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    while True:
        for _ in range(AT_ONCE):
            left @ right
        pause()


def needed(model: Any, rows: int, length: int, rate: float) -> float:
    """Operations of a step: six for each weight and token that it meets, and attention, forward and backward.

    In the last layer of a masked model all but keys and values are needed at the targets only.

    Args:
        model: a BERT, DeBERTa-v2 or LLaMA with its head.
        rows: of the batch.
        length: tokens of a row.
        rate: share of tokens that are targets; 0 where every token is one.
    """
    import torch

    config, tokens = model.config, rows * length
    width, layers = config.hidden_size, config.num_hidden_layers
    linear = [module for module in model.base_model.modules() if isinstance(module, torch.nn.Linear)]
    body = 6 * tokens * sum(module.weight.numel() for module in linear)
    if rate:
        parts = model.base_model.encoder.layer[-1].named_modules()
        others = [m for name, m in parts if isinstance(m, torch.nn.Linear) and not name.endswith(_OF_ALL)]
        body -= 6 * (1 - rate) * tokens * sum(module.weight.numel() for module in others)
        layers += rate - 1
    attention = 12 * length * width * tokens * layers
    kinds = len(config.pos_att_type) if getattr(config, "relative_attention", False) else 0
    distances = 6 * kinds * (2 * length - 1) * width * tokens * layers
    every = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    head = sum(module.weight.numel() for module in every if module not in linear)
    return body + attention + distances + 6 * (rate or 1.0) * tokens * head
