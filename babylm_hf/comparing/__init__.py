"""Comparing: finished runs side by side, and what their differences support. Imports no torch."""

from __future__ import annotations

from .comparison import Comparison, compare
from .runs import Configuration, read_configurations

__all__ = ["Comparison", "Configuration", "compare", "read_configurations"]
