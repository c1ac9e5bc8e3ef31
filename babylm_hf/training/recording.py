"""Writes the run record while training goes on, and gives every model folder its card."""

from __future__ import annotations

import hashlib
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerControl, TrainerState, TrainingArguments

from ..corpus import algorithm_name
from ..publishing import RunRecord, export_artefacts, provenance, write_card, write_whole
from ..publishing.examples import answers
from ..publishing.facts import OWN_CODE
from ..publishing.options import public_options
from .arguments import BabyLMTrainingArguments
from .callbacks import BabyLMCallback

if TYPE_CHECKING:
    from .trainer import BabyLMTrainer

logger = logging.getLogger(__name__)

_LOGGED = (
    *("loss", "targets", "learning_rate", "grad_norm", "mask_rate", "mask_rate_realised", "pass"),
    *("words_per_second", "memory_gb", "skipped_steps"),
)


class RecordCallback(BabyLMCallback):
    """Keeps `OUTPUT_DIR/record`; only the main process writes.

    Args:
        facts: what only the caller knows, under the names of the record's manifest (recipe, method, data, tokenizer,
            card ...).
    """

    def __init__(self, facts: dict[str, Any] | None = None) -> None:
        self.facts = facts or {}
        self.record: RunRecord | None = None
        self.started = time.monotonic()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start a record, or go on with the one of the run that is resumed."""
        self.started = time.monotonic()
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / "record"
        if self.trainer.resumed_from is not None and (folder / "run.json").is_file():
            self.record = RunRecord.open(folder)
            self.record.append("resume", step=state.global_step, checkpoint=self.trainer.resumed_from.name)
        else:
            self.record = RunRecord.create(folder, manifest(self.trainer) | self.facts)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A line of the training curve."""
        if self.record is not None and logs and "loss" in logs:
            shown = {name: logs[name] for name in _LOGGED if name in logs}
            seconds = time.monotonic() - self.started
            self.record.append("log", step=state.global_step, words=self.trainer.words_seen, seconds=seconds, **shown)

    def on_fact(self, kind: str, facts: dict[str, Any]) -> None:
        """Every fact the trainer announces is a line of the record; the outcomes of single items are a file of it."""
        if self.record is not None and kind == "outcomes":
            self.record.write_outcomes(**facts)
        elif self.record is not None:
            self.record.append(kind, **facts)

    def on_model_folder(self, folder: Path, milestone: str | None) -> None:
        """The card of a milestone tells what was known when it was saved; the final one tells all."""
        if self.record is not None:
            if milestone is None:
                self._ask_examples(folder)
            card = write_card(self.record, folder, milestone=milestone)
            if milestone is None:  # again, now that the final model has been measured
                export_artefacts(self.record)
                write_whole(self.record.folder / "modelcard.md", card.read_bytes())

    def _ask_examples(self, folder: Path) -> None:
        """What the final model answers to the examples that the caller named."""
        assert self.record is not None
        manifest = self.record.manifest
        texts = (manifest.get("card") or {}).get("examples")
        if not texts:
            return
        own_code = manifest["model"]["architecture"] in OWN_CODE
        try:
            found = answers(folder, manifest["family"], texts, own_code)
        except Exception as error:  # the run is done and saved, and its card can do without
            logger.warning("the final model could not be asked the examples of its card: %s", error)
            return
        for answer in found:
            self.record.append("example", step=self.trainer.state.global_step, words=self.trainer.words_seen, **answer)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """How the run ended."""
        if self.record is not None:
            done = state.global_step >= self.trainer.plan.total_steps
            self.record.append(
                "end",
                step=state.global_step,
                words=self.trainer.words_seen,
                seconds=time.monotonic() - self.started,
                reason="the plan is done" if done else "stopped early",
                flops=state.total_flos,
            )
            export_artefacts(self.record)


def manifest(trainer: BabyLMTrainer) -> dict[str, Any]:
    """What the trainer itself knows about the run, under the names of the record's manifest."""
    args, model, collator = trainer.args, trainer.model, trainer.data_collator
    return {
        "name": Path(args.output_dir).name,
        "recipe": None,
        "family": trainer.objective.name,
        "command": provenance.command(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": args.seed,
        "versions": provenance.versions(),
        "code": provenance.code(),
        "hardware": provenance.hardware(args.world_size, str(args.device)),
        "data": _data_facts(trainer.rows),
        "tokenizer": _tokenizer_facts(trainer.processing_class),
        "plan": trainer.plan.describe(),
        "method": {"name": (method := collator.describe()).get("policy", trainer.objective.name), "parameters": method},
        "model": {
            "architecture": model.config.model_type,
            "class": type(model).__name__,
            "num_parameters": sum(p.numel() for p in model.parameters()),
            "config": public_options(model.config.to_diff_dict()),
        },
        "optimizer": _optimizer_facts(args),
        "arguments": args.to_public_dict(),
        "defaults": BabyLMTrainingArguments.public_defaults(),
        "track": args.track,
        "milestones": [m.name for m in trainer.plan.milestones],
    }


def _data_facts(rows: Any) -> dict[str, Any]:
    if hasattr(rows, "info"):
        return dict(rows.info.describe())
    return {
        "sources": [],
        "num_rows": len(rows.lengths),
        "num_tokens": int(rows.lengths.sum()),
        "fingerprint": rows.fingerprint,
    }


def _tokenizer_facts(tokenizer: Any) -> dict[str, Any]:
    if tokenizer is None:
        return {}
    if not hasattr(tokenizer, "backend_tokenizer"):
        return {"algorithm": type(tokenizer).__name__, "vocab_size": len(tokenizer)}
    digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode("utf-8")).hexdigest()
    return {"algorithm": algorithm_name(tokenizer), "vocab_size": len(tokenizer), "sha256": digest}


def _optimizer_facts(args: BabyLMTrainingArguments) -> dict[str, Any]:
    names = (
        "learning_rate",
        "lr_scheduler_type",
        "adam_beta1",
        "adam_beta2",
        "adam_epsilon",
        "weight_decay",
        "max_grad_norm",
    )
    facts = {name: getattr(v := getattr(args, name), "value", v) for name in names}  # enumerations by their value
    if args.cosine_ends_early():
        facts |= {"lr_floor": args.lr_floor, "cooldown_steps": args.get_cooldown_steps(args.max_steps)}
    if args.lamb:
        facts["decay_inside_the_update"] = args.lamb_coupled_decay
    if args.muon:
        facts["muon_momentum"] = args.muon_momentum
    if args.ema_decay is not None:
        facts["ema_decay"] = args.ema_decay
    stock = getattr(args.optim, "value", args.optim)
    return {
        "name": "LAMB" if args.lamb else "Muon and AdamW" if args.muon else stock,
        **facts,
        "warmup_steps": args.get_warmup_steps(args.max_steps),
    }
