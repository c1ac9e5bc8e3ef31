"""The tokenizer of GPT-BERT and of the masked-diffusion paper: byte-level BPE behind a split that knows about case.

Text is normalised (a space in front, NFKC, a space after every line break and none before it), split into letter runs
(a capital begins a new one; a contraction stays with its word), single digits, runs of other signs and line breaks, and
no piece is longer than 24 bytes. Ids 0 to 15 are special tokens. The published script loses these from its list of
added tokens, so that `<mask>` in a text is taken apart; here they are kept whole, and the space around a mask goes with
it: a word after a mask is the same piece as after a word. For that, the space in front is left out before white space
and closing punctuation.

The published model never sees `</s>`. Here it can be put after every document of the training text (`--end_of_text`)
and learnt like a word, so that generated text knows where to end; a text to be scored or continued has `<s>` in front
and nothing at its end. `<s>` is masked and learnt with it: in packed rows a visible `<s>` would say that a text has
just ended, and where none can be seen, as in generation, no text would ever end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from ..errors import OptionError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ROLES = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"}
SPECIALS = (*ROLES.values(), *(f"<special_{number}>" for number in range(11)))
LONGEST_PIECE = 24

_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'(?:s|t|re|ve|m|ll|d))?"
_SPLIT = "|".join(
    (
        rf" ?{_UPPER}*{_LOWER}+{_CONTRACTION}",
        rf" ?{_UPPER}+{_LOWER}*{_CONTRACTION}",
        r" ?\p{N}",
        r" ?[^\s\p{L}\p{N}]+",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


def train_gptbert(texts: Iterator[list[str]], vocab_size: int, lowercase: bool, progress: bool) -> Tokenizer:
    """The tokenizer trained on lists of documents; its post-processor puts `<s>` before every text."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.normalizer = normalizers.Sequence(
        [
            *([normalizers.Lowercase()] if lowercase else []),
            normalizers.Prepend(" "),
            normalizers.Replace(Regex(r"^ (?=[\s.,;:!?])"), ""),
            normalizers.NFKC(),
            normalizers.Replace("\n", "\n "),
            normalizers.Replace(Regex(" +\n"), "\n"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            pre_tokenizers.Split(Regex(f".{{1,{LONGEST_PIECE}}}"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteLevel(), decoders.Replace("\n ", "\n"), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=progress,
    )
    tokenizer.train_from_iterator(texts, trainer)
    first = ROLES["bos_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A",
        # as documents meet in the training text
        pair=f"{first} $A {ROLES['eos_token']} {first}:1 $B:1",
        special_tokens=[(name, SPECIALS.index(name)) for name in (first, ROLES["eos_token"])],
    )
    mask = ROLES["mask_token"]
    tokenizer.add_special_tokens([AddedToken(mask, lstrip=True, rstrip=True, normalized=False, special=True)])
    tokenizer.add_special_tokens([name for name in SPECIALS if name != mask])
    return tokenizer


def boundary_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The ids that `with_end_of_text` puts around a text."""
    found: list[int] = with_end_of_text(tokenizer).encode("").ids
    return found


def with_end_of_text(tokenizer: PreTrainedTokenizerFast) -> Tokenizer:
    """The `tokenizers` object that also puts the end-of-text token after every text, to make training rows with.

    Raises:
        OptionError: the tokenizer has no end-of-text token, or does not know where a text begins.
    """
    last = tokenizer.eos_token
    if last is None:
        raise OptionError(
            "--end_of_text needs a tokenizer with an end-of-text token (eos_token); leave the option out, or train one "
            "with --tokenizer_algorithm bpe-gptbert"
        )
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    start: list[int] = backend.encode("").ids
    if start and start[-1] == tokenizer.eos_token_id:
        return backend  # it does so already
    first = [str(backend.id_to_token(index)) for index in start]
    known: list[Any] = [(name, index) for name, index in zip(first, start, strict=True)]
    backend.post_processor = processors.TemplateProcessing(
        single=" ".join((*first, "$A", last)), special_tokens=[*known, (last, tokenizer.eos_token_id)]
    )
    return backend
