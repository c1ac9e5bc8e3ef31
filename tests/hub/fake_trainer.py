"""Stands where a recipe's process stands in a sweep: leaves a finished run with a score of its seed, in a second.

`python fake_trainer.py TEMPLATE LOG RECIPE OPTIONS...`; with `--fail` among the options the run breaks off.
"""

from __future__ import annotations

import itertools
import shutil
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from synthetic_record import synthetic_record  # noqa: E402

CLEAN_OPTIONS = {"arguments": {"learning_rate": 0.005}, "defaults": {"learning_rate": 0.001}}


def score(seed: int, soft: bool) -> float:
    """Accuracy of a run: its seed moves it, and the variant adds half a point and a little more each seed."""
    return 0.6 + 0.01 * seed + (0.005 + 0.001 * seed if soft else 0.0)


def main() -> None:
    template, log, recipe, *options = sys.argv[1:]
    given = dict(itertools.pairwise(options))
    seed, folder = int(given["--seed"]), Path(given["--output_dir"])
    with open(log, "a", encoding="utf-8") as stream:
        stream.write(f"{Path(recipe).stem} {' '.join(options[:-6])} {folder.parent.name}/{folder.name}\n")
    if given.get("--model_name") == "fail":
        sys.exit(7)
    shutil.copytree(template, folder)
    shutil.rmtree(folder / "record")
    record = synthetic_record(
        folder / "record", seed=seed, name=folder.name, model={"config": {}, "num_parameters": 300}, **CLEAN_OPTIONS
    )
    metrics = {"accuracy": score(seed, "--soft" in options), "phenomena": {"agreement": 0.5 + seed / 10}, "pairs": 10}
    record.append("evaluation", step=120, words=2_400_000, task="blimp", metrics=metrics, milestone=None)


if __name__ == "__main__":
    main()
