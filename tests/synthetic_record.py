"""The record of a run that never was: every fact fixed, so that its card is the same text for ever.

`python tests/synthetic_record.py` writes the golden cards again after a wanted change; look at the difference.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parent / "unit" / "golden"

TOTAL_STEPS, TOTAL_WORDS, CORPUS_WORDS = 120, 2_400_000, 800_000
MILESTONES = {"chck_1M": 50, "chck_2M": 100}

MANIFEST: dict[str, Any] = {
    "name": "toy_hard_decay",
    "recipe": "hard_decay",
    "family": "masked",
    "command": "accelerate launch recipes/hard_decay.py --train_file a.txt b.txt --validation_file v.txt",
    "created": "2026-02-03T04:05:06+00:00",
    "seed": 7,
    "versions": {"python": "3.11.9", "babylm_hf": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
    "code": {"version": "0.1.0", "commit": "0123456789abcdef0123456789abcdef01234567", "modified": False},
    "hardware": {"platform": "Linux", "machine": "x86_64", "cpus": 2, "processes": 1, "device": "cpu"},
    "card": {"licence": "apache-2.0", "language": "en", "author": "A. Researcher"},
    "data": {
        "sources": [
            {
                "path": "a.txt",
                "bytes": 3_100_000,
                "words": 600_000,
                "lines": 70_000,
                "documents": 70_000,
                "sha256": "a" * 64,
            },
            {
                "path": "b|<i>*.txt",
                "bytes": 9_000,
                "words": 200_000,
                "lines": 30_000,
                "documents": 30_000,
                "sha256": "b" * 64,
            },
        ],
        "num_words": CORPUS_WORDS,
        "num_tokens": 1_100_000,
        "num_documents": 100_000,
        "document": "line",
        "fingerprint": "f" * 64,
        "licence": "CC BY 4.0",
    },
    "held_out": {
        "sources": [
            {
                "path": "v.txt",
                "bytes": 52_345,
                "words": 10_000,
                "lines": 1_200,
                "documents": 1_200,
                "sha256": "c" * 64,
            }
        ],
        "num_words": 10_000,
        "seq_length": 64,
        "mask_rate": 0.15,
    },
    "baselines": {"unigram_loss": 5.4321},
    "tokenizer": {"algorithm": "BPE", "vocab_size": 2000, "sha256": "d" * 64},
    "plan": {
        "fingerprint": "e" * 64,
        "stages": [
            {"index": 0, "first_pass": 0, "num_passes": 1, "seq_length": 32, "batch_size": 128},
            {"index": 1, "first_pass": 1, "num_passes": 2, "seq_length": 64, "batch_size": 64},
        ],
        "num_passes": 3,
        "total_steps": TOTAL_STEPS,
        "total_words": TOTAL_WORDS,
        "corpus_words": CORPUS_WORDS,
        "milestones": [
            {"name": "chck_1M", "words": 1_000_000, "step": 50, "words_seen": 1_000_000},
            {"name": "chck_2M", "words": 2_000_000, "step": 100, "words_seen": 2_000_000},
        ],
        "unreached": [3_000_000],
        "max_words": None,
        "max_steps": None,
    },
    "method": {
        "name": "hard_decay",
        "title": "Adaptive masked language modelling, hard metric, decaying mask rate (AMLM-Hard-Decay)",
        "parameters": {
            "rate": {"name": "linear decay", "mlm_prob": 0.4, "mask_decay": 0.25},
            "policy": {
                "name": "adaptive (hard)",
                "mask_update_steps": 20,
                "first_mask_update": 0,
                "mask_lambda": 0.2,
                "mask_floor": 0.03,
                "renorm": "code",
                "positions": "all",
                "water_filling": True,
                "reference": False,
            },
            "corruption": {"mask_replace_prob": 0.8, "random_replace_prob": 0.1, "random_ids": 1995},
            "seed": 7,
            "reference_behaviour": False,
        },
        "paper": {
            "title": "Mask and You Shall Receive",
            "authors": "Lukas Edman and Alexander Fraser",
            "year": "2025",
            "url": "https://arxiv.org/abs/2510.20475",
            "bibtex": "@inproceedings{edman-fraser-2025,\n  title = {Mask and You Shall Receive},\n  year = {2025}\n}",
        },
    },
    "model": {
        "architecture": "deberta-v2",
        "class": "DebertaV2ForMaskedLM",
        "num_parameters": 1_104_512,
        "config": {"hidden_size": 128, "num_hidden_layers": 4, "_name_or_path": "/home/someone/models/base"},
    },
    "optimizer": {"name": "LAMB", "learning_rate": 0.005, "adam_beta1": 0.9, "adam_beta2": 0.98, "warmup_steps": 1},
    "arguments": {
        "adam_beta2": 0.98,
        "hub_token": "hf_secret",
        "lamb": True,
        "learning_rate": 0.005,
        "max_seq_len": "0:32,1:64",
        "output_dir": "/home/someone/runs/toy_hard_decay",
        "seed": 7,
        "train_file": ["/home/someone/a.txt", "b.txt"],
        "weight_decay": 0.01,
    },
    "defaults": {
        "adam_beta2": 0.999,
        "hub_token": None,
        "lamb": False,
        "learning_rate": 0.001,
        "max_seq_len": None,
        "output_dir": "/home/someone/runs/babylm",
        "seed": 0,
        "train_file": None,
        "weight_decay": 0.01,
    },
    "track": "strict-small",
    "milestones": ["chck_1M", "chck_2M"],
}

# What is different in the record of a masked-diffusion run.
DIFFUSION: dict[str, Any] = {
    "name": "toy_diffusion",
    "recipe": "diffusion_gaussian",
    "family": "diffusion",
    "method": {
        "name": "diffusion_gaussian",
        "title": "Masked diffusion: bimodal Gaussian schedule, frequency-informed masks",
        "parameters": {
            "rate": {
                "name": "noise (bimodal)",
                "schedule": "bimodal",
                "mean_rate": 0.232,
                "left_share": 0.6,
                "left_mean": 0.12,
                "left_std": 0.02,
                "right_mean_first": 0.4,
                "right_mean_last": 0.85,
                "right_std": 0.08,
                "right_pace": 1.0,
                "lowest_rate": 0.001,
                "softening": 0.1,
                "stratify": "step",
                "time_margin": 0.0,
                "max_loss_weight": None,
                "reference": False,
            },
            "policy": {
                "name": "frequency",
                "frequency_exponent": 0.02,
                "frequency_curriculum": True,
                "num_passes": 3,
                "frequency_weighting": "rank",
                "frequency_floor": 0.0,
                "reference": False,
            },
            "corruption": {"mask_replace_prob": 1.0, "random_replace_prob": 0.0, "random_ids": 0},
            "seed": 7,
            "reference_behaviour": False,
            "loss_weighting": "sequence",
        },
        "paper": {
            "title": "Masked Diffusion Language Models with Frequency-Informed Training",
            "authors": "Despoina Kosmopoulou and others",
            "year": "2025",
            "url": "https://arxiv.org/abs/2509.05056",
            "bibtex": "@inproceedings{kosmopoulou-etal-2025,\n  year = {2025}\n}",
        },
    },
    "model": {
        "architecture": "babylm-diffusion",
        "class": "BabyLMDiffusionForMaskedLM",
        "num_parameters": 929_192,
        "config": {"hidden_size": 128, "num_hidden_layers": 3, "conditioning_size": 32},
    },
    "recipe_changes": {"hidden_size": [768, 128], "learning_rate": [0.007, 0.005], "noise_schedule": [None, "bimodal"]},
    "optimizer": {"name": "LAMB", "learning_rate": 0.007, "ema_decay": 0.999, "lr_floor": 0.1, "cooldown_steps": 1},
}

PHENOMENA = ("anaphor_agreement", "filler_gap", "npi_licensing")


def measure(record: Any, step: int, milestone: str | None) -> None:
    """Held-out loss and minimal pairs at a step."""
    done, words = step / TOTAL_STEPS, step * TOTAL_WORDS // TOTAL_STEPS
    loss = 7.5 - 4.0 * done
    metrics = {
        "eval_loss": loss,
        "eval_perplexity": 1000 - 900 * done,
        "eval_accuracy": 0.1 + 0.4 * done,
        "eval_targets": 2345.0,
    }
    record.append("evaluation", step=step, words=words, task="held_out", metrics=metrics, milestone=milestone)
    phenomena = {name: 0.5 + 0.15 * index * done for index, name in enumerate(PHENOMENA)}
    pairs = {
        "backend": "mlm",
        "pairs": 300,
        "accuracy": sum(phenomena.values()) / 3,
        "accuracy_p25": 0.5,
        "ties": 2,
        "near_ties": 5,
        "paradigms": {"npi_one": 0.5},
        "phenomena": phenomena,
        "phenomenon_pairs": dict.fromkeys(PHENOMENA, 100),
    }
    record.append("evaluation", step=step, words=words, task="toy_pairs", metrics=pairs, milestone=milestone)


def synthetic_record(folder: Path, **changes: Any) -> Any:
    """The whole run, as its trainer would have written it; `changes` replace entries of the manifest."""
    from babylm_hf.publishing import RunRecord

    record = RunRecord.create(folder, {**MANIFEST, **changes})
    measure(record, 0, None)
    for step in range(10, TOTAL_STEPS + 1, 10):
        words, rate = step * TOTAL_WORDS // TOTAL_STEPS, 0.4 - 0.25 * (step - 1) / TOTAL_STEPS
        if step % 20 == 0:
            spread = 0.5 * step / TOTAL_STEPS
            record.append(
                "policy",
                step=step,
                words=words,
                updates=step // 20,
                mean=rate,
                min=rate * (1 - spread),
                max=rate * (1 + spread),
                top=[[9, rate * (1 + spread), "mice"], [8, rate, "geese"]],
                bottom=[[5, rate * (1 - spread), "`the`"], [6, rate, "|"]],
            )
        for name, at in MILESTONES.items():
            if at == step:
                measure(record, step, name)
                record.append("milestone", step=step, words=words, name=name, folder=name, target_words=words)
        record.append(
            "log",
            step=step,
            words=words,
            seconds=6.0 * step,
            loss=7.6 - 4.2 * step / TOTAL_STEPS,
            learning_rate=0.005,
            grad_norm=1.0,
            mask_rate=rate,
            mask_rate_realised=rate + 0.001,
            **{"pass": words // CORPUS_WORDS},
        )
    record.append("end", step=TOTAL_STEPS, words=TOTAL_WORDS, seconds=725.0, reason="the plan is done", flops=1.25e15)
    measure(record, TOTAL_STEPS, None)
    return record


CARBON = {
    **{"energy_kwh": 0.0125, "emissions_kg": 0.0046, "cpu_kwh": 0.01, "gpu_kwh": 0.0, "ram_kwh": 0.0025},
    **{"country": "DEU", "country_name": "Germany", "codecarbon": "3.3.2"},
}


def causal_record(folder: Path) -> Any:
    """The record of a causal run: a loss curve, one milestone, no word of masks."""
    from babylm_hf.publishing import RunRecord

    method = {
        "name": "llama_26m",
        "title": "Causal pretraining after LLaMA baseline A (26 million parameters on 2 MB of text)",
        "parameters": {"objective": "next token", "separate_documents": False, "packing": "packed"},
        "paper": None,
    }
    changes = {
        "name": "toy_llama",
        "recipe": "llama_26m",
        "family": "causal",
        "method": method,
        "held_out": {name: value for name, value in MANIFEST["held_out"].items() if name != "mask_rate"},
        "model": {
            "architecture": "llama",
            "class": "LlamaForCausalLM",
            "num_parameters": 26_448_768,
            "config": {"hidden_size": 384, "tie_word_embeddings": False},
        },
        "command": "accelerate launch recipes/llama_26m.py --train_file a.txt b.txt --validation_file v.txt",
    }
    record = RunRecord.create(folder, {**MANIFEST, **changes})
    measure(record, 0, None)
    for step in range(10, TOTAL_STEPS + 1, 10):
        words = step * TOTAL_WORDS // TOTAL_STEPS
        if step == MILESTONES["chck_1M"]:
            measure(record, step, "chck_1M")
            record.append("milestone", step=step, words=words, name="chck_1M", folder="chck_1M", target_words=words)
        shown = {"loss": 7.6 - 4.2 * step / TOTAL_STEPS, "learning_rate": 3e-4, "grad_norm": 1.0}
        record.append("log", step=step, words=words, seconds=6.0 * step, **shown)
    record.append("end", step=TOTAL_STEPS, words=TOTAL_WORDS, seconds=725.0, reason="the plan is done", flops=1.25e15)
    measure(record, TOTAL_STEPS, None)
    return record


def golden_cards(folder: Path) -> dict[str, str]:
    """File name -> text of the cards that are compared word for word."""
    from babylm_hf.publishing import ModelCardRenderer

    end = {"step": TOTAL_STEPS, "words": TOTAL_WORDS}
    masked, causal = synthetic_record(folder / "record"), causal_record(folder / "causal")
    guesses = [["sees", 0.5], ["`|`", 0.25], ["hears", 0.125]]
    masked.append("example", text="the dog [MASK] the cat .", guesses=guesses, **end)
    causal.append("example", text="the dog", continuation=" sees the cat <b>and</b> *runs* .", **end)
    causal.append("carbon", **CARBON, **end)
    renderer = ModelCardRenderer(masked)
    cards = {"card_masked.md": renderer.render(), "card_masked_milestone.md": renderer.render("chck_1M")}
    cards["card_causal.md"] = ModelCardRenderer(causal).render()
    diffusion = synthetic_record(folder / "diffusion", **DIFFUSION)
    bound = {"eval_loss": 3.5, "eval_accuracy": 0.5, "eval_nelbo": 3.25, "eval_nelbo_error": 0.02}
    metrics = {**bound, "eval_targets": 2345.0}
    diffusion.append("evaluation", task="held_out", metrics=metrics, milestone=None, **end)
    diffusion.append("example", text="the dog <mask> the cat .", guesses=guesses, **end)
    return cards | {"card_diffusion.md": ModelCardRenderer(diffusion).render()}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for file, text in golden_cards(Path(scratch)).items():
            (GOLDEN / file).write_text(text, encoding="utf-8")
