"""One tiny diffusion run, for `torch.distributed.run`: `train_diffusion.py OUTPUT_DIR [--accumulation N]`.

Rank 0 leaves what the run did in OUTPUT_DIR/result.json and its averaged weights in OUTPUT_DIR/average.npy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from tiny import gloo_threads, tiny_stream, tiny_tokenizer, tiny_trainer

from babylm_hf.masking import DataCollatorForDiffusionMasking
from babylm_hf.models import build_model


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--accumulation", type=int, default=1)
    options = parser.parse_args()
    rank = int(os.environ.get("RANK", "0"))
    rows = tiny_stream(options.folder / f"data-{rank}", words=1500)
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
    if rank == 0:
        steps = [line for line in trainer.state.log_history if "loss" in line]
        result = {name: [line[name] for line in steps] for name in ("loss", "grad_norm")}
        result |= {name: metrics[name] for name in ("eval_loss", "eval_nelbo")}
        (options.folder / "result.json").write_text(json.dumps(result))
        averaged = trainer.average.averaged.module.parameters()
        np.save(options.folder / "average.npy", np.concatenate([p.detach().numpy().ravel() for p in averaged]))
    trainer.close()
    assert not gloo_threads(), "the process group outlives the trainer"


if __name__ == "__main__":
    main()
