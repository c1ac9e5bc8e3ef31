"""Reading pairs, counting them by either state of the official rules, and the public way in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from babylm_hf.corpus.toy import toy_minimal_pairs
from babylm_hf.errors import CorpusError, OptionError
from babylm_hf.evaluation import (
    MinimalPair,
    PairResults,
    backend_of,
    evaluate_model,
    evaluate_pairs,
    load_for_scoring,
    load_pairs,
)

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "eval_sample" / "fast_eval"


def results(good: list[float], bad: list[float], uids: list[str] | None = None) -> PairResults:
    names = uids or ["a"] * len(good)
    pairs = tuple(MinimalPair("g", "b", uid, term=uid.upper(), field="syntax") for uid in names)
    return PairResults(pairs, np.array(good), np.array(bad), "mlm")


@pytest.mark.parametrize(
    ("good", "bad", "p25", "p26"),
    [
        (-1.0, -2.0, 1.0, 1.0),
        (-2.0, -1.0, 0.0, 0.0),
        (-2.0, -2.0, 1.0, 0.5),
        (np.nan, -1.0, 1.0, 0.0),
        (-1.0, np.nan, 0.0, 1.0),
        (np.nan, np.nan, 1.0, 0.5),
        (-np.inf, -np.inf, 1.0, 0.5),
    ],
)
def test_ties_and_numbers_that_are_none(good: float, bad: float, p25: float, p26: float) -> None:
    """`p25` takes torch's argmax, to which a NaN is larger than every number and the first of equals is the largest."""
    found = results([good], [bad])
    assert found.credit("p25")[0] == p25 == float(torch.tensor([good, bad]).argmax() == 0)
    assert found.credit("p26")[0] == p26


def test_the_score_is_the_mean_over_paradigms() -> None:
    found = results([-1, -1, -1, -5, -3], [-2, -2, -2, -4, -3], ["a", "a", "a", "a", "b"])
    assert found.by_paradigm() == {"a": 0.75, "b": 0.5}
    assert found.accuracy() == pytest.approx(0.625)
    assert found.accuracy("p25") == pytest.approx(0.875)
    assert found.by_phenomenon("p25") == {"A": 0.75, "B": 1.0}
    assert found.by_field() == {"syntax": pytest.approx(0.7)}
    assert found.margins.tolist() == [1, 1, 1, -1, 0]


def test_the_summary_is_json() -> None:
    found = results([-1, -2, np.nan, -3.00001], [-2, -2, -1, -3], ["a", "a", "b", "b"])
    summary = json.loads(json.dumps(found.to_dict()))
    assert summary["pairs"] == 4
    assert (summary["ties"], summary["near_ties"], summary["not_a_number"]) == (1, 2, 1)
    assert summary["accuracy"] == summary["accuracy_over_pairs"] == pytest.approx(0.375)
    assert summary["accuracy_p25"] == pytest.approx(0.75)
    assert summary["paradigms"] == {"a": 0.75, "b": 0.0}
    assert set(summary["phenomena"]) == {"A", "B"}


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_reading_a_folder(tmp_path: Path) -> None:
    pair = {"sentence_good": "a b.", "sentence_bad": "b a."}
    write(
        tmp_path / "b.jsonl", [{**pair, "UID": "one", "field": "syntax_semantics", "linguistics_term": "t"}, "\n", pair]
    )
    write(tmp_path / "a.jsonl", [pair, pair, pair])
    write(tmp_path / "readme.txt", ["not a pair"])
    pairs = load_pairs(tmp_path)
    assert [pair.uid for pair in pairs] == ["a", "a", "a", "one", "b"]
    assert pairs[3] == MinimalPair("a b.", "b a.", "one", "t", "syntax/semantics")
    assert [pair.uid for pair in load_pairs(tmp_path, limit=1)] == ["a", "one"]
    assert len(load_pairs(tmp_path / "a.jsonl")) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{broken\n"], r"p.jsonl, line 1: not JSON"),
        ([{"sentence_good": "x.", "sentence_bad": "y."}, {"sentence_good": "x."}], "line 2: .* field sentence_bad"),
        ([{"sentence_good": 3, "sentence_bad": "y."}], "line 1: .* field sentence_good"),
        (["[1]\n"], "line 1: .* field sentence_good"),
        ([], "p.jsonl: the file has no minimal pairs"),
    ],
)
def test_files_that_are_no_pairs(lines: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=message):
        load_pairs(write(tmp_path / "p.jsonl", lines))


def test_folders_without_pairs(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"has no \.jsonl file"):
        load_pairs(tmp_path)
    with pytest.raises(CorpusError, match="no such file or folder"):
        load_pairs(tmp_path / "missing")


@pytest.mark.skipif(not DATA.is_dir(), reason="the evaluation sample is not on this machine")
def test_the_official_files_are_read() -> None:
    pairs = load_pairs(DATA / "blimp_fast")
    assert len({pair.uid for pair in pairs}) == 67
    assert {pair.field for pair in pairs} == {"syntax", "morphology", "semantics", "syntax/semantics"}
    assert {pair.uid for pair in load_pairs(DATA / "supplement_fast")} >= {"hypernym", "turn_taking"}


