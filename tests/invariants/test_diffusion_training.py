"""Training a diffusion model: its objective, its averages, its resumes, and what its folders hold."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from stops import StopAfter
from tiny import tiny_lines, tiny_stream, tiny_tokenizer, tiny_trainer
from without_package import run_without_package

from babylm_hf.masking import DataCollatorForDiffusionMasking
from babylm_hf.models import build_model
from babylm_hf.objectives import DiffusionObjective, MaskedObjective, objective_for
from babylm_hf.objectives.masked import TargetLosses

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
STEPS = 6


def diffusion_model(seed=0, awake=False, **options):
    torch.manual_seed(seed)
    model = build_model("diffusion-tiny", tiny_tokenizer(), **{**SIZES, "dropout": 0.0, **options})
    if awake:
        with torch.no_grad():
            for layer in model.model.layers:
                layer.modulation.weight.normal_(std=0.3)
                layer.modulation.bias.normal_(std=0.3)
    return model


def diffusion_trainer(folder, rows, model=None, **options):
    defaults = {"max_steps": STEPS, "max_seq_len": "16", "learning_rate": 0.01}
    collator = options.pop("collator", None) or DataCollatorForDiffusionMasking(tiny_tokenizer())
    return tiny_trainer(folder, rows, model=model or diffusion_model(), collator=collator, **{**defaults, **options})


def losses(trainer):
    return [(line["loss"], line["grad_norm"]) for line in trainer.state.log_history if "loss" in line]


def test_the_model_chooses_the_objective(tmp_path):
    assert isinstance(objective_for(diffusion_model()), DiffusionObjective)
    trainer = diffusion_trainer(tmp_path, tiny_stream(tmp_path, 1500))
    assert isinstance(trainer.objective, DiffusionObjective)
    assert type(objective_for(tiny_trainer(tmp_path, trainer.rows).model)) is MaskedObjective


def test_the_loss_is_weighted_and_the_model_is_told_its_rate(tmp_path):
    rows, model = tiny_stream(tmp_path), diffusion_model(awake=True)
    trainer = diffusion_trainer(tmp_path, rows, model=model, max_steps=1, eval_seq_len=16)
    step = trainer.plan.step(0)
    keys = {
        "example_id": torch.from_numpy(step.rows),
        "places": torch.arange(len(step.rows)),
        "step_rows": len(step.rows),
    }
    fetched = {name: torch.from_numpy(values) for name, values in rows.fetch(16, step.rows).items()}
    batch = trainer.data_collator.mask({**fetched, **keys}, pass_index=0, step=0)

    def expected(rate):
        with torch.no_grad():
            logits = model(batch["input_ids"], batch["attention_mask"], mask_rate=rate).logits
        found = F.cross_entropy(logits.transpose(1, 2), batch["labels"], ignore_index=-100, reduction="none")
        return float((found * batch["loss_weights"]).sum() / batch["maskable"].sum())

    told, not_told = expected(batch["mask_rate"]), expected(None)
    assert abs(told - not_told) > 1e-3
    trainer.train()
    assert losses(trainer)[0][0] == pytest.approx(told, rel=1e-5)


def test_the_example_of_the_specification(monkeypatch, tmp_path):
    """Micro-batches with summed losses 20 and 30 over 10 and 30 maskable tokens: 50 / 40, and not (20/10 + 30/30)/2."""
    trainer = diffusion_trainer(tmp_path, tiny_stream(tmp_path, 1500))
    parts = [(20.0, 10), (30.0, 30)]
    batches = [{"count": count, "target_ids": torch.zeros(1, dtype=torch.long)} for _, count in parts]
    count = sum(trainer.objective.count(batch) for batch in batches)
    sums = iter(parts)

    def made(inputs, forward=None):
        return TargetLosses(torch.tensor([next(sums)[0]]), torch.zeros(1, dtype=torch.long), None)

    monkeypatch.setattr(trainer, "objective", made)
    trainer.model.eval()
    step = [trainer.compute_loss(trainer.model, batch, num_items_in_batch=count) for batch in batches]
    assert float(sum(step)) == pytest.approx(1.25)


@pytest.mark.parametrize("frequency", [False, True])
def test_accumulation_changes_nothing(tmp_path, frequency):
    rows = tiny_stream(tmp_path)
    counts = rows.token_counts() if frequency else None

    def run(folder, accumulation):
        collator = DataCollatorForDiffusionMasking(
            tiny_tokenizer(), token_counts=counts, exponent=0.5, curriculum=False, loss_weighting="token"
        )
        trainer = diffusion_trainer(
            folder, rows, collator=collator, max_steps=3, gradient_accumulation_steps=accumulation
        )
        trainer.train()
        return losses(trainer)

    whole = run(tmp_path / "1", 1)
    assert len({round(loss, 6) for loss, _ in whole}) == 3
    for accumulation in (2, 4):
        assert run(tmp_path / str(accumulation), accumulation) == [pytest.approx(pair, rel=1e-5) for pair in whole]


def test_time_conditioning_wakes_up_in_training(tmp_path):
    trainer = diffusion_trainer(tmp_path, tiny_stream(tmp_path))
    model = trainer.model
    ids = tiny_tokenizer()("the dog sees the cat .", return_tensors="pt")["input_ids"]
    ids[0, 2] = tiny_tokenizer().mask_token_id

    def scores(rate):
        with torch.no_grad():
            return model.eval()(ids, mask_rate=rate).logits[0, 2].log_softmax(-1)

    zero, one_over = 0.0, 1 / ids.shape[1]
    assert torch.equal(scores(zero), scores(one_over))
    trainer.train()
    assert all(layer.modulation.bias.abs().max() > 0 for layer in model.model.layers)
    assert not torch.equal(scores(zero), scores(one_over))


def test_held_out_text_has_a_likelihood_bound_that_falls(tmp_path):
    rows, held_out = tiny_stream(tmp_path), tiny_stream(tmp_path / "held", 600, seed=1)
    trainer = diffusion_trainer(tmp_path, rows, eval_dataset=held_out, max_steps=40, nelbo_tokens=600)
    before = trainer.evaluate()
    again = trainer.evaluate()
    assert before["eval_nelbo"] == again["eval_nelbo"]
    # Without time and context a model that has learnt nothing is nearly flat over the vocabulary.
    assert before["eval_nelbo"] == pytest.approx(np.log(len(tiny_tokenizer())), rel=0.15)
    trainer.train()
    after = trainer.evaluate()
    assert after["eval_nelbo"] + 3 * after["eval_nelbo_error"] < before["eval_nelbo"] - 0.3
    trainer.args.nelbo_tokens = 0
    assert "eval_nelbo" not in trainer.evaluate()


# ---------------------------------------------------------------- averages, resumes


AVERAGED = {"ema_decay": 0.9, "lamb": True, "lamb_coupled_decay": True, "lr_floor": 0.1, "cooldown_steps": 2.0}


@pytest.mark.parametrize("step", [1, 4])
def test_a_resumed_run_ends_bit_for_bit_with_its_average(tmp_path, step):
    rows = tiny_stream(tmp_path, 1500)

    def run(folder, resume=None, **options):
        model = diffusion_model(dropout=0.1)
        saving = {"save_strategy": "steps", "save_steps": 1000, "warmup_steps": 1}
        trainer = diffusion_trainer(folder, rows, model=model, **saving, **AVERAGED, **options)
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = run(tmp_path / "whole")
    run(tmp_path / "cut", callbacks=[StopAfter(step)])
    resumed = run(tmp_path / "cut", resume="auto")
    assert losses(resumed) == losses(whole)[step:] or losses(resumed) == losses(whole)
    assert resumed.average.updates == whole.average.updates == STEPS
    for one, other in ((whole.model, resumed.model), (whole.average.averaged.module, resumed.average.averaged.module)):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name


def test_folders_hold_the_average_and_checkpoints_the_weights(tmp_path):
    from safetensors.torch import load_file

    rows, measured = tiny_stream(tmp_path, 1500), {}

    def measure(model, tokenizer, milestone):
        measured[milestone] = model.head.dense.weight.detach().clone()
        return {"score": 1.0}

    trainer = diffusion_trainer(
        tmp_path,
        rows,
        milestones="400",
        save_strategy="steps",
        milestone_tasks={"task": measure},
        **AVERAGED,
    )
    trainer.train()
    trainer.finish()
    run, [milestone] = tmp_path / "run", trainer.plan.milestones
    name = "head.dense.weight"
    assert torch.equal(load_file(run / "chck_400" / "model.safetensors")[name], measured["chck_400"])
    final = load_file(run / "model.safetensors")[name]
    assert torch.equal(final, measured[None])
    assert torch.equal(final, trainer.average.averaged.module.head.dense.weight)
    assert not torch.equal(final, trainer.model.head.dense.weight)
    checkpoint = run / f"checkpoint-{milestone.step}"
    assert not torch.equal(load_file(checkpoint / "model.safetensors")[name], measured["chck_400"])
    assert torch.equal(load_file(checkpoint / "ema.safetensors")[f"average.{name}"], measured["chck_400"])
    assert not list(run.glob("ema*"))


def test_another_average_is_another_run(tmp_path):
    from babylm_hf.errors import ResumeError

    rows, saving = tiny_stream(tmp_path, 1500), {"save_strategy": "steps"}
    diffusion_trainer(tmp_path, rows, callbacks=[StopAfter(2)], ema_decay=0.9, **saving).train()
    for other in (0.99, None):
        with pytest.raises(ResumeError, match="ema_decay"):
            diffusion_trainer(tmp_path, rows, ema_decay=other, **saving).train(resume_from_checkpoint="auto")


# ---------------------------------------------------------------- folders

LOADER = """
import numpy, torch
from transformers import AutoModelForMaskedLM, AutoTokenizer
folder, out = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True).eval()
with torch.no_grad():
    numpy.save(out, model(**tokenizer('the dog sees the cat .', return_tensors='pt')).logits.numpy())
