"""Counter-based random numbers for masking: one 64-bit hash a position, keyed by (seed, stream, pass, row, position).

The counter itself lives with the plan, which orders its rows by it ("order"). Streams in use here: "selection" (which
positions are targets), whose keys xor the name of a guided part of a budget are that part's; "budget" (its rounding);
"corruption" (what they turn into); "time" and "mode" (the random rates of diffusion). Fixed evaluation masks put
"evaluation." before the names, and what is drawn only to be looked at "inclusion." or "sentence.".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..plan.counter import Keys, bits, bits_at, halves, mix64, row_keys, stream_id

__all__ = ["Keys", "below", "bits", "bits_at", "halves", "mix64", "row_keys", "stream_id", "uniform"]

_HALF = np.uint64(32)
_SCALE = 2.0**-32


def uniform(keys: Keys, length: int) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1) in steps of 2^-32, float64 `[n, length]`, from keys `[n]`."""
    return _upper(bits(keys, length))


def _upper(values: Keys) -> npt.NDArray[np.float64]:
    """The upper 32 bits of each number as a fraction; the lower 32 are left for other uses."""
    # Signed, because the conversion of unsigned integers to float is slower.
    fractions = (values >> _HALF).view(np.int64).astype(np.float64)
    fractions *= _SCALE
    return fractions


def below(values: Keys, probabilities: Any) -> npt.NDArray[np.bool_]:
    """Whether the uniform number in the upper half of each of `values` is less than its probability.

    Args:
        values: uint64 of any shape.
        probabilities: float or an array that broadcasts to it; 0 is never, 1 and more is always.
    """
    if np.ndim(probabilities) == 0:
        if probabilities >= 1:
            return np.ones(values.shape, bool)
        # u < p is the same as 64 bits < ceil(p 2^32) 2^32, which needs neither a shift nor a float.
        return values < np.uint64(int(np.ceil(max(float(probabilities), 0.0) * 2**32)) << 32)
    flags: npt.NDArray[np.bool_] = _upper(values) < probabilities
    return flags
