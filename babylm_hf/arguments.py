"""Every option of a recipe that is not a training argument, grouped by the room it belongs to.

The options of the trainer itself stand in `babylm_hf.training.arguments`, because that class extends the stock
`TrainingArguments` and importing it imports torch; nothing here does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


def option(default: Any, help: str, *aliases: str) -> Any:
    """A dataclass field with its help text and its other names on the command line."""
    metadata = {"help": help, **({"aliases": list(aliases)} if aliases else {})}
    return field(default=default, metadata=metadata)


def default_cache_dir() -> str:
    """`$BABYLM_HF_CACHE`, or `babylm_hf` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return os.environ.get("BABYLM_HF_CACHE", str(Path(base) / "babylm_hf"))


@dataclass
class CorpusArguments:
    """Where the text comes from."""

    _argument_group_name = "corpus"

    train_file: list[str] | None = option(None, "text to train on: files, folders, .gz, .jsonl", "--train_data")
    validation_file: list[str] | None = option(None, "held-out text, same forms", "--valid_data")
    dataset_name: str | None = option(None, "a data set on the Hub, instead of --train_file")
    dataset_config_name: str | None = option(None, "its configuration")
    dataset_split: str = option("train", "its split to train on")
    dataset_validation_split: str | None = option(None, "its split to evaluate on")
    text_field: str = option("text", "the field of a JSON line or data set row that holds the text")
    document: Literal["line", "blank_line"] = option("line", "what ends a document: every line, or a blank line")
    mix_bytes: str | None = option(
        None, "mix the sources to this size, such as 2MB; a source is one --train_file, or several as name=a.txt,b.txt"
    )
    mix_method: Literal["round_robin", "proportional", "temperature", "shares"] | None = option(
        None, "how a mix divides its bytes: equally (round_robin, the default), by size, or as --mix_shares says"
    )
    mix_shares: str | None = option(None, "shares of the sources, as 0.5,0.3,0.2; for --mix_method shares")
    mix_temperature: float | None = option(None, "1 proportional, higher more equal; for --mix_method temperature")
    mix_min_words: int = option(0, "leave documents with fewer words out of the mix")
    mix_drop_duplicates: bool = option(False, "leave documents that have come before out of the mix")
    allow_short: bool = option(False, "go on when a source of the mix runs out before its share")
    packing: Literal["packed", "line"] = option(
        "packed", "rows of training text: cut from one stream of all documents, or a document each (long ones in parts)"
    )
    separate_documents: bool = option(False, "causal models: no token sees another document of its packed row")
    end_of_text: bool = option(
        False, "masked models: put the end-of-text token after every document, and learn where texts begin and end"
    )
    corpus_licence: str | None = option(None, "licence of the text, for the card")
    language: str = option("en", "language of the text, for the card")
    cache_dir: str = field(
        default_factory=default_cache_dir, metadata={"help": "where tokenised text is kept between runs"}
    )
    demo: bool = option(False, "train a small model on the built-in toy language; no data and no network needed")
    demo_words: int = option(450_000, "words of toy language that --demo trains on")


@dataclass
class TokenizerArguments:
    """Which tokenizer is loaded, or how one is trained on the corpus."""

    _argument_group_name = "tokenizer"

    tokenizer: str | None = option(
        None, "Hub id, folder, tokenizer.json or SentencePiece .model; without it one is trained", "--tokenizer_name"
    )
    tokenizer_if_reachable: str | None = option(
        None,
        "a Hub tokenizer that is used where it can be loaded and none is named; else one is trained",
    )
    tokenizer_algorithm: Literal["bpe", "wordpiece", "unigram", "bpe-gptbert"] = option(
        "bpe", "algorithm when one is trained"
    )
    vocab_size: int = option(40_000, "vocabulary size when one is trained")
    exact_vocab_size: bool = option(
        False, "stop where the text gives a smaller vocabulary than --vocab_size, instead of going on with that"
    )
    lower: bool = option(False, "lower-case the text in the tokenizer")


