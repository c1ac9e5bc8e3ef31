"""The masking collator: rate, policy and corruption joined into something a `DataLoader` can call.

It works in two ways. Called on examples (`collator(features)`) it pads and masks, which is all that a plain
`transformers.Trainer` needs beside `collator.callback()`. Its two halves, `pad` and `mask`, serve a trainer that pads
in the workers and masks in the main process as the batch is used, so that a policy's feedback is exact with any number
of workers. The mask of a row is a function of (seed, pass, row number, rate, policy) alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import CorpusError, OptionError
from .base import RowCollator
from .clock import PassClock
from .corruption import Corruption
from .loss_weights import Weighting, loss_weights
from .padding import EVALUATION_ID, TRAINING_ID, Feature, example_ids, pad_features
from .policies import Policy, UniformPolicy
from .rates import Rate, RowRates
from .rows import PLACES, STEP_ROWS, WEIGHTS, Flags, Ids, MaskRows, RateValue
from .statistics import TokenStatistics
from .vocabulary import Vocabulary, checked_prior

if TYPE_CHECKING:
    from .callback import MaskingCallback
    from .feedback import MaskedLoss

EVALUATION_RATE = 0.15
_MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_KNOWN = {*_MODEL_INPUTS, TRAINING_ID, EVALUATION_ID, PLACES, STEP_ROWS, "labels"}
_NOT_TARGETS = -100


class MaskingCollator(RowCollator):
    """Pads examples and masks them.

    Args:
        tokenizer: only its special ids and size are kept.
        rate: mask rate by step.
        policy: which tokens.
        corruption: into what; default 80/10/10 with random ids that are not special.
        seed: of all masks.
        reference: the published code's eligibility: special tokens are maskable, only padding is not.
        pad_to_multiple_of: for `pad`.
        total_steps: optimizer steps of the run, for a rate or policy that needs it; `callback()` sets it.
        prior: a weight for every token id, `[V]`, not negative, by which its chances under any policy are multiplied;
            the number of targets stays what the rate says. Those of weight 0 are never targets.
        weighting: for a rate with loss weights, one weight a row ("sequence", as published), or each target's own
            ("token"), which is exact where a policy's probabilities are not proportional to the rate.

    Raises:
        OptionError: an option cannot work, or the tokenizer has no mask token.
    """

    published = False
    """Whether this is the reference profile of its method, for the record (`reference` is about special tokens only).
    """

    masks = True
    policy: Policy

    shows_realised_rate = False
    """Whether a model that is told its mask rate is told the share of targets (the published code) or what was drawn.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        rate: Rate,
        policy: Policy,
        corruption: Corruption | None = None,
        seed: int = 0,
        reference: bool = False,
        pad_to_multiple_of: int | None = None,
        total_steps: int | None = None,
        prior: npt.ArrayLike | None = None,
        weighting: Weighting = "sequence",
    ) -> None:
        self.vocabulary = Vocabulary.of(tokenizer)
        self.pad_id = self.vocabulary.pad_id
        self.rate = rate
        self.policy = policy
        self.corruption = corruption or Corruption(
            self.vocabulary.mask_id, random_ids=random_ids(self.vocabulary, reference)
        )
        self.seed = seed
        self.reference = reference
        self.pad_to_multiple_of = pad_to_multiple_of
        self.total_steps = total_steps
        if weighting not in ("sequence", "token"):
            raise OptionError(f"--loss_weighting {weighting!r} is unknown; choose sequence or token")
        self.weighting = weighting
        if prior is not None:
            policy.prior = checked_prior(prior, self.vocabulary)
        self.clock: PassClock | None = None
        self.tally = {"maskable": 0, "targets": 0}
        self._maskable = self.vocabulary.ordinary()
        if reference:
            self._maskable = np.ones(self.vocabulary.size, bool)
            self._maskable[self.vocabulary.pad_id] = False
        self._feedback: MaskedLoss | None = None
        self._callback: MaskingCallback | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Statistics live where the loss is computed; a worker has no use for them.
        return {**self.__dict__, "_feedback": None, "_callback": None}

    @property
    def total_steps(self) -> int | None:
        """Optimizer steps of the run, where known; the policy is told too."""
        return self.policy.total_steps

    @total_steps.setter
    def total_steps(self, steps: int | None) -> None:
        self.policy.total_steps = steps

    # ---- the two halves

    def pad(self, features: Sequence[Feature]) -> dict[str, torch.Tensor]:
        """Unmasked, padded examples.

        Args:
            features: with `input_ids` and `example_id` (`evaluation_id` for a fixed evaluation mask).

        Returns:
            `input_ids`, `attention_mask` int64 `[n, L]`, `example_id` (or `evaluation_id`) int64 `[n]`, and
            `token_type_ids` if the examples have them.

        Raises:
            OptionError: an example has no number.
        """
        key = EVALUATION_ID if EVALUATION_ID in features[0] else TRAINING_ID
        numbers = example_ids(features, key)
        arrays = pad_features(features, self.vocabulary.pad_id, self.pad_to_multiple_of)
        return {name: torch.from_numpy(values) for name, values in {**arrays, key: numbers}.items()}

    def mask(
        self,
        batch: Mapping[str, Any],
        *,
        pass_index: int,
        step: int,
        total_steps: int | None = None,
        rate: RateValue | None = None,
    ) -> dict[str, torch.Tensor]:
        """A masked batch; the caller's is not changed.

        Args:
            batch: `input_ids` int64 `[n, L]`, `example_id` int64 `[n]` and perhaps `attention_mask`, `word_starts`
                `[n, L]`, `places` `[n]` and the number `step_rows` (of the step's global batch); tensors or arrays.
            pass_index: 0-based pass through the corpus.
            step: 0-based optimizer step, for the rate.
            total_steps: optimizer steps of the run; default the collator's own.
            rate: instead of the collator's rate at this step; one number, or one a row `[n]`.

        Returns:
            `input_ids` (corrupted), `labels` (-100 where there is no target) and the batch's other model inputs. For a
            rate with loss weights also `loss_weights` float32 `[n, L]` (0 where there is no target), `maskable` int64
            `[n]` (tokens that could have been targets: the weighted sum is divided by them) and `mask_rate` float32
            `[n]`, for a model that is told the time.
        """
        rows = self.rows_of(batch, pass_index=pass_index, step=step, total_steps=total_steps)
        drawn = self.rate.draw(rows) if rate is None else RowRates(rate)
        selected = self.policy.select(rows, drawn.rate)
        self.tally["maskable"] += int(np.count_nonzero(rows.eligible))
        self.tally["targets"] += int(np.count_nonzero(selected))
        masked = self._masked(batch, rows, selected, self.corruption)
        if drawn.weight is None:
            return masked
        made = loss_weights(self.policy, rows, drawn, selected, self.weighting, self.shows_realised_rate)
        device = masked["labels"].device
        return masked | {name: torch.from_numpy(values).to(device) for name, values in made.items()}

    def mask_for_evaluation(
        self, batch: Mapping[str, Any], *, rate: float = EVALUATION_RATE, seed: int = 0
    ) -> dict[str, torch.Tensor]:
        """A batch with masks that never change: uniform, of one rate, the same at every step and in every run.

        Args:
            batch: as for `mask`, with `evaluation_id` (or `example_id`).
            rate: mask rate.
            seed: of the evaluation masks; the run's seed plays no part, so that runs are compared on the same masks.
        """
        key = EVALUATION_ID if EVALUATION_ID in batch else TRAINING_ID
        rows = self._rows(batch, key, seed, 0, 0, "evaluation.")
        drawn_from = self.corruption.random_ids  # a run whose targets are all masked has none
        plain = Corruption(
            self.vocabulary.mask_id,
            random_ids=drawn_from if len(drawn_from) else random_ids(self.vocabulary, self.reference),
        )
        return self._masked(batch, rows, UniformPolicy(self.reference).select(rows, rate), plain)

    def training_batch(self, batch: Mapping[str, Any], *, pass_index: int, step: int) -> dict[str, torch.Tensor]:
        """As `mask`; with `target_sources` int8 `[n, L]` where the policy has parts (`Policy.origins`)."""
        masked = self.mask(batch, pass_index=pass_index, step=step)
        origins = self.policy.origins
        return masked if origins is None else masked | {"target_sources": torch.from_numpy(origins)}

    def evaluation_batch(self, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """As `mask_for_evaluation`, at its usual rate."""
        return self.mask_for_evaluation(batch)

    def rows_of(
        self, batch: Mapping[str, Any], *, pass_index: int, step: int, total_steps: int | None = None
    ) -> MaskRows:
        """What the rate and the policy are told of a batch; arguments as for `mask`."""
        steps = self.total_steps if total_steps is None else total_steps
        return self._rows(batch, TRAINING_ID, self.seed, pass_index, step, total_steps=steps)

    def _rows(
        self,
        batch: Mapping[str, Any],
        key: str,
        seed: int,
        pass_index: int,
        step: int,
        prefix: str = "",
        total_steps: int | None = None,
    ) -> MaskRows:
        if key not in batch:
            raise OptionError(f"the batch has no {key!r}, the number of each row in its corpus; masks are keyed by it")
        ids, eligible = _array(batch["input_ids"]), self._eligible(batch)
        extras = {name: _array(values) for name, values in batch.items() if name not in _KNOWN and _is_array(values)}
        places = _array(batch[PLACES]) if PLACES in batch else None
        step_rows = int(batch[STEP_ROWS]) if STEP_ROWS in batch else None
        return MaskRows(
            ids, eligible, _array(batch[key]), seed, pass_index, step, prefix, extras, total_steps, places, step_rows
        )

    def _eligible(self, batch: Mapping[str, Any]) -> Flags:
        """The tokens that may be targets, bool `[n, L]`."""
        ids = _array(batch["input_ids"])
        try:
            eligible: Flags = self._maskable[ids]
        except IndexError:
            raise CorpusError(
                f"the rows have token id {int(ids.max())}, but the tokenizer has only {self.vocabulary.size}; "
                "use the tokenizer that made them"
            ) from None
        if "attention_mask" in batch and not self.reference:
            eligible &= _array(batch["attention_mask"]) != 0
        return eligible

    def _masked(
        self, batch: Mapping[str, Any], rows: MaskRows, selected: Flags, corruption: Corruption
    ) -> dict[str, torch.Tensor]:
        ids: Ids = rows.input_ids
        device = getattr(batch["input_ids"], "device", None)
        labels = np.where(selected, ids, _NOT_TARGETS)
        made = {"input_ids": corruption.apply(ids, selected, rows.keys("corruption")), "labels": labels}
        masked = {name: torch.from_numpy(values).to(device) for name, values in made.items()}
        for name in _MODEL_INPUTS[1:]:
            if name in batch:
                masked[name] = torch.as_tensor(batch[name])
        return masked

    # ---- in a plain Trainer

    def __call__(self, features: Sequence[Feature]) -> dict[str, torch.Tensor]:
        """`pad`, then `mask` for the pass and step that `callback()` keeps; fixed masks for examples with
        `evaluation_id`.

        With loss weights the `labels` name every maskable token, as a plain Trainer divides by the number of labels;
        `loss_weights` above 0 say which of them are targets, and `loss_function()` knows that.

        Raises:
            OptionError: the Trainer does not have the callback, or the examples have no number.
        """
        batch = self.pad(features)
        if EVALUATION_ID in batch:
            return self.mask_for_evaluation(batch)
        if self.clock is None:
            raise OptionError(
                "the masking collator does not know the pass, so it would repeat the masks of the first: "
                "add its callback to the trainer, trainer.add_callback(collator.callback()), or in a loop of your own "
                "call collator.begin_pass(...)"
            )
        masked = self.mask(batch, pass_index=self.clock.pass_index, step=self.clock.next_step())
        if WEIGHTS in masked:
            masked["labels"] = torch.where(torch.from_numpy(self._eligible(batch)), batch["input_ids"], _NOT_TARGETS)
        return masked

    def begin_pass(self, pass_index: int, first_step: int = 0, accumulation: int = 1) -> None:
        """Must be called before a loader that has this collator starts a pass; `callback()` does so.

        Args:
            pass_index: 0-based pass.
            first_step: optimizer steps done so far.
            accumulation: batches in a step.
        """
        self.clock = PassClock(pass_index, first_step, accumulation)

    def callback(self) -> MaskingCallback:
        """The `TrainerCallback` that tells the collator the pass and applies feedback; the same one at every call."""
        if self._callback is None:
            from .callback import MaskingCallback

            self._callback = MaskingCallback(self)
        return self._callback

    def loss_function(self) -> MaskedLoss:
        """A `compute_loss_func` for a plain Trainer: sum over targets / targets of the whole step; feeds the policy."""
        if self._feedback is None:
            from .feedback import MaskedLoss

            self._feedback = MaskedLoss(self)
        return self._feedback

    def begin_run(self, total_steps: int) -> None:
        """Rate and policy learn how long the run is.

        Raises:
            OptionError: the rate is no probability at some step.
        """
        self.total_steps = total_steps
        self.rate.validate(total_steps)

    def new_statistics(self, device: torch.device | str = "cpu") -> TokenStatistics:
        """Empty statistics of the kind that the policy learns from."""
        policy = self.policy
        return TokenStatistics(self.vocabulary.size, device, policy.positions, policy.needs_targets)

    # ---- reports

    def drain(self) -> dict[str, float]:
        """The realised mask rate, and the share of targets whose probability was clipped, since the last call."""
        maskable, targets = self.tally["maskable"], self.tally["targets"]
        realised = (
            {"mask_rate": targets / maskable, "clipped": self.policy.clipped / max(targets, 1)} if maskable else {}
        )
        self.tally = {"maskable": 0, "targets": 0}
        self.policy.clipped = 0
        return realised

    def describe(self) -> dict[str, Any]:
        """The method and its parameters in JSON's types, for the run record and for comparison at a resume."""
        prior = self.policy.prior
        return {
            "rate": self.rate.describe(),
            "policy": self.policy.describe(),
            "corruption": self.corruption.describe(),
            "seed": self.seed,
            "reference_behaviour": self.reference or self.published,
            **({"loss_weighting": self.weighting} if self.rate.weighted else {}),
            **({} if prior is None else {"prior": hashlib.sha256(prior.tobytes()).hexdigest()}),
        }


def random_ids(vocabulary: Vocabulary, reference: bool = False) -> npt.NDArray[np.int64]:
    """Ids that a random replacement may be: the ordinary ones, in the reference profile all."""
    return np.arange(vocabulary.size) if reference else np.flatnonzero(vocabulary.ordinary())


def evaluation_masks(
    input_ids: Ids, eligible: Flags, example_id: Ids, *, rate: float = EVALUATION_RATE, seed: int = 0
) -> Flags:
    """The targets of fixed evaluation masks, bool `[n, L]`: uniform, decided by the row numbers and `seed` alone."""
    return UniformPolicy().select(MaskRows(input_ids, eligible, example_id, seed, 0, 0, "evaluation."), rate)


def _is_array(values: Any) -> bool:
    return isinstance(values, torch.Tensor | np.ndarray)


def _array(values: Any) -> npt.NDArray[Any]:
    return values.numpy(force=True) if isinstance(values, torch.Tensor) else np.asarray(values)
