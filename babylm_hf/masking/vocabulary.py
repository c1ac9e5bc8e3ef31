"""What masking has to know of a tokenizer: a few ids. The tokenizer itself stays out of the workers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .rows import Floats


@dataclass(frozen=True)
class Vocabulary:
    """The ids that masking needs.

    Attributes:
        size: number of ids, added tokens included.
        mask_id: id of the mask token.
        pad_id: id that fills short rows.
        special_ids: all special ids, rising.
    """

    size: int
    mask_id: int
    pad_id: int
    special_ids: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Any) -> Vocabulary:
        """The ids of a Hugging Face tokenizer (a `Vocabulary` is returned as it is).

        Raises:
            OptionError: it has no mask token, or no padding token.
        """
        if isinstance(tokenizer, Vocabulary):
            return tokenizer
        for name in ("mask_token", "pad_token"):
            if getattr(tokenizer, f"{name}_id", None) is None:
                raise OptionError(
                    f"--tokenizer {getattr(tokenizer, 'name_or_path', '')!r} has no {name}, which masked language "
                    f"modelling needs; choose another tokenizer or set tokenizer.{name}"
                )
        special = tuple(sorted(set(tokenizer.all_special_ids)))
        # `vocab_size` leaves out added tokens, and [MASK] is often one of those.
        size = max(len(tokenizer), special[-1] + 1)
        return cls(size, int(tokenizer.mask_token_id), int(tokenizer.pad_token_id), special)

    def training(self, ids: Collection[int]) -> Vocabulary:
        """The same with special `ids` that are masked and learnt like words, such as an end-of-text token."""
        return replace(self, special_ids=tuple(i for i in self.special_ids if i not in set(ids)))

    def ordinary(self) -> npt.NDArray[np.bool_]:
        """True for every id that is not special, `[size]`."""
        table = np.ones(self.size, bool)
        table[list(self.special_ids)] = False
        return table

    def checked_counts(self, counts: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """A corpus's token counts, int64 `[size]`.

        Raises:
            OptionError: they are of another vocabulary.
        """
        values = np.asarray(counts, np.int64)
        if values.shape != (self.size,):
            raise OptionError(
                f"the token counts are for {values.size} ids, but the tokenizer has {self.size}; count the corpus with "
                "the tokenizer of the run"
            )
        return values


def checked_prior(prior: npt.ArrayLike, vocabulary: Vocabulary) -> Floats:
    """A user's weights for the token ids, float64 `[V]`.

    Raises:
        OptionError: not one finite number a token id, one is negative, or no ordinary token has a positive one.
    """
    weights = np.array(prior, np.float64)
    fits = weights.shape == (vocabulary.size,) and np.isfinite(weights).all() and (weights >= 0).all()
    if not fits or not weights[vocabulary.ordinary()].any():
        raise OptionError(
            f"--mask_prior must be {vocabulary.size} numbers, one a token id, none negative and not all 0; "
            f"it has shape {weights.shape}"
        )
    return weights
