"""The sequence-length curriculum: which passes run at which length, at a constant number of tokens a step.

`"0:64,5:256"` reads: 64 tokens from pass 0, 256 from pass 5 (the notation of the adaptive-masking reference's
`--max_seq_len`).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from ..errors import OptionError

_ENTRY = re.compile(r"\s*(\d{1,9})\s*:\s*(\d{1,9})\s*")


@dataclass(frozen=True)
class Stage:
    """Consecutive passes with one sequence length.

    Attributes:
        index: 0-based place in the curriculum.
        first_pass: 0-based pass at which it begins.
        num_passes: passes it lasts.
        seq_length: tokens in a row.
        batch_size: rows in an optimizer step (over all processes and micro-batches).
        exact_batch_size: rows that would keep the tokens of a step exactly constant; `batch_size` before rounding.
    """

    index: int
    first_pass: int
    num_passes: int
    seq_length: int
    batch_size: int
    exact_batch_size: float


def parse_curriculum(spec: str | int, num_passes: int, batch_size: int) -> tuple[Stage, ...]:
    """The stages of a run.

    Args:
        spec: a length, or `pass:length` items separated by commas.
        num_passes: passes of the whole run.
        batch_size: rows in an optimizer step at the first length; later stages scale it to keep the tokens of a step.

    Raises:
        OptionError: unreadable, not starting at pass 0, passes not rising or beyond the last, a length that is not
            positive.
    """
    if num_passes < 1:
        raise OptionError(f"--num_train_epochs is {num_passes}; a run needs at least one pass")
    if batch_size < 1:
        raise OptionError(f"--batch_size is {batch_size}; a step needs at least one row")
    entries = _entries(spec)
    starts = [start for start, _ in entries]
    if starts[0] != 0:
        raise OptionError(
            f"--max_seq_len {spec!r} leaves passes 0 to {starts[0] - 1} without a length; "
            "let its first item be '0:LENGTH'"
        )
    for before, after in itertools.pairwise(starts):
        if after <= before:
            raise OptionError(
                f"--max_seq_len {spec!r}: pass {after} comes after pass {before}; list the passes in rising order"
            )
    if starts[-1] >= num_passes:
        raise OptionError(
            f"--max_seq_len {spec!r} changes the length at pass {starts[-1]}, but the run has only {num_passes} "
            f"(0 to {num_passes - 1}); remove that item or ask for more passes"
        )
    tokens = batch_size * entries[0][1]
    stages = []
    for index, (start, length) in enumerate(entries):
        end = starts[index + 1] if index + 1 < len(starts) else num_passes
        exact = tokens / length
        # Half up, not half to even: 2.5 rows are 3 whatever the neighbours.
        stages.append(Stage(index, start, end - start, length, max(1, int(exact + 0.5)), exact))
    return tuple(stages)


def _entries(spec: str | int) -> list[tuple[int, int]]:
    text = str(spec).strip()
    items = [f"0:{text}"] if text.isdecimal() else text.split(",")
    entries = []
    for item in items:
        match = _ENTRY.fullmatch(item)
        if match is None:
            raise OptionError(
                f"--max_seq_len {text!r}: cannot read {item!r}; write a length (128) or pass:length items (0:64,5:256)"
            )
        start, length = int(match[1]), int(match[2])
        if length < 1:
            raise OptionError(f"--max_seq_len {text!r}: a row of {length} tokens is impossible; give a positive length")
        entries.append((start, length))
    return entries
