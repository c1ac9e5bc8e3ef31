"""The facts of a card: what its templates may say, gathered from the record and nothing else.

Entries that a run may lack are None or empty here, so that a template can ask; what a template uses and this module
does not give is an error when rendering.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import RunFolderError
from .measurements import Measurement, latest, measurement
from .options import decides, hyperparameters, public_options, without_folders
from .record import Event, RunRecord

# A phenomenon is not told from chance when its accuracy is less than two standard errors above that of a guess, or,
# where its pairs were not counted, less than five points.
_ERRORS, _NEAR_CHANCE = 2, 0.05
# Architectures whose code travels with the weights: transformers asks to be told to trust it.
OWN_CODE = ("babylm-diffusion", "nhot-deberta-v2")


def facts_of(record: RunRecord, milestone: str | None = None) -> dict[str, Any]:
    """Everything the templates may say of a run, or of one of its milestones as things stood when it was saved.

    Raises:
        RunFolderError: the record has no such milestone, or does not say what kind of run it is of.
    """
    manifest, events = record.manifest, record.events()
    if not isinstance(manifest.get("family"), str):
        raise RunFolderError(
            f"the record in {record.folder} does not say what kind of run it is of; restore run.json from a copy"
        )
    saved = _milestone_event(events, milestone, record)
    if saved is not None:
        events = [event for event in events if event.get("step", 0) <= saved["step"] and event["kind"] != "end"]
    found = [measurement(event) for event in events if event["kind"] == "evaluation"]
    plan = manifest.get("plan") or {}
    position = _position(events, saved, plan)
    model = manifest.get("model") or {}
    card = manifest.get("card") or {}
    return {
        "name": manifest.get("name") or "model",
        "recipe": manifest.get("recipe"),
        "family": manifest["family"],
        "milestone": milestone,
        "licence": card.get("licence"),
        "language": card.get("language"),
        "author": card.get("author"),
        "repo_id": card.get("repo_id"),
        "year": str(manifest.get("created") or "")[:4] or None,
        "created": manifest.get("created"),
        "seed": manifest.get("seed"),
        "command": manifest.get("command"),
        "model": {
            "architecture": model.get("architecture"),
            "class": model.get("class"),
            "own_code": model.get("architecture") in OWN_CODE,
            "num_parameters": model.get("num_parameters"),
            "config": public_options(model.get("config") or {}),
        },
        "tokenizer": {"algorithm": None, "vocab_size": None, "sha256": None, **(manifest.get("tokenizer") or {})},
        "data": _data(manifest.get("data") or {}),
        "held_out": _held_out(manifest.get("held_out")),
        "plan": _plan(plan),
        "track": _track(manifest.get("track")),
        "position": position,
        "method": _method(manifest.get("method") or {}, plan.get("total_steps")),
        "weights": _weights(events),
        "optimizer": public_options(manifest.get("optimizer") or {}),
        "hyperparameters": hyperparameters(manifest),
        "recipe_changes": {
            name: (without_folders(theirs), without_folders(ours))
            for name, (theirs, ours) in (manifest.get("recipe_changes") or {}).items()
            if decides(name)
        },
        "results": _results(found, milestone),
        "floors": latest(m for m in found if m.step == 0),
        "baselines": {
            name.removesuffix("_loss").replace("_", " "): value
            for name, value in (manifest.get("baselines") or {}).items()
        },
        "examples": [event for event in events if event["kind"] == "example" and event["step"] == position["step"]],
        "milestones": _milestones(events, found, plan, _links(card.get("repo_id"), milestone)),
        # A resume at the milestone's own step came after it was saved.
        "environment": _environment(record, events, position["step"] - (milestone is not None)),
    }


def near_chance(results: Sequence[Measurement]) -> list[str]:
    """Phenomena whose accuracy is not beyond chance."""
    return [
        name
        for result in results
        if result.chance is not None
        for name, accuracy in result.phenomena.items()
        if accuracy is not None and accuracy < result.chance + _margin(result, name)
    ]


def _margin(result: Measurement, phenomenon: str) -> float:
    error = result.error(phenomenon)
    return _NEAR_CHANCE if error is None else _ERRORS * error


# ---- where the run stands


def _milestone_event(events: Sequence[Event], name: str | None, record: RunRecord) -> Event | None:
    if name is None:
        return None
    saved = [event for event in events if event["kind"] == "milestone"]
    for event in saved:
        if event["name"] == name:
            return event
    known = ", ".join(event["name"] for event in saved) or "none"
    raise RunFolderError(f"{record.folder} has no milestone {name}; recorded so far: {known}")


def _position(events: Sequence[Event], saved: Event | None, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Steps done, words seen and passes made by the model that the card is about."""
    counted = [event for event in events if "words" in event]
    last = saved or max(counted or events, key=lambda event: event.get("step", 0), default={})
    end = next((event for event in reversed(events) if event["kind"] == "end"), None)
    words = last.get("words_seen") or last.get("words") or 0
    corpus_words, total = plan.get("corpus_words") or 0, plan.get("total_steps")
    step = last.get("step", 0)
    return {
        "step": step,
        "words": words,
        "passes": words / corpus_words if corpus_words else None,
        "complete": total is None or step >= total,
        "reason": end.get("reason") if end else None,
    }


