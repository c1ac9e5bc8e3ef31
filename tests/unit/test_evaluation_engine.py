"""Every task's candidates against a slow scorer written from the specification, on models of all kinds and backends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from evaluation_data import CAUSAL, MASKED, language_model, tokenizer_for, write_layout

from babylm_hf.errors import OptionError
from babylm_hf.evaluation import scoring
from babylm_hf.evaluation.folders import load_task
from babylm_hf.evaluation.models import position_limit
from babylm_hf.evaluation.scoring_plan import Request, RowRequest, ScoringPlan
from babylm_hf.evaluation.suite import TaskSuite

TASKS = ("blimp", "supplement", "ewok", "entity_tracking", "comps", "wug_adj", "global_piqa_parallel", "aoa")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout(tmp_path_factory.mktemp("evaluation_data"))


@torch.no_grad()
def slow_score(model: Any, tokenizer: Any, backend: str, sentence: str, completion: str, prefix: str | None) -> float:
    """One candidate by the definition: one forward for every token that is masked, full logits, log-softmax."""
    if backend == "enc_dec_prefix":
        ids = [] if prefix is None else tokenizer(prefix, add_special_tokens=False)["input_ids"]
        ends = [[] if i is None else [i] for i in (tokenizer.cls_token_id, tokenizer.eos_token_id)]
        targets = tokenizer(completion, add_special_tokens=False)["input_ids"]
        encoder = torch.tensor([[*ends[0], *ids, tokenizer.mask_token_id, *ends[1]]])
        decoder = torch.tensor([[tokenizer.bos_token_id, tokenizer.mask_token_id, *targets[:-1]]])
        logits = model(input_ids=encoder, decoder_input_ids=decoder).logits[0, 1:].log_softmax(-1)
        return float(sum(logits[i, target] for i, target in enumerate(targets)))
    encoded = tokenizer(sentence, return_offsets_mapping=True)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    start = len(sentence) - len(completion) + (offsets[0][0] if backend == "causal" else 0)
    total = 0.0
    for i, (_, end) in enumerate(offsets):
        if end <= start:
            continue
        if backend == "causal":
            if i == 0:
                continue
            logits = model(input_ids=torch.tensor([ids[:-1]])).logits[0, i - 1]
        else:
            masked = torch.tensor([[*ids[:i], tokenizer.mask_token_id, *ids[i + 1 :]]])
            if backend == "enc_dec_mask":
                decoder = torch.tensor([[tokenizer.bos_token_id, tokenizer.mask_token_id]])
                logits = model(input_ids=masked, decoder_input_ids=decoder).logits[0, -1]
            else:
                mask = torch.ones_like(masked)
                logits = model(input_ids=masked, attention_mask=mask).logits[0, i - (backend == "mntp")]
        total += float(logits.log_softmax(-1)[ids[i]])
    return total


def candidates(task: Any) -> list[tuple[str, str, str | None]]:
    """(sentence, completion, prefix) of every candidate of a task."""
    if task.name == "aoa":
        texts = [(context.strip() + " ", word.strip()) for word, _, context in task.contexts]
        return [(before + word, word, before) for before, word in texts]
    items = task.pairs.items if hasattr(task, "pairs") else task.items
    return [c for item in items for c in zip(item.sentences, item.completions, item.prefixes, strict=True)]


def check(model: Any, tokenizer: Any, backend: str, data: Path, names: tuple[str, ...], state: str) -> None:
    suite = TaskSuite(names, data, state=state)  # type: ignore[arg-type]
    results, failures, _ = suite.score(model, tokenizer, backend)  # type: ignore[arg-type]
    assert not failures
    for name, result in results.items():
        task = suite.tasks[name]
        expected = np.array([slow_score(model, tokenizer, backend, *candidate) for candidate in candidates(task)])
        if name == "aoa":
            np.testing.assert_allclose([r["surprisal"] for r in result.records], -expected, atol=1e-4, rtol=0)
            continue
        choosing = task.pairs if hasattr(task, "pairs") else task  # type: ignore[attr-defined]
        if choosing.mean_log_probability:
            asked = task.requests(tokenizer, backend)
            values = scoring.score_requests(model, tokenizer, asked, backend=backend)  # type: ignore[arg-type]
            expected = expected / np.array([max(len(value), 1) for value in values])
        expected = expected.reshape(-1, choosing.candidates)
        np.testing.assert_allclose(result.scores, expected, atol=1e-4, rtol=0)
        assert np.ptp(expected) > 0.02  # two hundred times the tolerance, so that agreement means something
        chosen = [entry["pred"] for found in result.predictions.values() for entry in found["predictions"]]
        texts = [i.sentences if choosing.whole_predictions else i.completions for i in _by_uid(choosing.items)]
        order = [choosing.items.index(item) for item in _by_uid(choosing.items)]
        best = np.argmax(expected[order], axis=1)
        second = np.sort(expected[order], axis=1)[:, -2]
        for pred, text, i, gap in zip(chosen, texts, best, expected[order].max(1) - second, strict=True):
            assert pred == text[i] or gap < 1e-4


def _by_uid(items: list[Any]) -> list[Any]:
    uids = list(dict.fromkeys(item.uid for item in items))
    return [item for uid in uids for item in items if item.uid == uid]


@pytest.mark.parametrize("state", ["p25", "p26"])
@pytest.mark.parametrize("family", MASKED)
def test_masked_models(family: str, state: str, data: Path) -> None:
    tokenizer = tokenizer_for("masked")
    check(language_model(family), tokenizer, "mlm", data, TASKS if family == "bert" else TASKS[:3], state)


@pytest.mark.parametrize("family", ["nhot-deberta-tiny", "diffusion-tiny"])
def test_our_own_models(family: str, data: Path) -> None:
    from babylm_hf.models import build_model

    tokenizer = tokenizer_for("masked")
    torch.manual_seed(0)
    model = build_model(family, tokenizer).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))  # zero-initialised parts would hide what they do
    check(model, tokenizer, "mlm", data, TASKS[:4], "p26")


@pytest.mark.parametrize("opened", ["causal", "causal-bare"])
@pytest.mark.parametrize("family", CAUSAL)
def test_causal_models(family: str, opened: str, data: Path) -> None:
    check(language_model(family), tokenizer_for(opened), "causal", data, TASKS, "p26")


def test_shifted_masked_models(data: Path) -> None:
    check(language_model("bert"), tokenizer_for("masked"), "mntp", data, TASKS[:5], "p26")


@pytest.mark.parametrize("backend", ["enc_dec_mask", "enc_dec_prefix"])
@pytest.mark.parametrize("state", ["p25", "p26"])
def test_encoder_decoder_models(backend: str, state: str, data: Path) -> None:
    check(language_model("t5"), tokenizer_for("masked"), backend, data, ("blimp", "ewok", "entity_tracking"), state)


# -- shared prefixes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", CAUSAL)
def test_prefixes_are_shared_and_change_nothing(family: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = language_model(family), tokenizer_for("causal")
    requests = load_task("entity_tracking", data).requests(tokenizer, "causal")
    plan = ScoringPlan(tokenizer, "causal", requests)
    widths: list[tuple[int, ...]] = []
    plain_read = scoring._Engine._read

    def spy(self: Any, inputs: Any, flat: np.ndarray, targets: np.ndarray) -> np.ndarray:
        widths.append(tuple(inputs["attention_mask"].shape))
        return plain_read(self, inputs, flat, targets)

    monkeypatch.setattr(scoring._Engine, "_read", spy)
    shared = scoring.score_plan(model, plan)
    assert [len(width) for width in widths[:2]] == [2, 4], "a trial takes one batch of rows and one of trees"
    assert len(widths[-1]) == 4, "the trees were not used"
    tree_tokens = sum(map(len, scoring.trees(plan) or []))
    assert tree_tokens < 0.5 * sum(len(row.ids) for row in plan.rows)
    monkeypatch.setattr(scoring, "trees", lambda _: None)
    for one, other in zip(shared, scoring.score_plan(model, plan), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    assert len(widths[-1]) == 2


class Forgetful(transformers.GPT2LMHeadModel):
    """A causal model that heeds no mask of its caller's, as code from elsewhere may."""

    def forward(self, input_ids: Any, attention_mask: Any = None, position_ids: Any = None, **_: Any) -> Any:
        return super().forward(input_ids=input_ids)


