"""What a masked diffusion model guarantees of held-out text, measured while it is trained.

The bound (NELBO) is estimated with exact weights and fixed draws, whatever schedule and softening the run trains with:
a moving or softened schedule has no likelihood of its own, and curves of different runs can be compared.
"""

from __future__ import annotations

import torch

from ..masking.vocabulary import Vocabulary
from ..plan import RowSource
from .held_out import spread
from .likelihood import nelbo

DRAWS = 4


def held_out_nelbo(
    model: torch.nn.Module,
    rows: RowSource,
    vocabulary: Vocabulary,
    *,
    seq_length: int,
    max_tokens: int,
    batch_tokens: int = 16_384,
) -> dict[str, float]:
    """`nelbo`, nats per token that could have been masked, and `nelbo_error`, the standard error over draws.

    Args:
        model: not wrapped; its mode is left as it was.
        rows: held-out text.
        vocabulary: that of the run's collator, which knows which tokens count.
        seq_length: tokens in a row.
        max_tokens: of rows spread evenly over the text; every one is seen in 4 draws.
        batch_tokens: tokens in a batch.
    """
    chosen = spread(rows.num_rows(seq_length), max(1, max_tokens // seq_length))
    found = rows.fetch(seq_length, chosen)
    texts = [
        ids[: int(present.sum())] for ids, present in zip(found["input_ids"], found["attention_mask"], strict=True)
    ]
    likelihood = nelbo(model, texts, vocabulary, draws=DRAWS, batch_tokens=batch_tokens)
    return {"nelbo": likelihood.nats_per_token, "nelbo_error": likelihood.standard_error}
