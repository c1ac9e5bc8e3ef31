"""Exact conversion of a SentencePiece BPE model to a fast tokenizer, without the sentencepiece library.

SentencePiece joins, again and again, the two neighbouring pieces whose concatenation has the best score, the leftmost
where several have it. A BPE of `tokenizers` does the same when it is given every way to split a vocabulary piece into
two others as a merge, best score first. The normaliser travels as the model's own
precompiled character map.

Where the two still differ: the reader of that map in `tokenizers` drops a combining mark after a character that the map
replaces ("½" and a tilde), and a control or user-defined piece spelt out in the text becomes its token wherever it
stands, without a word-start marker of its own before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers

from ..errors import CorpusError
from .pieces import MARKER

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
_BPE = 2


@dataclass
class SentencePieceModel:
    """The parts of a SentencePiece model file that decide how it tokenises (sentencepiece_model.proto).

    Attributes:
        pieces: (piece, score, type) by id.
        roles: ids of "unk", "bos", "eos" and "pad"; -1 for none.
        charsmap: the normaliser's precompiled character map; empty for none.
    """

    pieces: list[tuple[str, float, int]] = field(default_factory=list)
    algorithm: int = 1
    byte_fallback: bool = False
    roles: dict[str, int] = field(default_factory=lambda: {"unk": 0, "bos": 1, "eos": 2, "pad": -1})
    charsmap: bytes = b""
    dummy_prefix: bool = True
    remove_extra_spaces: bool = True
    escape_spaces: bool = True
    marker_after: bool = False

    def ids(self, *types: int) -> list[int]:
        """Ids of all pieces of these types."""
        return [index for index, (_, _, kind) in enumerate(self.pieces) if kind in types]


def read_model(path: str | Path) -> SentencePieceModel:
    """Parses a `.model` file.

    Raises:
        CorpusError: the file is missing or no SentencePiece model.
    """
    path = Path(path)
    try:
        model = _parse(path.read_bytes())
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}); check the path") from None
    except (IndexError, struct.error, UnicodeDecodeError, ValueError, TypeError):
        model = SentencePieceModel()
    if not model.pieces:
        raise CorpusError(f"{path} is not a SentencePiece model; give a .model file that sentencepiece wrote")
    return model


def convert(path: str | Path) -> Tokenizer:
    """The tokenizer of a SentencePiece BPE model, giving the same ids; special tokens are not added to the text.

    Raises:
        CorpusError: the file is no SentencePiece model, a damaged one, or one of another kind than BPE.
    """
    model = read_model(path)
    if model.algorithm != _BPE:
        kind = {1: "unigram", 3: "word", 4: "character"}.get(model.algorithm, "unknown")
        raise CorpusError(
            f"{path} is a {kind} model and only BPE models convert exactly; give the model's tokenizer.json"
        )
    if not model.escape_spaces or model.marker_after:
        raise CorpusError(
            f"{path} does not mark word starts by '{MARKER}', which the conversion needs; give a tokenizer.json"
        )
    try:
        return _converted(model)
    except Exception as error:  # the tokenizers library raises bare Exception
        reason = " ".join(str(error).split())
        raise CorpusError(f"{path} is a damaged SentencePiece model ({reason}); fetch it again") from error


def _converted(model: SentencePieceModel) -> Tokenizer:
    vocab = {piece: index for index, (piece, _, _) in enumerate(model.pieces)}
    unknown = model.pieces[model.roles["unk"]][0]
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocab, merges=_merges(model), unk_token=unknown, fuse_unk=True, byte_fallback=model.byte_fallback
        )
    )
    tokenizer.normalizer = _normalizer(model)
    tokenizer.decoder = _decoder(model)
    specials = [model.pieces[index][0] for index in model.ids(_CONTROL, _UNKNOWN, _USER_DEFINED)]
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in specials])
    return tokenizer


def _merges(model: SentencePieceModel) -> list[tuple[str, str]]:
    """Every split of a piece into two pieces; best score of the whole first, then by the ids of left and right part."""
    rank = {model.pieces[index][0]: index for index in model.ids(_NORMAL)}
    found = []
    for piece, index in rank.items():
        for cut in range(1, len(piece)):
            left, right = rank.get(piece[:cut]), rank.get(piece[cut:])
            if left is not None and right is not None:
                found.append((-model.pieces[index][1], left, right))
    return [(model.pieces[left][0], model.pieces[right][0]) for _, left, right in sorted(found)]


def _normalizer(model: SentencePieceModel) -> normalizers.Normalizer:
    steps: list[normalizers.Normalizer] = []
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    if model.remove_extra_spaces:
        # \A and \z, as ^ and $ would also match at every line break inside the text.
        steps += [normalizers.Replace(Regex(r"\A +| +\z"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    if model.dummy_prefix:
        steps.append(normalizers.Prepend(MARKER))
    steps.append(normalizers.Replace(" ", MARKER))
    return normalizers.Sequence(steps)


def _decoder(model: SentencePieceModel) -> decoders.Decoder:
    steps: list[decoders.Decoder] = [decoders.Replace(MARKER, " "), decoders.ByteFallback(), decoders.Fuse()]
    if model.dummy_prefix:
        steps.append(decoders.Strip(content=" ", left=1, right=0))
    return decoders.Sequence(steps)


def _parse(data: bytes) -> SentencePieceModel:
    """Reads the fields of sentencepiece_model.proto that matter here, by their numbers."""
    model = SentencePieceModel()
    for number, value in _fields(data):
        if number == 1:
            piece = dict(_fields(value))
            score = struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0
            model.pieces.append((piece[1].decode("utf-8"), score, piece.get(3, _NORMAL)))
        elif number == 2:
            trainer = dict(_fields(value))
            model.algorithm = trainer.get(3, 1)
            model.byte_fallback = bool(trainer.get(35, 0))
            model.marker_after = bool(trainer.get(24, 0))
            for role, key in {"unk": 40, "bos": 41, "eos": 42, "pad": 43}.items():
                if key in trainer:
                    model.roles[role] = trainer[key] - (1 << 64) * (trainer[key] >> 63)
        elif number == 3:
            normalizer = dict(_fields(value))
            model.charsmap = normalizer.get(2, b"")
            model.dummy_prefix = bool(normalizer.get(3, 1))
            model.remove_extra_spaces = bool(normalizer.get(4, 1))
            model.escape_spaces = bool(normalizer.get(5, 1))
    return model


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer message: (number, value), bytes undecoded."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(data):
            raise ValueError("message ends early")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
