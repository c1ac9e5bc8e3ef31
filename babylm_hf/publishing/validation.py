"""What the Hub would refuse or misread in a card, found before anything leaves the machine; no network is needed.

Checked: that the metadata is there and is YAML, licence and language against the Hub's lists, ids of data sets, the
shape of the model index, and the results in `.eval_results/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from ..errors import PublishError
from .blocks import split_card

# The list on the page below, and the identifiers that the Hub took up since.
LICENCES = frozenset(
    """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0
    eupl-1.1 eupl-1.2 gemma gfdl gpl gpl-2.0 gpl-3.0 h-research intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2
    llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openmdw-1.0 openrail
    openrail++ osl-3.0 other pddl postgresql unknown unlicense wtfpl zlib
    """.split()  # noqa: SIM905
)
_LICENCE_LIST = "https://huggingface.co/docs/hub/repositories-licenses"
PIPELINE_TAGS = frozenset({"fill-mask", "text-generation", "text-classification", "feature-extraction"})
_DATASET = re.compile(r"[\w.-]+(/[\w.-]+)?")
_COMMON = {"english": "en", "german": "de", "french": "fr", "spanish": "es", "chinese": "zh", "dutch": "nl"}
_SPDX = {"apache 2.0": "apache-2.0", "apache2": "apache-2.0", "apache": "apache-2.0", "cc by 4.0": "cc-by-4.0"}


@cache
def languages() -> frozenset[str]:
    """The codes of languages that the Hub knows: ISO 639-1 and 639-3, `code` and `multilingual`."""
    text = resources.files(__package__).joinpath("languages.txt").read_text(encoding="ascii")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return frozenset(" ".join(lines).split())


def language_name(code: Any) -> Any:
    """A common language by its name, another one by its code."""
    return next((name.capitalize() for name, short in _COMMON.items() if short == code), code)


def problems_of_card(card: str, source: str = "README.md") -> list[str]:
    """What the Hub would not take in a card, each with what to do; empty if all is well."""
    if not card.startswith("---\n"):
        return [f"{source} has no metadata; render it with `babylm-hf card`"]
    metadata, _ = split_card(card, source)
    return list(_problems(metadata, source))


def check_card(card: str, source: str = "README.md") -> None:
    """Raise PublishError with the problems of a card, if it has any."""
    if problems := problems_of_card(card, source):
        raise PublishError("; ".join(problems))


def _problems(metadata: Mapping[str, Any], source: str) -> Iterator[str]:
    yield from _licence_problems(metadata, source)
    for language in _listed(metadata.get("language")):
        if problem := language_problem(language):
            yield f"{source}: {problem}"
    for dataset in _listed(metadata.get("datasets")):
        if not isinstance(dataset, str) or not _DATASET.fullmatch(dataset):
            yield f"{source}: data set {dataset!r} is not an id of the Hub, such as owner/name"
    if metadata.get("pipeline_tag") not in (None, *PIPELINE_TAGS):
        yield f"{source}: pipeline_tag {metadata['pipeline_tag']!r} is none of {', '.join(sorted(PIPELINE_TAGS))}"
    if not all(isinstance(tag, str) for tag in _listed(metadata.get("tags"))):
        yield f"{source}: every tag must be text; put quotes around numbers"
    yield from (f"{source}: {problem}" for problem in _index_problems(metadata.get("model-index")))


def _licence_problems(metadata: Mapping[str, Any], source: str) -> Iterator[str]:
    licences = _listed(metadata.get("license"))
    if not licences:
        yield f"{source} names no licence; pass --licence, or `license: unknown`"
    for licence in licences:
        if problem := licence_problem(licence):
            yield f"{source}: {problem}"
    if "other" in licences and not (metadata.get("license_name") and metadata.get("license_link")):
        yield f"{source}: licence 'other' needs `license_name` and `license_link` beside it in the metadata"


def licence_problem(licence: Any) -> str | None:
    """Why the Hub would not know a licence, and which one was probably meant; None if it does."""
    if licence in LICENCES:
        return None
    guess = _SPDX.get(str(licence).lower()) or str(licence).lower().replace(" ", "-")
    hint = f"did you mean {guess}?" if guess in LICENCES else f"see {_LICENCE_LIST}"
    return f"the Hub does not know the licence {licence!r}; {hint} Set it with --licence, or use 'other'"


def language_problem(language: Any) -> str | None:
    """Why the Hub would not know a language; None if it does. YAML reads an unquoted `no` as false, and so as none."""
    code, _, region = str(language).partition("-")
    if isinstance(language, str) and code in languages() and re.fullmatch(r"[A-Za-z0-9-]*", region):
        return None
    guess = _COMMON.get(str(language).lower())
    hint = f"did you mean {guess}?" if guess else "give its code of ISO 639, such as en or swh"
    return f"the Hub does not know the language {language!r}; {hint} Set it with --language"


def _index_problems(index: Any) -> Iterator[str]:
    if index is None:
        return
    if not isinstance(index, list) or not all(isinstance(entry, dict) and entry.get("name") for entry in index):
        yield "model-index must be a list of models with a name"
        return
    for entry in index:
        for number, result in enumerate(entry.get("results") or [], start=1):
            where = f"model-index, result {number}"
            if not isinstance(result, dict):
                yield f"{where} is not a mapping"
                continue
            if not (result.get("task") or {}).get("type"):
                yield f"{where} has no task type"
            dataset = result.get("dataset") or {}
            if not (dataset.get("type") and dataset.get("name")):
                yield f"{where} needs type and name of its data set"
            for metric in result.get("metrics") or [{}]:
                if not metric.get("type") or not _is_number(metric.get("value")):
                    yield f"{where} has a metric without type or finite number"


def check_results(text: str, source: str) -> None:
    """Raise PublishError with what the Hub would not take in a file of `.eval_results/`, if there is anything."""
    if problems := problems_of_results(text, source):
        raise PublishError("; ".join(problems))


def problems_of_results(text: str, source: str) -> list[str]:
    """What the Hub would not take in a file of `.eval_results/`; empty if all is well."""
    from huggingface_hub import parse_eval_result_entries

    try:
        data = yaml.safe_load(text)
        entries = parse_eval_result_entries(data if isinstance(data, list) else [{}])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"{source} is not a list of results with data set, task and value ({type(error).__name__}: {error})"]
    bad = [entry for entry in entries if not _DATASET.fullmatch(str(entry.dataset_id)) or not _is_number(entry.value)]
    return [f"{source}: {entry.dataset_id!r} is no data set of the Hub, or its value no number" for entry in bad]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value and abs(value) < 1e300


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
