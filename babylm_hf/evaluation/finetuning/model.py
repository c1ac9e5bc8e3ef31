"""The classifier: any bare encoder or decoder, the official head on one of its hidden states.

The head is LayerNorm, linear, GELU, LayerNorm, dropout, linear; its LayerNorms have no weights. The official state
`p25` classifies the first token of rows padded on the right, `p26` the last position of rows padded on the left.
Position ids are never passed, so a model with absolute positions sees padding on the left as a shift, there and here.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from ...errors import OptionError
from ..models import require_vocabulary
from .settings import Pooling

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

_LAYER_NORM_EPS = 1e-5
_POSITION_TABLES = ("position_embeddings", "wpe", "embed_positions", "position_embedding")


class ClassificationHead(nn.Sequential):
    """The official head: `[..., hidden_size]` to `[..., labels]`."""

    def __init__(self, hidden_size: int, labels: int, dropout: float = 0.1) -> None:
        super().__init__(
            nn.LayerNorm(hidden_size, _LAYER_NORM_EPS, elementwise_affine=False),
            nn.Linear(hidden_size, hidden_size),
            nn.GELU(),
            nn.LayerNorm(hidden_size, _LAYER_NORM_EPS, elementwise_affine=False),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, labels),
        )


class SequenceClassifier(nn.Module):
    """A bare model with the official head.

    Args:
        encoder: what `AutoModel` gives; an encoder-decoder classifies the first position of its decoder.
        labels: number of classes.
        pooling: which hidden state is classified, the first or the last of the padded row.
        dropout: in the head.

    Raises:
        OptionError: the configuration has no `hidden_size`.
    """

    def __init__(self, encoder: Any, labels: int, pooling: Literal["first", "last"], dropout: float = 0.1) -> None:
        super().__init__()
        hidden_size = getattr(encoder.config, "hidden_size", None)
        if not isinstance(hidden_size, int):
            raise OptionError(
                f"The configuration of {type(encoder).__name__} has no hidden_size, which the head needs."
            )
        self.encoder = encoder
        self.classifier = ClassificationHead(hidden_size, labels, dropout)
        self.position = 0 if pooling == "first" or encoder.config.is_encoder_decoder else -1

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, labels]` of token ids and mask `[batch, length]`, both int64."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.encoder.config.is_encoder_decoder:
            start = self.encoder.config.decoder_start_token_id
            inputs["decoder_input_ids"] = input_ids.new_full((len(input_ids), 1), start)
        states = _hidden_states(self.encoder(**inputs), type(self.encoder).__name__)
        logits: torch.Tensor = self.classifier(states[:, self.position])
        return logits

    def positions(self) -> int | None:
        """The length of the table of absolute positions, which no row may exceed; None where there is no such table."""
        for name, module in self.encoder.named_modules():
            if isinstance(module, nn.Embedding) and name.rpartition(".")[2] in _POSITION_TABLES:
                # RoBERTa counts from behind the padding index.
                return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
        return None


def load_classifier(
    name: str | Path,
    labels: int,
    *,
    pooling: Pooling = "auto",
    dropout: float = 0.1,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> tuple[SequenceClassifier, PreTrainedTokenizerBase]:
    """The model of a folder or Hub id in float32 with a fresh head (seed torch first), and its tokenizer.

    Args:
        name: folder or Hub id.
        labels: number of classes.
        pooling: see `Settings`; it also decides on which side the tokenizer pads.
        dropout: in the head.
        revision: branch on the Hub.
        trust_remote_code: run the code that comes with the model.

    Raises:
        OptionError: it cannot be loaded, has no pad token, or cannot be classified from.
    """
    from transformers import AutoModel, AutoTokenizer

    config = load_config(name, revision=revision, trust_remote_code=trust_remote_code)
    side = pooling_of(config, pooling)
    options: dict[str, Any] = {"revision": revision} if revision else {}
    options["trust_remote_code"] = trust_remote_code
    with _said(name), _quiet():
        # float32 whatever was stored, as transformers 4 loads it.
        encoder, report = AutoModel.from_pretrained(str(name), dtype=torch.float32, output_loading_info=True, **options)
        padding = "right" if side == "first" else "left"
        tokenizer = AutoTokenizer.from_pretrained(str(name), padding_side=padding, **options)
    require_vocabulary(tokenizer, name)
    # A pooler is not used. Anything else that is missing would be fine-tuned from random weights without a word.
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing:
        raise OptionError(f"{name}: the weights lack {', '.join(missing[:3])}, which {type(encoder).__name__} has.")
    if tokenizer.pad_token_id is None:
        raise OptionError(
            f"{name}: the tokenizer has no pad token, and fine-tuning needs one: set it and save it again."
        )
    return SequenceClassifier(encoder, labels, side, dropout), tokenizer


def load_config(name: str | Path, *, revision: str | None = None, trust_remote_code: bool = False) -> PreTrainedConfig:
    """The configuration of a folder or Hub id.

    Raises:
        OptionError: there is none, or a revision was asked of a folder (transformers ignores it without a word, and
            every milestone would be fine-tuned from the same weights).
    """
    from transformers import AutoConfig

    if revision and Path(name).is_dir():
        raise OptionError(f"{name} is a folder and has no revision {revision}: pass the milestone's own folder.")
    options: dict[str, Any] = {"revision": revision} if revision else {}
    with _said(name):
        return AutoConfig.from_pretrained(str(name), trust_remote_code=trust_remote_code, **options)


def pooling_of(config: PreTrainedConfig, pooling: Pooling) -> Literal["first", "last"]:
    """What `auto` means for this model: the last token of a causal model, the first of any other."""
    if pooling != "auto":
        return pooling
    architectures = " ".join(config.architectures or ())
    return "last" if "CausalLM" in architectures or "LMHead" in architectures else "first"


def weights_of(name: str | Path, config: PreTrainedConfig) -> str:
    """What tells these weights from others under the same name: the Hub's commit, or sha256 of a folder's weights."""
    if not Path(name).is_dir():
        return str(getattr(config, "_commit_hash", None))
    digest = hashlib.sha256()
    for file in sorted([*Path(name).glob("*.safetensors"), *Path(name).glob("*.bin")]):
        with file.open("rb") as stream:
            while block := stream.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def _said(name: str | Path) -> Iterator[None]:
    """One sentence instead of what transformers raises where a model cannot be loaded."""
    try:
        yield
    except OptionError:
        raise
    except Exception as error:  # what damaged files lead to shares no base class
        reason = " ".join(str(error).split())
        hint = ": pass --trust_remote_code if you trust its code" if "trust_remote_code" in reason else ""
        raise OptionError(f"{name}: the model and its tokenizer cannot be loaded{hint} ({reason[:300]}).") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No table about the vocabulary head, which is meant to be left behind, and no bar for each of many loads."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _hidden_states(output: Any, name: str) -> torch.Tensor:
    """The hidden states `[batch, length, hidden_size]` where the pipeline looks for them, in its order.

    Raises:
        OptionError: the model gives the logits of its vocabulary, which the pipeline would classify from.
    """
    states: torch.Tensor | None
    if isinstance(output, tuple):
        states = output[0]
        return states
    if getattr(output, "logits", None) is not None:
        raise OptionError(
            f"{name} answers with vocabulary logits where AutoModel must give hidden states: name the model without "
            "its head under AutoModel in the auto_map of config.json."
        )
    states = getattr(output, "last_hidden_state", None)
    if states is None and getattr(output, "hidden_states", None):
        states = output.hidden_states[-1]
    if states is None:
        raise OptionError(f"{name} gives no last_hidden_state: it cannot be fine-tuned.")
    return states
