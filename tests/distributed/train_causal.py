"""One tiny causal run, for `torch.distributed.run`: `train_causal.py OUTPUT_DIR [--accumulation N]`.

A row is a line of text, so that the two processes have different numbers of targets. Rank 0 leaves what the run did in
OUTPUT_DIR/result.json and its weights in OUTPUT_DIR/weights.npy.
"""

from __future__ import annotations

from script import RANK, close, leave, leave_weights, parser
from tiny import tiny_causal_model, tiny_causal_tokenizer, tiny_lines, tiny_trainer

from babylm_hf.corpus import DocumentRows, TokenStream
from babylm_hf.masking import DataCollatorForCausalRows


def main() -> None:
    options = parser().parse_args()
    folder = options.folder / f"data-{RANK}"
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
    leave(trainer, options.folder, ("loss", "grad_norm"), eval_loss=metrics["eval_loss"])
    leave_weights(trainer.accelerator.unwrap_model(trainer.model).parameters(), options.folder / "weights.npy")
    close(trainer)


if __name__ == "__main__":
    main()
