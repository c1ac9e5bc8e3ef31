"""Models: presets for stock architectures, and what every model with a vocabulary head has in common.

The public names load on first use, so that naming this package imports neither torch nor transformers.
"""

from __future__ import annotations

from ..lazy import loader

_HOMES = {
    "PRESETS": "presets",
    "Preset": "presets",
    "build_config": "presets",
    "build_model": "presets",
    "BabyLMDiffusionConfig": "diffusion",
    "BabyLMDiffusionForMaskedLM": "diffusion",
    "BabyLMDiffusionForSequenceClassification": "diffusion",
    "BabyLMDiffusionModel": "diffusion",
    "PositionSelector": "heads",
    "evaluating": "heads",
    "find_position_wise_head": "heads",
    "logits_of": "heads",
    "select_positions": "heads",
}
__all__ = sorted(_HOMES)

__getattr__ = loader(__name__, _HOMES)
