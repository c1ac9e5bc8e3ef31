"""Runs that never were, for comparisons: their scores have a known effect, and their items a known answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from synthetic_record import MILESTONES, TOTAL_STEPS, TOTAL_WORDS, synthetic_record

from babylm_hf.evaluation.outcomes import item_outcomes

PARADIGMS = 20
PER_PARADIGM = 50


def make_run(folder: Path, recipe: str, seed: int, *, shift: float = 0.0, noise: float = 0.01, task: str = "blimp",
             items: bool = False, **changes: Any) -> str:  # fmt: skip
    """A run whose accuracy is `shift` better than another's, give or take `noise` for its seed.

    Args:
        folder: of the run.
        recipe: its name decides the noise too.
        seed: likewise.
        shift: the effect.
        noise: standard deviation over seeds.
        task: that is measured at the end and, without outcomes, at the milestones.
        items: keep the outcome of every item, and draw them.
        changes: of the manifest.
    """
    record = synthetic_record(folder / "record", seed=seed, recipe=recipe, name=f"{recipe}_{seed}", **changes)
    rng = np.random.default_rng([seed, *recipe.encode()])
    common = np.random.default_rng(0).uniform(0.5, 0.8, PARADIGMS)
    chances = np.clip(common + shift + rng.normal(0, noise), 0, 1)
    names = [f"p{index}" for index in range(PARADIGMS)]
    if items:
        credits = (rng.random((PARADIGMS, PER_PARADIGM)) < chances[:, None]).astype(float)
        accuracies = credits.mean(1)
        uids = [name for name in names for _ in range(PER_PARADIGM)]
        phenomena = ["agreement" if int(uid[1:]) < PARADIGMS // 2 else "islands" for uid in uids]
        found = item_outcomes(
            uids, phenomena, credits.ravel(), ["the", "texts"], lambda a: float(np.mean([*a.values()]))
        )
        record.write_outcomes(task, step=TOTAL_STEPS, words=TOTAL_WORDS, **found)
    else:
        accuracies = chances + rng.normal(0, 0.002, PARADIGMS)
    for name, step in {**MILESTONES, None: TOTAL_STEPS}.items():
        early = 0.0 if name is None else 0.05 * (2 - list(MILESTONES).index(name))
        values = accuracies - early
        metrics = {
            "accuracy": float(values.mean()),
            "items": PARADIGMS * PER_PARADIGM,
            "paradigms": dict(zip(names, values.tolist(), strict=True)),
            "phenomena": {
                "agreement": float(values[: PARADIGMS // 2].mean()),
                "islands": float(values[PARADIGMS // 2 :].mean()),
            },
        }
        words = step * TOTAL_WORDS // TOTAL_STEPS
        record.append("evaluation", step=step, words=words, task=task, metrics=metrics, milestone=name)
    return str(folder)
