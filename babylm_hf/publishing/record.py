"""The run record: everything that is ever said about a run, as facts on disk.

Two files, and one more for each task with items. `run.json`, the manifest, says what the run is; it is replaced whole.
`events.jsonl` says what happened, one JSON object a line; it only grows. There is one writer. Each line is on disk
before `append` returns, and a last line torn by a crash is passed over when read and cut off before the next one is
written.

Cards, figures and tables are rendered from the record alone, so they can be rendered again at any time. What they read
(only `family` must be there; what is missing is left out of the card):

run.json
    name, recipe, family ("masked"), created, seed, command, track, versions{}, hardware{}
    code{version, commit, modified}; card{licence, language, author, repo_id, examples[]}
    recipe_changes{option: [the recipe's value, this run's]}
    data{sources[{path, bytes, words, lines, documents, sha256}], num_words, num_tokens, num_documents, document,
    fingerprint, licence, datasets[], mix{as `babylm-hf corpus mix` writes it}}; held_out{the same, seq_length,
    mask_rate}; baselines{unigram_loss}
    tokenizer{algorithm, vocab_size, sha256}; model{architecture, class, num_parameters, config{}}; optimizer{}
    plan{total_steps, total_words, corpus_words, num_passes, fingerprint, unreached[], milestones[{name, words, step,
    words_seen}], stages[{first_pass, num_passes, seq_length, batch_size, rows, steps_per_pass}]}
    method{name, title, parameters{rate{}, policy{}, corruption{}, reference_behaviour},
    paper{title, authors, year, url, bibtex}}; arguments{}, defaults{}

events.jsonl, each with `kind`, `time`, and `step` (optimizer steps done) and `words` (seen so far)
    log: pass, loss, learning_rate, grad_norm, mask_rate, mask_rate_realised, seconds
    evaluation: task, metrics{}, milestone; also title, chance. Losses in nats, accuracies as fractions. Minimal pairs
    have metrics{accuracy, phenomena{name: accuracy}, pairs, ties}. At step 0 it is the untrained model's: the floor
    milestone: name, folder, target_words
    policy: updates, mean, min, max, top[[id, weight, piece]], bottom[...]; the piece may be left out
    example: text, and guesses[[piece, probability]] or continuation, of the final model
    carbon: energy_kwh, emissions_kg, cpu_kwh, gpu_kwh, ram_kwh, country, country_name, codecarbon; of a session so far
    resume: checkpoint. end: seconds, reason, flops. stage: seq_length, batch_size, pass

evaluation/outcomes/TASK.json: the outcome of every item, of the final model
    format, task, step, words, sha256 (of the items), paradigms{name: {phenomenon, weight, outcomes}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import RunFolderError
from ..lines import parse_json
from .files import append_line, parse_line, plain, write_whole

MANIFEST = "run.json"
EVENTS = "events.jsonl"
FORMAT = 1
_SECTIONS = (
    *("versions", "hardware", "code", "card", "data", "held_out", "baselines", "tokenizer", "model", "optimizer"),
    *("plan", "method", "arguments", "defaults"),
)

Event = dict[str, Any]


class RunRecord:
    """The record of one run; make it with `create` or `open`.

    Attributes:
        folder: where its files are.
        manifest: what the run is, as JSON has it.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def create(cls, folder: str | Path, manifest: Mapping[str, Any]) -> RunRecord:
        """Start the record of a run.

        A folder that holds a record already belongs to a run that was stopped before its first checkpoint: its events
        stay, and are superseded by a `resume` at step 0.
        """
        record = cls(Path(folder), {})
        begun = record._events_path.is_file()
        record.update(**{"format": FORMAT, **manifest})
        if begun:
            record.append("resume", step=0, checkpoint=None)
        return record

    @classmethod
    def open(cls, folder: str | Path) -> RunRecord:
        """Open the record of a run, to read it or to go on with it.

        Raises:
            RunFolderError: there is none, it is damaged, or it was written by a later version.
        """
        path = Path(folder) / MANIFEST
        try:
            manifest = parse_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunFolderError(
                f"{folder} holds no run record ({MANIFEST}); give the output folder of a run"
            ) from None
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{path} cannot be read ({error}); restore it from a copy of the run") from error
        if not isinstance(manifest, dict) or manifest.get("format", FORMAT) != FORMAT:
            raise RunFolderError(
                f"{path} is not of format {FORMAT}; read it with the version of babylm_hf that wrote it"
            )
        if wrong := [name for name in _SECTIONS if not isinstance(manifest.get(name) or {}, dict)]:
            raise RunFolderError(f"{path}: {wrong[0]!r} must be an object; restore it from a copy of the run")
        return cls(Path(folder), manifest)

    @property
    def _events_path(self) -> Path:
        return self.folder / EVENTS

    # ---- writing

    def update(self, **facts: Any) -> None:
        """Set entries of the manifest."""
        self.manifest = {**self.manifest, **plain(facts)}
        write_whole(self.folder / MANIFEST, json.dumps(self.manifest, indent=1, ensure_ascii=False) + "\n")

    def append(self, kind: str, **facts: Any) -> Event:
        """Add an event; it is on disk when this returns.

        Args:
            kind: `log`, `evaluation`, `milestone`, `policy`, `stage`, `resume`, `end`, or one of your own.
            facts: what happened. With `step` (optimizer steps done) it can be superseded by a resume. Numbers that are
                not finite are kept as null.

        Raises:
            TypeError: a fact that JSON cannot hold.
        """
        event = {"kind": kind, "time": datetime.now(UTC).isoformat(timespec="seconds"), **plain(facts)}
        append_line(self._events_path, event)
        return event

    def write_outcomes(self, task: str, **facts: Any) -> None:
        """Keep the outcome of every item of a task, of the final model; see `babylm_hf.evaluation.outcomes`."""
        content = json.dumps({"format": FORMAT, "task": task, **plain(facts)}, ensure_ascii=False)
        write_whole(self._outcomes_path(task), content + "\n")

    # ---- reading

    def outcomes(self, task: str) -> dict[str, Any] | None:
        """The outcome of every item of a task, with the `step` of the model; None where the record has none.

        Raises:
            RunFolderError: the file is damaged.
        """
        path = self._outcomes_path(task)
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {"step": int(found["step"]), **found} if found["format"] == FORMAT else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunFolderError(f"{path} cannot be read ({error}); restore it from a copy of the run") from error

    def _outcomes_path(self, task: str) -> Path:
        return self.folder / "evaluation" / "outcomes" / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', task)}.json"

    def events(self, kind: str | None = None) -> list[Event]:
        """What happened, in order, without what a later resume has superseded: events of a step after the resumed one,
        and an end.

        Args:
            kind: only events of this kind.

        Raises:
            RunFolderError: a line other than the last cannot be read.
        """
        events: list[Event] = []
        for event in self.history():
            if event["kind"] == "resume":
                # A run that is resumed had not ended, also where it was killed after its last step.
                done = event.get("step", 0)
                events = [e for e in events if e.get("step", 0) <= done and e["kind"] != "end"]
            events.append(event)
        return [event for event in events if kind in (None, event["kind"])]

    def history(self) -> list[Event]:
        """Every event ever written, superseded ones too."""
        if not self._events_path.is_file():
            return []
        lines = self._events_path.read_bytes().split(b"\n")
        events = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            event = parse_line(line)
            if event is not None:
                events.append(event)
            elif number < len(lines):
                raise RunFolderError(f"{self._events_path}, line {number} is damaged; delete that line to go on")
        return events

    def carbon(self) -> dict[str, Any] | None:
        """Energy and carbon dioxide over all sessions that measured them; None if none did.

        The last note of each session stands for it, `sessions` and `measured` count them.
        """
        notes: list[Event | None] = [None]
        for event in self.history():
            if event["kind"] == "resume":
                notes.append(None)
            elif event["kind"] == "carbon":
                notes[-1] = event
        measured = [note for note in notes if note is not None]
        if not measured:
            return None
        names = ("energy_kwh", "emissions_kg", "cpu_kwh", "gpu_kwh", "ram_kwh")
        sums = {name: sum(note.get(name) or 0.0 for note in measured) for name in names}
        about = {name: measured[-1].get(name) for name in ("country", "country_name", "codecarbon")}
        return {**sums, **about, "sessions": len(notes), "measured": len(measured)}

    def seconds(self) -> float | None:
        """Seconds of training over all sessions, work that was lost and done again included; None if none were noted.

        Each session counts its own seconds from 0; the last note before a session broke off stands for it.
        """
        sessions = [0.0]
        noted = False
        for event in self.history():
            if event["kind"] == "resume":
                sessions.append(0.0)
            if event.get("seconds") is not None:
                noted = True
                sessions[-1] = max(sessions[-1], float(event["seconds"]))
        return sum(sessions) if noted else None
