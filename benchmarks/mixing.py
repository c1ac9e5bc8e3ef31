"""Mixing 100 MB of generated text: megabytes a second on one core, and the peak memory of the process.

  python benchmarks/mixing.py [--megabytes 100] [--rounds 3] [--json FILE]

Three sources of English-like lines (medians of about 20, 60 and 300 bytes: speech, books, encyclopaedia) are generated
once. Every measurement is a process of its own with one thread; "copy" only reads and writes, as a measure of the disk.
Speed is that of the mix written, in wall time and in processor time, without imports. The bar: plain round robin at 50
MB/s or more, no way above 300 MB of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

WAYS: dict[str, dict[str, Any]] = {
    "copy": {},
    "round_robin": {},
    "shares": {"method": "shares", "shares": (0.5, 0.3, 0.2)},
    "proportional": {"method": "proportional"},
    "min_words": {"min_words": 3},
    "duplicates": {"drop_duplicates": True},
}
MEDIAN_WORDS = {"speech": 4, "books": 12, "encyclopaedia": 55}


def generate(folder: Path, megabytes: int) -> None:
    """Writes the sources, each a little over half of the mix; some letters are beyond ASCII."""
    draw = Random(0)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(draw.choices(letters, range(26, 0, -1), k=draw.randint(1, 9))) for _ in range(20_000)]
    words += [f"{word}é" for word in words[:400]]
    for name, median in MEDIAN_WORDS.items():
        text = "".join(
            " ".join(draw.choices(words, k=max(1, round(median * draw.lognormvariate(0, 0.5))))) + "\n"
            for _ in range(2_000_000 // (6 * median))
        )
        with open(folder / f"{name}.txt", "w", encoding="utf-8") as file:
            for number in range(1 + megabytes * 1_100_000 // 2 // len(text)):
                # Repeated text must not be the same lines, or dropping duplicates would have no work.
                file.write(
                    text.replace(" e", f" {number}", 1).replace("a\n", f"a{number}\n").replace("t ", f"t{number} ")
                )


def measure(way: str, folder: Path, size: int) -> dict[str, float]:
    """Runs one way in this process."""
    from babylm_hf.corpus.mixing import Mix, mix

    sources = sorted(folder.glob("*.txt"))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        out = Path(scratch) / "out"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, cpu = time.perf_counter(), time.process_time()
        if way == "copy":
            written = copy(sources, out, size)
        else:
            written = mix(sources, out, Mix(size=size, allow_short=True, **WAYS[way]))["bytes"]
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    to_megabytes = 1e3 if sys.platform == "linux" else 1e6
    return {
        "megabytes": written / 1e6,
        "seconds": seconds,
        "cpu": cpu,
        "peak_mb": peak / to_megabytes,
        "imports_mb": before / to_megabytes,
    }


def copy(sources: list[Path], out: Path, size: int) -> int:
    """Reads and writes `size` bytes."""
    with open(out, "wb") as file:
        for source in sources:
            with open(source, "rb") as text:
                while file.tell() < size and (data := text.read(min(1 << 20, size - file.tell()))):
                    file.write(data)
        return file.tell()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100, help="size of the mix")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--way", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args.way[0], Path(args.way[1]), args.megabytes * 10**6)))
        return
    results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name:
        generate(Path(name), args.megabytes)
        for _ in range(args.rounds):
            for way in WAYS:
                command = [sys.executable, __file__, "--megabytes", str(args.megabytes), "--way", way, name]
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                results[way].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{'way':14} {'MB':>6} {'MB/s':>7} {'MB/s of processor time':>23} {'peak MB':>8} {'of imports':>11}")
    for way, runs in results.items():
        wall, cpu = (statistics.median(run["megabytes"] / run[unit] for run in runs) for unit in ("seconds", "cpu"))
        peak, imports = (max(run[name] for run in runs) for name in ("peak_mb", "imports_mb"))
        print(f"{way:14} {runs[-1]['megabytes']:>6.1f} {wall:>7.1f} {cpu:>23.1f} {peak:>8.0f} {imports:>11.0f}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
