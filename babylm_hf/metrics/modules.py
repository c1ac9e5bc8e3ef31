"""Which metrics there are, and where their files lie."""

from __future__ import annotations

from pathlib import Path

from ..errors import OptionError

METRICS: dict[str, str] = {
    "minimal_pair_accuracy": "Minimal-pair accuracy",
    "babylm_glue": "Fine-tuning scores of BabyLM",
    "wug_spearman": "Agreement on made-up words",
    "reading_delta_r2": "Reading times explained by surprisal",
}
"""Name of each metric -> its title."""


def metric_path(name: str) -> str:
    """The folder of a metric, for `evaluate.load`; the file in it bears the metric's name.

    Raises:
        OptionError: there is no such metric.
    """
    if name not in METRICS:
        raise OptionError(f"{name}: no such metric; there are {', '.join(METRICS)}.")
    return str(Path(__file__).parent / name)