@dataclass
class ModelArguments:
    """The architecture; weights always start from scratch."""

    _argument_group_name = "model"

    model: str = option(
        "deberta-v3-base",
        "a preset of babylm_hf.models, or a Hub id or folder of which only the configuration is used",
        "--model_path",
        "--config_name",
    )
    objective: Literal["masked", "causal"] = option("masked", "predict masked tokens, or the next one")
    hidden_size: int | None = option(None, "width; the preset's own without it")
    intermediate_size: int | None = option(None, "width of the feed-forward layers")
    num_hidden_layers: int | None = option(None, "number of layers")
    num_attention_heads: int | None = option(None, "number of heads; without it the preset's head size decides")
    dropout: float | None = option(None, "dropout probability, hidden and attention alike")
    default_mask_rate: Literal["zero", "inverse_length", "observed"] | None = option(
        None, "diffusion: what the model takes for the share of masks where it is not told; zero, as published"
    )
    suppress_mask: bool | None = option(
        None, "diffusion: give the mask token no probability (so by default), or let it compete, as published (false)"
    )
    nhot_scaling: Literal["sum", "mean", "sqrt"] | None = option(
        None, "n-hot: what the vectors of substrings are divided by: nothing (default), their number, or its root"
    )
    nhot_start: Literal["normal", "zero"] | None = option(None, "n-hot: how the vectors of substrings start")
    nhot_gate: float | None = option(None, "n-hot: first value of a learned factor on the substrings' part")
    nhot_bias: bool | None = option(None, "n-hot: add a bias to the substrings' part")
    nhot_self: bool | None = option(None, "n-hot: count a piece among its own substrings (so by default)")
    nhot_word_start: bool | None = option(
        None, "n-hot: count the mark of a word's beginning as a substring (so by default)"
    )
    nhot_specials: bool | None = option(None, "n-hot: let special and byte pieces take part")

    def overrides(self) -> dict[str, Any]:
        """The options given, under the names `babylm_hf.models.build_model` takes."""
        names: tuple[str, ...] = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
        names += ("dropout", "default_mask_rate", "suppress_mask")
        names += tuple(name for name in vars(self) if name.startswith("nhot_"))
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass
class MaskingArguments:
    """Rate, policy and corruption of the masks."""

    _argument_group_name = "masking"

    masking: Literal[
        "regular", "hard", "soft", "frequency", "whole_word", "span",
        "random", "accuracy_morph", "entity_accuracy_morph", "cms_morph", "hhm", "entity_only", "error_only",
        "frequency_only", "random_sketch",
    ] = option(
        "hard",
        "policy: uniform (regular); adaptive by error rate (hard) or loss (soft); by corpus frequency; whole words; "
        "spans; or an exact number in every row: random, or guided (accuracy_morph and its relatives)",
        "--policy",
    )  # fmt: skip
    regular_mlm: bool = option(False, "same as --masking regular")
    soft: bool = option(False, "same as --masking soft")
    mlm_prob: float = option(0.15, "mask rate at the first step")
    mask_decay: float = option(0.0, "how much the rate falls by the last step")
    mask_schedule: str = option("linear", "how it falls: linear, cosine, or share:rate pairs, such as 0:0.4,0.5:0.15")
    mask_replace_prob: float = option(0.8, "share of the targets replaced by the mask token")
    random_replace_prob: float = option(0.1, "share of the targets replaced by a random token")
    mask_prior: str | None = option(None, "file with a weight for every token id that multiplies its chances")
    mask_update_steps: int = option(200, "optimizer steps between updates of the mask weights")
    first_mask_update: int = option(0, "no update before this step")
    mask_lambda: float = option(0.2, "share of the old weight that an update keeps")
    log_mlm_probs: bool = option(False, "save the mask weight of every token at every update")
    reference_behaviour: bool = option(False, "do what the published code does where it differs from the paper or us")

    noise_schedule: Literal["linear", "cosine", "cosine_squared", "gaussian", "bimodal"] | None = option(
        None, "masked diffusion: draw every row's mask rate from this schedule and weigh its loss"
    )
    softening: float | None = option(None, "power of the schedule's derivative in the weight; 1, Gaussians 0.1")
    max_loss_weight: float | None = option(None, "no loss weight is larger")
    loss_weighting: Literal["sequence", "token"] = option("sequence", "one weight a row, or each token's exact one")
    noise_mean: float | None = option(None, "gaussian: mean mask rate")
    noise_std: float | None = option(None, "gaussian: its standard deviation")
    left_share: float | None = option(None, "bimodal: probability of the left mode")
    left_mean: float | None = option(None, "bimodal: left mode")
    left_std: float | None = option(None, "bimodal: its standard deviation")
    right_mean_first: float | None = option(None, "bimodal: right mode at the first step")
    right_mean_last: float | None = option(None, "bimodal: where it moves to")
    right_std: float | None = option(None, "bimodal: its standard deviation")
    right_pace: float | None = option(None, "bimodal: how fast it moves")

    frequency_exponent: float = option(0.02, "frequency: power of the weights at its full value")
    frequency_curriculum: bool = option(True, "frequency: let it rise from 0 over the passes")
    frequency_weighting: Literal["rank", "inverse", "exponential", "uniform"] = option("rank", "frequency: weights")
    frequency_floor: float = option(0.0, "frequency: smallest weight in a row")
    span_length: float = option(5.0, "span: mean length before the cut")
    max_span_length: int = option(10, "span: longest span")
    span_unit: Literal["word", "token"] = option("word", "span: what lengths count")

    guided_shares: str | None = option(None, "guided: shares of the budget, as even,first,second; default as published")
    guided_warmup: float | None = option(None, "guided: steps, or below 1 a share of the run, without guidance")
    smoothing: float = option(1.0, "guided: added to the wrong guesses, and twice to all, in an error rate")
    min_seen: float = option(3.0, "guided: targets before a token has an error rate")
    score_cap: float = option(0.9, "guided: no error rate is higher")
    score_formula: Literal["code", "paper"] = option("code", "guided: the error rate as published in code or in print")
    counting: Literal["exact", "sketch"] | None = option(None, "guided: exact counts, or sketches as published")
    sketch_width: int = option(65_536, "guided: columns of a sketch")
    sketch_depth: int = option(4, "guided: rows of a sketch")
    count_decay: float = option(1.0, "guided: what the counts are multiplied by at every update")
    budget_rounding: Literal["half_even", "stochastic"] = option("half_even", "guided: rounding of a row's budget")
    count_only_mask_token: bool = option(False, "learn only from targets shown as the mask token")
    merge_continuations: bool = option(True, "guided: count ##ing and ing as one")
    trigram_boundaries: bool = option(True, "guided: trigrams know where a piece begins and ends")

    def policy_name(self) -> str:
        """The policy after the two shorthand flags of the reference."""
        return "regular" if self.regular_mlm else "soft" if self.soft else self.masking


@dataclass
class EvaluationArguments:
    """What is measured while training and at the end."""

    _argument_group_name = "evaluation"

    eval_pairs: str | None = option(None, "folder of minimal pairs in BLiMP's format, scored at every milestone")
    eval_tasks: list[str] | None = option(
        None,
        "zero-shot tasks scored at every milestone on their subsamples for checkpoints: blimp supplement ewok "
        "entity_tracking reading ..., or NAME=FOLDER in BLiMP's form",
    )
    eval_data: str | None = option(None, "folder or Hub data set with the official evaluation data, for --eval_tasks")
    max_pairs: int = option(0, "at most this many pairs a file at milestones; 0 for all. The final model gets all")


@dataclass
class CardArguments:
    """What only a person can say about the model, for its card."""

    _argument_group_name = "card"

    model_name: str | None = option(None, "title of the card; the name of the output folder without it")
    licence: str = option("apache-2.0", "licence of the weights, a Hub identifier", "--license")
    author: str | None = option(None, "who trained it, for the card's citation")
    examples: list[str] | None = option(
        None, "texts that the final model is asked, for the card: with one [MASK], or beginnings for causal models"
    )
