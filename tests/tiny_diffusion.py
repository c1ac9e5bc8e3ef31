"""A masked diffusion model of a few thousand weights over 40 ids, of which end-of-text is trained."""

from __future__ import annotations

from typing import Any

import torch

from babylm_hf.models.diffusion import BabyLMDiffusionConfig, BabyLMDiffusionForMaskedLM

SIZE, BOS, EOS, PAD, MASK = 40, 1, 2, 3, 4
SPECIAL = [0, BOS, PAD, MASK, 5, 6, 7]


def diffusion_config(**options: Any) -> BabyLMDiffusionConfig:
    """One layer of width 32."""
    defaults = {
        "vocab_size": SIZE,
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "position_bucket_size": 8,
        "max_position_embeddings": 64,
        "special_token_ids": SPECIAL,
    }
    return BabyLMDiffusionConfig(**{**defaults, **options})


def random_diffusion_model(seed: int = 0, **options: Any) -> BabyLMDiffusionForMaskedLM:
    """Far from its start, where neither time nor context does anything."""
    torch.manual_seed(seed)
    made = BabyLMDiffusionForMaskedLM(diffusion_config(**options)).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made
