"""Word milestones and word budgets of the BabyLM tracks.

A word is a whitespace-separated item of the raw text. The evaluation pipeline of the challenge reads checkpoints from
branches named `chck_1M`, `chck_2M`, ...; strict-small has 19 of them, strict 28. Milestones count words shown, repeats
included, never tokens.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

import numpy as np

from ..errors import BudgetError, OptionError

_MILLION = 1_000_000
_UNITS = {"": 1, "K": 1_000, "M": _MILLION}
_COUNT = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)([KM]?)", re.IGNORECASE)


@dataclass(frozen=True)
class Track:
    """The word budget of a track.

    Attributes:
        name: as in the challenge.
        corpus_words: different words a model may be trained on.
        exposure_words: words it may be shown, repeats included.
        max_passes: passes through the corpus.
        milestones: words shown at which a checkpoint is due.
    """

    name: str
    corpus_words: int
    exposure_words: int
    max_passes: int
    milestones: tuple[int, ...]


def _millions(*groups: range) -> tuple[int, ...]:
    return tuple(m * _MILLION for group in groups for m in group)


TRACKS: dict[str, Track] = {
    "strict-small": Track(
        "strict-small", 10 * _MILLION, 100 * _MILLION, 10, _millions(range(1, 10), range(10, 101, 10))
    ),
    "strict": Track(
        "strict",
        100 * _MILLION,
        1000 * _MILLION,
        10,
        _millions(range(1, 10), range(10, 100, 10), range(100, 1001, 100)),
    ),
}


_FORMS = f"a track ({', '.join(TRACKS)}), 'none', a list like 50K,100K,1M, or 10x50K"


def parse_milestones(spec: str) -> tuple[int, ...]:
    """Words at which checkpoints are due, rising.

    Args:
        spec: a track's name, `"none"`, a list `"50K,100K,1M"`, or `"10x50K"` (ten of them, 50 000 words apart).

    Raises:
        OptionError: unreadable, not positive, or not rising.
    """
    text = spec.strip()
    if text.lower() in ("none", ""):
        return ()
    if text in TRACKS:
        return TRACKS[text].milestones
    times, separator, interval = text.lower().partition("x")
    if separator and re.fullmatch(r"\s*\d{1,5}\s*", times) and int(times) > 0:
        step = _count(interval, text)
        return tuple(step * i for i in range(1, int(times) + 1))
    words = tuple(_count(item, text) for item in text.split(","))
    for before, after in itertools.pairwise(words):
        if after <= before:
            raise OptionError(
                f"--milestones {text!r}: {after} words do not come after {before}; list them in rising order"
            )
    return words


def parse_words(text: str, option: str = "--max_words") -> int:
    """A number of words: `1234`, `50K`, `2.5M`.

    Raises:
        OptionError: unreadable, or not a positive whole number.
    """
    return _count(text, text, option, "a number of words like 50K or 1M")


def _count(item: str, text: str, option: str = "--milestones", forms: str = _FORMS) -> int:
    match = _COUNT.fullmatch(item.strip())
    if match is None:
        raise OptionError(f"{option} {text!r}: cannot read {item.strip()!r}; write {forms}")
    whole, _, fraction = match[1].partition(".")
    unit = _UNITS[match[2].upper()]
    scaled, scale = int(whole + fraction) * unit, int(10 ** len(fraction))
    words, rest = divmod(scaled, scale)
    if rest or words < 1:
        raise OptionError(f"{option} {text!r}: {item.strip()!r} is not a positive whole number of words")
    return words


def milestone_name(words: int) -> str:
    """The folder and branch of a milestone: `chck_1M`, `chck_50K`, `chck_1234`."""
    for unit, size in (("M", _MILLION), ("K", 1_000)):
        if words % size == 0:
            return f"chck_{words // size}{unit}"
    return f"chck_{words}"


def check_budget(track: Track | str, unique_words: int, exposure_words: int, num_passes: int) -> None:
    """Refuses a run that would show a model more than its track allows.

    Args:
        track: a `Track` or the name of one.
        unique_words: words of the training text.
        exposure_words: words the plan shows, repeats included.
        num_passes: passes the plan begins.

    Raises:
        BudgetError: with the numbers.
        OptionError: no such track.
    """
    if isinstance(track, str):
        if track not in TRACKS:
            raise OptionError(f"--track {track!r} is unknown; choose one of {', '.join(TRACKS)}")
        track = TRACKS[track]
    facts = (
        ("the training text has", unique_words, track.corpus_words, "words", "use less text"),
        (
            "the run would show the model",
            exposure_words,
            track.exposure_words,
            "words",
            "lower --num_train_epochs or set --max_words",
        ),
        ("the run makes", num_passes, track.max_passes, "passes", "lower --num_train_epochs"),
    )
    for what, found, allowed, unit, remedy in facts:
        if found > allowed:
            raise BudgetError(f"{what} {found:,} {unit}, but track {track.name} allows {allowed:,}; {remedy}")


def reference_steps(track: str, total_steps: int) -> tuple[int, ...]:
    """Steps at which the adaptive-masking reference saves: fractions of the run, whatever its words (`train_mask.py`).

    For comparison with the published checkpoints only: our milestones are by words.
    """
    t = total_steps
    if track == "strict-small":
        groups = [np.rint(np.linspace(t // 100, t // 10, 10)), np.rint(np.linspace(t // 10, t, 10))[1:]]
    elif track == "strict":
        edges = (t // 1000, t // 100, t // 10, t)
        parts = [np.linspace(a, b, 10).astype(np.int64) for a, b in itertools.pairwise(edges)]
        groups = [parts[0], parts[1][1:], parts[2][1:]]
    else:
        raise OptionError(f"--track {track!r} is unknown; choose one of {', '.join(TRACKS)}")
    return tuple(int(step) for step in np.concatenate(groups))
