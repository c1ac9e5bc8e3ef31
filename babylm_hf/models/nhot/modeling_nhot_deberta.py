"""DeBERTa-v2 with n-hot embeddings: every piece also has the vectors of the pieces that are substrings of it.

Edman & Fraser 2025, "Mask and You Shall Receive" (arXiv 2510.20475), section 3.2. This file travels with the weights
and needs torch and transformers only. All but the embedding is the stock DeBERTa-v2 of transformers, under the stock
names, so its weights can be loaded into a stock model (which then does without the substrings).

The sets of substrings are a table in compressed rows, two integer buffers that are saved with the weights: a model
needs its tokenizer when it is made and never again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    DebertaV2ForMaskedLM,
    DebertaV2ForSequenceClassification,
    DebertaV2Model,
    DebertaV2PreTrainedModel,
)

from .configuration_nhot_deberta import NHotDebertaConfig


class NHotEmbedding(nn.Embedding):
    """Word vectors plus the vectors of substrings: Emb[i] + gate * (scale_i * sum over substrings s of W[s] + bias).

    `weight` `[V, H]` is Emb, to which the vocabulary head is tied; `substring_weight` `[V, H]` is W. The substrings of
    piece i are `substring_ids[substring_starts[i]:substring_starts[i + 1]]`, int32.
    """

    substring_ids: Tensor
    substring_starts: Tensor

    def __init__(self, config: NHotDebertaConfig) -> None:
        super().__init__(config.vocab_size, config.hidden_size, padding_idx=getattr(config, "pad_token_id", None))
        self.scaling = config.nhot_scaling
        self.substring_weight = nn.Parameter(torch.empty(config.vocab_size, config.hidden_size))
        self.substring_bias = nn.Parameter(torch.zeros(config.hidden_size)) if config.nhot_bias else None
        self.gate = nn.Parameter(torch.tensor(float(config.nhot_gate))) if config.nhot_gate is not None else None
        self.register_buffer("substring_ids", torch.zeros(config.nhot_entries, dtype=torch.int32))
        self.register_buffer("substring_starts", torch.zeros(config.vocab_size + 1, dtype=torch.int32))
        self.checked = False

    def fill(self, substrings: Sequence[Sequence[int]]) -> None:
        """Set the table: for each of the V pieces the ids of its substrings."""
        flat = [piece for of_piece in substrings for piece in of_piece]
        sizes = [len(of_piece) for of_piece in substrings]
        if len(sizes) != self.num_embeddings or len(flat) != len(self.substring_ids):
            raise ValueError(
                f"{len(sizes)} pieces with {len(flat)} substrings do not fit a model of {self.num_embeddings} with "
                f"{len(self.substring_ids)}; set vocab_size and nhot_entries of its configuration first"
            )
        starts = torch.cat((torch.zeros(1, dtype=torch.int64), torch.tensor(sizes).cumsum(0)))
        self.substring_ids.copy_(torch.tensor(flat, dtype=torch.int32))
        self.substring_starts.copy_(starts)
        self.checked = False

    def forward(self, input_ids: Tensor) -> Tensor:
        """Ids `[...]` to vectors `[..., H]`."""
        return super().forward(input_ids) + self.substring_part(input_ids)

    def substring_part(self, input_ids: Tensor) -> Tensor:
        """What the substrings add, `[..., H]`.

        On a GPU it is made for the whole vocabulary and looked up: fixed shapes, and nothing to wait for. Elsewhere it
        is made for the pieces that occur, which are few.
        """
        self.check()
        if input_ids.device.type == "cuda":
            table = self._bags(self.substring_ids, self.substring_starts[:-1])
            return F.embedding(input_ids, self._scaled(table, self.substring_starts.diff()))
        pieces, places = input_ids.unique(return_inverse=True)
        first = self.substring_starts[pieces].long()
        sizes = self.substring_starts[pieces + 1].long() - first
        offsets = sizes.cumsum(0) - sizes
        entries = torch.arange(int(sizes.sum()), device=pieces.device) + (first - offsets).repeat_interleave(sizes)
        return F.embedding(places, self._scaled(self._bags(self.substring_ids[entries], offsets), sizes))

    def _bags(self, entries: Tensor, offsets: Tensor) -> Tensor:
        """Sums of rows of W; the bag of an entry-less piece is zero."""
        return F.embedding_bag(entries, self.substring_weight, offsets.to(entries.dtype), mode="sum")

    def _scaled(self, bags: Tensor, sizes: Tensor) -> Tensor:
        if self.scaling != "sum":
            power = 1.0 if self.scaling == "mean" else 0.5
            bags = bags * sizes.clamp(min=1).to(bags.dtype).pow(-power)[:, None]
        if self.substring_bias is not None:
            bags = bags + self.substring_bias
        return bags if self.gate is None else self.gate * bags

    def check(self) -> None:
        """Raise `ValueError` if the table was neither filled nor loaded; looks once, for it would wait for a GPU."""
        if not self.checked:
            if int(self.substring_starts[-1]) != len(self.substring_ids):
                raise ValueError(
                    "the table of substrings is empty: load weights that were saved with it, or fill it from the "
                    "tokenizer with babylm_hf.models.nhot.fill_substrings(model, tokenizer)"
                )
            self.checked = True


class NHotDebertaPreTrainedModel(DebertaV2PreTrainedModel):
    """What the models have in common: how their weights start, and that their vocabulary is fixed."""

    config_class = NHotDebertaConfig

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """As in DeBERTa-v2; the rows of substrings as `nhot_start` says, and a table that was not loaded empty."""
        super()._init_weights(module)
        if isinstance(module, NHotEmbedding):
            if self.config.nhot_start == "zero":
                nn.init.zeros_(module.substring_weight)
            else:
                nn.init.normal_(module.substring_weight, mean=0.0, std=self.config.initializer_range)
            if module.substring_bias is not None:
                nn.init.zeros_(module.substring_bias)
            if module.gate is not None:
                nn.init.constant_(module.gate, self.config.nhot_gate)
            nn.init.zeros_(module.substring_starts)
            nn.init.zeros_(module.substring_ids)

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args: Any, **kwargs: Any) -> nn.Embedding:
        """The embedding as it is: a new piece would have no substrings.

        Raises:
            ValueError: another size is asked for.
        """
        embedding: nn.Embedding = self.get_input_embeddings()
        if new_num_tokens not in (None, embedding.num_embeddings):
            raise ValueError(
                f"an n-hot model cannot change its vocabulary from {embedding.num_embeddings} to {new_num_tokens} "
                "pieces: the table of substrings belongs to the tokenizer it was made with"
            )
        return embedding


class NHotDebertaModel(NHotDebertaPreTrainedModel, DebertaV2Model):
    """The encoder."""

    def __init__(self, config: NHotDebertaConfig) -> None:
        super().__init__(config)
        self.embeddings.word_embeddings = NHotEmbedding(config)
        self.post_init()


class NHotDebertaForMaskedLM(NHotDebertaPreTrainedModel, DebertaV2ForMaskedLM):
    """The encoder with its vocabulary head, tied to the word vectors without their substrings."""

    def __init__(self, config: NHotDebertaConfig) -> None:
        super().__init__(config)
        self.deberta = NHotDebertaModel(config)
        self.post_init()


class NHotDebertaForSequenceClassification(NHotDebertaPreTrainedModel, DebertaV2ForSequenceClassification):
    """The encoder with a classifier on the first position."""

    def __init__(self, config: NHotDebertaConfig) -> None:
        super().__init__(config)
        self.deberta = NHotDebertaModel(config)
        self.post_init()
