"""The run plan: everything about a run that does not depend on the model, decided before its first step.

Which rows each optimizer step sees, at which length, how many words have been shown by then and where the milestones
fall are a pure function of (corpus, curriculum, seed). Workers, processes, accumulation, restarts and prefetching take
no part in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import CorpusError, OptionError
from .curriculum import Stage
from .milestones import milestone_name
from .passes import PlannedPass, Rows, pass_order

_CACHED_ORDERS = 2


class RowSource(Protocol):
    """What a plan asks of a corpus. A source that also has `num_tokens` (packed rows) is checked to fill one row."""

    @property
    def fingerprint(self) -> str:
        """Identifies text, tokenizer and packing."""

    def num_rows(self, seq_length: int) -> int:
        """Rows of one pass at this length."""

    def row_words(self, seq_length: int) -> Rows:
        """Whitespace words that begin in each row, int64 `[num_rows]`."""

    def fetch(self, seq_length: int, rows: Rows) -> dict[str, Rows]:
        """`input_ids` and `attention_mask` of these rows, int64 `[n, L]`; for the loader that follows the plan."""


@dataclass(frozen=True)
class PlannedStep:
    """One optimizer step.

    Attributes:
        index: 0-based step of the run.
        pass_index: 0-based pass.
        stage: stage of the curriculum.
        rows: row numbers of the global batch, int64 `[n]`; a row's place in this array is its place in the batch.
        words: words of these rows.
        words_before: words shown before the step.
        words_after: words shown when it is done.
    """

    index: int
    pass_index: int
    stage: Stage
    rows: Rows
    words: int
    words_before: int
    words_after: int

    @property
    def seq_length(self) -> int:
        """Tokens in a row."""
        return self.stage.seq_length


@dataclass(frozen=True)
class PlannedMilestone:
    """A checkpoint by words.

    Attributes:
        name: folder and branch, such as `chck_1M`.
        words: the target.
        step: optimizer steps done when it is saved (1 or more): the first after which `words` have been shown.
        words_seen: words shown by then.
    """

    name: str
    words: int
    step: int
    words_seen: int


class RunPlan:
    """The plan of a run; make it with `RunPlan.build`."""

    def __init__(
        self,
        row_words: dict[int, Rows],
        stages: Sequence[Stage],
        seed: int,
        *,
        corpus_fingerprint: str,
        milestones: Sequence[int] = (),
        max_words: int | None = None,
        max_steps: int | None = None,
    ) -> None:
        self.stages = tuple(stages)
        self.seed = seed
        self.corpus_fingerprint = corpus_fingerprint
        self.max_words = max_words
        self.max_steps = max_steps
        self._row_words = row_words
        self._orders: dict[int, Rows] = {}
        self._bounds: dict[int, Rows] = {}
        self.passes = tuple(
            PlannedPass(index, stage, len(row_words[stage.seq_length]))
            for stage in self.stages
            for index in range(stage.first_pass, stage.first_pass + stage.num_passes)
        )
        self._first_steps = np.cumsum([0, *(p.num_steps for p in self.passes)])
        words = np.concatenate([self._step_words(p) for p in self.passes])
        self._last_rows: int | None = None
        self._ended_at = 0
        self.words_after = self._cut(words)
        # A target that the run misses by at most half a step, or at which it was told to end, is met by its last step.
        within = self.total_words + (self.total_words - self._words_before(self.total_steps - 1)) / 2
        reached = [w for w in milestones if w <= max(within, self._ended_at) and self.total_words > 0]
        self.milestones = tuple(self._milestone(words) for words in reached)
        self.unreached = tuple(w for w in milestones if w not in reached)

    @classmethod
    def build(
        cls,
        rows: RowSource,
        stages: Sequence[Stage],
        seed: int,
        milestones: Sequence[int] = (),
        max_words: int | None = None,
        max_steps: int | None = None,
    ) -> RunPlan:
        """Plans a run.

        Args:
            rows: the packed corpus.
            stages: see `parse_curriculum`.
            seed: decides the order of the rows.
            milestones: words at which a checkpoint is due, rising; see `parse_milestones`.
            max_words: stop before more words than this are shown. The last step is cut to fit, and left out if less
                than half of it would remain.
            max_steps: stop after this many optimizer steps.

        Raises:
            CorpusError: the corpus is shorter than one row of the longest length.
            OptionError: `max_words` or `max_steps` leave no step.
        """
        if not stages:
            raise OptionError("--max_seq_len gives no stage; write a length (128) or pass:length items (0:64,5:256)")
        if max_steps is not None and max_steps < 1:
            raise OptionError(f"--max_steps is {max_steps}; a run needs at least one step")
        lengths = sorted({stage.seq_length for stage in stages})
        num_tokens = getattr(rows, "num_tokens", None)
        if num_tokens is not None and num_tokens < lengths[-1]:
            raise CorpusError(
                f"the corpus has {num_tokens} tokens, fewer than one row of {lengths[-1]}; "
                "give more text or a shorter --max_seq_len"
            )
        row_words = {length: np.asarray(rows.row_words(length), np.int64) for length in lengths}
        for length, words in row_words.items():
            if len(words) != rows.num_rows(length):
                raise CorpusError(
                    f"the corpus counts words for {len(words)} rows of {length} tokens but has {rows.num_rows(length)}"
                )
            if len(words) == 0:
                raise CorpusError(
                    f"the corpus has no row of {length} tokens; give more text or a shorter --max_seq_len"
                )
        return cls(
            row_words,
            stages,
            seed,
            corpus_fingerprint=rows.fingerprint,
            milestones=milestones,
            max_words=max_words,
            max_steps=max_steps,
        )

    # ---- sizes

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the run."""
        return len(self.words_after)

    @property
    def total_words(self) -> int:
        """Words shown by the whole run, repeats included."""
        return int(self.words_after[-1])

    @property
    def corpus_words(self) -> int:
        """Words of one pass."""
        return int(self._row_words[self.stages[0].seq_length].sum())

    @property
    def num_passes(self) -> int:
        """Passes that are begun; fewer than asked for where `max_words` or `max_steps` ends the run early."""
        return self._pass_of(self.total_steps - 1) + 1

    # ---- steps

    def step(self, index: int) -> PlannedStep:
        """The optimizer step `index`, 0-based."""
        if not 0 <= index < self.total_steps:
            raise IndexError(f"step {index} of a plan with {self.total_steps}")
        place = self._pass_of(index)
        planned = self.passes[place]
        local = index - int(self._first_steps[place])
        bounds = self._bounds_of(planned)
        rows = self._order(planned)[bounds[local] : bounds[local + 1]]
        if index == self.total_steps - 1 and self._last_rows is not None:
            rows = rows[: self._last_rows]
        before, after = self._words_before(index), int(self.words_after[index])
        return PlannedStep(index, planned.index, planned.stage, rows.copy(), after - before, before, after)

    def stage_at(self, index: int) -> Stage:
        """The stage of step `index`, 0-based, without looking up its rows."""
        return self.passes[self._pass_of(index)].stage

    def micro_batch_places(
        self, num_rows: int, index: int, rank: int, world_size: int, accumulation: int
    ) -> list[Rows]:
        """Where in the `num_rows` rows of step `index` those of one process are, one int64 array a micro-batch.

        Over all ranks and micro-batches they are exactly the places of the step, each once.

        Raises:
            OptionError: the step has fewer rows than there are micro-batches.
        """
        if num_rows < world_size * accumulation:
            raise OptionError(
                f"step {index} has {num_rows} rows, too few for {world_size} processes times "
                f"--gradient_accumulation_steps {accumulation}; raise --batch_size or accumulate less"
            )
        return np.array_split(np.arange(rank, num_rows, world_size), accumulation)

    def check_sharding(self, world_size: int, accumulation: int) -> None:
        """Raises `OptionError` now if any step of the run is too small for this many micro-batches."""
        for place, planned in enumerate(self.passes[: self.num_passes]):
            # The last step of a pass is its smallest; a run cut by `max_words` ends on a smaller one still.
            last = min(int(self._first_steps[place + 1]), self.total_steps) - 1
            size = int(np.diff(self._bounds_of(planned))[last - int(self._first_steps[place])])
            if last == self.total_steps - 1 and self._last_rows is not None:
                size = self._last_rows
            self.micro_batch_places(size, last, 0, world_size, accumulation)

    # ---- identity

    @property
    def fingerprint(self) -> str:
        """sha256 of everything that decides the plan; the number of processes, workers and micro-batches does not."""
        return hashlib.sha256(json.dumps(self._deciding(), sort_keys=True).encode()).hexdigest()

    def _deciding(self) -> dict[str, Any]:
        words = hashlib.sha256(np.ascontiguousarray(self.words_after, "<i8").tobytes()).hexdigest()
        return {
            "corpus_fingerprint": self.corpus_fingerprint,
            "seed": self.seed,
            "stages": [asdict(stage) for stage in self.stages],
            "milestone_words": sorted([m.words for m in self.milestones] + list(self.unreached)),
            "max_words": self.max_words,
            "max_steps": self.max_steps,
            "words_after": words,
        }

    def describe(self) -> dict[str, Any]:
        """The plan in JSON's types, for the run record; two descriptions differ where the plans do."""
        sizes = {stage.seq_length: len(self._row_words[stage.seq_length]) for stage in self.stages}
        return {
            **self._deciding(),
            "fingerprint": self.fingerprint,
            "stages": [
                {**asdict(s), "rows": sizes[s.seq_length], "steps_per_pass": -(-sizes[s.seq_length] // s.batch_size)}
                for s in self.stages
            ],
            "num_passes": self.num_passes,
            "total_steps": self.total_steps,
            "total_words": self.total_words,
            "corpus_words": self.corpus_words,
            "milestones": [asdict(m) for m in self.milestones],
            "unreached": list(self.unreached),
        }

    # ---- inside

    def _bounds_of(self, planned: PlannedPass) -> Rows:
        # The bounds are the same in every pass of a stage.
        if planned.stage.index not in self._bounds:
            self._bounds[planned.stage.index] = planned.bounds()
        return self._bounds[planned.stage.index]

    def _order(self, planned: PlannedPass) -> Rows:
        order = self._orders.pop(planned.index, None)
        if order is None:
            order = pass_order(self.seed, planned.index, planned.num_rows)
        self._orders[planned.index] = order
        while len(self._orders) > _CACHED_ORDERS:
            del self._orders[next(iter(self._orders))]
        return order

    def _step_words(self, planned: PlannedPass) -> Rows:
        shown = self._row_words[planned.stage.seq_length][self._order(planned)]
        return np.add.reduceat(shown, self._bounds_of(planned)[:-1])

    def _pass_of(self, index: int) -> int:
        return int(np.searchsorted(self._first_steps, index, side="right")) - 1

    def _words_before(self, index: int) -> int:
        return int(self.words_after[index - 1]) if index else 0

    def _cut(self, words: Rows) -> Rows:
        """Words after each step that is kept, from the words of every step."""
        after = np.cumsum(words)
        if self.max_steps is not None and self.max_steps < len(after):
            words, after = words[: self.max_steps], after[: self.max_steps]
        if self.max_words is None or after[-1] <= self.max_words:
            return after
        self._ended_at = self.max_words
        whole = int(np.searchsorted(after, self.max_words, side="right"))
        remaining = self.max_words - (int(after[whole - 1]) if whole else 0)
        planned = self.passes[self._pass_of(whole)]
        bounds = self._bounds_of(planned)
        local = whole - int(self._first_steps[self._pass_of(whole)])
        rows = self._order(planned)[bounds[local] : bounds[local + 1]]
        shown = np.cumsum(self._row_words[planned.stage.seq_length][rows])
        fitting = int(np.searchsorted(shown, remaining, side="right"))
        if fitting and 2 * remaining > words[whole]:
            self._last_rows = fitting
            return np.append(after[:whole], self.max_words - remaining + shown[fitting - 1])
        if whole == 0:
            raise OptionError(
                f"--max_words {self.max_words} is less than half of the first step ({words[0]} words); raise it"
            )
        return after[:whole]

    def _milestone(self, words: int) -> PlannedMilestone:
        step = min(int(np.searchsorted(self.words_after, words)), self.total_steps - 1)
        return PlannedMilestone(milestone_name(words), words, step + 1, int(self.words_after[step]))
