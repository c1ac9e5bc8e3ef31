"""The masking collator: rate, policy and corruption joined into something a `DataLoader` can call.

It works in two ways. Called on examples (`collator(features)`) it pads and masks, which is all that a plain
`transformers.Trainer` needs beside `collator.callback()`. Its two halves, `pad` and `mask`, serve a trainer that pads
in the workers and masks in the main process as the batch is used, so that a policy's feedback is exact with any number
of workers. The mask of a row is a function of (seed, pass, row number, rate, policy) alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import get_worker_info

from ..errors import CorpusError, OptionError
from .corruption import Corruption
from .padding import EVALUATION_ID, TRAINING_ID, Feature, example_ids, pad_features
from .policies import Flags, Ids, MaskRows, Policy, UniformPolicy
from .rates import Rate, RateValue
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from .callback import MaskingCallback
    from .feedback import MaskedLoss

EVALUATION_RATE = 0.15
_MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_KNOWN = {*_MODEL_INPUTS, TRAINING_ID, EVALUATION_ID, "labels"}
_NOT_TARGETS = -100


@dataclass
class PassClock:
    """Which optimizer step the next batch belongs to, when a loader calls the collator.

    A loader hands batch i to worker i mod W, so each worker knows the batch by counting its own calls. That is exact
    under any prefetching, where a number written from outside would come late or never.

    Attributes:
        pass_index: 0-based pass.
        first_step: optimizer steps done when the pass, or the rest of it after a resume, began.
        accumulation: micro-batches in a step.
        calls: batches made so far by this copy of the collator.
    """

    pass_index: int
    first_step: int
    accumulation: int
    calls: int = 0

    def next_step(self) -> int:
        """The optimizer step of the batch that is being made; counts it."""
        worker = get_worker_info()
        batch = self.calls if worker is None else self.calls * worker.num_workers + worker.id
        self.calls += 1
        return self.first_step + batch // self.accumulation


class MaskingCollator:
    """Pads examples and masks them.

    Args:
        tokenizer: only its special ids and size are kept.
        rate: mask rate by step.
        policy: which tokens.
        corruption: into what; default 80/10/10 with random ids that are not special.
        seed: of all masks.
        reference: the published code's eligibility: special tokens are maskable, only padding is not.
        pad_to_multiple_of: for `pad`.
        total_steps: optimizer steps of the run, for a rate that needs it; `callback()` sets it.
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
    ) -> None:
        self.vocabulary = Vocabulary.of(tokenizer)
        self.rate = rate
        self.policy = policy
        self.corruption = corruption or Corruption(
            self.vocabulary.mask_id, random_ids=random_ids(self.vocabulary, reference)
        )
        self.seed = seed
        self.reference = reference
        self.pad_to_multiple_of = pad_to_multiple_of
        self.total_steps = total_steps
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
            batch: `input_ids` int64 `[n, L]`, `example_id` int64 `[n]` and perhaps `attention_mask`, tensors or arrays.
            pass_index: 0-based pass through the corpus.
            step: 0-based optimizer step, for the rate.
            total_steps: optimizer steps of the run; default the collator's own.
            rate: instead of the collator's rate at this step; one number, or one a row `[n]`.

        Returns:
            `input_ids` (corrupted), `labels` (-100 where there is no target) and the batch's other model inputs.
        """
        if rate is None:
            rate = self.rate.at(step, self.total_steps if total_steps is None else total_steps)
        rows = self._rows(batch, TRAINING_ID, self.seed, pass_index, step)
        selected = self.policy.select(rows, rate)
        self.tally["maskable"] += int(np.count_nonzero(rows.eligible))
        self.tally["targets"] += int(np.count_nonzero(selected))
        return self._masked(batch, rows, selected, self.corruption)

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
        plain = Corruption(self.vocabulary.mask_id, random_ids=self.corruption.random_ids)
        return self._masked(batch, rows, UniformPolicy(self.reference).select(rows, rate), plain)

    def _rows(
        self, batch: Mapping[str, Any], key: str, seed: int, pass_index: int, step: int, prefix: str = ""
    ) -> MaskRows:
        if key not in batch:
            raise OptionError(f"the batch has no {key!r}, the number of each row in its corpus; masks are keyed by it")
        ids = _array(batch["input_ids"])
        try:
            eligible = self._maskable[ids]
        except IndexError:
            raise CorpusError(
                f"the rows have token id {int(ids.max())}, but the tokenizer has only {self.vocabulary.size}; "
                "use the tokenizer that made them"
            ) from None
        if "attention_mask" in batch and not self.reference:
            np.logical_and(eligible, _array(batch["attention_mask"]), out=eligible)
        extras = {name: _array(values) for name, values in batch.items() if name not in _KNOWN and _is_array(values)}
        return MaskRows(ids, eligible, _array(batch[key]), seed, pass_index, step, prefix, extras)

    def _masked(
        self, batch: Mapping[str, Any], rows: MaskRows, selected: Flags, corruption: Corruption
    ) -> dict[str, torch.Tensor]:
        ids: Ids = rows.input_ids
        device = getattr(batch["input_ids"], "device", None)
        labels = np.full(ids.shape, _NOT_TARGETS)
        places = np.flatnonzero(selected)
        labels.reshape(-1)[places] = ids.reshape(-1)[places]
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
        step = self.clock.next_step()
        return self.mask(batch, pass_index=self.clock.pass_index, step=step)

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
        return {
            "rate": self.rate.describe(),
            "policy": self.policy.describe(),
            "corruption": self.corruption.describe(),
            "seed": self.seed,
            "reference_behaviour": self.reference,
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
