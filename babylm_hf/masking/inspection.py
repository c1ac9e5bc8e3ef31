"""Seeing a method at work: the probability with which each token of a sentence would be masked now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .collator import MaskingCollator
from .policies import INCLUSION_DRAWS, IndependentPolicy
from .rows import Floats

_SENTENCE = "sentence."


@dataclass(frozen=True)
class TokenMask:
    """A token and its chance of becoming a target.

    Attributes:
        token: its string.
        token_id: its id.
        probability: 0 where it never can be a target.
    """

    token: str
    token_id: int
    probability: float

    @property
    def shown(self) -> str:
        """The token without the sign of the space before it, unless it is nothing else."""
        return self.token.lstrip("Ġ▁") or self.token


def mask_probabilities(
    collator: MaskingCollator,
    input_ids: Sequence[int] | npt.NDArray[np.int64],
    *,
    step: int = 0,
    pass_index: int = 0,
    total_steps: int | None = None,
    word_starts: npt.NDArray[Any] | None = None,
    draws: int = INCLUSION_DRAWS,
) -> Floats:
    """The probability of each token of a row to become a target at a step, float64 `[L]`.

    It is exact for policies that choose tokens, words or spans independently at a rate that is not random; otherwise
    the mean over `draws` masks, with a standard error of at most .5 / sqrt(draws).

    Args:
        collator: with its policy as it is now.
        input_ids: the row, special tokens included, `[L]`.
        step: 0-based optimizer step, for rates and policies that change over the run.
        pass_index: 0-based pass, for those that change from pass to pass.
        total_steps: of the run; default the collator's.
        word_starts: tokens that begin a word, `[L]`, for policies of whole words.
        draws: masks, or rates, to take the mean of.
    """
    ids = np.asarray(input_ids, np.int64)[None]
    batch = {"input_ids": ids, "example_id": np.zeros(1, np.int64)}
    if word_starts is not None:
        batch["word_starts"] = np.asarray(word_starts)[None]
    row = collator.rows_of(batch, pass_index=pass_index, step=step, total_steps=total_steps)
    row = replace(row, prefix=_SENTENCE)
    if not collator.rate.weighted:
        chances: Floats = collator.policy.inclusion(row, collator.rate.draw(row).rate, draws)[0]
        return chances
    exact = isinstance(collator.policy, IndependentPolicy)
    total = np.zeros(ids.shape)
    for draw in range(draws):
        # Each draw takes the place of one row of an optimizer step, so that the random rates are spread evenly.
        place = replace(row, prefix=f"{_SENTENCE}{draw}.", places=np.array([draw]), step_rows=draws)
        rate = collator.rate.draw(place).rate
        total += collator.policy.inclusion(place, rate) if exact else collator.policy.select(place, rate)
    mean: Floats = total[0] / draws
    return mean


def sentence_probabilities(collator: MaskingCollator, tokenizer: Any, sentence: str, **options: Any) -> list[TokenMask]:
    """`mask_probabilities` of a sentence, token by token.

    Args:
        collator: with its policy as it is now.
        tokenizer: the run's.
        sentence: any text.
        options: of `mask_probabilities`.
    """
    ids = tokenizer(sentence)["input_ids"]
    probabilities = mask_probabilities(collator, ids, **options)
    tokens = tokenizer.convert_ids_to_tokens(ids)
    return [TokenMask(t, int(i), float(p)) for t, i, p in zip(tokens, ids, probabilities, strict=True)]
