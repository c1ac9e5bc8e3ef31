"""Small evaluation data in the official layout, tokenizers and models of every kind that tests of scoring need.

The texts are of the built-in toy language or written here; nothing is taken from the official sets.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from babylm_hf.corpus.toy import toy_minimal_pairs, toy_sentences

SPECIALS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
VOCABULARY = 400

_TEMPLATES = {"masked": "[CLS] $A [SEP]", "causal": "[CLS] $A", "causal-bare": None}


@cache
def tokenizer_for(kind: str) -> Any:
    """A byte-level BPE that puts CLS and SEP around a text (`masked`), CLS in front (`causal`) or nothing."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator([*toy_sentences(3000, 0), *(story for story, _ in _stories())], trainer)
    if (template := _TEMPLATES[kind]) is not None:
        inner.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
    names = dict(zip(("pad_token", "cls_token", "sep_token", "unk_token", "mask_token"), SPECIALS, strict=True))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="[CLS]", model_input_names=["input_ids", "attention_mask"], **names
    )


_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "pad_token_id": 0,
    "initializer_range": 0.3,  # far from uniform, so that an error would show
}
_DEBERTA = {
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}
_GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": VOCABULARY, "initializer_range": 0.3}
_ENDS = {"bos_token_id": 1, "eos_token_id": 2}
_T5 = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "vocab_size": VOCABULARY}

MASKED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertForMaskedLM", "BertConfig", _SIZES),
    "deberta-v2": ("DebertaV2ForMaskedLM", "DebertaV2Config", {**_SIZES, **_DEBERTA}),
    "modernbert": ("ModernBertForMaskedLM", "ModernBertConfig", _SIZES),
}
CAUSAL: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", {**_GPT2, **_ENDS}),
    "llama": ("LlamaForCausalLM", "LlamaConfig", {**_SIZES, **_ENDS}),
}
_OTHERS = {"t5": ("T5ForConditionalGeneration", "T5Config", {**_T5, "initializer_factor": 1.0, "pad_token_id": 0})}


def language_model(family: str, positions: int = 256, seed: int = 1) -> Any:
    """A model of two layers with random weights, ready to score."""
    model_class, config_class, options = {**MASKED, **CAUSAL, **_OTHERS}[family]
    if family != "t5":
        options = {**options, ("n_positions" if family == "gpt2" else "max_position_embeddings"): positions}
    torch.manual_seed(seed)
    return getattr(transformers, model_class)(getattr(transformers, config_class)(**options)).eval()


def _stories() -> list[tuple[str, list[str]]]:
    """Prefixes that grow out of each other, and five options each."""
    things = ["the bone", "the map and the shell", "the cup", "the hat", "the key and the ball"]
    start = "Box 0 contains the bone, Box 1 contains the map and the shell, Box 2 contains the cup. "
    moves = ["Move the bone to Box 2. ", "Put the hat into Box 1. ", "Remove the cup from Box 2. "]
    told = ["".join([start, *moves[:count]]) for count in (0, 1, 3)]
    return [
        (f"{story}Box {box} contains ", [f"{thing}." for thing in things[box:] + things[:box]])
        for story in told
        for box in range(2)
    ]


