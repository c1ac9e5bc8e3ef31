"""Runs as a trainer leaves them, in a second and without training: a record, a final model, two milestones."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi
from synthetic_record import MANIFEST, synthetic_record
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForMaskedLM, BertConfig, PreTrainedTokenizerFast

from babylm_hf.publishing import HubPublisher, write_card
from babylm_hf.publishing.retry import Retry

MILESTONES = ["chck_1M", "chck_2M"]
PIECES = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "the", "dog", "cat", "sees", "."]
CLEAN: dict[str, Any] = {
    "arguments": {"learning_rate": 0.005, "seed": 7, "output_dir": "toy"},
    "defaults": {"learning_rate": 0.001, "seed": 0},
    "model": {**MANIFEST["model"], "config": {"hidden_size": 8}},
}
"""What of the synthetic record may be published; the rest of it holds a token and home directories on purpose."""


def save_tokenizer(folder: Path) -> None:
    """A tokenizer of ten pieces."""
    tokenizer = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    specials = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "cls", "sep", "unk", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **specials).save_pretrained(folder)


def save_model(folder: Path, seed: int) -> Any:
    """A model of a few hundred weights with its tokenizer."""
    save_tokenizer(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(PIECES), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    model = AutoModelForMaskedLM.from_config(config).eval()
    model.save_pretrained(folder)
    return model


def make_run(folder: Path, **changes: Any) -> Path:
    """The folder of a finished run, with a resumable checkpoint and other things that must stay at home."""
    record = synthetic_record(folder / "record", **{**CLEAN, **changes})
    for seed, name in enumerate(["", *MILESTONES]):
        save_model(folder / name, seed)
        write_card(record, folder / name, name or None)
    (folder / "checkpoint-120").mkdir()
    (folder / "checkpoint-120" / "optimizer.pt").write_bytes(b"PK\x03\x04 moments")
    (folder / "training_args.bin").write_bytes(b"\x80\x02 pickled")
    (folder / "notes.txt").write_text("mine")
    return folder


def copy_run(source: Path, target: Path) -> Path:
    """A run of one's own: making one takes a second, copying it does not."""
    return Path(shutil.copytree(source, target))


def publisher_of(run: Path, hub: Any, retry: Retry, repo_id: str = "me/toy", **options: Any) -> HubPublisher:
    """A publisher that waits for nothing."""
    return HubPublisher(HfApi(endpoint=hub.url, token=hub.token), repo_id, run, retry=retry, **options)


def assert_all_there(hub: Any, run: Path, repo_id: str = "me/toy") -> None:
    """Every milestone has its branch and `main` the final model, byte by byte as on disk, and nothing else."""
    repository = hub.repository(repo_id)
    for name in ["main", *MILESTONES]:
        files = dict(repository.resolve(name).files)
        files.pop(".gitattributes")
        folder = run if name == "main" else run / name
        assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= set(files)
        for path, blob in files.items():
            local = folder / path if (folder / path).is_file() else folder / "record" / path
            assert local.read_bytes() == blob.content, f"{name}: {path}"


def commits(hub: Any, name: str, repo_id: str = "me/toy") -> int:
    """Commits on a branch after the repository's first."""
    return len(hub.repository(repo_id).history(name)) - 1
