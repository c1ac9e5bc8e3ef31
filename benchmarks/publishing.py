"""What publishing costs a training loop: 20 milestones of an 11 M model, to a Hub in another process of this machine.

    python benchmarks/publishing.py [--milestones 20 --seconds 5]

The loop saves a milestone with its card, as every run does, and makes a block of optimizer steps; it hands every second
milestone to the publisher, in the order A B B A. What blocks with publishing take longer than those without is what it
costs, as the median over neighbours. Beside other work that figure is noise; then the processor time of the publisher's
process is a bound, for it runs only where nothing else wants to and holds no lock of the loop's. The Hub is the double
of the tests: it stands for a machine far away, so it makes way too, and its time is given apart.
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
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]
SERVER = """
import os, sys, time
os.nice(10)
sys.path[:0] = sys.argv[1:]
from hub.double import HubDouble
with HubDouble() as hub:
    print(hub.url, hub.token, flush=True)
    sys.stdin.read()
    print(len(hub.repository("me/bench").branches), flush=True)
"""


class Loop:
    """A training loop whose steps can be counted out.

    Args:
        seconds: what a block of steps is to take.
    """

    def __init__(self, seconds: float) -> None:
        from transformers import AutoModelForMaskedLM, BertConfig

        config = BertConfig(
            vocab_size=16_000, hidden_size=256, num_hidden_layers=8, num_attention_heads=4, intermediate_size=1024
        )
        self.model = AutoModelForMaskedLM.from_config(config)
        self.ids = torch.randint(0, 16_000, (8, 64))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.steps = 2
        self.block()
        self.steps = max(1, round(seconds / (self.block() / 2)))

    def block(self) -> float:
        """Seconds for the steps of a block."""
        begun = time.perf_counter()
        for _ in range(self.steps):
            self.model(input_ids=self.ids, labels=self.ids).loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
        return time.perf_counter() - begun


def measure(loop: Loop, folder: Path, background: Any, milestones: int) -> list[dict[str, float]]:
    """For each pair of milestones the seconds of rendering a card, handing over, and of a block without and with it."""
    from hub.runs import CLEAN, save_tokenizer
    from synthetic_record import synthetic_record

    from babylm_hf.publishing import write_card

    record = synthetic_record(folder / "record", **CLEAN)
    found = []
    for number in range(milestones):
        times = {"card": 0.0}
        for publishing in (False, True) if number % 2 == 0 else (True, False):
            name = f"chck_{11 + number + (0 if publishing else 1000)}M"
            loop.model.save_pretrained(folder / name)
            save_tokenizer(folder / name)
            record.append("milestone", step=100, words=2_000_000, name=name, folder=name, target_words=2_000_000)
            begun = time.perf_counter()
            write_card(record, folder / name, name)
            times["card"] += (time.perf_counter() - begun) / 2
            begun = time.perf_counter()
            if publishing:
                background.submit(name)
                times["handing"] = time.perf_counter() - begun
            times["with" if publishing else "without"] = loop.block()
        found.append(times)
    return found


def processor_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--milestones", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    from huggingface_hub import HfApi, constants
    from huggingface_hub.utils import disable_progress_bars

    from babylm_hf.publishing import HubPublisher
    from babylm_hf.publishing.background import BackgroundPublisher

    constants.HF_HUB_DISABLE_XET = True  # the double takes large files the way of git LFS
    disable_progress_bars()
    command = [sys.executable, "-c", SERVER, *sys.path[:2]]
    with (
        tempfile.TemporaryDirectory() as scratch,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        url, token = server.stdout.readline().split()
        loop = Loop(options.seconds)
        parameters = sum(p.numel() for p in loop.model.parameters())
        publisher = HubPublisher(HfApi(endpoint=url, token=token), "me/bench", Path(scratch) / "run")
        background = BackgroundPublisher(publisher)
        found = measure(loop, Path(scratch) / "run", background, options.milestones)
        begun = time.perf_counter()
        outcome = background.wait()
        left = time.perf_counter() - begun
        double = processor_seconds(server.pid)
        sending = resource.getrusage(resource.RUSAGE_CHILDREN)
        server.stdin.close()
        assert len(outcome.sent) == options.milestones
        assert int(server.stdout.readline()) == options.milestones + 1
    own = (sending.ru_utime + sending.ru_stime) / options.milestones
    block = statistics.median(m["without"] for m in found)
    slower = [m["with"] - m["without"] + m["handing"] for m in found]
    low, middle, high = statistics.quantiles(slower, n=4)
    print(f"{parameters / 1e6:.1f} M parameters, {options.milestones} milestones, all sent and found whole")
    print(
        f"a block takes {block:.2f} s, with publishing {middle:+.3f} s (quartiles {low:+.3f} .. {high:+.3f}), "
        f"{100 * middle / block:+.2f} %"
    )
    print(
        f"processor time a milestone: publisher {own:.3f} s ({100 * own / block:.2f} % of a block), "
        f"the Hub's double {double / options.milestones:.3f} s"
    )
    print(
        f"in the loop itself: handing over {1000 * statistics.median(m['handing'] for m in found):.2f} ms, "
        f"a card {1000 * statistics.median(m['card'] for m in found):.0f} ms; left at the end {left:.2f} s"
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
