"""Counter-based random numbers: a pure function of a key, so that nothing has a generator state to keep or to lose.

SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"). A row's key is a hash of (seed,
stream, pass, row); the number at position j of that row is the j-th of the SplitMix64 sequence that starts at the key.
Worker, rank, batch and call order take no part in it.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_ROW_STRIDE = np.uint64(0xD1342543DE82EF95)

_GOLDEN_64 = np.uint64(_GOLDEN)
_M1, _M2 = (np.uint64(m) for m in _MULTIPLIERS)
_S27, _S30, _S31 = (np.uint64(s) for s in (27, 30, 31))


def _mix_int(value: int) -> int:
    """The finaliser of SplitMix64 on one Python integer (numpy scalars would warn of the overflow that is wanted)."""
    value &= _WORD
    value = ((value ^ (value >> 30)) * _MULTIPLIERS[0]) & _WORD
    value = ((value ^ (value >> 27)) * _MULTIPLIERS[1]) & _WORD
    return value ^ (value >> 31)


def mix64(values: Keys) -> Keys:
    """The finaliser of SplitMix64, elementwise and in place on a uint64 array; a bijection of the 64-bit integers."""
    shifted = values >> _S30
    values ^= shifted
    values *= _M1
    np.right_shift(values, _S27, out=shifted)
    values ^= shifted
    values *= _M2
    np.right_shift(values, _S31, out=shifted)
    values ^= shifted
    return values


@functools.lru_cache(maxsize=256)
def stream_id(stream: str) -> int:
    """A 64-bit number for the name of a stream, the same on every machine (Python's own `hash` is salted)."""
    return int.from_bytes(hashlib.blake2b(stream.encode(), digest_size=8).digest(), "little")


@functools.lru_cache(maxsize=64)
def weyl(length: int) -> Keys:
    """The steps that separate a row's positions: `(j + 1) * golden` for j < length, modulo 2^64."""
    steps = np.arange(1, length + 1, dtype=np.uint64) * _GOLDEN_64
    steps.flags.writeable = False
    return steps


def row_keys(seed: int, stream: str, pass_index: int, rows: npt.ArrayLike) -> Keys:
    """One 64-bit key a row.

    Args:
        seed: any integer.
        stream: name of the purpose ("selection", "corruption", "evaluation", "order", ...); two names give unrelated
            numbers.
        pass_index: 0-based pass through the corpus.
        rows: integer row numbers, shape `[n]`.

    Returns:
        uint64 `[n]`; distinct for distinct rows, because every stage is a bijection of the row number.
    """
    keys = np.asarray(rows).astype(np.uint64)
    keys *= _ROW_STRIDE
    keys += _base(seed, stream, pass_index)
    return mix64(keys)


@functools.lru_cache(maxsize=256)
def _base(seed: int, stream: str, pass_index: int) -> np.uint64:
    mixed = _mix_int(_mix_int(int(seed) + _GOLDEN) ^ stream_id(stream))
    return np.uint64(_mix_int(mixed + int(pass_index) * _GOLDEN))


def bits(keys: Keys, length: int) -> Keys:
    """64 random bits for every position, uint64 `[n, length]`, from keys `[n]`; none depends on `length`."""
    return mix64(keys[:, None] + weyl(length))


def halves(keys: Keys, length: int) -> npt.NDArray[np.uint32]:
    """32 random bits for every position, uint32 `[n, length]`: two positions share a number of `bits`."""
    return bits(keys, -(-length // 2)).astype("<u8", copy=False).view("<u4")[:, :length]


def bits_at(keys: Keys, positions: npt.NDArray[np.int64]) -> Keys:
    """64 random bits for chosen positions: keys and positions both `[m]`; equal to what `bits` gives there."""
    values = positions.astype(np.uint64)
    values += np.uint64(1)
    values *= _GOLDEN_64
    values += keys
    return mix64(values)