def _plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    unreached = [f"{words:,}" for words in plan.get("unreached") or []]
    names = ("total_steps", "total_words", "corpus_words", "num_passes", "max_words", "max_steps", "fingerprint")
    return {**{name: plan.get(name) for name in names}, "stages": plan.get("stages") or [], "unreached": unreached}


def longest_row(facts: Mapping[str, Any]) -> int:
    """Tokens in the longest row that the model of a card has been trained on; 0 if that is not known."""
    passes, stages = facts["position"]["passes"], facts["plan"]["stages"]
    begun = [stage for stage in stages if passes is None or stage["first_pass"] < passes]
    return max((stage["seq_length"] for stage in begun), default=0)


def _track(name: str | None) -> dict[str, Any] | None:
    """The budget of the track, where the run kept to one."""
    if name in (None, "none"):
        return None
    from ..plan import TRACKS

    track = TRACKS.get(name)
    if track is None:
        return {"name": name, "corpus_words": None, "exposure_words": None, "max_passes": None}
    return {
        "name": name,
        "corpus_words": track.corpus_words,
        "exposure_words": track.exposure_words,
        "max_passes": track.max_passes,
    }


# ---- text


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    names = ("num_words", "num_tokens", "num_documents", "num_rows", "document", "fingerprint", "licence")
    return {
        **{name: data.get(name) for name in names},
        "sources": _sources(data),
        "mix": _mix(data.get("mix")),
        "datasets": data.get("datasets"),
    }


