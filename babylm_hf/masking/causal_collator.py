"""The collator of causal models: pads rows and names every token a target of the one before it. It hides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..errors import OptionError
from .base import RowCollator
from .padding import Feature, pad_features

_NOT_TARGETS = -100


class DataCollatorForCausalRows(RowCollator):
    """Pads rows for next-token prediction; works in a plain `transformers.Trainer` and in `BabyLMTrainer`.

    `labels` are the ids themselves, -100 at padding: stock causal models shift them, and so does `CausalObjective`. A
    row of n tokens has n - 1 targets, since nothing stands before its first one.

    Args:
        tokenizer: gives the ids that fill a row and that begin a document.
        separate_documents: let no token see another document of its row. Positions then start again at every
            beginning-of-text token and no attention mask is passed, which is how the models of transformers 5 are told
            of packed documents (and which 4 ignores); models with relative or rotary positions lose nothing by it.
        pad_to_multiple_of: pad examples to a multiple of this many tokens.

    Raises:
        OptionError: the tokenizer has no padding token, or none that begins a text where documents are to be separated.
    """

    def __init__(
        self, tokenizer: Any, *, separate_documents: bool = False, pad_to_multiple_of: int | None = None
    ) -> None:
        if tokenizer.pad_token_id is None:
            raise OptionError("the tokenizer has no padding token to fill short rows with; set tokenizer.pad_token")
        if separate_documents and tokenizer.bos_token_id is None:
            raise OptionError(
                "--separate_documents needs a token that begins every document, and the tokenizer has no bos_token"
            )
        self.pad_id = int(tokenizer.pad_token_id)
        self.bos_id: int | None = tokenizer.bos_token_id
        self.separate_documents = separate_documents
        self.pad_to_multiple_of = pad_to_multiple_of

    def __call__(self, features: Sequence[Feature]) -> dict[str, torch.Tensor]:
        """Examples with `input_ids` of any lengths, padded on the right, with labels; int64 `[n, L]`."""
        arrays = pad_features(features, self.pad_id, self.pad_to_multiple_of)
        return self._labelled({name: torch.from_numpy(values) for name, values in arrays.items()})

    def training_batch(self, batch: Mapping[str, Any], *, pass_index: int, step: int) -> dict[str, torch.Tensor]:
        """Model inputs and labels; the same in every pass."""
        return self._labelled(batch)

    def evaluation_batch(self, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """The same as in training."""
        return self._labelled(batch)

    def describe(self) -> dict[str, Any]:
        """The objective and whether documents see each other, for the run record."""
        return {"objective": "next token", "separate_documents": self.separate_documents}

    def _labelled(self, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        ids, attended = batch["input_ids"], batch["attention_mask"]
        labels = ids.masked_fill(attended == 0, _NOT_TARGETS)
        if not self.separate_documents:
            return {"input_ids": ids, "attention_mask": attended, "labels": labels}
        return {"input_ids": ids, "position_ids": self._positions(ids, attended), "labels": labels}

    def _positions(self, ids: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """The place of each token in its document, int64 `[n, L]`; padding is a document of its own."""
        places = torch.arange(ids.shape[1]).expand_as(ids)
        begins = (ids == self.bos_id) & (attended == 1)
        begins[:, 1:] |= attended[:, 1:] != attended[:, :-1]
        return places - torch.where(begins, places, 0).cummax(dim=1).values
