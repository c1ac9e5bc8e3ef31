"""Training tokenizers with the `tokenizers` library, made deterministic.

Its BPE trainer depends on the text alone. Its WordPiece trainer numbers the characters inside words in the order of a
randomly seeded hash map, and merges of equal frequency follow those numbers; its Unigram trainer sums in such an order,
and gives rare characters scores in it. Both are put right here.
"""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from ..errors import CorpusError, OptionError
from .gptbert import ROLES as GPTBERT_ROLES
from .gptbert import SPECIALS as GPTBERT_SPECIALS
from .gptbert import train_gptbert
from .tokenizers import begun_with, template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

logger = logging.getLogger(__name__)

Algorithm = Literal["bpe", "wordpiece", "unigram", "bpe-gptbert"]
SPECIALS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
CAUSAL_SPECIALS = ("<|pad|>", "<|endoftext|>")
_ROLES = dict(zip(("pad_token", "cls_token", "sep_token", "unk_token", "mask_token"), SPECIALS, strict=True))
_CAUSAL_ROLES = dict(zip(("pad_token", "bos_token", "eos_token"), CAUSAL_SPECIALS + CAUSAL_SPECIALS[1:], strict=True))
_INSIDE = "##"  # WordPiece's sign of a piece that does not begin a word
# Unigram's sums differ by up to 4e-11 between trainings (measured); a thousandth of a nat decides nothing.
_SCORE_DIGITS = 3


def train_tokenizer(
    texts: Iterable[list[str]],
    algorithm: Algorithm = "bpe",
    vocab_size: int = 40_000,
    lowercase: bool = False,
    progress: bool | None = None,
    *,
    causal: bool = False,
    exact: bool = False,
) -> PreTrainedTokenizerFast:
    """Trains a tokenizer; the same text gives the same one.

    Special tokens are [PAD] [CLS] [SEP] [UNK] [MASK] with ids 0 to 4, and every text is put between [CLS] and [SEP]. A
    text too small for `vocab_size` gives a smaller vocabulary and a warning, since nothing is lost by it.

    One for causal models has <|pad|> and <|endoftext|>, and every text begins with the latter, which so is what comes
    after a text too; none is put at its end, where a model that is asked to go on would find it.

    Args:
        texts: lists of documents, as `iter_documents` gives them.
        algorithm: "bpe" (byte-level: no text is ever unknown, nothing is normalised), "wordpiece" (splits at
            punctuation as BERT does), "unigram" (NFKC, white space made single spaces, as SentencePiece does) or
            "bpe-gptbert" (that of GPT-BERT and the masked-diffusion paper, with special tokens of its own).
        vocab_size: entries of the vocabulary, special tokens included.
        lowercase: lower-case the text in the tokenizer.
        progress: show the library's progress bars; None for only when stderr is a terminal.
        causal: make one for causal models, byte-level BPE.
        exact: refuse a text that gives a smaller vocabulary than `vocab_size`, where the size of a model depends on it.

    Raises:
        OptionError: the algorithm is unknown, the vocabulary is too small for the characters of the text, or with
            `exact` too large for the text.
        CorpusError: there is no text.
    """
    from .fast import wrap

    train = {
        "bpe": _train_bpe,
        "wordpiece": _train_wordpiece,
        "unigram": _train_unigram,
        "bpe-gptbert": train_gptbert,
    }.get(algorithm)
    if train is None:
        raise OptionError(f"--tokenizer_algorithm is {algorithm!r}; it must be bpe, wordpiece, unigram or bpe-gptbert")
    if causal and algorithm != "bpe":
        raise OptionError(
            f"--tokenizer_algorithm {algorithm}: tokenizers for causal models are trained as byte-level BPE; leave it "
            "at bpe, or name a --tokenizer"
        )
    specials = GPTBERT_SPECIALS if algorithm == "bpe-gptbert" else CAUSAL_SPECIALS if causal else SPECIALS
    smallest = len(specials) + (256 if algorithm.startswith("bpe") else 1)
    if vocab_size < smallest:
        raise OptionError(f"--vocab_size is {vocab_size}; {algorithm} needs at least {smallest}")
    show = sys.stderr.isatty() if progress is None else progress
    if causal:
        backend = _train_bpe(_nonempty(texts), vocab_size, lowercase, show, specials)
    else:
        backend = train(_nonempty(texts), vocab_size, lowercase, show)
    size = backend.get_vocab_size()
    if size > vocab_size:
        raise _too_small(vocab_size, algorithm)
    if size < vocab_size and exact:
        raise OptionError(
            f"the text supports a vocabulary of {size:,} pieces, not the {vocab_size:,} of --vocab_size, and the model "
            f"would be another one; give more text, or pass --vocab_size {size} (or less)"
        )
    if size < vocab_size:
        logger.warning(
            "the text supports a vocabulary of %d, not %d; the tokenizer has %d entries", size, vocab_size, size
        )
    if algorithm == "bpe-gptbert":
        return wrap(backend, **GPTBERT_ROLES)
    backend.post_processor = begun_with(specials[1], 1) if causal else template("[CLS]", 1, "[SEP]", 2)
    backend.add_special_tokens(list(specials))
    if algorithm == "bpe" and not causal:
        # The space before a mask belongs to the word that it hides: "The [MASK] is" are three tokens, as in training.
        mask = AddedToken(_ROLES["mask_token"], lstrip=True, normalized=False, special=True)
        backend.add_special_tokens([mask])
    return wrap(backend, **(_CAUSAL_ROLES if causal else _ROLES))