# -- models -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toy_pairs() -> list[MinimalPair]:
    rows = [row for rows in toy_minimal_pairs(20, 0).values() for row in rows]
    return [MinimalPair(row["sentence_good"], row["sentence_bad"], row["UID"], row["linguistics_term"]) for row in rows]


@pytest.fixture(scope="module")
def tokenizer(toy_pairs: list[MinimalPair]) -> PreTrainedTokenizerFast:
    split = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    words = {word for p in toy_pairs for s in (p.good, p.bad) for word, _ in split.pre_tokenize_str(s)}
    specials = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate([*specials, *sorted(words)])}, unk_token="[UNK]"))
    inner.pre_tokenizer = split
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = dict(zip(("pad_token", "cls_token", "sep_token", "unk_token", "mask_token"), specials, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


@pytest.fixture(scope="module")
def bert(tokenizer: PreTrainedTokenizerFast) -> BertForMaskedLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **sizes)).eval()


def test_an_untrained_model_is_at_chance(bert: Any, tokenizer: Any, toy_pairs: list[MinimalPair]) -> None:
    found = evaluate_pairs(bert, tokenizer, toy_pairs)
    assert found.backend == "mlm"
    assert len(found.by_paradigm()) >= 8
    assert abs(found.accuracy() - 0.5) < 0.1


class Fluent(torch.nn.Module):
    """A masked model that has read the pairs: it finds a word likely where a good sentence has it."""

    def __init__(self, good: list[list[int]], size: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.size = size
        self.likely = {(tuple(ids[:i]), tuple(ids[i + 1 :])): ids[i] for ids in good for i in range(len(ids))}

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = torch.zeros(*input_ids.shape, self.size)
        for row, ids in enumerate(input_ids.tolist()):
            for i in range(len(ids)):
                if (word := self.likely.get((tuple(ids[:i]), tuple(ids[i + 1 :])))) is not None:
                    logits[row, i, word] = 5.0
        return {"logits": logits * self.scale}


def test_a_perfect_model_scores_one(tokenizer: Any, toy_pairs: list[MinimalPair]) -> None:
    model = Fluent([tokenizer(pair.good)["input_ids"] for pair in toy_pairs], len(tokenizer))
    assert evaluate_pairs(model, tokenizer, toy_pairs, "mlm").accuracy() == 1.0


def test_the_backend_goes_by_the_class(bert: Any) -> None:
    assert backend_of(bert) == "mlm"
    assert backend_of(GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=9))) == "causal"
    with pytest.raises(OptionError, match=r"Linear does not say .* --backend"):
        backend_of(torch.nn.Linear(1, 1))


def test_no_pairs(bert: Any, tokenizer: Any) -> None:
    with pytest.raises(OptionError, match="no minimal pairs"):
        evaluate_pairs(bert, tokenizer, [])


def test_a_folder_is_evaluated_like_the_model_in_memory(bert: Any, tokenizer: Any, tmp_path: Path) -> None:
    name, rows = next(iter(toy_minimal_pairs(5, 0).items()))
    data = write(tmp_path / f"{name}.jsonl", rows)
    bert.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    found = evaluate_model(tmp_path / "model", {"toy": data})["toy"]
    again = evaluate_model(bert, {"toy": data}, tokenizer=tokenizer)["toy"]
    np.testing.assert_allclose(found.good, again.good, atol=1e-5)
    assert found.pairs == again.pairs
    assert len(evaluate_model(bert, {"toy": data}, tokenizer=tokenizer, limit=2)["toy"].pairs) == 2


def test_stored_precision_does_not_matter(bert: Any, tokenizer: Any, tmp_path: Path) -> None:
    BertForMaskedLM(bert.config).to(torch.bfloat16).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, _ = load_for_scoring(tmp_path)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not model.training


def test_causal_folders(tokenizer: Any, tmp_path: Path) -> None:
    GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=len(tokenizer))).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert type(load_for_scoring(tmp_path)[0]).__name__ == "GPT2LMHeadModel"


def test_what_cannot_be_evaluated(bert: Any, tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such file"):
        evaluate_model("never/loaded", {"toy": tmp_path / "missing"})
    data = write(tmp_path / "p.jsonl", [{"sentence_good": "a.", "sentence_bad": "b."}])
    with pytest.raises(OptionError, match="needs the tokenizer"):
        evaluate_model(bert, {"toy": data})
    with pytest.raises(OptionError, match="has no revision chck_1M: pass the milestone's own folder"):
        load_for_scoring(tmp_path, revision="chck_1M")
    with pytest.raises(OptionError, match="cannot be loaded"):
        load_for_scoring(tmp_path)
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(OptionError, match="whether it is masked or causal: pass --backend"):
        load_for_scoring(tmp_path)


def test_naming_the_package_is_cheap() -> None:
    code = "import sys, babylm_hf.evaluation; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
