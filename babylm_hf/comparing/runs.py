"""Reading runs, and gathering the seeds of one configuration, from their records alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from ..errors import OptionError, RunFolderError
from ..publishing.facts import facts_of
from ..publishing.markdown import setting
from ..publishing.options import _AROUND
from ..publishing.record import MANIFEST, RunRecord
from ..publishing.sweeps import SweepRun

_HUB = re.compile(r"(?P<named>hub:)?(?P<repo>[\w.-]+/[\w.-]+?)(@(?P<revision>[\w./-]+))?")
_SHOWN_OPTIONS = 2
_RECORD_FILES = ["record/run.json", "record/events.jsonl", "record/evaluation/outcomes/*.json"]
# These name one run of a configuration and not the configuration.
_OF_ONE_RUN = frozenset({"seed", "data_seed"})


@dataclass(frozen=True)
class Run:
    """One run: where it was read from, its record, and the facts of its card."""

    source: str
    record: RunRecord
    facts: dict[str, Any]

    @property
    def seed(self) -> int:
        """Its seed; 0 where the record names none."""
        return int(self.facts["seed"] or 0)


@dataclass(frozen=True)
class Configuration:
    """Runs that differ in nothing but their seeds.

    Attributes:
        label: a letter, in the order in which the runs were given; A is the baseline.
        name: the recipe, or the name of the run.
        settings: option -> value, without seeds and folders.
        runs: by seed.
    """

    label: str
    name: str
    settings: dict[str, Any]
    runs: dict[int, Run]

    def facts(self) -> dict[SweepRun, dict[str, Any]]:
        """The facts of its runs, as the statistics of a sweep take them."""
        return {SweepRun(self.label, seed, run.record.folder): run.facts for seed, run in self.runs.items()}


def read_run(source: str) -> Run:
    """Read one run.

    Args:
        source: output folder of a run, folder of a record, or a repository on the Hub with a published record:
            `namespace/name` or, where a folder has that name too, `hub:namespace/name`; both may end in `@revision`.

    Raises:
        RunFolderError: no record there, or one that cannot be read.
    """
    folder, named = Path(source), _HUB.fullmatch(source)
    if named and (named["named"] or not folder.exists()):
        folder = _from_hub(named["repo"], named["revision"])
    elif source.startswith("hub:"):
        raise RunFolderError(f"{source} is no repository; write hub:namespace/name or hub:namespace/name@revision")
    place = folder / "record" if (folder / "record" / MANIFEST).is_file() else folder
    record = RunRecord.open(place)
    return Run(source, record, facts_of(record))


def _from_hub(repo_id: str, revision: str | None) -> Path:
    """The record of a repository, in the cache of the Hub's client."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"{repo_id}@{revision}" if revision else repo_id
    try:
        folder = Path(snapshot_download(repo_id, revision=revision, allow_patterns=_RECORD_FILES))
    except RepositoryNotFoundError as error:
        raise RunFolderError(
            f"{repo_id} is neither a folder nor a repository on the Hub that this token may see; "
            "check the name, and log in with `hf auth login` if it is private"
        ) from error
    except RevisionNotFoundError as error:
        raise RunFolderError(f"{repo_id} has no revision {revision}; leave it out for main") from error
    except LocalEntryNotFoundError as error:
        raise RunFolderError(
            f"{where} is not a folder, and the Hub cannot be reached; give a folder, or try again later"
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise RunFolderError(f"{where} is not a folder, and the Hub does not give it ({reason})") from error
    if not (folder / "record" / MANIFEST).is_file():
        branch = " (milestones have none, main does)" if revision else ""
        raise RunFolderError(
            f"{where} has no run record{branch}; repositories published with `babylm-hf publish` or --push_to_hub "
            f"have it as record/{MANIFEST}"
        )
    return folder


def read_configurations(sources: Sequence[str]) -> list[Configuration]:
    """Read runs and gather those that differ in their seeds only.

    Raises:
        OptionError: fewer than two runs, or one run given twice.
        RunFolderError: a run has no record.
    """
    if len(sources) < 2:
        raise OptionError("RUN: a comparison needs at least two runs; give the folders of more")
    groups: dict[str, dict[int, Run]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for source in sources:
        run = read_run(source)
        found = _settings(run.facts)
        key = json.dumps(found, sort_keys=True, default=str)
        runs = groups.setdefault(key, {})
        if run.seed in runs:
            raise OptionError(
                f"RUN {source}: the same configuration and seed {run.seed} as {runs[run.seed].source}; "
                "give each run once, repetitions need seeds of their own"
            )
        runs[run.seed], settings[key] = run, found
    if len(groups) > len(ascii_uppercase):
        raise OptionError(f"RUN: {len(groups)} configurations are more than {len(ascii_uppercase)}; compare fewer")
    named = [
        Configuration(letter, _name(runs), settings[key], dict(sorted(runs.items())))
        for letter, (key, runs) in zip(ascii_uppercase, groups.items(), strict=False)
    ]
    return [replace(one, name=_told_apart(one, named)) for one in named]


def _told_apart(one: Configuration, others: Sequence[Configuration]) -> str:
    """Its name, and where others have the same the first options in which they differ: one if that is enough."""
    same = [other for other in others if other.name == one.name]
    if len(same) == 1:
        return one.name
    options = list(differing(same))[:_SHOWN_OPTIONS]
    if len({setting(other.settings.get(options[0])) for other in same}) == len(same):
        del options[1:]
    told = [f"{name.removeprefix('method: ')} {setting(one.settings.get(name))}" for name in options]
    return f"{one.name} ({', '.join(told)})"


def _name(runs: Mapping[int, Run]) -> str:
    facts = next(iter(runs.values())).facts
    return str(facts["recipe"] or facts["name"])


def _settings(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that decides what comes out of a run, but its seed.

    The words that it was shown are not among them: where `--max_words` ends a run within a pass they differ a little
    with the order of the rows, and so with the seed.
    """
    options = {
        name: value
        for name, value in facts["hyperparameters"]["all"].items()
        if name not in _OF_ONE_RUN and not _AROUND.match(name)
    }
    method = {f"method: {name}": value for name, value in facts["method"]["parameters"].items() if name != "seed"}
    return {
        "recipe": facts["recipe"],
        **method,
        **options,
        "tokenizer": facts["tokenizer"]["sha256"],
        "text": facts["data"]["fingerprint"],
        "parameters": facts["model"]["num_parameters"],
    }


def differing(configurations: Sequence[Configuration]) -> dict[str, list[Any]]:
    """Option -> its value in each configuration (None where it has none), those only in which they differ."""
    names = dict.fromkeys(name for one in configurations for name in one.settings)
    rows = {name: [one.settings.get(name) for one in configurations] for name in names}
    return {name: row for name, row in rows.items() if any(value != row[0] for value in row)}
