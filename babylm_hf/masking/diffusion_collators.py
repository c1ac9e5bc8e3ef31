"""The public collators of the masked-diffusion paper: frequency-informed masking, and noise schedules with or without
it."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from ..errors import OptionError
from .collator import MaskingCollator, random_ids
from .corruption import Corruption
from .frequency import FrequencyPolicy, Weighting
from .loss_weights import Weighting as LossWeighting
from .noise import NoiseRate, Stratify, make_noise
from .policies import Policy, UniformPolicy
from .rates import make_rate
from .vocabulary import Vocabulary


class DataCollatorForFrequencyMasking(MaskingCollator):
    """Masked language modelling in which rare tokens of a row are masked more often (Kosmopoulou et al. 2025).

    Args:
        tokenizer: with a mask and a padding token.
        token_counts: occurrences of each id in the corpus, `[V]`, as `TokenStream.token_counts()` gives them.
        mlm_probability, mask_decay: mask rate at the first step, and how much it falls by the last.
        exponent, curriculum, num_passes, weighting, weight_floor: see `FrequencyPolicy`.
        mask_replace_prob, random_replace_prob: shares of the targets shown as the mask token and as a random one.
        seed: of all masks.
        reference_behaviour: the published code's scaling over padding and special tokens.
        prior: see `MaskingCollator`.

    Raises:
        OptionError: an option cannot work, the counts are of another tokenizer, or it has no mask token.
    """

    def __init__(
        self,
        tokenizer: Any,
        token_counts: npt.ArrayLike,
        mlm_probability: float = 0.15,
        mask_decay: float = 0.0,
        exponent: float = 0.02,
        curriculum: bool = True,
        num_passes: int = 10,
        weighting: Weighting = "rank",
        mask_replace_prob: float = 0.8,
        random_replace_prob: float = 0.1,
        seed: int = 0,
        reference_behaviour: bool = False,
        *,
        weight_floor: float = 0.0,
        prior: npt.ArrayLike | None = None,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        vocabulary = Vocabulary.of(tokenizer)
        super().__init__(
            vocabulary,
            rate=make_rate(mlm_probability, mask_decay),
            policy=FrequencyPolicy(
                vocabulary.checked_counts(token_counts),
                exponent,
                curriculum=curriculum,
                num_passes=num_passes,
                weighting=weighting,
                weight_floor=weight_floor,
                reference=reference_behaviour,
            ),
            corruption=_corruption(vocabulary, mask_replace_prob, random_replace_prob),
            seed=seed,
            prior=prior,
            pad_to_multiple_of=pad_to_multiple_of,
        )
        self.published = reference_behaviour


class DataCollatorForDiffusionMasking(MaskingCollator):
    """Masked diffusion: a mask rate drawn for every row, with the loss weight that goes with it.

    The batch it makes has `loss_weights`, `maskable` and `mask_rate` beside the usual (see `MaskingCollator.mask`). In
    a plain Trainer, use its `callback()` and its `loss_function()`.

    Args:
        tokenizer: with a mask and a padding token.
        schedule: "linear" (mean rate .5), "cosine" (.363), "cosine_squared" (.5), "gaussian" or "bimodal".
        softening: power of the schedule's derivative in the loss weight; default 1 (the NELBO), Gaussians .1.
        token_counts: occurrences of each id in the corpus, for frequency-informed masking; without them, or with
            `exponent=0`, every token of a row has the same probability.
        exponent, curriculum, num_passes, weighting, weight_floor: see `FrequencyPolicy`.
        policy: any other policy instead, such as an adaptive one.
        schedule_parameters: of `GaussianNoise` or `BimodalNoise`.
        stratify, time_margin, max_weight: see `NoiseRate`.
        loss_weighting: see `MaskingCollator`.
        mask_replace_prob, random_replace_prob: shares of the targets shown as the mask token and as a random one.
        seed: of all masks.
        reference_behaviour: the published code's schedules, strata, scaling, and rate shown to the model.
        prior: see `MaskingCollator`.

    Raises:
        OptionError: an option cannot work, the counts are of another tokenizer, or it has no mask token.
    """

    def __init__(
        self,
        tokenizer: Any,
        schedule: str = "cosine",
        softening: float | None = None,
        token_counts: npt.ArrayLike | None = None,
        exponent: float = 0.02,
        curriculum: bool = True,
        num_passes: int = 10,
        weighting: Weighting = "rank",
        policy: Policy | None = None,
        schedule_parameters: dict[str, float] | None = None,
        mask_replace_prob: float = 1.0,
        random_replace_prob: float = 0.0,
        seed: int = 0,
        reference_behaviour: bool = False,
        *,
        weight_floor: float = 0.0,
        stratify: Stratify | None = None,
        time_margin: float | None = None,
        max_weight: float | None = None,
        loss_weighting: LossWeighting = "sequence",
        prior: npt.ArrayLike | None = None,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        vocabulary = Vocabulary.of(tokenizer)
        if policy is not None and token_counts is not None:
            raise OptionError("token_counts are for frequency-informed masking; leave them out, or the policy")
        if policy is None and token_counts is not None and exponent:
            policy = FrequencyPolicy(
                vocabulary.checked_counts(token_counts),
                exponent,
                curriculum=curriculum,
                num_passes=num_passes,
                weighting=weighting,
                weight_floor=weight_floor,
                reference=reference_behaviour,
            )
        super().__init__(
            vocabulary,
            rate=NoiseRate(
                make_noise(schedule, reference=reference_behaviour, **(schedule_parameters or {})),
                softening,
                stratify=stratify,
                time_margin=time_margin,
                max_weight=max_weight,
                reference=reference_behaviour,
            ),
            policy=policy or UniformPolicy(),
            corruption=_corruption(vocabulary, mask_replace_prob, random_replace_prob),
            seed=seed,
            weighting=loss_weighting,
            prior=prior,
            pad_to_multiple_of=pad_to_multiple_of,
        )
        self.published = reference_behaviour
        self.shows_realised_rate = reference_behaviour and isinstance(self.policy, UniformPolicy)


def _corruption(vocabulary: Vocabulary, masked: float, random: float) -> Corruption:
    """Random replacements are ordinary tokens; where there are none, the vocabulary need not have any."""
    return Corruption(vocabulary.mask_id, masked, random, random_ids(vocabulary) if random else ())
