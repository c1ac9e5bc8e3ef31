"""What a run hands to TensorBoard, Weights & Biases, Trackio and the like: numbers under names that they can draw."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from numbers import Real
from typing import Any


def scalars(facts: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """The numbers in facts, those in inner dicts too, as `prefix/name/inner name`.

    Lists, texts and what is not finite are left out: the integrations drop them with a warning, or draw nothing.

    Args:
        facts: in JSON's types.
        prefix: of every name.
    """
    found: dict[str, float] = {}
    for name, value in facts.items():
        path = f"{prefix}/{re.sub(r'[^-.0-9A-Za-z_/]+', '_', name.replace(',', ''))}"
        if isinstance(value, Mapping):
            found |= scalars(value, path)
        elif isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
            found[path] = float(value)
    return found
