"""From the masking options of a recipe to its collator: any policy at any rate."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .adaptive import AdaptivePolicy
from .collator import MaskingCollator, random_ids
from .corruption import Corruption
from .counting import SketchShape
from .frequency import FrequencyPolicy
from .guided import Shares
from .guided_collator import DataCollatorForGuidedMasking, GuidedKind
from .noise import NoiseRate, make_noise
from .policies import Policy, UniformPolicy
from .rates import Rate, make_rate
from .rows import Floats
from .vocabulary import Vocabulary
from .word_policies import SpanPolicy, WholeWordPolicy

if TYPE_CHECKING:
    from ..arguments import MaskingArguments

_NOISE = {
    "noise_mean": "mean",
    "noise_std": "deviation",
    "left_share": "left_share",
    "left_mean": "left_mean",
    "left_std": "left_deviation",
    "right_mean_first": "right_first",
    "right_mean_last": "right_last",
    "right_std": "right_deviation",
    "right_pace": "pace",
}


def rate_of(options: MaskingArguments) -> Rate:
    """The mask rate that the options describe.

    Raises:
        OptionError: they cannot work; no text or tokenizer is needed to know.
    """
    if options.noise_schedule is None:
        return make_rate(options.mlm_prob, options.mask_decay, options.mask_schedule)
    given = {name: value for option, name in _NOISE.items() if (value := getattr(options, option)) is not None}
    reference = options.reference_behaviour
    return NoiseRate(
        make_noise(options.noise_schedule, reference=reference, **given),
        options.softening,
        max_weight=options.max_loss_weight,
        reference=reference,
    )


def collator_of(
    options: MaskingArguments,
    tokenizer: Any,
    *,
    seed: int = 0,
    token_counts: npt.ArrayLike | None = None,
    num_passes: int = 10,
    batch_tokens: int = 8192,
    trained: Collection[int] = (),
    own: Callable[[Vocabulary], Policy] | None = None,
) -> MaskingCollator:
    """The collator that the options describe.

    Args:
        options: of the recipe.
        tokenizer: with a mask and a padding token.
        seed: of all masks.
        token_counts: occurrences of each id in the corpus, `[V]`.
        num_passes: of the run, for the curriculum of frequency masking.
        batch_tokens: tokens in an optimizer step, for the frequency-only control.
        trained: special ids that are masked and learnt like words.
        own: makes the policy, in place of the one that the options name.

    Raises:
        OptionError: an option cannot work.
    """
    rate, prior = rate_of(options), _prior(options.mask_prior)
    kind, reference = options.policy_name(), options.reference_behaviour
    if own is None and kind in get_args(GuidedKind):
        if trained:
            raise OptionError(f"--end_of_text cannot be combined with --masking {kind}; leave it out")
        guided = _guided(options, tokenizer, kind, seed, token_counts, batch_tokens, prior)
        guided.rate = rate
        return guided
    vocabulary = Vocabulary.of(tokenizer).training(trained)
    # The published code of adaptive masking makes special tokens targets and replacements; that of diffusion does not.
    specials = reference and own is None and kind in ("regular", "hard", "soft") and not rate.weighted
    random = options.random_replace_prob
    collator = MaskingCollator(
        vocabulary,
        rate=rate,
        policy=(
            own(vocabulary)
            if own is not None
            else _policy(options, vocabulary, kind, rate, token_counts, num_passes, specials)
        ),
        corruption=Corruption(
            vocabulary.mask_id, options.mask_replace_prob, random, random_ids(vocabulary, specials) if random else ()
        ),
        seed=seed,
        reference=specials,
        prior=prior,
        weighting=options.loss_weighting,
    )
    collator.published = reference
    collator.shows_realised_rate = reference and rate.weighted and kind == "regular"
    return collator


def _policy(
    options: MaskingArguments,
    vocabulary: Vocabulary,
    kind: str,
    rate: Rate,
    token_counts: npt.ArrayLike | None,
    num_passes: int,
    specials: bool,
) -> Policy:
    if kind == "regular":
        return UniformPolicy(specials)
    if kind == "frequency":
        if token_counts is None:
            raise OptionError("--masking frequency needs the token counts of the corpus; train on a TokenStream")
        return FrequencyPolicy(
            vocabulary.checked_counts(token_counts),
            options.frequency_exponent,
            curriculum=options.frequency_curriculum,
            num_passes=num_passes,
            weighting=options.frequency_weighting,
            weight_floor=options.frequency_floor,
            reference=options.reference_behaviour,
        )
    if kind == "whole_word":
        return WholeWordPolicy()
    if kind == "span":
        return SpanPolicy(options.span_length, options.max_span_length, options.span_unit)
    return AdaptivePolicy(
        vocabulary.size,
        vocabulary.special_ids,
        rate.at(0, 1),
        "soft" if kind == "soft" else "hard",
        update_steps=options.mask_update_steps,
        first_update=options.first_mask_update,
        mask_lambda=options.mask_lambda,
        positions="mask" if options.count_only_mask_token else None,
        reference=specials,
    )


def _guided(
    options: MaskingArguments,
    tokenizer: Any,
    kind: Any,
    seed: int,
    token_counts: npt.ArrayLike | None,
    batch_tokens: int,
    prior: Floats | None,
) -> DataCollatorForGuidedMasking:
    return DataCollatorForGuidedMasking(
        tokenizer,
        kind,
        options.mlm_prob,
        shares=None if options.guided_shares is None else _shares(options.guided_shares),
        warmup=options.guided_warmup,
        mask_update_steps=options.mask_update_steps,
        smoothing=options.smoothing,
        min_seen=options.min_seen,
        score_cap=options.score_cap,
        mask_replace_prob=options.mask_replace_prob,
        random_replace_prob=options.random_replace_prob,
        seed=seed,
        reference_behaviour=options.reference_behaviour,
        formula=options.score_formula,
        counting=options.counting,
        rounding=options.budget_rounding,
        count_decay=options.count_decay,
        positions="mask" if options.count_only_mask_token else "all",
        merge_continuations=options.merge_continuations,
        boundaries=options.trigram_boundaries,
        token_counts=None if options.reference_behaviour else token_counts,
        batch_tokens=batch_tokens,
        sketch=SketchShape(options.sketch_width, options.sketch_depth),
        prior=prior,
    )


def _shares(text: str) -> Shares:
    try:
        even, first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise OptionError(
            f"--guided_shares {text!r} cannot be read; write three numbers that sum to 1, such as 0.80,0.15,0.05"
        ) from None
    return even, first, second


def _prior(path: str | None) -> Floats | None:
    """The weights of `--mask_prior`: a `.npy` file, or text with one number a line."""
    if path is None:
        return None
    try:
        return np.asarray(np.load(path) if Path(path).suffix == ".npy" else np.loadtxt(path, ndmin=1), np.float64)
    except (OSError, ValueError) as error:
        raise OptionError(f"--mask_prior {path} cannot be read as numbers, one a token id: {error}") from None
