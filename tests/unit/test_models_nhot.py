"""N-hot embeddings: the paper's example, the formula, its options, and what loads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from synthetic_record import MANIFEST
from tiny import SHARED_DATA, tiny_lines, tiny_tokenizer
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    DebertaV2ForMaskedLM,
)
from without_package import run_without_package

from babylm_hf.arguments import ModelArguments
from babylm_hf.corpus import load_tokenizer, train_tokenizer
from babylm_hf.errors import OptionError
from babylm_hf.models import PositionSelector, build_config, build_model
from babylm_hf.models.deberta_attention import use_fast_attention
from babylm_hf.models.nhot import (
    NHotDebertaConfig,
    NHotDebertaForMaskedLM,
    NHotDebertaForSequenceClassification,
    NHotDebertaModel,
    NHotEmbedding,
    fill_substrings,
    substring_table,
)
from babylm_hf.models.remote_code import trusts
from babylm_hf.publishing import ModelCardRenderer, RunRecord

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "dropout": 0.0}


def model_of(seed=0, **options):
    torch.manual_seed(seed)
    return build_model("nhot-deberta-tiny", tiny_tokenizer(), **{**SIZES, **options}).eval()


def rows_of(batch=3, length=20):
    words = [*tiny_lines()[:batch]]
    return tiny_tokenizer()(words, padding="max_length", truncation=True, max_length=length, return_tensors="pt")


def pieces_of(tokenizer, numbers):
    return {tokenizer.convert_ids_to_tokens(number) for number in numbers}


@pytest.mark.skipif(not (SHARED_DATA / "tokenizer").is_dir(), reason="needs the SentencePiece model of the reference")
def test_the_example_of_the_paper_and_the_size_of_its_table():
    tokenizer = load_tokenizer(str(SHARED_DATA / "tokenizer" / "bb24.model"))
    table = substring_table(tokenizer)
    expected = "_doing doing _doin oing ing oin _do do in ng oi _d d g i n o _".replace("_", "▁").split()
    assert tokenizer.convert_tokens_to_ids("▁doing") == 1359
    assert pieces_of(tokenizer, table[1359]) == set(expected)
    assert len(table[1359]) == 18
    sizes = [len(substrings) for substrings in table if substrings]
    assert (len(sizes), sum(sizes), np.median(sizes), max(sizes)) == (39_739, 711_688, 17, 55)
    for number in [*tokenizer.all_special_ids, tokenizer.convert_tokens_to_ids("<0x0A>")]:
        assert table[number] == []

    with torch.device("meta"):
        config = build_config("nhot-deberta-base", tokenizer, hidden_size=384, intermediate_size=1280)
        nhot = NHotDebertaForMaskedLM(config)
        plain = DebertaV2ForMaskedLM(
            build_config("deberta-v3-base", tokenizer, hidden_size=384, intermediate_size=1280)
        )
    assert sum(p.numel() for p in plain.parameters()) == 34_677_952
    assert sum(p.numel() for p in nhot.parameters()) == 34_677_952 + 15_360_000


@pytest.mark.parametrize("algorithm", ["bpe", "wordpiece", "unigram"])
def test_substrings_are_what_a_search_finds_in_every_vocabulary(algorithm):
    tokenizer = train_tokenizer(iter([list(tiny_lines())]), algorithm, 600 if algorithm == "bpe" else 300)
    mark = "Ġ" if algorithm == "bpe" else "▁"

    def surface(piece):
        if algorithm != "wordpiece":
            return piece
        return piece[2:] if piece.startswith("##") else mark + piece

    ids = {surface(piece): i for piece, i in tokenizer.get_vocab().items() if i not in tokenizer.all_special_ids}
    table = substring_table(tokenizer)
    bare = substring_table(tokenizer, itself=False, word_start=False)
    for piece, number in ids.items():
        inside = {other for text, other in ids.items() if text in piece}
        assert set(table[number]) == inside, piece
        assert set(bare[number]) == inside - {number, ids.get(mark)}
    assert all(table[number] == [] for number in tokenizer.all_special_ids)
    assert sum(map(len, table)) > 3 * len(table), "the test would see nothing"


def test_special_pieces_take_part_if_told_to():
    tokenizer = tiny_tokenizer()
    mask = tokenizer.mask_token_id
    found = pieces_of(tokenizer, substring_table(tokenizer, with_specials=True)[mask])
    assert {"[MASK]", "M", "A", "S", "K", "[", "]"} <= found
    plain = substring_table(tokenizer)
    assert all(mask not in substrings for substrings in plain)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nhot_scaling": "mean"},
        {"nhot_scaling": "sqrt", "nhot_gate": 0.3},
        {"nhot_bias": True},
        {"nhot_self": False},
    ],
    ids=str,
)
def test_vectors_and_gradients_are_those_of_the_formula(options):
    model = model_of(**options)
    embedding = model.get_input_embeddings()
    if embedding.substring_bias is not None:
        torch.nn.init.normal_(embedding.substring_bias)
    ids = rows_of()["input_ids"]
    table = substring_table(tiny_tokenizer(), itself=options.get("nhot_self", True))
    n_hot = torch.zeros(len(table), len(table))
    for number, substrings in enumerate(table):
        n_hot[number, substrings] = 1
    sizes = n_hot.sum(1, keepdim=True).clamp(min=1)
    divided = n_hot / {"sum": 1, "mean": sizes, "sqrt": sizes.sqrt()}[options.get("nhot_scaling", "sum")]
    linear = divided @ embedding.substring_weight
    if embedding.substring_bias is not None:
        linear = linear + embedding.substring_bias
    expected = embedding.weight[ids] + linear[ids] * (1 if embedding.gate is None else embedding.gate)
    found = embedding(ids)
    assert torch.allclose(found, expected, atol=1e-6)
    everything = embedding._scaled(
        embedding._bags(embedding.substring_ids, embedding.substring_starts[:-1]), embedding.substring_starts.diff()
    )  # as on a GPU
    assert torch.allclose(everything[ids], embedding.substring_part(ids), atol=1e-6)
    target = torch.randn_like(found)
    weights = [weight for name, weight in embedding.named_parameters() if name != "weight"]
    one = torch.autograd.grad((found * target).sum(), weights)
    other = torch.autograd.grad((expected * target).sum(), weights)
    for mine, theirs in zip(one, other, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)


def test_the_head_is_tied_to_the_word_vectors_alone_and_found():
    model = model_of()
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    batch = rows_of()
    flat = torch.tensor([3, 41, 7])
    selector = PositionSelector(model)
    assert selector.head is model.cls
    full = model(**batch).logits
    assert torch.allclose(selector.logits(dict(batch), flat), full.reshape(-1, full.shape[-1])[flat], atol=1e-5)


def test_zero_start_is_a_plain_deberta_and_every_part_learns():
    model = model_of(nhot_start="zero", nhot_bias=True, nhot_gate=1.0)
    plain = build_model("deberta-tiny", tiny_tokenizer(), **SIZES).eval()
    missing, unexpected = plain.load_state_dict(model.state_dict(), strict=False)
    assert missing == []
    assert all("substring" in name or "gate" in name for name in unexpected)
    batch = rows_of()
    assert torch.allclose(model(**batch).logits, plain(**batch).logits, atol=1e-5)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        model(**batch, labels=batch["input_ids"]).loss.backward()
        optimizer.step()
    embedding = model.get_input_embeddings()
    assert all(parameter.grad.abs().sum() > 0 for parameter in embedding.parameters())
    assert not torch.allclose(model.eval()(**batch).logits, plain(**batch).logits, atol=1e-3)


def test_fast_attention_gives_the_stock_numbers():
    model, batch = model_of(), rows_of()
    present = batch["attention_mask"].bool()
    stock = model(**batch).logits
    assert use_fast_attention(model) == 2
    assert torch.allclose(model(**batch).logits[present], stock[present], atol=1e-5)


def test_everything_loads_from_its_folder(tmp_path):
    model, batch = model_of(nhot_scaling="sqrt", nhot_gate=0.5), rows_of()
    model.save_pretrained(tmp_path)
    assert trusts(tmp_path)
    again = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert isinstance(again, NHotDebertaForMaskedLM)
    assert torch.equal(again.eval()(**batch).logits, model(**batch).logits)
    assert again.config.to_dict() == AutoConfig.from_pretrained(tmp_path).to_dict()
    assert isinstance(AutoModel.from_pretrained(tmp_path), NHotDebertaModel)
    half = AutoModelForMaskedLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert half.get_input_embeddings().substring_ids.dtype == torch.int32
    assert torch.isfinite(half(**batch).logits).all()

    classifier, report = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, num_labels=3, output_loading_info=True
    )
    assert isinstance(classifier, NHotDebertaForSequenceClassification)
    assert all(name.startswith(("pooler.", "classifier.")) for name in report["missing_keys"])
    body = NHotDebertaModel.from_pretrained(tmp_path)
    assert torch.equal(
        classifier.deberta.get_input_embeddings()(batch["input_ids"]), body.get_input_embeddings()(batch["input_ids"])
    )
    assert classifier(**batch, labels=torch.tensor([0, 1, 2])).loss.isfinite()
    classifier.save_pretrained(tmp_path / "tuned")
    tuned = AutoModelForSequenceClassification.from_pretrained(tmp_path / "tuned")
    assert torch.equal(tuned.eval()(**batch).logits, classifier.eval()(**batch).logits)


LOADER = """
import numpy, torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification
folder, ids, out = sys.argv[1:]
ids = torch.tensor(numpy.load(ids))
with torch.no_grad():
    masked = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True).eval()
    body = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
    numpy.savez(out, logits=masked(ids).logits.numpy(), hidden=body(ids).last_hidden_state.numpy())
    classifier = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True, num_labels=2)
    classifier(ids, labels=torch.tensor([0, 1])).loss
    classifier.save_pretrained(out + '-tuned')  # somebody else's fine-tuning keeps the code
    AutoModelForSequenceClassification.from_pretrained(out + '-tuned', trust_remote_code=True)
