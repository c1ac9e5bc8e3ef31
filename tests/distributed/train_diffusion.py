"""One tiny diffusion run, for `torch.distributed.run`: `train_diffusion.py OUTPUT_DIR [--accumulation N]`.

Rank 0 leaves what the run did in OUTPUT_DIR/result.json and its averaged weights in OUTPUT_DIR/average.npy.
"""

from __future__ import annotations

import torch
from script import RANK, close, leave, leave_weights, parser
from tiny import tiny_stream, tiny_tokenizer, tiny_trainer

from babylm_hf.masking import DataCollatorForDiffusionMasking
from babylm_hf.models import build_model


def main() -> None:
    options = parser().parse_args()
    rows = tiny_stream(options.folder / f"data-{RANK}", words=1500)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    trainer = tiny_trainer(
        options.folder,
        rows,
        model=build_model("diffusion-tiny", tiny_tokenizer(), dropout=0.0, **sizes),
        collator=DataCollatorForDiffusionMasking(tiny_tokenizer(), token_counts=rows.token_counts(), exponent=0.3),
        eval_dataset=rows,
        max_steps=6,
        batch_size=31,
        ema_decay=0.9,
        nelbo_tokens=500,
        gradient_accumulation_steps=options.accumulation,
    )
    trainer.train()
    metrics = trainer.evaluate()
    measured = {name: metrics[name] for name in ("eval_loss", "eval_nelbo")}
    leave(trainer, options.folder, ("loss", "grad_norm"), **measured)
    leave_weights(trainer.average.averaged.module.parameters(), options.folder / "average.npy")
    close(trainer)


if __name__ == "__main__":
    main()
