"""Faults of intention: a resume that would be another run, a folder that holds one."""

from __future__ import annotations

from tiny import tiny_model, tiny_stream, tiny_tokenizer

from babylm_hf.masking import DataCollatorForDynamicMasking


def refuses(stage, **options):
    """The resume; it must leave the folder as it was."""
    before = stage.digest(".")
    try:
        stage.resume(**options)
    finally:
        assert stage.digest(".") == before


def holds_a_run(stage):
    before = stage.digest(".")
    try:
        stage.trainer().train()
    finally:
        assert stage.digest(".") == before


def other_data(stage):
    refuses(stage, rows=tiny_stream(stage.folder / "data", words=1500, seed=1))


def other_seed(stage):
    refuses(stage, seed=1)


def other_plan(stage):
    refuses(stage, batch_size=16)


def other_optimizer(stage):
    refuses(stage, learning_rate=0.5)


def other_masking(stage):
    refuses(stage, collator=DataCollatorForDynamicMasking(tiny_tokenizer(), mlm_probability=0.2, mask_update_steps=2))


def other_model(stage):
    refuses(stage, model=tiny_model("deberta"))


def other_heads(stage):
    """As many weights of the same shapes, and another model."""
    model = tiny_model()
    model.config.num_attention_heads = 4
    refuses(stage, model=type(model)(model.config))
