"""The scores of the BabyLM evaluation as `evaluate` metrics: loaded by path, with no network, or from a Space.

    import evaluate
    from babylm_hf.metrics import metric_path

    metric = evaluate.load(metric_path("minimal_pair_accuracy"))
    metric.compute(good=[-10.0], bad=[-11.0])

Each metric is one file that needs nothing of this package, so that its folder works on the Hub as it is. `evaluate`,
which takes seconds to import, is imported by who loads a metric and never here.
"""

from __future__ import annotations

from ..lazy import loader

_HOMES = {
    "METRICS": "modules",
    "metric_path": "modules",
    "export_space": "spaces",
    "push_space": "spaces",
}
__all__ = sorted(_HOMES)

__getattr__ = loader(__name__, _HOMES)
