"""Sweeps: one recipe, many seeds, perhaps several variants of its options; each run is a process and a folder.

A sweep goes on where it stopped: finished runs are known by their records, the others resume from their newest
checkpoint. The card, and what is published, come from the records alone.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BabyLMError, OptionError, PublishError, RunFolderError
from .parsing import did_you_mean
from .publishing.files import write_whole
from .publishing.sweep_card import write_sweep_card
from .publishing.sweeps import FORMAT, MANIFEST, SweepFolder, SweepRun

if TYPE_CHECKING:
    from huggingface_hub import HfApi

logger = logging.getLogger(__name__)
_OURS = ("--seed", "--output_dir", "--output_path", "--resume_from_checkpoint", "--push_to_hub", "--hub_model_id")


@dataclass
class Sweep:
    """What a sweep is.

    Attributes:
        recipe: file of the recipe.
        seeds: one run each, for every variant.
        options: of the recipe, for all runs.
        variants: name -> further options; the first is what the others are compared with.
        folder: where the runs are written.
        launcher: what starts a recipe: the interpreter, or `accelerate launch`.
    """

    recipe: Path
    seeds: list[int]
    options: list[str]
    variants: dict[str, list[str]]
    folder: Path
    launcher: list[str] = field(default_factory=lambda: [sys.executable])

    @property
    def name(self) -> str:
        """Of the sweep: its folder's."""
        return self.folder.resolve().name

    def command(self, run: SweepRun) -> list[str]:
        """The command of one run."""
        own = ["--seed", str(run.seed), "--output_dir", str(run.folder), "--resume_from_checkpoint", "auto"]
        return [*self.launcher, str(self.recipe), *self.options, *self.variants[run.variant], *own]

    def check(self) -> None:
        """Refuse what a run would refuse, before the first one has begun.

        Raises:
            OptionError: an option that the sweep sets itself, that is unknown, or a seed named twice.
            RunFolderError: the folder holds another sweep.
        """
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds, default=0) < 0:
            raise OptionError(f"--seeds must be different whole numbers from 0, not {' '.join(map(str, self.seeds))}")
        for name, options in [("", self.options), *self.variants.items()]:
            taken = [word for word in options if word.split("=")[0] in _OURS]
            if taken:
                where = f"--variant {name}: " if name else ""
                hint = "use --publish" if taken[0].startswith(("--push", "--hub")) else "the sweep sets it"
                raise OptionError(f"{where}{taken[0]} cannot be an option of a sweep's runs; {hint}")
        recipe = load_recipe(self.recipe)
        for options in self.variants.values():
            recipe.parse([*self.options, *options, "--output_dir", str(self.folder)])
        self._refuse_other()

    def manifest(self) -> dict[str, Any]:
        """What is written into the folder."""
        return {
            "format": FORMAT,
            "name": self.name,
            "recipe": self.recipe.stem,
            "seeds": self.seeds,
            "options": _without_folders(self.options),
            "variants": {name: _without_folders(options) for name, options in self.variants.items()},
            "command": self._shown(),
        }

    def _shown(self) -> str:
        variants = [w for n, o in self.variants.items() if n for w in ("--variant", f"{n}={shlex.join(o)}")]
        words = ["babylm-hf", "sweep", self.recipe.stem, "--seeds", *map(str, self.seeds), *variants, *self.options]
        return shlex.join(_without_folders(words))

    def _refuse_other(self) -> None:
        path = self.folder / MANIFEST
        if not path.is_file():
            return
        there, ours = SweepFolder(self.folder).manifest, self.manifest()
        for what in ("recipe", "options"):
            if there.get(what) != ours[what]:
                raise RunFolderError(
                    f"{self.folder} holds a sweep with another {what} ({there.get(what)}, not {ours[what]}); "
                    "choose another --output_dir"
                )
        changed = [n for n in self.variants if n in there["variants"] and there["variants"][n] != ours["variants"][n]]
        if changed:
            raise RunFolderError(f"{self.folder} holds variant {changed[0]} with other options; give it another name")

    def begin(self) -> SweepFolder:
        """Write the manifest; seeds and variants of an earlier call stay."""
        path = self.folder / MANIFEST
        manifest = self.manifest()
        if path.is_file():
            there = SweepFolder(self.folder).manifest
            manifest["seeds"] = [*there["seeds"], *(seed for seed in self.seeds if seed not in there["seeds"])]
            manifest["variants"] = {**there["variants"], **manifest["variants"]}
        write_whole(path, json.dumps(manifest, indent=1) + "\n")
        return SweepFolder(self.folder)

    def train(self, done: Callable[[SweepRun], Any] = lambda run: None) -> SweepFolder:
        """Train every run that is not finished, one after another, and write the card after each.

        Args:
            done: told of every finished run, old and new.

        Raises:
            RunFolderError: a run has failed; the others are tried all the same.
        """
        self.check()
        folder = self.begin()
        failed = []
        for run in folder.runs:
            if run.seed not in self.seeds or run.variant not in self.variants:
                continue
            if run.finished:
                print(f"{run.label}: finished before", flush=True)
            else:
                print(f"{run.label}: {shlex.join(self.command(run))}", flush=True)
                status = subprocess.run(self.command(run), check=False).returncode
                if status != 0 or not run.finished:
                    failed.append(f"{run.label} (exit status {status})")
                    continue
            done(run)
            write_sweep_card(folder)
        if failed:
            raise RunFolderError(
                f"{len(failed)} of {len(folder.runs)} runs did not finish: {', '.join(failed)}; what they said stands "
                "above, and the same command goes on from there"
            )
        return folder