def _too_small(vocab_size: int, algorithm: str) -> OptionError:
    return OptionError(
        f"--vocab_size is {vocab_size}, too small a {algorithm} vocabulary for the characters of the text alone; raise "
        "it, or choose --tokenizer_algorithm bpe"
    )


def _nonempty(texts: Iterable[list[str]]) -> Iterator[list[str]]:
    """The same lists.

    Raises:
        CorpusError: there are none with text.
    """
    found = False
    for batch in texts:
        found = found or any(batch)
        yield batch
    if not found:
        raise CorpusError("there is no text to train a tokenizer on; give a file that is not empty")


def _train_bpe(
    texts: Iterator[list[str]], vocab_size: int, lowercase: bool, show: bool, specials: tuple[str, ...] = SPECIALS
) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase() if lowercase else None
    # With a space put first, a word at the beginning of a document is the same piece as anywhere else.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(specials),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=show,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _train_wordpiece(texts: Iterator[list[str]], vocab_size: int, lowercase: bool, show: bool) -> Tokenizer:
    def untrained(vocab: dict[str, int]) -> Tokenizer:
        tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(prefix=_INSIDE)
        return tokenizer

    words = Counter(word for batch in texts for text in batch for word in text.split())
    scratch = untrained({})
    # Listed among the special tokens, the characters inside words get their numbers from us and not from the hash map.
    inside = sorted({letter for word in words for piece in _pretokens(scratch, word) for letter in piece[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIALS, *(_INSIDE + letter for letter in inside)],
        continuing_subword_prefix=_INSIDE,
        show_progress=show,
    )
    scratch.train_from_iterator(_repeated(words), trainer)
    return untrained(scratch.get_vocab())


def _pretokens(tokenizer: Tokenizer, word: str) -> list[str]:
    return [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(word))]


def _repeated(words: Counter[str], longest: int = 10_000) -> Iterator[str]:
    """Each word as often as it was counted, on lines of bounded length."""
    for word, count in words.items():
        for done in range(0, count, longest):
            yield " ".join([word] * min(longest, count - done))


def _train_unigram(texts: Iterator[list[str]], vocab_size: int, lowercase: bool, show: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            *([normalizers.Lowercase()] if lowercase else []),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIALS), unk_token="[UNK]", show_progress=show
    )
    try:
        tokenizer.train_from_iterator(texts, trainer)
    except Exception as error:  # the library raises bare Exception
        if "not large enough" not in str(error):
            raise
        raise _too_small(vocab_size, "unigram") from None
    vocab = json.loads(tokenizer.to_str())["model"]["vocab"]
    settled = [(piece, 0.0) for piece in SPECIALS] + _settled(vocab[len(SPECIALS) :])
    tokenizer.model = models.Unigram(settled, SPECIALS.index("[UNK]"), False)
    return tokenizer


def _settled(vocab: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Pieces with scores and an order that depend on the text alone.

    Characters that the trainer had dropped and put back have the lowest score plus multiples of 1e-4 in random order:
    all get the lowest. The others are rounded.
    """
    if not vocab:
        return []
    lowest = min(score for _, score in vocab)
    letters = sum(len(piece) == 1 for piece, _ in vocab)

    def settle(piece: str, score: float) -> float:
        steps = (score - lowest) * 1e4
        put_back = len(piece) == 1 and steps < letters and abs(steps - round(steps)) < 1e-5
        return round(lowest if put_back else score, _SCORE_DIGITS)

    return sorted(((piece, settle(piece, score)) for piece, score in vocab), key=lambda entry: (-entry[1], entry[0]))
