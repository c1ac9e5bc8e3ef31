"""Colours, markers and lines of configurations: Okabe & Ito (2008), https://jfly.uni-koeln.de/color/."""

from __future__ import annotations

from string import ascii_uppercase
from typing import Any

# On white, and on the dark page, where the same hue is lighter.
PALETTE = (
    ("#0072b2", "#5db7ea"),
    ("#d55e00", "#ff8f45"),
    ("#009e73", "#3ecfa3"),
    ("#cc79a7", "#e59cc4"),
    ("#8a6d00", "#e6c344"),
    ("#4a5560", "#b4bec8"),
)
_MARKERS = "osD^vP"
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.2)), (0, (1.2, 1.0)), (0, (5, 1, 1, 1)))


def index_of(label: str) -> int:
    """A configuration's place: A is 0."""
    return ascii_uppercase.index(label)


def color_of(label: str) -> str:
    """Its colour on white."""
    return PALETTE[index_of(label) % len(PALETTE)][0]


def marker_of(label: str) -> str:
    """Its marker: with the colour, two configurations share both only from the 31st on."""
    index = index_of(label)
    return _MARKERS[(index + index // len(PALETTE)) % len(_MARKERS)]


def dashes_of(label: str) -> Any:
    """Its line."""
    return _DASHES[index_of(label) % len(_DASHES)]