def test_models_that_cannot_share_prefixes_are_scored_plainly(data: Path) -> None:
    torch.manual_seed(0)
    model = Forgetful(language_model("gpt2").config).eval()
    check(model, tokenizer_for("causal"), "causal", data, ("entity_tracking", "comps"), "p26")


# -- one plan for all ------------------------------------------------------------------------------------------------


def test_rows_of_their_own_and_texts_in_one_plan() -> None:
    model, tokenizer = language_model("bert"), tokenizer_for("masked")
    ids = tuple(tokenizer("the dog sees the cat.")["input_ids"])
    requests = [Request("the dog sees the cat."), RowRequest(ids, (2, 3), (ids[2], 7)), Request("a cat.")]
    values = scoring.score_requests(model, tokenizer, requests, backend="mlm")
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    np.testing.assert_allclose(values[1], [logits[2, ids[2]], logits[3, 7]], atol=1e-5)
    alone = scoring.score_requests(model, tokenizer, requests[:1], backend="mlm")
    np.testing.assert_allclose(values[0], alone[0], atol=1e-5)


@pytest.mark.parametrize("backend", ["causal", "mlm", "mntp"])
def test_reading_follows_the_published_steps(backend: str, data: Path) -> None:
    """Causal: the last position. Else the first of three masks, or one to its left. Later pieces after the earlier."""
    kinds = {"causal": ("gpt2", "causal"), "mlm": ("bert", "masked"), "mntp": ("bert", "masked")}[backend]
    model, tokenizer = language_model(kinds[0]), tokenizer_for(kinds[1])
    suite = TaskSuite(["reading"], data)
    results, failures, _ = suite.score(model, tokenizer, backend)  # type: ignore[arg-type]
    assert not failures
    task: Any = suite.tasks["reading"]
    predictions = results["reading"].predictions["reading"]["predictions"]  # type: ignore[index]
    assert len(predictions) == 50
    several = 0
    for context, word, index in task.words:
        text, total = context, 0.0
        pieces = tokenizer(word, add_special_tokens=False)["input_ids"]
        several += len(pieces) > 1
        for number, piece in enumerate(pieces):
            ids = tokenizer(text if backend == "causal" else text + 3 * tokenizer.mask_token)["input_ids"]
            place = -1 if backend == "causal" else ids.index(tokenizer.mask_token_id) - (backend == "mntp")
            with torch.no_grad():
                logits = model(torch.tensor([ids])).logits[0, place].log_softmax(-1)
            again = tokenizer(tokenizer.decode(piece), add_special_tokens=False)["input_ids"][0] if number else piece
            total -= float(logits[again])
            text += tokenizer.decode(piece)
        assert predictions[index]["id"] == index
        assert predictions[index]["pred"] == pytest.approx(total, abs=1e-4)
    assert several > 5
    assert sum(np.isnan(entry["prev_pred"]) for entry in predictions) == 25