def write_layout(folder: Path) -> Path:
    """`full_eval` and `fast_eval` with a few items of every task."""
    full, fast = folder / "full_eval", folder / "fast_eval"
    pairs = toy_minimal_pairs(2, 0)
    some = list(pairs)[:4]
    for name in some:
        rows = [{**row, "field": "syntax", "linguistics_term": row["linguistics_term"]} for row in pairs[name]]
        _write(full / "blimp_filtered" / f"{name}.jsonl", rows)
        _write(fast / "blimp_fast" / f"{name}.jsonl", rows[:1])
    for name in ("hypernym", "turn_taking"):
        rows = [{key: row[key] for key in ("sentence_good", "sentence_bad")} for row in pairs[some[0]]]
        _write(full / "supplement_filtered" / f"{name}.jsonl", rows)
        _write(fast / "supplement_fast" / f"{name}.jsonl", rows[:1])
    ewok = [
        {"Domain": domain, "Context1": "The cup is on the box.", "Context2": "The cup is in the box.",
         "Target1": f"You {verb} the cup.", "Target2": f"You do not {verb} the cup.",
         "ContextType": "direct", "ContextDiff": "antonym", "TargetDiff": "negation"}
        for domain, verb in (("spatial-relations", "see"), ("agent-properties", "know"))
    ]  # fmt: skip
    _write(full / "ewok_filtered" / "all.jsonl", ewok)
    for number, name in enumerate(("regular", "ambiref", "move_contents")):
        rows = [
            {"input_prefix": prefix, "options": options, "numops": min(i // 2, 2)}
            for i, (prefix, options) in enumerate(_stories()[2 * number : 2 * number + 2])
        ]
        _write(full / "entity_tracking" / f"{name}.jsonl", rows)
    for name in ("comps_base", "comps_wugs", "comps_wugs_dist-before", "comps_wugs_dist-in-between"):
        row = {"prefix_acceptable": "A dog", "prefix_unacceptable": "A map", "property_phrase": f"can see {name[-4:]}."}
        _write(full / "comps" / f"{name}.jsonl", [row])
    wug = [("glim", 0.3), ("brask", 0.8), ("tove", 0.5)]
    for name, endings in (("wug_adj_nominalization", ("ness", "ity")), ("wug_past_tense", ("ed", "t"))):
        rows = [{"sentences": "\t".join(f"{w}. {w}{e}" for e in endings), "ratio": ratio} for w, ratio in wug]
        _write(full / name / f"{name}.jsonl", rows)
    for name, count in (("global_piqa_parallel", 4), ("global_piqa_nonparallel", 2)):
        rows = [
            {"prompt": f"To open the box {i},", "label": i % count, "example_id": f"eng-{i}",
             **{f"solution{k}": " ".join(["pull"] * (k + 1)) + " it." for k in range(count)}}
            for i in range(3)
        ]  # fmt: skip
        _write(full / name / "eng_latn.jsonl", rows)
    _write_reading(full / "reading")
    _write_aoa(full / "cdi_childes")
    return folder


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _write_reading(folder: Path) -> None:
    """Fifty words of toy sentences with made-up times; the first word of a text has none before it."""
    import numpy as np
    import pandas

    draw = np.random.default_rng(0)
    rows = []
    for sentence in list(toy_sentences(600, 1))[:25]:
        words = sentence.rstrip(".").split()
        for place in (1, 2):
            rows.append({
                "item": " ".join(words[:place]), "word": words[place], "context_length": place,
                "prev_item": " ".join(words[: place - 1]) if place > 1 else None, "prev_word": words[place - 1],
                "length": len(words[place]), "prev_length": len(words[place - 1]), "Subtlex_log10": draw.normal(8, 2),
                **{name: draw.normal(200, 30) for name in (
                    "RTfirstfix", "RTfirstpass", "RTgopast", "RTrightbound", "self_paced_reading_time", "N400")},
            })  # fmt: skip
    folder.mkdir(parents=True)
    pandas.DataFrame(rows).to_csv(folder / "reading_data.csv")


def _write_aoa(folder: Path) -> None:
    words = {"dog": ["We see a", "This is the "], "cup": ["Give me the"], "I": ["Here am"]}
    folder.mkdir(parents=True)
    text = {word: [{"context": context} for context in contexts] for word, contexts in words.items()}
    (folder / "cdi_childes.json").write_text(json.dumps(text), encoding="utf-8")
    header = ",".join(["word", *map(str, range(16, 31))])
    shares = [",".join(f"{(m + shift) / 20:.2f}" for m in range(15)) for shift in (0, 3, 5)]
    lines = [header, *(f"{word},{share}" for word, share in zip(("dog", "cup", "ball"), shares, strict=True))]
    (folder / "cdi_human.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
