"""What vocabulary sources share: how much of one's text is made of words that occur in another.

A word here is a whitespace-separated item in lower case without the punctuation at its ends, so that `Yes,` in a book
and `yes` in a transcript are one word.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .documents import Document, Source
from .mix_sources import MixSource, find_mix_sources, read_blocks

_EDGES = string.punctuation + "‘’“”«»–—…"


@dataclass(frozen=True)
class VocabularyOverlap:
    """Shared words of sources; matrices are lists of rows, and row i column j is about source i seen from source j.

    Attributes:
        names: of the sources.
        words: running words of each, punctuation alone not counted.
        vocabulary: different words of each.
        vocabulary_shared: share of the different words of i that occur in j.
        text_shared: share of the running words of i that occur in j.
    """

    names: list[str]
    words: list[int]
    vocabulary: list[int]
    vocabulary_shared: list[list[float]]
    text_shared: list[list[float]]


def vocabulary_overlap(
    sources: Sequence[Source | MixSource], document: Document = "line", text_field: str = "text"
) -> VocabularyOverlap:
    """Counts the words of every source, which takes memory for each different word.

    Args:
        sources: as of `find_mix_sources`.
        document: what ends a document.
        text_field: field of a JSON line that holds the text.
    """
    found = find_mix_sources(sources)
    counts = [_word_counts(source, document, text_field) for source in found]
    return VocabularyOverlap(
        names=[source.name for source in found],
        words=[sum(count.values()) for count in counts],
        vocabulary=[len(count) for count in counts],
        vocabulary_shared=[[len(a.keys() & b.keys()) / max(1, len(a)) for b in counts] for a in counts],
        text_shared=[[sum(a[w] for w in a.keys() & b.keys()) / max(1, a.total()) for b in counts] for a in counts],
    )


def _word_counts(source: MixSource, document: Document, text_field: str) -> Counter[str]:
    raw: Counter[str] = Counter()
    for block in read_blocks(source, document, text_field):
        raw.update(b"".join(block.texts).decode().lower().split())
    counts: Counter[str] = Counter()
    for item, count in raw.items():  # once for each different item, not for each running word
        if word := item.strip(_EDGES):
            counts[word] += count
    return counts
