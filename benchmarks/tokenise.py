"""Ten million words tokenised, packed and cached, against a bare `tokenizers.encode_batch` over the same text.

  python benchmarks/tokenise.py ../shared/data/corpus/train [--words 10000000] [--rounds 5] [--algorithm bpe]

Every measurement is a process of its own, the ways take turns, and the time is that of the work without imports. "bare"
encodes lines already in memory, a megabyte a call, and throws the result away; "fast" is the same with
`encode_batch_fast`; "stream" is `TokenStream.build` from the file on disk to the finished cache. Prints the median
ratio and the peak memory of each. The bar: stream at most 1.5 times bare, in under 2 GB.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

WAYS = ("bare", "fast", "stream")


def prepare(sources: list[str], folder: Path, words: int, algorithm: str, vocab_size: int) -> None:
    """Writes the text, the corpus over and over until it has `words` words, and the tokenizer."""
    from babylm_hf.corpus import iter_documents, load_tokenizer, train_tokenizer

    missing = words
    with open(folder / "text.txt", "w", encoding="utf-8") as out:
        while missing > 0:
            for batch in iter_documents(sources):
                for line in batch:
                    if missing > 0:
                        out.write(line + "\n")
                        missing -= len(line.split())
    if algorithm.endswith(".model"):
        tokenizer = load_tokenizer(algorithm)
    else:
        tokenizer = train_tokenizer(iter_documents(sources), algorithm, vocab_size)
    tokenizer.save_pretrained(folder / "tokenizer")


def chunks(path: Path, size: int = 1 << 20) -> Iterator[list[str]]:
    """Lines in lists of about `size` characters."""
    with open(path, encoding="utf-8", newline="\n") as file:
        while lines := file.readlines(size):
            yield [line.rstrip("\n") for line in lines]


def measure(way: str, folder: Path) -> dict[str, float]:
    """Runs one way in this process."""
    if way == "stream":
        from babylm_hf.corpus import TokenStream, load_tokenizer

        tokenizer = load_tokenizer(folder / "tokenizer")
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            start, cpu = time.perf_counter(), time.process_time()
            stream = TokenStream.build([folder / "text.txt"], tokenizer, cache)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            tokens = stream.num_tokens
            words = int(stream.row_words(64).sum())
    else:
        from tokenizers import Tokenizer

        backend = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
        encode = backend.encode_batch if way == "bare" else backend.encode_batch_fast
        lines = list(chunks(folder / "text.txt"))
        words = tokens = 0
        start, cpu = time.perf_counter(), time.process_time()
        for chunk in lines:
            encode(chunk)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "linux" else 1 << 30)
    return {"seconds": seconds, "cpu": cpu, "peak_gb": peak, "tokens": tokens, "words": words}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", help="text files or folders")
    parser.add_argument("--words", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--algorithm", default="bpe", help="bpe, wordpiece, unigram, or a SentencePiece .model")
    parser.add_argument("--vocab_size", type=int, default=40_000)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args.way, Path(args.sources[0]))))
        return

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(args.sources, folder, args.words, args.algorithm, args.vocab_size)
        results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for turn in range(args.rounds):
            for way in WAYS if turn % 2 == 0 else WAYS[::-1]:
                command = [sys.executable, __file__, str(folder), "--way", way]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                results[way].append(json.loads(done.stdout.splitlines()[-1]))
            print("  ".join(f"{way} {results[way][-1]['seconds']:.2f} s" for way in WAYS), flush=True)
    last = results["stream"][-1]
    print(f"{args.algorithm}: {last['words']:,} words, {last['tokens']:,} tokens, {args.rounds} rounds")
    for way in WAYS:
        seconds = statistics.median(r["seconds"] for r in results[way])
        pairs = list(zip(results[way], results["bare"], strict=True))
        wall, cpu = (statistics.median(mine[unit] / bare[unit] for mine, bare in pairs) for unit in ("seconds", "cpu"))
        peak = max(r["peak_gb"] for r in results[way])
        print(f"{way:7s} median {seconds:6.2f} s  {wall:5.2f} x bare, processor {cpu:5.2f} x  peak {peak:.2f} GB")


if __name__ == "__main__":
    main()
