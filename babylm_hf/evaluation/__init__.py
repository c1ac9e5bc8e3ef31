"""Evaluation: loss on held-out text, and the zero-shot tasks of BabyLM, one file a task.

The public names load on first use, so that naming this package does not import torch.
"""

from __future__ import annotations

from ..lazy import loader

_HOMES = {
    "MinimalPair": "minimal_pairs",
    "PairResults": "minimal_pairs",
    "backend_of": "minimal_pairs",
    "evaluate_pairs": "minimal_pairs",
    "load_pairs": "minimal_pairs",
    "evaluate_model": "models",
    "load_for_scoring": "models",
    "held_out_loss": "held_out",
    "unigram_loss": "held_out",
    "score_causal": "scoring",
    "score_masked": "scoring",
    "score_sentences": "scoring",
    "token_log_probabilities": "scoring",
    "ScoringPlan": "scoring_plan",
    "Request": "scoring_plan",
    "BACKENDS": "scoring_plan",
    "score_requests": "scoring",
    "score_plan": "scoring",
    "TaskSuite": "suite",
    "ModelResults": "suite",
    "evaluate_tasks": "evaluator",
    "iter_evaluations": "evaluator",
    "milestone_tasks": "during_training",
    "write_official_results": "official",
    "write_submission": "submission",
    "Likelihood": "likelihood",
    "causal_likelihood": "likelihood",
    "nelbo": "likelihood",
    "pseudo_log_likelihood": "likelihood",
    "rows_of_texts": "text_rows",
    "ScoreRow": "score_rows",
    "render_table": "report",
    "phenomenon_figure": "report",
    "words_figure": "report",
    "finetune_model": "finetuning.runs",
}
__all__ = sorted(_HOMES)

__getattr__ = loader(__name__, _HOMES)
