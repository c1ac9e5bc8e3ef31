"""The public collators: published masking methods as compositions of rate, policy and corruption."""

from __future__ import annotations

from typing import Any, Literal

from .adaptive import AdaptivePolicy
from .collator import MaskingCollator, random_ids
from .corruption import Corruption
from .policies import Positions, UniformPolicy
from .rates import make_rate
from .vocabulary import Vocabulary


class DataCollatorForDynamicMasking(MaskingCollator):
    """Adaptive masking (AMLM): tokens the model gets wrong are masked more often (Edman & Fraser 2025).

    Args:
        tokenizer: with a mask and a padding token.
        kind: "hard" follows error rates, "soft" losses.
        mlm_probability: mask rate at the first step, p0.
        mask_decay: how much the rate falls, linearly, by the last step; 0.25 with p0 = 0.4 in the paper's decaying
            runs.
        mask_update_steps: optimizer steps between updates of the weights.
        first_mask_update: no update before this many steps.
        mask_lambda: share of the old weight that an update keeps.
        mask_floor: smallest weight as a share of the rate, default 1/30 (reference profile: an absolute weight, .005).
        mask_replace_prob: share of the targets shown as the mask token.
        random_replace_prob: share of the targets shown as a random token.
        seed: of all masks.
        reference_behaviour: reproduce the published code's choices (specials are maskable, the budget counts padding,
            random ids may be special, absolute floor, first window of N + 1 steps, no water-filling).

    Raises:
        OptionError: an option cannot work, or the tokenizer has no mask token.
    """

    def __init__(
        self,
        tokenizer: Any,
        kind: Literal["hard", "soft"] = "hard",
        mlm_probability: float = 0.15,
        mask_decay: float = 0.0,
        mask_update_steps: int = 200,
        first_mask_update: int = 0,
        mask_lambda: float = 0.2,
        mask_floor: float | None = None,
        mask_replace_prob: float = 0.8,
        random_replace_prob: float = 0.1,
        seed: int = 0,
        reference_behaviour: bool = False,
        *,
        positions: Positions | None = None,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        vocabulary = Vocabulary.of(tokenizer)
        rate = make_rate(mlm_probability, mask_decay)
        policy = AdaptivePolicy(
            vocabulary.size,
            vocabulary.special_ids,
            mlm_probability,
            kind,
            update_steps=mask_update_steps,
            first_update=first_mask_update,
            mask_lambda=mask_lambda,
            floor=mask_floor,
            positions=positions,
            reference=reference_behaviour,
        )
        replacements = random_ids(vocabulary, reference_behaviour)
        super().__init__(
            vocabulary,
            rate=rate,
            policy=policy,
            corruption=Corruption(vocabulary.mask_id, mask_replace_prob, random_replace_prob, replacements),
            seed=seed,
            reference=reference_behaviour,
            pad_to_multiple_of=pad_to_multiple_of,
        )


class DataCollatorForDecayingMasking(MaskingCollator):
    """Uniform masking at a rate that falls linearly over the run; with `mask_decay=0`, ordinary masked language
    modelling.

    The arguments are those of `DataCollatorForDynamicMasking`; the defaults are the paper's decaying schedule, 0.40 to
    0.15.
    """

    def __init__(
        self,
        tokenizer: Any,
        mlm_probability: float = 0.4,
        mask_decay: float = 0.25,
        mask_replace_prob: float = 0.8,
        random_replace_prob: float = 0.1,
        seed: int = 0,
        reference_behaviour: bool = False,
        *,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        vocabulary = Vocabulary.of(tokenizer)
        replacements = random_ids(vocabulary, reference_behaviour)
        super().__init__(
            vocabulary,
            rate=make_rate(mlm_probability, mask_decay),
            policy=UniformPolicy(reference_behaviour),
            corruption=Corruption(vocabulary.mask_id, mask_replace_prob, random_replace_prob, replacements),
            seed=seed,
            reference=reference_behaviour,
            pad_to_multiple_of=pad_to_multiple_of,
        )
