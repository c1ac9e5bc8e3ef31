"""One tiny causal run, for `torch.distributed.run`: `train_causal.py OUTPUT_DIR [--accumulation N]`.

A row is a line of text, so that the two processes have different numbers of targets. Rank 0 leaves what the run did in
OUTPUT_DIR/result.json and its weights in OUTPUT_DIR/weights.npy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from tiny import gloo_threads, tiny_causal_model, tiny_causal_tokenizer, tiny_lines, tiny_trainer

from babylm_hf.corpus import DocumentRows, TokenStream
from babylm_hf.masking import DataCollatorForCausalRows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--accumulation", type=int, default=1)
    options = parser.parse_args()
    rank = int(os.environ.get("RANK", "0"))
    folder = options.folder / f"data-{rank}"
    folder.mkdir(parents=True)
    text = folder / "text.txt"
    text.write_text("\n".join(tiny_lines()) + "\n", encoding="utf-8")
    rows = DocumentRows(TokenStream.build([text], tiny_causal_tokenizer(), cache_dir=folder / "cache"))
    trainer = tiny_trainer(
        options.folder,
        rows,
        model=tiny_causal_model(),
        collator=DataCollatorForCausalRows(tiny_causal_tokenizer()),
        eval_dataset=rows,
        max_steps=6,
        max_seq_len="32",
        batch_size=15,
        gradient_accumulation_steps=options.accumulation,
    )
    trainer.train()
    metrics = trainer.evaluate()
    if rank == 0:
        steps = [line for line in trainer.state.log_history if "loss" in line]
        result = {name: [line[name] for line in steps] for name in ("loss", "grad_norm")}
        result["eval_loss"] = metrics["eval_loss"]
        (options.folder / "result.json").write_text(json.dumps(result))
        weights = trainer.accelerator.unwrap_model(trainer.model).parameters()
        np.save(options.folder / "weights.npy", np.concatenate([p.detach().numpy().ravel() for p in weights]))
    trainer.close()
    assert not gloo_threads(), "the process group outlives the trainer"


if __name__ == "__main__":
    main()
