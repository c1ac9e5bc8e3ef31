"""Corruption: what the selected tokens turn into before the model sees them (80/10/10 of Devlin et al. 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .random import Keys, below, bits_at

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


class Corruption:
    """Replaces a share of the selected tokens by the mask token, a share by random tokens, and leaves the rest.

    Args:
        mask_id: id of the mask token.
        replace_prob: share that becomes the mask token.
        random_prob: share that becomes a random token, drawn evenly from `random_ids` (which may give the token
            itself).
        random_ids: the ids to draw from, int `[m]`.

    Raises:
        OptionError: a share is negative, or they sum to more than 1.
    """

    def __init__(
        self, mask_id: int, replace_prob: float = 0.8, random_prob: float = 0.1, random_ids: npt.ArrayLike = ()
    ) -> None:
        for option, value in (("--mask_replace_prob", replace_prob), ("--random_replace_prob", random_prob)):
            if not 0 <= value <= 1:
                raise OptionError(f"{option} is {value}; it must lie between 0 and 1")
        if replace_prob + random_prob > 1 + 1e-9:
            raise OptionError(
                f"--mask_replace_prob {replace_prob} and --random_replace_prob {random_prob} sum to more than 1; "
                "lower one"
            )
        self.mask_id = mask_id
        self.replace_prob = float(replace_prob)
        self.random_prob = float(random_prob)
        self.random_ids = np.asarray(random_ids, np.int64)
        if self.random_prob and not len(self.random_ids):
            raise OptionError("--random_replace_prob is above 0 but the tokenizer has no ordinary token to draw")

    def apply(
        self, input_ids: npt.NDArray[np.int64], selected: npt.NDArray[np.bool_], keys: Keys
    ) -> npt.NDArray[np.int64]:
        """A corrupted copy.

        Args:
            input_ids: int64 `[n, L]`, not changed.
            selected: bool `[n, L]`.
            keys: the rows' keys of the corruption stream, uint64 `[n]`.
        """
        corrupted = input_ids.copy()
        flat, length = corrupted.reshape(-1), input_ids.shape[1]
        places = np.flatnonzero(selected)
        rows = places // length
        # One hash for each target only: its upper half decides the branch, its lower half the random token.
        drawn = bits_at(keys[rows], places - rows * length)
        unmasked = np.flatnonzero(~below(drawn, self.replace_prob))
        kept, left = places[unmasked], flat[places[unmasked]]
        flat[places] = self.mask_id
        if self.random_prob:
            noisy = np.flatnonzero(below(drawn[unmasked], self.replace_prob + self.random_prob))
            # Multiply and shift instead of a remainder: as even, and one instruction.
            place = ((drawn[unmasked[noisy]] & _LOW) * np.uint64(len(self.random_ids))) >> _HALF
            left[noisy] = self.random_ids[place.astype(np.int64)]
        flat[kept] = left
        return corrupted

    def describe(self) -> dict[str, Any]:
        """The shares in JSON's types, for the run record."""
        return {
            "mask_replace_prob": self.replace_prob,
            "random_replace_prob": self.random_prob,
            "random_ids": len(self.random_ids),
        }
