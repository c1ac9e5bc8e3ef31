"""Fine-tuning: the official recipe step by step, what may be changed, and what is refused."""

from __future__ import annotations

import copy
import json
import math

import pytest
import torch
from finetuning_data import FIELDS, save_model, task_rows, write_task
from tiny import SHARED_DATA, tiny_tokenizer
from torch.nn import functional

from babylm_hf.errors import BabyLMError, CorpusError, OptionError
from babylm_hf.evaluation.finetuning import TASKS, Settings, classification_scores, load_classifier, load_task
from babylm_hf.evaluation.finetuning.metrics import constant_score
from babylm_hf.evaluation.finetuning.training import cosine_factor, seed_everything, train_classifier


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {kind: save_model(folder / kind, kind) for kind in ("bert", "deberta-v2", "modernbert", "gpt2", "llama")}


# ---- tasks and data


def test_the_official_numbers():
    assert list(TASKS) == ["boolq", "mnli", "mrpc", "multirc", "qqp", "rte", "wsc"]
    assert {name: task.items for name, task in TASKS.items()} == {
        "boolq": 1635, "mnli": 4908, "mrpc": 204, "multirc": 2424, "qqp": 20215, "rte": 139, "wsc": 52,
    }  # fmt: skip
    assert [name for name, task in TASKS.items() if task.metric == "f1"] == ["mrpc", "qqp"]
    assert [name for name, task in TASKS.items() if task.batch_size == 16] == ["boolq", "multirc"]
    assert [name for name, task in TASKS.items() if task.epochs == 30] == ["wsc"]
    assert TASKS["mnli"].labels == 3
    assert TASKS["mnli"].metrics == ("accuracy",)


@pytest.mark.parametrize("task", list(TASKS))
def test_texts_of_every_task(task, tmp_path):
    folder = write_task(tmp_path, task, train=4, valid=3)
    data = load_task(TASKS[task], folder)
    row, example = task_rows(task, 3, 1)[0], data.valid[0]
    texts = {
        "multirc": lambda: (f"Question: {row['question']} Answer: {row['answer']}", row["paragraph"]),
        "wsc": lambda: (f'Does "{row["span2_text"]}" refer to "{row["span1_text"]}" in this passage?', row["text"]),
    }.get(task, lambda: tuple(row[name] for name in FIELDS[task]))()
    assert (example.first, example.second) == texts
    assert example.label == row["label"]
    assert (len(data.train), len(data.valid), data.selection) == (4, 3, ())


def test_a_tenth_is_held_out_with_whole_contexts_and_both_classes(tmp_path):
    folder = write_task(tmp_path, "multirc", train=200)
    file = folder / "multirc.train.jsonl"
    rows = [json.loads(line) | {"paragraph": f"paragraph {n // 4}"} for n, line in enumerate(file.open())]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = load_task(TASKS["multirc"], folder, held_out=True, seed=7)
    assert len(data.train) + len(data.selection) == 200
    assert 16 <= len(data.selection) <= 24
    assert not {e.context for e in data.train} & {e.context for e in data.selection}
    assert {e.label for e in data.selection} == {0, 1}
    assert load_task(TASKS["multirc"], folder, held_out=True, seed=7) == data
    assert load_task(TASKS["multirc"], folder, held_out=True, seed=8).selection != data.selection


@pytest.mark.parametrize("place", ["", "glue_filtered", "full_eval/glue_filtered"])
def test_any_folder_of_the_official_layout_will_do(place, tmp_path):
    write_task(tmp_path / place, "rte")
    assert len(load_task(TASKS["rte"], tmp_path, max_train_examples=5).train) == 5


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not JSON"),
        ('["a"]', "line 2: an example is a JSON object"),
        ('{"sentence1": "a", "label": 0}', "line 2: an example of rte needs the field sentence2"),
        ('{"sentence1": "a", "sentence2": "b", "label": 2}', "line 2: the label of rte must be a number from 0 to 1"),
        ('{"sentence1": "a", "sentence2": "b"}', "line 2: the label of rte"),
        ('{"sentence1": "a", "sentence2": "b", "label": "entailment"}', "line 2: the label of rte"),
    ],
)
def test_lines_that_are_no_examples_are_named(line, said, tmp_path):
    folder = write_task(tmp_path, "rte")
    file = folder / "rte.valid.jsonl"
    file.write_text(file.read_text().splitlines()[0] + "\n" + line + "\n")
    with pytest.raises(CorpusError, match=f"rte.valid.jsonl, {said}"):
        load_task(TASKS["rte"], folder)


