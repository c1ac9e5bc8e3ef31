"""Stock architectures under a short name, always with fresh weights and a configuration of the final sizes.

A preset is the published configuration of a model family, written out, so that nothing has to be fetched. Another
width, depth or vocabulary goes in before the configuration object is made and never after: some configurations derive
further sizes from it (DeBERTa-v2 its pooler's), and a folder saved with stale ones does not load as a classifier.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..errors import OptionError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Preset:
    """A published configuration.

    Attributes:
        model_type: the architecture's name in transformers.
        head_size: width of an attention head wherever the model's width is not the preset's own.
        settings: what differs from the defaults of the architecture's configuration class.
        source: where the settings are published.
    """

    model_type: str
    head_size: int
    source: str
    settings: dict[str, Any] = field(default_factory=dict)


def _sizes(hidden: int, layers: int, heads: int, intermediate: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
    }


_DEBERTA_V3 = {
    "relative_attention": True,
    "position_buckets": 256,
    "max_relative_positions": -1,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_biased_input": False,
    "type_vocab_size": 0,
    "layer_norm_eps": 1e-7,
    "max_position_embeddings": 1024,
}
# Few buckets: transformers projects all of them in every layer, which on short rows costs as much as the rows do.
_DEBERTA_LITTLE = {**_DEBERTA_V3, "position_buckets": 32, "max_position_embeddings": 512}

_DIFFUSION = "Kosmopoulou et al. 2025, masked diffusion on the encoder of GPT-BERT"
# Only with embeddings of their own for input and output do the sizes give the published 26 and 66 million parameters.
_LLAMA = {"max_position_embeddings": 512, "tie_word_embeddings": False}

PRESETS: dict[str, Preset] = {
    "deberta-v3-base": Preset(
        "deberta-v2",
        32,
        "He et al. 2021 (microsoft/deberta-v3-base); with widths 384 / 1280 the model of Edman & Fraser 2025, table 4",
        {**_DEBERTA_V3, **_sizes(768, 12, 12, 3072)},
    ),
    "deberta-small": Preset(
        "deberta-v2", 32, "the shape above, reduced for a CPU", {**_DEBERTA_LITTLE, **_sizes(256, 6, 8, 1024)}
    ),
    "deberta-tiny": Preset(
        "deberta-v2", 32, "the shape above, for demonstrations and tests", {**_DEBERTA_LITTLE, **_sizes(128, 3, 4, 512)}
    ),
    "nhot-deberta-base": Preset(
        "nhot-deberta-v2",
        32,
        "Edman & Fraser 2025, section 3.2: deberta-v3-base with n-hot embeddings",
        {**_DEBERTA_V3, **_sizes(768, 12, 12, 3072)},
    ),
    "nhot-deberta-small": Preset(
        "nhot-deberta-v2", 32, "deberta-small with n-hot embeddings", {**_DEBERTA_LITTLE, **_sizes(256, 6, 8, 1024)}
    ),
    "nhot-deberta-tiny": Preset(
        "nhot-deberta-v2", 32, "deberta-tiny with n-hot embeddings", {**_DEBERTA_LITTLE, **_sizes(128, 3, 4, 512)}
    ),
    "bert-base": Preset("bert", 64, "Devlin et al. 2019 (google-bert/bert-base-uncased)", _sizes(768, 12, 12, 3072)),
    "bert-small": Preset(
        "bert", 64, "the seed model of Accuracy-Morph, 2026", {**_sizes(256, 4, 4, 1024), "type_vocab_size": 1}
    ),
    "llama-26m": Preset("llama", 64, "model A of the LLaMA baselines", {**_sizes(384, 6, 6, 1536), **_LLAMA}),
    "llama-66m": Preset("llama", 64, "model B of the LLaMA baselines", {**_sizes(512, 8, 8, 2048), **_LLAMA}),
    "llama-tiny": Preset("llama", 32, "for demonstrations and tests", {**_sizes(128, 3, 4, 512), **_LLAMA}),
    "bert-tiny": Preset("bert", 32, "for demonstrations and tests", {**_sizes(128, 3, 4, 512), "type_vocab_size": 1}),
    "diffusion-base": Preset("babylm-diffusion", 64, _DIFFUSION, _sizes(768, 12, 12, 2560)),
    "diffusion-small": Preset(
        "babylm-diffusion",
        64,
        "the shape above, reduced for a CPU",
        {**_sizes(256, 4, 4, 704), "conditioning_size": 64},
    ),
    "diffusion-tiny": Preset(
        "babylm-diffusion",
        32,
        "the shape above, for demonstrations and tests",
        {**_sizes(128, 3, 4, 384), "conditioning_size": 32},
    ),
}

# The names of `build_model`'s sizes where a configuration class has its own and no alias for them.
_OTHER_NAMES = {"intermediate_size": ("n_inner", "hidden_dim", "ffn_dim")}
_DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob"),  # BERT, RoBERTa, ELECTRA, DeBERTa
    *("attention_dropout", "embedding_dropout", "mlp_dropout", "dropout"),  # ModernBERT, Llama, DistilBERT
    *("resid_pdrop", "embd_pdrop", "attn_pdrop"),  # GPT-2
)


def build_model(
    preset: str,
    tokenizer: PreTrainedTokenizerBase,
    *,
    objective: Literal["masked", "causal"] = "masked",
    **overrides: Any,
) -> PreTrainedModel:
    """A model with random weights (seed torch first) whose vocabulary is the tokenizer's.

    Args:
        preset: a name in `PRESETS`, or a Hub id or folder, of which only the configuration is used.
        tokenizer: gives the vocabulary size and the ids of the special tokens.
        objective: which head it gets.
        overrides: `hidden_size`, `intermediate_size`, `num_hidden_layers`, `num_attention_heads`, `dropout` (every
            dropout of the architecture), or any other field of its configuration. Those that are None are left out.

    Raises:
        OptionError: no such preset or configuration, a field the configuration lacks, or sizes that do not fit.
    """
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    config = build_config(preset, tokenizer, **overrides)
    auto_class = AutoModelForMaskedLM if objective == "masked" else AutoModelForCausalLM
    try:
        model = auto_class.from_config(config)
    except ValueError as error:
        if "Unrecognized configuration class" not in str(error):
            raise
        raise OptionError(
            f"--model {preset}: a {config.model_type} model has no {objective} language head; "
            f"pass --objective {'causal' if objective == 'masked' else 'masked'}."
        ) from error
    if hasattr(config, "nhot_entries"):
        from .nhot import fill_substrings

        fill_substrings(model, tokenizer)
    return model


def build_config(preset: str, tokenizer: PreTrainedTokenizerBase, **overrides: Any) -> PreTrainedConfig:
    """The configuration of `build_model`, made with its final sizes. Arguments and errors are the same."""
    from transformers import AutoConfig

    from . import diffusion, nhot  # noqa: F401 (tells AutoConfig of our own architectures)

    wanted = {name: value for name, value in overrides.items() if value is not None}
    if preset in PRESETS:
        source = PRESETS[preset]
        base, head_size = AutoConfig.for_model(source.model_type, **source.settings), source.head_size
    else:
        base = _foreign_config(preset)
        head_size = base.hidden_size // base.num_attention_heads
    changes = _named_as_in(base, preset, wanted)
    width = wanted.get("hidden_size", base.hidden_size)
    if width != base.hidden_size and "num_attention_heads" not in wanted:
        changes |= _named_as_in(base, preset, {"num_attention_heads": max(1, width // head_size)})
    changes |= _from_tokenizer(base, tokenizer)
    settings = {**base.to_dict(), **changes}
    if settings.get("pooler_hidden_size") == base.hidden_size:
        settings["pooler_hidden_size"] = width  # derived from the width in DeBERTa-v2, but saved as if it were chosen
    # So are these in Llama and its like.
    if settings.get("num_key_value_heads") == base.num_attention_heads and "num_key_value_heads" not in wanted:
        settings["num_key_value_heads"] = settings.get("num_attention_heads")
    if settings.get("head_dim") == base.hidden_size // base.num_attention_heads and "head_dim" not in wanted:
        settings["head_dim"] = None
    config = type(base).from_dict({name: value for name, value in settings.items() if name != "architectures"})
    if config.hidden_size % config.num_attention_heads:
        raise OptionError(
            f"--hidden_size {config.hidden_size} cannot be shared among {config.num_attention_heads} heads: "
            "change it or --num_attention_heads so that it divides evenly."
        )
    if hasattr(config, "nhot_entries"):
        config.nhot_entries = sum(map(len, nhot.substrings_of(config, tokenizer)))
    theta = (getattr(config, "rope_parameters", None) or {}).get("rope_theta")
    if theta is not None:
        config.rope_theta = theta  # transformers 4 looks for it here and would take another one for the default
    return config


def _foreign_config(name: str) -> PreTrainedConfig:
    """The configuration of a folder or Hub id. A near miss of a preset is refused without asking the Hub."""
    from transformers import AutoConfig

    near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.8)
    hint = f"did you mean {near[0]}?" if near else f"the presets are {', '.join(PRESETS)}."
    if near and "/" not in name and not os.path.isdir(name):
        raise OptionError(f"--model {name}: no such preset; {hint}")
    try:
        return AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise OptionError(
            f"--model {name}: neither a preset nor a folder or Hub id whose configuration can be loaded; {hint}"
        ) from error


def _named_as_in(config: PreTrainedConfig, preset: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """`wanted` under the names that the fields have in this configuration."""
    changes: dict[str, Any] = {}
    for name, value in wanted.items():
        if name == "dropout":
            changes |= {field_name: value for field_name in _DROPOUTS if hasattr(config, field_name)}
            continue
        stored = config.attribute_map.get(name, name)
        candidates = [n for n in (stored, *_OTHER_NAMES.get(name, ())) if hasattr(config, n)]
        if not candidates:
            raise OptionError(f"--{name} cannot be set: the configuration of {preset} has no such field.")
        changes[candidates[0]] = value
    return changes


def _from_tokenizer(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """The vocabulary, and the special tokens under the names every configuration has, None where there is none."""
    changes: dict[str, Any] = {"vocab_size": len(tokenizer)}
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        changes[name] = getattr(tokenizer, name, None)
    if hasattr(config, "special_token_ids"):  # of our diffusion encoder
        changes["special_token_ids"] = sorted(
            {*tokenizer.all_special_ids, *(i for i, token in tokenizer.added_tokens_decoder.items() if token.special)}
        )
    for name in ("cls_token_id", "sep_token_id", "mask_token_id"):  # ModernBERT's configuration keeps these too
        if hasattr(config, name):
            changes[name] = getattr(tokenizer, name, None)
    return changes
