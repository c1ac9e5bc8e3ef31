"""What n-hot embeddings cost: parameters, and seconds of a training step with and without them.

  python benchmarks/nhot.py [--tokenizer MODEL] [--hidden_size 384] [--tokens 4096] [--rounds 9] [--device cpu]

Both models are DeBERTa-v2 with our attention over the same tokenizer and rows; ids are drawn by Zipf's law over the
vocabulary. A step is forward, loss at 15 % of the positions, backward; the models take turns. Without --tokenizer a
byte-level BPE of what the toy language supports is trained, so that no file is needed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch

from babylm_hf.corpus import load_tokenizer, train_tokenizer
from babylm_hf.corpus.toy import toy_sentences
from babylm_hf.models import PositionSelector, build_model
from babylm_hf.models.deberta_attention import use_fast_attention
from babylm_hf.models.nhot import substring_table


def rows(vocabulary: int, tokens: int, length: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids `[tokens // length, length]`, and the flat positions of the targets."""
    draw = torch.Generator().manual_seed(0)
    chances = 1.0 / torch.arange(1, vocabulary + 1)
    chances[:10] = 0.0  # special pieces
    ids = torch.multinomial(chances, tokens // length * length, True, generator=draw).reshape(-1, length)
    targets = torch.rand(ids.numel(), generator=draw) < 0.15
    return ids.to(device), targets.nonzero().flatten().to(device)


def step(model: Any, selector: PositionSelector, ids: torch.Tensor, targets: torch.Tensor) -> float:
    """Seconds of one step without an optimizer."""
    if ids.is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    logits = selector.logits({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, targets)
    torch.nn.functional.cross_entropy(logits.float(), ids.flatten()[targets]).backward()
    if ids.is_cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    model.zero_grad(set_to_none=True)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", help="folder or SentencePiece .model")
    parser.add_argument("--hidden_size", type=int, default=384)
    parser.add_argument("--intermediate_size", type=int, default=1280)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=4096, help="tokens in a step")
    parser.add_argument("--length", type=int, default=64, help="tokens in a row")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.tokenizer:
        tokenizer = load_tokenizer(args.tokenizer)
    else:
        tokenizer = train_tokenizer(iter([list(toy_sentences(100_000))]), "bpe", 8_000)
    start = time.perf_counter()
    sizes = [len(of_piece) for of_piece in substring_table(tokenizer) if of_piece]
    seconds = time.perf_counter() - start
    print(
        f"{len(tokenizer):,} pieces, {sum(sizes):,} substrings, mean {statistics.mean(sizes):.1f}, median "
        f"{statistics.median(sizes):.0f}, most {max(sizes)}; found in {seconds:.1f} s"
    )
    options = {
        "hidden_size": args.hidden_size,
        "intermediate_size": args.intermediate_size,
        "num_hidden_layers": args.layers,
    }
    models, selectors, times = {}, {}, {}
    for name in ("deberta-v3-base", "nhot-deberta-base"):
        torch.manual_seed(0)
        models[name] = build_model(name, tokenizer, **options).to(args.device).train()
        use_fast_attention(models[name])
        selectors[name] = PositionSelector(models[name])
        times[name] = []
    ids, targets = rows(len(tokenizer), args.tokens, args.length, args.device)
    for turn in range(args.rounds + 1):
        for name, model in models.items():
            seconds = step(model, selectors[name], ids, targets)
            if turn:  # the first warms up
                times[name].append(seconds)
    base = statistics.median(times["deberta-v3-base"])
    for name, model in models.items():
        parameters = sum(parameter.numel() for parameter in model.parameters())
        median = statistics.median(times[name])
        print(f"{name:18} {parameters:>12,} parameters  {1e3 * median:8.1f} ms a step  {median / base:5.2f} x")


if __name__ == "__main__":
    main()