def test_missing_files_and_too_few_examples_are_named(tmp_path):
    with pytest.raises(CorpusError, match="no fine-tuning data"):
        load_task(TASKS["rte"], tmp_path)
    folder = write_task(tmp_path, "rte", train=6)
    with pytest.raises(OptionError, match="6 training examples of rte are too few"):
        load_task(TASKS["rte"], folder, held_out=True)
    (folder / "rte.train.jsonl").unlink()
    with pytest.raises(CorpusError, match=r"rte\.train\.jsonl missing; rte needs both"):
        load_task(TASKS["rte"], folder)


# ---- head, pooling, schedule, scores


def test_the_head_is_the_official_one(models):
    model, _ = load_classifier(models["bert"], 2)
    head = model.classifier
    assert [name for name, _ in head.named_parameters()] == ["1.weight", "1.bias", "5.weight", "5.bias"]
    states = torch.randn(3, 32)
    hidden = functional.gelu(functional.layer_norm(states, (32,), eps=1e-5) @ head[1].weight.T + head[1].bias)
    expected = functional.layer_norm(hidden, (32,), eps=1e-5) @ head[5].weight.T + head[5].bias
    torch.testing.assert_close(head.eval()(states), expected)
    assert head[4].p == 0.1


@pytest.mark.parametrize(
    ("kind", "pooling", "used"),
    [
        ("bert", "auto", "first"),
        ("bert", "last", "last"),
        ("deberta-v2", "auto", "first"),
        ("modernbert", "auto", "first"),
        ("gpt2", "auto", "last"),
        ("llama", "auto", "last"),
        ("llama", "first", "first"),
    ],
)
def test_the_right_token_is_classified(models, kind, pooling, used):
    """A single row has no padding: its logits are the head's on the first or last hidden state."""
    model, tokenizer = load_classifier(models[kind], 2, pooling=pooling)
    model.eval()
    row = tokenizer("a dog", "a cat runs", return_tensors="pt")
    with torch.no_grad():
        states = model.encoder(input_ids=row["input_ids"], attention_mask=row["attention_mask"]).last_hidden_state
        expected = model.classifier(states[:, 0 if used == "first" else -1])
        torch.testing.assert_close(model(row["input_ids"], row["attention_mask"]), expected)
    assert tokenizer.padding_side == ("right" if used == "first" else "left")


@pytest.mark.parametrize("kind", ["bert", "deberta-v2", "modernbert", "llama"])
def test_padding_does_not_change_the_logits(models, kind):
    """For GPT-2 it does, here as officially: padding on the left shifts its absolute positions."""
    model, tokenizer = load_classifier(models[kind], 2)
    model.eval()
    alone = tokenizer("a dog", "a cat", return_tensors="pt")
    batch = tokenizer(["a dog", "the dogs run and run"], ["a cat", "the cats sit and sit"], padding=True)
    batch = {name: torch.tensor(batch[name]) for name in ("input_ids", "attention_mask")}
    assert batch["attention_mask"][0].sum() < batch["attention_mask"][1].sum()
    with torch.no_grad():
        torch.testing.assert_close(model(**batch)[:1], model(alone["input_ids"], alone["attention_mask"]))


def test_the_learning_rate_rises_then_falls_to_a_tenth():
    factors = [cosine_factor(step, 6, 100, 0.1) for step in range(101)]
    assert factors[:7] == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert factors[53] == pytest.approx(0.55)
    assert factors[100] == pytest.approx(0.1)
    assert factors[6:] == sorted(factors[6:], reverse=True)


def test_scores_by_hand():
    # 3 true positives, 1 false positive, 2 false negatives, 2 true negatives
    predictions, labels = [1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 1, 1, 0, 0]
    scores = classification_scores(predictions, labels, ("accuracy", "f1", "mcc"))
    mcc = (3 * 2 - 1 * 2) / math.sqrt(4 * 5 * 3 * 4)
    assert scores == pytest.approx({"accuracy": 5 / 8, "f1": 6 / 9, "mcc": mcc})
    assert classification_scores([0, 0], [1, 1], ("f1", "mcc")) == {"f1": 0.0, "mcc": 0.0}
    assert constant_score(labels, "accuracy") == 5 / 8
    assert constant_score(labels, "f1") == pytest.approx(10 / 13)


