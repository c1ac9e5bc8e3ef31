"""Models: presets for stock architectures, and what every model with a vocabulary head has in common.

Nothing is imported here, so that `babylm_hf.models.presets` costs no more than it needs.
"""

from __future__ import annotations
