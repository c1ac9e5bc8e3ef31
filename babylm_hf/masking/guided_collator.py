"""The public collator of Accuracy-Morph and its relatives."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy.typing as npt

from ..errors import OptionError
from .budget import ExactPolicy
from .collator import MaskingCollator, random_ids
from .controls import FrequencyBandPolicy, RandomSketchPolicy
from .corruption import Corruption
from .counting import Counting, SketchShape
from .features import TokenFeatures
from .guided import ACCURACY_MORPH_SHARES, EVALUATION_FLUSH, PAPER_FORMULA, AccuracyMorphPolicy, Formula, Shares
from .guided_siblings import CMS_MORPH_SHARES, CmsMorphPolicy, EntityAccuracyMorphPolicy
from .hhm import ENTITY_ONLY_SHARES, ERROR_ONLY_SHARES, HHM_SHARES, HeavyHitterPolicy
from .policies import Policy, Positions
from .rates import make_rate
from .sampling import Rounding
from .vocabulary import Vocabulary

GuidedKind = Literal[
    "random",
    "accuracy_morph",
    "entity_accuracy_morph",
    "cms_morph",
    "hhm",
    "entity_only",
    "error_only",
    "frequency_only",
    "random_sketch",
]

DEFAULT_SHARES: dict[str, Shares] = {
    "accuracy_morph": ACCURACY_MORPH_SHARES,
    "entity_accuracy_morph": ACCURACY_MORPH_SHARES,
    "cms_morph": CMS_MORPH_SHARES,
    "hhm": HHM_SHARES,
    "entity_only": ENTITY_ONLY_SHARES,
    "error_only": ERROR_ONLY_SHARES,
    "random_sketch": HHM_SHARES,
}
"""Of every row's budget: the even choice, the first guided part, the second."""

_WARMUPS = {"accuracy_morph": 0.30, "entity_accuracy_morph": 0.30}
_OTHER_WARMUP = 0.10


class DataCollatorForGuidedMasking(MaskingCollator):
    """An exact number of targets in every row, part of them chosen by what the model has got wrong.

    Args:
        tokenizer: with a mask and a padding token.
        kind: "accuracy_morph", a relative of it ("entity_accuracy_morph", "cms_morph", "hhm", "entity_only",
            "error_only"), a control ("frequency_only", "random_sketch"), or "random".
        mlm_probability, mask_decay: mask rate at the first step, and how much it falls by the last.
        shares: of the budget: even, first guided part, second; default as published (`DEFAULT_SHARES`).
        warmup: steps without guidance; below 1 a share of the run; default as published, .30 or .10.
        mask_update_steps: optimizer steps between updates of the scores.
        smoothing, min_seen, score_cap, count_decay: see `AccuracyMorphPolicy`.
        formula: "code", or "paper" for the error rate as printed, which overrides smoothing, min_seen and score_cap.
        counting: "exact", or "sketch" as published; default exact, in the reference profile sketch.
        rounding: of a row's budget: "half_even" as published, or "stochastic" for an exact mean rate.
        positions: count "all" targets, or only those shown as the "mask" token.
        merge_continuations, boundaries: see `TokenFeatures`.
        token_counts, batch_tokens: see `FrequencyBandPolicy`.
        mask_replace_prob, random_replace_prob: shares of the targets shown as the mask token and as a random one.
        seed: of all masks and of the sketches.
        reference_behaviour: the published code's choices: sketches, random replacements that may be special tokens, and
            updates when it evaluates.
        sketch: width, depth and kind of the sketches.
        features: of the tokenizer, where they are at hand or the tokenizer is not.
        prior: see `MaskingCollator`.

    Raises:
        OptionError: an option cannot work, or the tokenizer has no mask token.
    """

    def __init__(
        self,
        tokenizer: Any,
        kind: GuidedKind = "accuracy_morph",
        mlm_probability: float = 0.15,
        mask_decay: float = 0.0,
        shares: Shares | None = None,
        warmup: float | None = None,
        mask_update_steps: int = 200,
        smoothing: float = 1.0,
        min_seen: float = 3.0,
        score_cap: float = 0.9,
        mask_replace_prob: float = 0.8,
        random_replace_prob: float = 0.1,
        seed: int = 0,
        reference_behaviour: bool = False,
        *,
        formula: Formula = "code",
        counting: Counting | None = None,
        rounding: Rounding = "half_even",
        count_decay: float = 1.0,
        positions: Positions = "all",
        merge_continuations: bool = True,
        boundaries: bool = True,
        token_counts: npt.ArrayLike | None = None,
        batch_tokens: int = 8192,
        sketch: SketchShape | None = None,
        features: TokenFeatures | None = None,
        prior: npt.ArrayLike | None = None,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        if kind not in get_args(GuidedKind):
            raise OptionError(f"--masking {kind!r} is unknown; choose one of {', '.join(get_args(GuidedKind))}")
        if formula not in get_args(Formula):
            raise OptionError(f"--score_formula {formula!r} is unknown; choose code or paper")
        vocabulary = Vocabulary.of(tokenizer)
        counting = counting or ("sketch" if reference_behaviour else "exact")
        shares = shares or DEFAULT_SHARES.get(kind, (1.0, 0.0, 0.0))
        warmup = _WARMUPS.get(kind, _OTHER_WARMUP) if warmup is None else warmup

        def strings() -> TokenFeatures:
            found = features or TokenFeatures.of(
                tokenizer, merge_continuations=merge_continuations, boundaries=boundaries
            )
            if found.size != vocabulary.size:
                raise OptionError(
                    f"the token features are of {found.size} ids, but the tokenizer has {vocabulary.size}"
                )
            return found

        policy: Policy
        if kind == "random":
            policy = ExactPolicy(rounding)
        elif kind == "random_sketch":
            policy = RandomSketchPolicy(shares, rounding)
        elif kind == "frequency_only":
            counts = None if token_counts is None else vocabulary.checked_counts(token_counts)
            policy = FrequencyBandPolicy(counts, batch_tokens, rounding)
        elif kind == "cms_morph":
            policy = CmsMorphPolicy(
                strings(),
                shares,
                warmup,
                rounding,
                positions,
                report_steps=mask_update_steps,
                counting=counting,
                sketch=sketch,
                seed=seed,
            )
        elif kind in ("hhm", "entity_only", "error_only"):
            policy = HeavyHitterPolicy(
                strings(), shares, warmup, rounding, report_steps=mask_update_steps, counting=counting
            )
        else:
            if formula == "paper":
                smoothing, min_seen, score_cap = PAPER_FORMULA
            policy = (AccuracyMorphPolicy if kind == "accuracy_morph" else EntityAccuracyMorphPolicy)(
                strings(),
                shares,
                warmup,
                rounding,
                positions,
                update_steps=mask_update_steps,
                smoothing=smoothing,
                min_seen=min_seen,
                score_cap=score_cap,
                count_decay=count_decay,
                counting=counting,
                sketch=sketch,
                seed=seed,
                evaluation_flush=EVALUATION_FLUSH if reference_behaviour else None,
            )
        super().__init__(
            vocabulary,
            rate=make_rate(mlm_probability, mask_decay),
            policy=policy,
            corruption=Corruption(
                vocabulary.mask_id,
                mask_replace_prob,
                random_replace_prob,
                random_ids(vocabulary, reference_behaviour),
            ),
            seed=seed,
            prior=prior,
            pad_to_multiple_of=pad_to_multiple_of,
        )
        self.published = reference_behaviour
