"""The metadata block of a card, as the Hub reads it, and the citation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .measurements import Measurement
from .tables import main_score

PIPELINES = {"masked": "fill-mask", "diffusion": "fill-mask", "causal": "text-generation"}
_FAMILY_TAGS = {"masked": "masked-lm", "diffusion": "masked-diffusion", "causal": "causal-lm"}
_METRIC_NAMES = {
    "loss": "Cross-entropy (nats per target)",
    "accuracy": "Accuracy",
    "perplexity": "Perplexity",
    "nelbo": "Negative log-likelihood, upper bound (nats per token)",
}


def metadata(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a card in the order it is printed: licence, language, tags, pipeline and every score."""
    from huggingface_hub import ModelCardData

    pipeline = PIPELINES.get(facts["family"], "fill-mask")
    # What was last measured on an earlier model of the run is no score of this one.
    measured = [result for result in facts["results"] if result.step == facts["position"]["step"]]
    results = [entry for result in measured for entry in _eval_results(result, pipeline)]
    # The Hub's class wants a name beside results, and refuses results without.
    more: dict[str, Any] = {"model_name": facts["name"], "eval_results": results} if results else {}
    if widget := _widget(facts["examples"]):
        more["widget"] = widget
    if carbon := _carbon(facts["environment"]):
        more["co2_eq_emissions"] = carbon
    data = ModelCardData(
        language=facts["language"],
        license=facts["licence"],
        library_name="transformers",
        pipeline_tag=pipeline,
        tags=_tags(facts),
        datasets=facts["data"]["datasets"],
        metrics=sorted({entry.metric_type for entry in results}) or None,
        **more,
    )
    return dict(data.to_dict())


def _widget(examples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The texts that the model's page offers to try, with what the model said where the Hub can show it."""
    answered = ({"output": {"text": e["continuation"]}} if "continuation" in e else {} for e in examples)
    return [{"text": example["text"], **output} for example, output in zip(examples, answered, strict=True)]


def _carbon(environment: Mapping[str, Any]) -> dict[str, Any] | None:
    """Emissions as the Hub shows them, in grams."""
    carbon, hardware = environment["carbon"], environment["hardware"]
    if carbon is None:
        return None
    used = hardware.get("accelerators") or [hardware.get("processor") or hardware.get("machine")]
    return {
        "emissions": 1000 * carbon["emissions_kg"],
        "source": "codecarbon",
        "training_type": "pre-training",
        "geographical_location": carbon["country_name"] or carbon["country"],
        "hardware_used": ", ".join(str(name) for name in used if name),
    }


def citation(facts: Mapping[str, Any]) -> str:
    """BibTeX entries: the method's paper, the model if it has an author, and the software."""
    year, version, author = facts["year"], facts["environment"]["code_version"], facts["author"]
    entries = [facts["method"]["paper"]["bibtex"].strip()] if (facts["method"]["paper"] or {}).get("bibtex") else []
    if author:
        title = f"{facts['name']}: {facts['method']['title']}"
        url = f"https://huggingface.co/{facts['repo_id']}" if facts["repo_id"] else None
        entries.append(_entry("misc", f"{facts['name']} {year or ''}", title=title, author=author, year=year, url=url))
    software = {"title": "babylm_hf: pretraining language models on little text", "author": "The babylm_hf developers"}
    entries.append(_entry("software", "babylm_hf", **software, version=version, year=year))
    return "\n\n".join(entries)


def _entry(kind: str, key: str, **fields: str | None) -> str:
    key = re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")
    lines = [f"  {name} = {{{_bibtex(value)}}}" for name, value in fields.items() if value is not None]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


def _bibtex(text: str) -> str:
    """Text within braces of BibTeX."""
    return re.sub(r"([&%$#_])", r"\\\1", re.sub(r"[{}\\]", "", text))


def _tags(facts: Mapping[str, Any]) -> list[str]:
    tags = ["babylm", "babylm_hf", _FAMILY_TAGS.get(facts["family"], facts["family"])]
    if facts["recipe"] and facts["method"]["as_published"]:
        tags.append(facts["recipe"])
    if facts["track"]:
        tags.append(f"babylm-{facts['track']['name']}")
    return tags


def _eval_results(result: Measurement, pipeline: str) -> list[Any]:
    """The entries of the model index for one task: each score, and each phenomenon as a configuration of the task."""
    from huggingface_hub import EvalResult

    def entry(metric: str, value: float, phenomenon: str | None = None) -> EvalResult:
        title = result.title if phenomenon is None else f"{result.title}: {phenomenon.replace('_', ' ')}"
        return EvalResult(
            task_type=pipeline,
            dataset_type=result.task,
            dataset_name=title,
            dataset_config=phenomenon,
            metric_type=metric,
            metric_name=_METRIC_NAMES.get(metric, metric.replace("_", " ")),
            metric_value=value,
        )

    # The score that matters first: clients show the first of a task.
    scores = [name for name in result.scores if not name.endswith("_error")]
    names = sorted(scores, key=lambda name: name != main_score(result))
    entries = [entry(name, value) for name in names if (value := result.scores[name]) is not None]
    named = {name: value for name, value in result.phenomena.items() if value is not None}
    return entries + [entry("accuracy", value, name) for name, value in named.items()]
