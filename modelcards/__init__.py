"""The templates of the model cards, as a package: installed with the wheel, and found in an editable install."""

from __future__ import annotations
