"""Text in, token stream out: sources, tokenizers, the memory-mapped token stream, and the built-in toy language."""

from __future__ import annotations

from .cache import StreamInfo
from .document_rows import DocumentRows
from .documents import SourceReport, iter_documents, source_reports, text_digests
from .files import HubSource, hub_sources
from .mix_files import cached_mix, mix_facts, mix_of, write_mix
from .mix_sources import MixSource, find_mix_sources
from .mixing import Mix, mix
from .stream import TokenStream
from .tokenizers import algorithm_name, load_tokenizer, require_causal_tokens, require_mask_token
from .training import train_tokenizer
from .words import WordMarker

__all__ = [
    "DocumentRows",
    "HubSource",
    "Mix",
    "MixSource",
    "SourceReport",
    "StreamInfo",
    "TokenStream",
    "WordMarker",
    "algorithm_name",
    "cached_mix",
    "find_mix_sources",
    "hub_sources",
    "iter_documents",
    "load_tokenizer",
    "mix",
    "mix_facts",
    "mix_of",
    "require_causal_tokens",
    "require_mask_token",
    "source_reports",
    "text_digests",
    "train_tokenizer",
    "write_mix",
]
