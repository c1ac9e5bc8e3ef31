"""Text in, token stream out: sources, tokenizers, the memory-mapped token stream, and the built-in toy language."""

from __future__ import annotations

from .cache import StreamInfo
from .documents import SourceReport, iter_documents, source_reports, text_digests
from .files import HubSource, hub_sources
from .stream import TokenStream
from .tokenizers import algorithm_name, load_tokenizer, require_mask_token
from .training import train_tokenizer
from .words import WordMarker

__all__ = [
    "HubSource",
    "SourceReport",
    "StreamInfo",
    "TokenStream",
    "WordMarker",
    "algorithm_name",
    "hub_sources",
    "iter_documents",
    "load_tokenizer",
    "require_mask_token",
    "source_reports",
    "text_digests",
    "train_tokenizer",
]