def find_recipe(name: str) -> Path:
    """The file of a recipe: a path, or a name in `recipes/` of the working folder or of this checkout.

    Raises:
        OptionError: there is none.
    """
    folders = [Path("recipes"), Path(__file__).resolve().parents[1] / "recipes"]
    for path in (Path(name), *(folder / f"{name}.py" for folder in folders)):
        if path.suffix == ".py" and path.is_file():
            return path
    known = sorted({path.stem for folder in folders for path in folder.glob("*.py")})
    near = did_you_mean(name, known) or f"; give the path of its file, or one of {', '.join(known) or 'none'}"
    raise OptionError(f"there is no recipe {name}{near}")


def load_recipe(path: Path) -> Any:
    """The `RECIPE` of a file, which may import the recipes beside it.

    Raises:
        OptionError: it has none, or is no Python that runs.
    """
    spec = importlib.util.spec_from_file_location(f"_sweep_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise OptionError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))  # as where it is run as a script
    try:
        spec.loader.exec_module(module)
    except BabyLMError:
        raise
    except Exception as error:  # whatever is wrong with somebody's file, it is to be named
        raise OptionError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    if not hasattr(module, "RECIPE"):
        raise OptionError(f"{path} has no RECIPE; it is not the file of a recipe")
    return module.RECIPE


def parse_variants(texts: Sequence[str]) -> dict[str, list[str]]:
    """Variants from `NAME=OPTIONS`; without any there is one without a name.

    Raises:
        OptionError: a name that cannot be that of a folder, or one that is given twice.
    """
    variants: dict[str, list[str]] = {}
    for text in texts:
        name, equals, options = text.partition("=")
        if not equals or not name.replace("-", "").replace("_", "").isalnum() or name.startswith(("seed-", "-")):
            raise OptionError(f"--variant {text!r} must be NAME=OPTIONS, such as soft='--masking soft'")
        if name in variants:
            raise OptionError(f"--variant {name} is given twice")
        try:
            variants[name] = shlex.split(options)
        except ValueError as error:
            raise OptionError(f"--variant {text!r} cannot be read ({error})") from None
    return variants or {"": []}


# ---- publishing


def publish_sweep(folder: SweepFolder, api: HfApi, prefix: str, private: bool = True, **options: Any) -> dict[str, str]:
    """Publish every finished run to a repository of its own, the card of the sweep to `prefix`, and gather them.

    Args:
        folder: the sweep.
        api: the client.
        prefix: `namespace/name`; runs go to `namespace/name-seed-0`, `namespace/name-soft-seed-0`, ...
        private: whether repositories and collection are private.
        options: further ones of `HubPublisher`.

    Returns:
        Label of a run -> its repository.

    Raises:
        PublishError: something did not arrive; the rest has.
    """
    from .publishing.publisher import HubPublisher
    from .publishing.sweep_publisher import SweepPublisher, gather

    repo_ids: dict[str, str] = {}
    failed: list[str] = []
    runs = folder.finished()
    for run in runs:
        publisher = HubPublisher(api, _repository(prefix, run), run.folder, private=private, **options)
        try:
            publisher.publish()
            repo_ids[run.label] = publisher.repo_id
        except PublishError as error:
            failed.append(str(error))
    if failed:
        raise PublishError("; ".join(failed))
    write_sweep_card(folder, repo_ids)
    publisher = SweepPublisher(api, prefix, folder.path, private=private, **options)
    publisher.publish()
    gather(api, publisher.repo_id, [publisher.repo_id, *repo_ids.values()], private, publisher.retry)
    return {**repo_ids, "": publisher.repo_id}


def _repository(prefix: str, run: SweepRun) -> str:
    return f"{prefix}-{run.label.replace('/', '-')}"


def _without_folders(words: Sequence[str]) -> list[str]:
    """Words of a command as anybody may read them."""
    from .publishing.options import without_folders

    return [without_folders(word) for word in words]


def sweep_options(options: Mapping[str, Any]) -> Sweep:
    """The sweep of a command line: `recipe`, `seeds`, `variant`, `output_dir`, `launcher`, `rest`."""
    recipe = find_recipe(options["recipe"])
    folder = options["output_dir"] or Path("runs") / f"{recipe.stem}_sweep"
    launcher = {"launcher": shlex.split(options["launcher"])} if options["launcher"] else {}
    return Sweep(
        recipe, options["seeds"], list(options["rest"]), parse_variants(options["variant"]), folder, **launcher
    )