"""
USER = """
from transformers import AutoModel, AutoModelForSequenceClassification, pipeline
classifier = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3, trust_remote_code=True)
inputs = tokenizer(['the dog', 'the cat sees it'], padding=True, return_tensors='pt')
assert classifier(**inputs, labels=torch.tensor([0, 2])).loss > 0
body = AutoModel.from_pretrained(folder, trust_remote_code=True)
for name, value in model.model.named_parameters():
    assert torch.equal(value, body.get_parameter(name)), name
    assert torch.equal(value, classifier.model.get_parameter(name)), name
fill = pipeline('fill-mask', model=folder, trust_remote_code=True)
found = fill('the dog ' + tokenizer.mask_token + ' the cat .')
assert len(found) == 5 and all(answer['token'] != tokenizer.mask_token_id for answer in found)
assert not (model.generate([[5, 6]], max_new_tokens=4, seed=0) == tokenizer.mask_token_id).any()
"""


def test_its_folders_load_without_the_package_and_fill_masks(tmp_path):
    trainer = diffusion_trainer(tmp_path, tiny_stream(tmp_path, 1500), milestones="400")
    trainer.train()
    trainer.finish()
    with torch.no_grad():
        inputs = tiny_tokenizer()("the dog sees the cat .", return_tensors="pt")
        expected = trainer.model.eval()(inputs["input_ids"], inputs["attention_mask"]).logits.numpy()
    for name, more in ((".", USER), ("chck_400", "")):
        folder, out = tmp_path / "run" / name, tmp_path / "logits.npy"
        run_without_package(LOADER + more, folder, out)
        config = json.loads((folder / "config.json").read_text())
        assert set(config["auto_map"]) == {
            "AutoConfig",
            "AutoModel",
            "AutoModelForMaskedLM",
            "AutoModelForSequenceClassification",
        }
        assert all((folder / f"{target.split('.')[0]}.py").is_file() for target in config["auto_map"].values())
        if name == ".":
            assert np.allclose(np.load(out), expected, atol=1e-5)


def test_a_saved_model_can_be_trained_on_and_saved_again(tmp_path):
    from transformers import AutoModelForMaskedLM

    diffusion_model(awake=True).save_pretrained(tmp_path / "first")
    again = AutoModelForMaskedLM.from_pretrained(tmp_path / "first")
    again.save_pretrained(tmp_path / "second")
    third = AutoModelForMaskedLM.from_pretrained(tmp_path / "second", trust_remote_code=True)
    ids = tiny_tokenizer()(tiny_lines()[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert torch.equal(again.eval()(ids).logits, third.eval()(ids).logits)
    assert third.head.decoder.weight.data_ptr() == third.get_input_embeddings().weight.data_ptr()
