"""What publishing costs a training loop: 20 milestones of an 11 M model, to a Hub in another process of this machine.

    python benchmarks/publishing.py [--milestones 20 --seconds 5]

Before each milestone the loop makes a number of optimizer steps in peace, then saves the model, hands it to the
publisher's thread, and makes the same number of steps while that works. What the second block takes longer, and the
handing over itself, is what publishing costs; it is set against the time between milestones, which is both blocks. At
`--seconds 5` a milestone comes every ten seconds: real runs leave the publisher far more time. The Hub is the double of
the tests, whose work on the same processors counts against us. Medians over milestones.
"""

from __future__ import annotations

import argparse
import json
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
import sys, time
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
    """For each milestone the seconds of a block in peace, of handing over, and of a block while it is sent."""
    from hub.runs import CLEAN, save_tokenizer
    from synthetic_record import synthetic_record

    from babylm_hf.publishing import write_card

    record = synthetic_record(folder / "record", **CLEAN)
    found = []
    for number in range(11, 11 + milestones):
        name = f"chck_{number}M"
        peace = loop.block()
        loop.model.save_pretrained(folder / name)
        save_tokenizer(folder / name)
        record.append("milestone", step=100, words=2_000_000, name=name, folder=name, target_words=2_000_000)
        write_card(record, folder / name, name)
        begun = time.perf_counter()
        background.submit(name)
        handing = time.perf_counter() - begun
        found.append({"peace": peace, "handing": handing, "sending": loop.block()})
    return found


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
        server.stdin.close()
        assert len(outcome.sent) == options.milestones
        assert int(server.stdout.readline()) == options.milestones + 1
    cost = statistics.median(m["sending"] - m["peace"] + m["handing"] for m in found)
    between = statistics.median(m["sending"] + m["peace"] for m in found)
    print(f"{parameters / 1e6:.1f} M parameters, {options.milestones} milestones, all sent and found whole")
    print(f"between milestones {between:.2f} s, of which publishing costs {cost:.3f} s: {100 * cost / between:.2f} %")
    print(f"handing over {1000 * statistics.median(m['handing'] for m in found):.2f} ms; left at the end {left:.2f} s")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
