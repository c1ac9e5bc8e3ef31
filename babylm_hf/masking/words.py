"""Where the words of a row begin: from the batch, where the loader knows it, or from the tokens themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .rows import WORD_STARTS, Flags, Ids, MaskRows


@dataclass(frozen=True)
class WordBoundaries:
    """What each id says about words.

    Attributes:
        always: a word begins with the piece or inside it, bool `[V]`.
        after_blank: a word begins with it if the token before ends one, bool `[V]`.
        ends_blank: ends a word, bool `[V]`.
    """

    always: npt.NDArray[np.bool_]
    after_blank: npt.NDArray[np.bool_]
    ends_blank: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, tokenizer: Any) -> WordBoundaries:
        """The boundaries that the pieces of a Hugging Face tokenizer show.

        Raises:
            OptionError: its pieces do not show where words begin.
        """
        from ..corpus.pieces import piece_table, vocab_size

        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is not None:
            table = piece_table(backend)
            if table is not None:
                return cls(table.inside > 0, table.begins, table.ends_blank)
            model = json.loads(backend.to_str())["model"]
            if model["type"] in ("WordPiece", "WordLevel"):
                always = np.ones(vocab_size(backend), bool)
                prefix = model.get("continuing_subword_prefix")
                for piece, index in backend.get_vocab().items():
                    always[index] = not (prefix and piece.startswith(prefix))
                return cls(always, np.zeros_like(always), np.zeros_like(always))
        raise OptionError(
            f"--masking whole_word needs word boundaries, which the pieces of --tokenizer "
            f"{getattr(tokenizer, 'name_or_path', '')!r} do not show; choose a byte-level, SentencePiece or WordPiece "
            "tokenizer"
        )

    @cached_property
    def blanks_matter(self) -> bool:
        """Whether any piece begins a word in one place and not in another."""
        return bool((self.after_blank & ~self.always).any())

    def starts(self, input_ids: Ids) -> Flags:
        """Tokens with which a word begins, bool `[n, L]`."""
        starts = self.always.take(input_ids)
        if self.blanks_matter:
            blank = self.after_blank.take(input_ids)
            starts[:, 0] |= blank[:, 0]
            starts[:, 1:] |= blank[:, 1:] & self.ends_blank.take(input_ids[:, :-1])
        return starts


def word_numbers(rows: MaskRows, boundaries: WordBoundaries | None) -> Ids:
    """The number of each token's word, int64 `[n, L]`; row i begins with word i L, whole or not.

    Args:
        rows: with `word_starts` `[n, L]` among the extras (0 where no word begins), which goes before `boundaries`.
        boundaries: of the tokenizer.

    Raises:
        OptionError: neither says where words begin.
    """
    if WORD_STARTS in rows.extras:
        starts = rows.extras[WORD_STARTS] > 0
    elif boundaries is not None:
        starts = boundaries.starts(rows.input_ids)
    else:
        raise OptionError(
            f"masking of whole words needs the batch to hold {WORD_STARTS!r}, or WordBoundaries.of(tokenizer)"
        )
    numbers = np.cumsum(starts, axis=1, dtype=np.int64)
    numbers += (np.arange(0, starts.size, starts.shape[1]) - numbers[:, 0])[:, None]
    return numbers