# ---- the loop


def obvious_run(folder, data, settings, seed):
    """The official recipe in its plainest form: nothing prepared, the model copied when an epoch is best."""
    seed_everything(seed)
    model, tokenizer = load_classifier(folder, data.task.labels)

    def collate(examples):
        texts = [(example.first, example.second) for example in examples]
        rows = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=512)
        return rows["input_ids"], rows["attention_mask"], torch.tensor([example.label for example in examples])

    def loader(examples, **options):
        return torch.utils.data.DataLoader(list(examples), collate_fn=collate, **options)

    train = loader(data.train, batch_size=settings.batch_size, shuffle=True, drop_last=True)
    valid = loader(data.valid, batch_size=64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.01)
    steps, total = 0, len(train) * settings.epochs
    warmup, best, best_score = int(0.06 * total), None, None
    losses = []
    for _ in range(settings.epochs):
        model.train()
        losses.append([])
        for ids, mask, labels in train:
            share = (steps - warmup) / (total - warmup)
            factor = steps / warmup if steps < warmup else 0.1 + 0.9 * (1 + math.cos(math.pi * share)) / 2
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * factor
            loss = functional.cross_entropy(model(ids, mask), labels)
            losses[-1].append(loss.item())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
        model.eval()
        with torch.no_grad():
            answers = [(model(ids, mask).argmax(-1), labels) for ids, mask, labels in valid]
        score = classification_scores(*(torch.cat(part).tolist() for part in zip(*answers, strict=True)))["accuracy"]
        if best_score is None or score > best_score:
            best, best_score = copy.deepcopy(model), score
    with torch.no_grad():
        return torch.cat([best(ids, mask).argmax(-1) for ids, mask, _ in valid]).tolist(), best_score, losses


@pytest.mark.parametrize("kind", ["deberta-v2", "llama"])
def test_a_run_equals_the_obvious_one(models, kind, tmp_path):
    data = load_task(TASKS["mnli"], write_task(tmp_path, "mnli", train=45, valid=70))
    settings = Settings(learning_rate=3e-3, epochs=6, batch_size=16).for_task(TASKS["mnli"])
    predictions, score, losses = obvious_run(models[kind], data, settings, seed=5)
    seed_everything(5)
    model, tokenizer = load_classifier(models[kind], 3)
    trained = train_classifier(model, tokenizer, data, settings)
    assert trained.predictions == predictions
    assert [epoch["loss"] for epoch in trained.epochs] == pytest.approx([sum(each) / 2 for each in losses], rel=1e-6)
    assert max(epoch["accuracy"] for epoch in trained.epochs) == score
    assert trained.epochs[trained.best_epoch - 1]["accuracy"] == score
    assert trained.steps == 12, "the 13 examples of an incomplete batch are dropped in each of 6 passes"
    assert trained.last == {"accuracy": trained.epochs[-1]["accuracy"]}
    assert len(set(predictions)) > 1, "a model with one answer would agree with anything"


@pytest.mark.parametrize("kind", ["deberta-v2", "gpt2"])
def test_what_can_be_learned_is_learned(models, kind, tmp_path):
    data = load_task(TASKS["rte"], write_task(tmp_path, "rte", train=96, valid=40))
    seed_everything(0)
    model, tokenizer = load_classifier(models[kind], 2)
    settings = Settings(learning_rate=3e-3, epochs=8, batch_size=16)
    trained = train_classifier(model, tokenizer, data, settings)
    assert max(epoch["accuracy"] for epoch in trained.epochs) >= 0.9
    assert trained.epochs[-1]["loss"] < 0.5 * trained.epochs[0]["loss"]


@pytest.mark.parametrize("preset", ["nhot-deberta-tiny", "diffusion-tiny"])
def test_our_own_models_are_fine_tuned_from_their_folders(preset, tmp_path):
    from babylm_hf.models import build_model

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    build_model(preset, tiny_tokenizer(), **sizes).save_pretrained(tmp_path / preset)
    tiny_tokenizer().save_pretrained(tmp_path / preset)
    data = load_task(TASKS["rte"], write_task(tmp_path, "rte", train=64))
    seed_everything(0)
    model, tokenizer = load_classifier(tmp_path / preset, 2, trust_remote_code=True)
    trained = train_classifier(model, tokenizer, data, Settings(learning_rate=2e-3, epochs=4, batch_size=16))
    assert trained.epochs[-1]["loss"] < trained.epochs[0]["loss"]