"""


def test_it_loads_without_the_package(tmp_path, monkeypatch):
    model = model_of(seed=1)
    ids = rows_of(batch=2)["input_ids"]
    model.save_pretrained(tmp_path / "model")
    np.save(tmp_path / "ids.npy", ids.numpy())
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    run_without_package(LOADER, tmp_path / "model", tmp_path / "ids.npy", tmp_path / "out.npz")
    found = np.load(tmp_path / "out.npz")
    with torch.no_grad():
        assert np.array_equal(found["logits"], model(ids).logits.numpy())
        assert np.array_equal(found["hidden"], model.deberta(ids).last_hidden_state.numpy())
    assert trusts(tmp_path / "out.npz-tuned")


def test_a_stock_deberta_classifier_loads_from_what_we_save(tmp_path):
    plain = build_model("deberta-tiny", tiny_tokenizer(), **SIZES)
    plain.save_pretrained(tmp_path)
    classifier, report = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert all(name.startswith(("pooler.", "classifier.")) for name in report["missing_keys"])
    assert classifier.pooler.dense.weight.shape == (32, 32)
    assert classifier(**rows_of()).logits.shape == (3, 2)


def test_a_model_without_its_table_says_so(tmp_path):
    config = build_config("nhot-deberta-tiny", tiny_tokenizer(), **SIZES)
    empty = NHotDebertaForMaskedLM(config)
    with pytest.raises(ValueError, match="fill_substrings"):
        empty(**rows_of())
    fill_substrings(empty, tiny_tokenizer())
    assert empty(**rows_of()).logits.isfinite().all()
    plain = build_model("deberta-tiny", tiny_tokenizer(), **SIZES)
    plain.save_pretrained(tmp_path)  # stock weights have no table either
    with pytest.raises(ValueError, match="fill_substrings"):
        NHotDebertaForMaskedLM.from_pretrained(tmp_path, config=config)(**rows_of())
    with pytest.raises(ValueError, match="do not fit"):
        empty.get_input_embeddings().fill([[0]] * 10)


def test_what_it_refuses():
    model = model_of()
    assert model.resize_token_embeddings(len(tiny_tokenizer())) is model.get_input_embeddings()
    with pytest.raises(ValueError, match="cannot change its vocabulary"):
        model.resize_token_embeddings(len(tiny_tokenizer()) + 1)
    for options in ({"nhot_scaling": "max"}, {"nhot_start": "one"}):
        with pytest.raises(ValueError, match="choose one of"):
            NHotDebertaConfig(**options)
    with pytest.raises(OptionError, match="--nhot_gate cannot be set"):
        build_model("deberta-tiny", tiny_tokenizer(), nhot_gate=0.5)


def test_options_of_a_recipe_reach_the_configuration():
    given = ModelArguments(nhot_scaling="mean", nhot_self=False, nhot_gate=0.0).overrides()
    assert given == {"nhot_scaling": "mean", "nhot_self": False, "nhot_gate": 0.0}
    model = model_of(**given)
    assert isinstance(model.get_input_embeddings(), NHotEmbedding)
    assert (model.config.nhot_scaling, model.config.nhot_self, model.config.nhot_gate) == ("mean", False, 0.0)
    assert model.get_input_embeddings().gate.item() == 0.0


def test_the_card_says_how_to_load_it(tmp_path):
    manifest = {**MANIFEST, "model": {**MANIFEST["model"], "architecture": "nhot-deberta-v2"}}
    record = RunRecord.create(tmp_path, manifest)
    record.append("milestone", step=1, words=1_000_000, name="chck_1M", folder="chck_1M", target_words=1_000_000)
    card = ModelCardRenderer(record).render()
    assert 'pipeline("fill-mask", model=name, trust_remote_code=True)' in card
    assert "AutoModelForMaskedLM.from_pretrained(name, trust_remote_code=True)\n```" in card
    assert 'from_pretrained(name + "/chck_1M", trust_remote_code=True)' in card
    assert 'revision="chck_1M", trust_remote_code=True' in card


def test_the_table_is_saved_once_and_small(tmp_path):
    model = model_of()
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert saved["deberta.embeddings.word_embeddings.substring_ids"].dtype == torch.int32
    assert len(saved["deberta.embeddings.word_embeddings.substring_ids"]) == model.config.nhot_entries
    assert "cls.predictions.decoder.weight" not in saved
