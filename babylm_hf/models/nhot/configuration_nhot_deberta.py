"""Configuration of DeBERTa-v2 with n-hot embeddings. This file travels with the weights and needs transformers only."""

from __future__ import annotations

from typing import Any

from transformers import DebertaV2Config

# Saving one model names its own class only, but from a folder of it the other classes are loaded too.
AUTO_MAP = {
    "AutoConfig": "configuration_nhot_deberta.NHotDebertaConfig",
    "AutoModel": "modeling_nhot_deberta.NHotDebertaModel",
    "AutoModelForMaskedLM": "modeling_nhot_deberta.NHotDebertaForMaskedLM",
    "AutoModelForSequenceClassification": "modeling_nhot_deberta.NHotDebertaForSequenceClassification",
}
SCALINGS = ("sum", "mean", "sqrt")
STARTS = ("normal", "zero")


class NHotDebertaConfig(DebertaV2Config):
    """DeBERTa-v2 whose word vectors are told which pieces of the vocabulary a piece contains.

    The paper (Edman & Fraser 2025, section 3.2) says that e(i) = Emb[i] + Linear(a_i), where a_i has a one for every
    piece that is a contiguous substring of piece i. What it leaves open are options here, and the defaults are what its
    words and the examples in them say most plainly.

    Args:
        nhot_entries: ones in all a_i together, the size of the table that is saved with the weights; 0 for a model
            whose table is still to be filled.
        nhot_self: whether a piece is a substring of itself. Yes: by the paper's definition it is.
        nhot_word_start: whether the mark of a word's beginning counts as a piece when it stands alone.
        nhot_specials: whether special and byte pieces contain others and occur in them, as "[MASK]" does "M".
        nhot_scaling: what the rows of the substrings are divided by: nothing ("sum", as a linear layer does), their
            number ("mean"), or its square root ("sqrt"; at the start as long as one row, where the sum over the usual
            18 substrings is four times as long).
        nhot_bias: whether the linear layer has a bias. No: the embedding is normed next, with a bias of its own.
        nhot_start: whether the rows start as word vectors do ("normal") or at 0 ("zero": at first a plain DeBERTa).
        nhot_gate: first value of a learned factor on the linear layer's output; None for no such factor.
        kwargs: of `DebertaV2Config`.

    The sum is made before the layer norm of the embeddings, and the vocabulary head is tied to Emb alone.
    """

    model_type = "nhot-deberta-v2"

    def __init__(
        self,
        nhot_entries: int = 0,
        nhot_self: bool = True,
        nhot_word_start: bool = True,
        nhot_specials: bool = False,
        nhot_scaling: str = "sum",
        nhot_bias: bool = False,
        nhot_start: str = "normal",
        nhot_gate: float | None = None,
        **kwargs: Any,
    ) -> None:
        if nhot_scaling not in SCALINGS:
            raise ValueError(f"nhot_scaling is {nhot_scaling!r}; choose one of {', '.join(SCALINGS)}")
        if nhot_start not in STARTS:
            raise ValueError(f"nhot_start is {nhot_start!r}; choose one of {', '.join(STARTS)}")
        self.nhot_entries = nhot_entries
        self.nhot_self = nhot_self
        self.nhot_word_start = nhot_word_start
        self.nhot_specials = nhot_specials
        self.nhot_scaling = nhot_scaling
        self.nhot_bias = nhot_bias
        self.nhot_start = nhot_start
        self.nhot_gate = nhot_gate
        super().__init__(**{"auto_map": dict(AUTO_MAP), **kwargs})