def test_a_held_out_epoch_does_not_depend_on_the_scored_labels(models, tmp_path):
    folder = write_task(tmp_path, "rte", train=120, valid=30)

    def run():
        data = load_task(TASKS["rte"], folder, held_out=True, seed=1)
        seed_everything(1)
        model, tokenizer = load_classifier(models["bert"], 2)
        return train_classifier(model, tokenizer, data, Settings(learning_rate=1e-3, epochs=3, batch_size=16))

    first = run()
    file = folder / "rte.valid.jsonl"
    rows = [json.loads(line) for line in file.open()]
    file.write_text("".join(json.dumps(row | {"label": 1 - row["label"]}) + "\n" for row in rows))
    second = run()
    assert first.last is None
    assert (second.predictions, second.best_epoch) == (first.predictions, first.best_epoch)


# ---- what is refused


def test_unusable_models_are_refused(models, tmp_path):
    data = load_task(TASKS["rte"], write_task(tmp_path / "data", "rte"))
    short, tokenizer = load_classifier(save_model(tmp_path / "short", positions=12), 2)
    with pytest.raises(OptionError, match=r"rte: the longest example has \d+ tokens, the model only 12 positions"):
        train_classifier(short, tokenizer, data, Settings().for_task(TASKS["rte"]))
    train_classifier(short, tokenizer, data, Settings(max_length=12, epochs=1).for_task(TASKS["rte"]))
    with pytest.raises(OptionError, match="less than one batch of 64"):
        train_classifier(short, tokenizer, data, Settings(max_length=12, batch_size=64).for_task(TASKS["rte"]))
    with pytest.raises(OptionError, match="has no revision chck_1M"):
        load_classifier(models["bert"], 2, revision="chck_1M")
    with pytest.raises(OptionError, match="cannot be loaded"):
        load_classifier(tmp_path / "nothing", 2)
    folder = save_model(tmp_path / "no_pad", "llama")
    bare = copy.deepcopy(tiny_tokenizer())
    bare.pad_token = None
    bare.save_pretrained(folder)
    with pytest.raises(OptionError, match="no pad token"):
        load_classifier(folder, 2)


def test_vocabulary_logits_are_refused(models):
    from transformers import AutoModelForMaskedLM

    model, tokenizer = load_classifier(models["bert"], 2)
    model.encoder = AutoModelForMaskedLM.from_pretrained(models["bert"])
    row = tokenizer("a", "b", return_tensors="pt")
    with pytest.raises(OptionError, match="vocabulary logits where AutoModel must give hidden states"):
        model(row["input_ids"], row["attention_mask"])


def test_a_loss_that_is_not_finite_ends_the_run(models, tmp_path):
    data = load_task(TASKS["rte"], write_task(tmp_path, "rte"))
    model, tokenizer = load_classifier(models["bert"], 2)
    model.encoder.embeddings.word_embeddings.weight.data.fill_(math.nan)
    with pytest.raises(BabyLMError, match="rte: the loss is not finite in epoch 1"):
        train_classifier(model, tokenizer, data, Settings(epochs=2, batch_size=16))


@pytest.mark.parametrize(
    "options", [{"epochs": 0}, {"batch_size": -1}, {"max_length": 4}, {"max_train_examples": -1}, {"learning_rate": 0}]
)
def test_settings_that_cannot_be(options):
    with pytest.raises(OptionError, match=f"--{next(iter(options))}"):
        Settings(**options)


@pytest.mark.skipif(not (SHARED_DATA / "eval_sample").is_dir(), reason="needs the sample of the official data")
@pytest.mark.parametrize("task", ["rte", "mrpc", "wsc"])
def test_the_official_files_are_read(task):
    data = load_task(TASKS[task], SHARED_DATA / "eval_sample")
    assert len(data.train) >= 20
    assert len(data.valid) >= 20
    assert {example.label for example in data.valid} == {0, 1}
