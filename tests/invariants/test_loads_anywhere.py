"""What the trainer writes is loaded by a process that does not have this package, and gives the trainer's logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_stream, tiny_tokenizer, tiny_trainer
from transformers import TrainerCallback
from without_package import run_without_package

LOADER = """
import numpy, torch
from transformers import AutoModelForMaskedLM, AutoTokenizer
folder, out = sys.argv[1:]
model, tokenizer = AutoModelForMaskedLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
with torch.no_grad():
    numpy.save(out, model(**tokenizer('the dog sees the cat .', return_tensors='pt')).logits.numpy())
"""


class KeepLogits(TrainerCallback):
    """The trainer's own logits after chosen steps."""

    def __init__(self):
        self.logits = {}

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.logits[state.global_step] = logits(model)


def logits(model):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = model(**tiny_tokenizer()("the dog sees the cat .", return_tensors="pt")).logits.numpy()
    model.train(was_training)
    return found


@pytest.mark.parametrize(
    ("architecture", "fast", "tolerance"), [("bert", True, 0), ("deberta", False, 0), ("deberta", True, 2e-6)]
)
def test_final_model_and_milestones_load_without_the_package(tmp_path, architecture, fast, tolerance):
    """Bit for bit; where our attention of DeBERTa computes while training and the stock one elsewhere, to rounding."""
    rows, kept = tiny_stream(tmp_path, words=1500), KeepLogits()
    trainer = tiny_trainer(
        tmp_path,
        rows,
        architecture=architecture,
        fast_attention=fast,
        milestones="400,900",
        max_steps=6,
        callbacks=[kept],
        learning_rate=0.01,
    )
    trainer.train()
    trainer.finish()
    steps = {m.name: m.step for m in trainer.plan.milestones}
    assert set(steps) == {"chck_400", "chck_900"}
    for name, step in {**steps, ".": trainer.plan.total_steps}.items():
        folder, out = tmp_path / "run" / name, tmp_path / "logits.npy"
        run_without_package(LOADER, folder, out)
        assert np.abs(np.load(out) - kept.logits[step]).max() <= tolerance, name
        assert not list(folder.glob("*.bin")), "a pickle was written"