# -- limits and failures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "limit"), [("bert", 256), ("gpt2", 256), ("llama", None), ("deberta-v2", None)])
def test_the_longest_row(family: str, limit: int | None) -> None:
    assert position_limit(language_model(family)) == limit


def test_texts_that_are_too_long_are_named_and_lose_only_their_task(data: Path) -> None:
    tokenizer = tokenizer_for("masked")
    suite = TaskSuite(["blimp", "entity_tracking"], data)
    results, failures, _ = suite.score(language_model("bert", positions=40), tokenizer, "mlm")
    assert list(results) == ["blimp"]
    assert "of 30 texts are longer than the model's 40 positions" in failures["entity_tracking"]
    assert ".jsonl, line" in failures["entity_tracking"]
    # The same suite serves a model for which they fit.
    results, failures, _ = suite.score(language_model("bert"), tokenizer, "mlm")
    assert set(results) == {"blimp", "entity_tracking"}
    assert not failures


def test_a_task_that_breaks_loses_only_itself(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = TaskSuite(["blimp", "comps", "nonsense=missing"], data)
    assert "no such file or folder" in suite.failures["nonsense"]
    tokenizer = tokenizer_for("masked")
    broken = [RowRequest((1, 99_999, 2), (1,), (5,))]
    monkeypatch.setattr(suite.tasks["comps"], "requests", lambda *_: broken)
    results, failures, _ = suite.score(language_model("bert"), tokenizer, "mlm")
    assert list(results) == ["blimp"]
    assert failures["comps"].startswith("IndexError")
    assert "nonsense" in failures
    with pytest.raises(OptionError, match="No task can be scored"):
        TaskSuite(["nonsense=missing"], data)


def test_wug_needs_both_sentences(data: Path) -> None:
    suite = TaskSuite(["wug_adj", "blimp"], data, state="p25")
    _, failures, _ = suite.score(language_model("t5"), tokenizer_for("masked"), "enc_dec_prefix")
    assert "wug_adj has no prefix" in failures["wug_adj"]


def test_results_are_json(data: Path) -> None:
    suite = TaskSuite(TASKS, data, state="p26")
    found = suite.run(language_model("bert"), tokenizer_for("masked"), "mlm", name="tiny")
    summary = json.loads(json.dumps(found.to_dict()))
    assert summary["precision"] == "fp32"
    assert set(summary["tasks"]) == set(TASKS)
    assert summary["tasks"]["blimp"]["items"] == 8