def _mix(manifest: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How the text was mixed out of its sources, where it was."""
    if manifest is None:
        return None
    return {
        "method": manifest["method"],
        "temperature": manifest.get("temperature"),
        "order": manifest["order"],
        "bytes": manifest["bytes"],
        "min_words": manifest["filters"]["min_words"],
        "drop_duplicates": manifest["filters"]["drop_duplicates"],
        "shares": [f"{entry['path']} {100 * entry['share']:.2f} %" for entry in manifest["sources"]],
        "short": [entry["path"] for entry in manifest["sources"] if entry["short_by"]],
    }


def _sources(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    empty = {"path": "text", "words": None, "lines": None, "documents": None, "bytes": None, "sha256": None}
    return [{**empty, **source, "path": without_folders(source.get("path"))} for source in data.get("sources") or []]


def _held_out(held_out: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if held_out is None:
        return None
    names = ("num_words", "num_tokens", "seq_length", "mask_rate")
    return {**{name: held_out.get(name) for name in names}, "sources": _sources(held_out)}


# ---- method


def _method(method: Mapping[str, Any], total_steps: int | None) -> dict[str, Any]:
    """Rate, policy and corruption with this run's numbers; `parameters` holds them all, flat."""
    parameters = method.get("parameters") or {}
    policy = dict(parameters.get("policy") or {})
    name = method.get("name")
    paper = method.get("paper")
    return {
        "name": name if isinstance(name, str) else None,
        "title": method.get("title") or _method_title(parameters),
        "as_published": bool(method.get("title")),  # else the masks are not those of the recipe
        "paper": {"title": None, "authors": None, "year": None, "url": None, "bibtex": None, **paper}
        if paper
        else None,
        "rate": _rate(parameters.get("rate") or {}, total_steps),
        "policy": {"kind": _policy_kind(policy), "name": None, **policy},
        "corruption": _corruption(parameters.get("corruption") or {}),
        "packing": parameters.get("packing"),
        "separate_documents": bool(parameters.get("separate_documents")),
        "reference": bool(parameters.get("reference_behaviour")),
        "parameters": _flat(parameters),
    }


def _policy_kind(policy: Mapping[str, Any]) -> str:
    """The name by which the templates know a policy."""
    name = str(policy.get("name", ""))
    if "exact count" in name:
        return "exact"
    return next((kind for kind in ("hard", "soft", "uniform") if kind in name), name)


def _method_title(parameters: Mapping[str, Any]) -> str:
    policy = re.sub(r"[()]", "", str((parameters.get("policy") or {}).get("name", "")))
    rate = (parameters.get("rate") or {}).get("name")
    return f"{policy} masking".strip().capitalize() + (f", {rate} rate" if rate else "")


def _rate(rate: Mapping[str, Any], total_steps: int | None) -> dict[str, Any] | None:
    name, initial = rate.get("name"), rate.get("mlm_prob")
    if name is None and initial is None:
        return None
    if initial is None or name not in (None, "constant", "linear decay"):
        kind = "noise" if str(name).startswith("noise") else name
        return {
            **rate,
            "kind": kind,
            "other": name,
            "initial": initial,
            "decay": rate.get("mask_decay"),
            "final": None,
            "pieces": rate.get("mask_schedule"),
        }
    decay = rate.get("mask_decay") or 0.0
    share = (total_steps - 1) / total_steps if total_steps else 1.0
    return {"kind": name, "other": None, "initial": initial, "decay": decay, "final": initial - decay * share}


def _corruption(corruption: Mapping[str, Any]) -> dict[str, float] | None:
    if "mask_replace_prob" not in corruption:
        return None
    mask, random = corruption["mask_replace_prob"], corruption.get("random_replace_prob", 0.0)
    return {"mask": mask, "random": random, "keep": max(0.0, round(1 - mask - random, 12))}


def _flat(parameters: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}: {inner}": item for inner, item in value.items()}
        else:
            flat[name] = value
    return flat


def _weights(events: Sequence[Event]) -> dict[str, Any] | None:
    """The mask weights after the last update, as multiples of their mean; pieces where the record names them."""
    updates = [event for event in events if event["kind"] == "policy" and event.get("mean")]
    if not updates:
        return None
    last = updates[-1]

    def pieces(name: str) -> list[dict[str, Any]]:
        entries = [entry for entry in last.get(name) or [] if len(entry) > 2]
        return [{"piece": entry[2], "weight": entry[1] / last["mean"]} for entry in entries]

    return {
        "updates": last.get("updates", len(updates)),
        "highest": last["max"] / last["mean"],
        "lowest": last["min"] / last["mean"],
        "top": pieces("top"),
        "bottom": pieces("bottom"),
    }


# ---- measurements


def _results(found: Sequence[Measurement], milestone: str | None) -> list[Measurement]:
    """The measurement of this model for each task: of the milestone if the card is about one, else the last."""
    trained = [m for m in found if m.step > 0]
    return list((latest(trained) | latest(m for m in trained if milestone and m.milestone == milestone)).values())


def _links(repo_id: str | None, milestone: str | None) -> str | None:
    """The pattern of links to milestones: branches on the Hub, or folders beside the final card."""
    if repo_id:
        return f"https://huggingface.co/{repo_id}/tree/{{name}}"
    return "{folder}" if milestone is None else None


def _milestones(
    events: Sequence[Event], found: Sequence[Measurement], plan: Mapping[str, Any], link: str | None
) -> list[dict[str, Any]]:
    """Each milestone with its scores and the link to it."""
    targets = {entry["name"]: entry["words"] for entry in plan.get("milestones") or []}
    corpus_words = plan.get("corpus_words")
    rows = []
    for event in (event for event in events if event["kind"] == "milestone"):
        scores = latest(m for m in found if m.step == event["step"])
        scores |= latest(m for m in found if m.milestone == event["name"])
        words = event.get("words_seen") or event.get("words") or 0
        folder = event.get("folder") or event["name"]
        rows.append(
            {
                "name": event["name"],
                "folder": folder,
                "url": link.format(name=event["name"], folder=folder) if link else None,
                "target": event.get("target_words") or targets.get(event["name"]),
                "words": words,
                "passes": words / corpus_words if corpus_words else None,
                "step": event["step"],
                "scores": scores,
            }
        )
    return rows


# ---- surroundings


def _environment(record: RunRecord, events: Sequence[Event], last_step: int) -> dict[str, Any]:
    """Where and with what the model was made, by a run that may have been resumed up to `last_step`."""
    manifest = record.manifest
    end = next((event for event in reversed(events) if event["kind"] == "end"), {})
    code = manifest.get("code") or {}
    return {
        "versions": dict(manifest.get("versions") or {}),
        "hardware": public_options(manifest.get("hardware") or {}),
        "code_version": code.get("version"),
        "code_commit": code.get("commit"),
        "code_modified": bool(code.get("modified")),
        "sessions": 1 + sum(event["kind"] == "resume" and event["step"] <= last_step for event in record.history()),
        "seconds": record.seconds() if end else None,
        "carbon": record.carbon() if end else None,
        "flops": end.get("flops") or None,
    }
