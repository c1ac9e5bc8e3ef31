"""Makes a token stream: reads documents, tokenises them in chunks, and appends tokens and word starts to files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tqdm.auto import tqdm

from ..errors import CorpusError
from .cache import FORMAT, StreamInfo, is_whole, publish, write_info
from .documents import Document, DocumentBatch, Source, read_documents, text_digests
from .files import find_sources, sizes
from .pieces import vocab_size
from .words import Encoded, WordMarker

_MOST_WORDS = 255  # that one entry of `word_starts` can hold


def find_or_build(
    sources: Sequence[Source],
    tokenizer: Any,
    cache_dir: Path,
    document: Document,
    text_field: str,
    progress: bool | None,
) -> Path:
    """The folder of the stream, from the cache or newly made; arguments as of `TokenStream.build`."""
    backend = plain_tokenizer(tokenizer)
    pad_id = find_pad_id(tokenizer, backend)
    tokenizer_sha256 = tokenizer_digest(tokenizer)
    digests = text_digests(sources, document, text_field)
    decides = {"format": FORMAT, "texts": digests, "tokenizer": tokenizer_sha256, "pad": pad_id}
    fingerprint = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    folder = cache_dir / f"tokens-{fingerprint[:32]}"
    if is_whole(folder):
        return folder

    info = StreamInfo(
        fingerprint=fingerprint,
        num_tokens=0,
        num_words=0,
        num_documents=0,
        vocab_size=vocab_size(backend),
        pad_id=pad_id,
        document=document,
        tokenizer_sha256=tokenizer_sha256,
        token_type="",
    )

    def write(made: Path) -> None:
        batches = read_documents(sources, document, text_field, info.sources)
        with tqdm(
            total=sizes(find_sources(sources)),
            unit="B",
            unit_scale=True,
            desc="tokenising",
            disable=None if progress is None else not progress,
        ) as bar:
            write_stream(made, batches, backend, info, bar)
        if [report.sha256 for report in info.sources] != [sha256 for _, sha256 in digests]:
            raise CorpusError("the text was changed while it was being tokenised; start again when it is complete")
        write_info(made, info)

    publish(folder, write)
    return folder


def plain_tokenizer(tokenizer: Any) -> Tokenizer:
    """A copy of the `tokenizers` object behind `tokenizer`, without truncation and padding.

    Raises:
        CorpusError: there is none.
    """
    backend = tokenizer if isinstance(tokenizer, Tokenizer) else getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise CorpusError(
            f"{type(tokenizer).__name__} is not a fast tokenizer; convert it or choose another --tokenizer"
        )
    backend = Tokenizer.from_str(backend.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend


def tokenizer_digest(tokenizer: Any) -> str:
    """SHA-256 of all that decides what the tokenizer does."""
    return hashlib.sha256(plain_tokenizer(tokenizer).to_str().encode()).hexdigest()


def find_pad_id(tokenizer: Any, backend: Tokenizer) -> int:
    """The id that fills the last row. Without a padding token any will do, for the attention mask hides it."""
    pad = getattr(tokenizer, "pad_token_id", None)
    if pad is None:
        pad = next((i for name in ("[PAD]", "<pad>") if (i := backend.token_to_id(name)) is not None), None)
    if pad is None:
        pad = getattr(tokenizer, "eos_token_id", None)
    return 0 if pad is None else int(pad)


def write_stream(
    folder: Path, batches: Iterator[DocumentBatch], tokenizer: Tokenizer, info: StreamInfo, bar: tqdm[Any]
) -> None:
    """Writes the stream's files and fills in the numbers of `info`.

    Raises:
        CorpusError: the tokenizer makes no token of the text.
    """
    marker = WordMarker(tokenizer)
    info.token_type = marker.dtype.name
    counts = np.zeros(info.vocab_size, np.int64)
    waiting, pending = 0, None  # one chunk's word starts are held back: words after the last token have to go before it
    with (
        open(folder / "tokens.bin", "wb") as tokens,
        open(folder / "word_starts.bin", "wb") as word_starts,
        open(folder / "document_starts.bin", "wb") as document_starts,
    ):
        for batch, encoded in encode_ahead(marker, batches):
            encoded.ids.tofile(tokens)
            (info.num_tokens + np.cumsum(encoded.lengths) - encoded.lengths).astype(np.uint64).tofile(document_starts)
            counts += np.bincount(encoded.ids, minlength=len(counts))
            info.num_tokens += len(encoded.ids)
            info.num_documents += len(batch.texts)
            info.num_words += sum(batch.words)
            encoded.starts[0] += waiting
            starts, waiting = fit_byte(encoded.starts)
            if len(starts):
                if pending is not None:
                    pending.tofile(word_starts)
                pending = starts
            bar.update(batch.read)
        if pending is None:
            raise CorpusError("the tokenizer makes no token of the text; choose another --tokenizer")
        last = pending[::-1].astype(np.int64)
        last[0] += waiting
        starts, waiting = fit_byte(np.append(last, 0))
        starts[::-1].tofile(word_starts)
    if waiting:
        raise CorpusError(f"{waiting} words of the text leave no token; choose a --tokenizer made for this text")
    counts.tofile(folder / "token_counts.bin")


def encode_ahead(marker: WordMarker, batches: Iterator[DocumentBatch]) -> Iterator[tuple[DocumentBatch, Encoded]]:
    """Tokens of each batch; the tokenizer is at work on the next one while a batch is being looked at."""
    with ThreadPoolExecutor(1) as pool:
        ahead: tuple[DocumentBatch, Future[list[Any]]] | None = None
        for batch in batches:
            if not batch.texts:
                continue
            now, ahead = ahead, (batch, pool.submit(marker.encode, batch.texts))
            if now:
                yield now[0], marker.mark(now[0].texts, now[0].words, now[1].result())
        if ahead:
            yield ahead[0], marker.mark(ahead[0].texts, ahead[0].words, ahead[1].result())


def fit_byte(starts: np.ndarray) -> tuple[np.ndarray, int]:
    """Words a token, uint8 `[n]`, from int64 `[n + 1]`, and the words that wait for the token after; over 255 move
    on."""
    if len(starts) > 1 and starts[:-1].max() > _MOST_WORDS:
        starts = starts.copy()
        for i in range(len(starts) - 1):
            excess = max(0, int(starts[i]) - _MOST_WORDS)
            starts[i] -= excess
            starts[i + 1] += excess
    return starts[:-1].astype(np.uint8), int(starts[-1])
