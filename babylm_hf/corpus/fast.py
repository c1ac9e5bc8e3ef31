"""The class of tokenizers made here, under the one name that all versions of transformers since 4 can load."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer
from transformers.tokenization_utils_tokenizers import TokenizersBackend


class PreTrainedTokenizerFast(TokenizersBackend):
    """A fast tokenizer whose saved configuration names `PreTrainedTokenizerFast`.

    `save_pretrained` writes the name of the class. That of transformers 5, `TokenizersBackend`, is unknown to
    transformers 4, which many evaluation pipelines pin; the old name both know.
    """

    @property
    def can_save_slow_tokenizer(self) -> bool:
        """False: there is no slow form, and with one transformers would drop "Fast" from the name."""
        return False


def wrap(backend: Tokenizer, **special_tokens: Any) -> PreTrainedTokenizerFast:
    """`backend` with the transformers interface; `special_tokens` by role, as `mask_token="[MASK]"`."""
    # transformers 4 sets the byte-level pre-tokenizer to this option, and takes it for False where it is not saved.
    space = json.loads(backend.to_str())["pre_tokenizer"] or {}
    if "add_prefix_space" in space:
        special_tokens["add_prefix_space"] = space["add_prefix_space"]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
        **special_tokens,
    )
