"""Tokenizers: trained on a corpus, loaded from the Hub or disk, or converted from SentencePiece.

A tokenizer trained twice on the same text is the same to the last byte, so that a run can be repeated from its text
alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer, normalizers, processors

from ..errors import CorpusError
from .sentencepiece import convert, read_model

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_ROLE_NAMES = {
    "pad_token": ("[PAD]", "<pad>", "<|pad|>"),
    "cls_token": ("[CLS]", "<s>", "<cls>"),
    "sep_token": ("[SEP]", "</s>", "<sep>"),
    "unk_token": ("[UNK]", "<unk>"),
    "mask_token": ("[MASK]", "<mask>", "<|mask|>"),
    "bos_token": ("<s>", "<bos>", "[BOS]", "<|endoftext|>"),
    "eos_token": ("</s>", "<eos>", "[EOS]", "<|endoftext|>"),
}


def load_tokenizer(name_or_path: str | Path, lowercase: bool = False) -> PreTrainedTokenizerFast:
    """A fast tokenizer.

    Args:
        name_or_path: a Hub id, a folder, a `tokenizer.json`, or a SentencePiece BPE `.model`, which is converted
            exactly and then adds the model's begin and end pieces to every text, as the reference of adaptive masking
            does.
        lowercase: lower-case the text before anything else the tokenizer does to it.

    Raises:
        CorpusError: there is no such tokenizer, or it has no fast form.
    """
    path = Path(name_or_path)
    if path.suffix == ".model":
        tokenizer = _from_sentencepiece(path)
    elif path.suffix == ".json":
        tokenizer = _from_json(path)
    else:
        tokenizer = _from_name(str(name_or_path))
    return _lowercased(tokenizer) if lowercase else tokenizer


def require_mask_token(tokenizer: Any) -> int:
    """The id of the mask token.

    Raises:
        CorpusError: the tokenizer has none.
    """
    mask = getattr(tokenizer, "mask_token_id", None)
    if mask is None:
        name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
        raise CorpusError(
            f"tokenizer {name} has no mask token, and masked language modelling needs one; choose another --tokenizer, "
            "or leave the option out to train one on the text"
        )
    return int(mask)


def require_causal_tokens(tokenizer: Any) -> None:
    """Check that a tokenizer does what causal training and scoring need.

    A text begins with the beginning-of-text token, or its first piece would never be predicted; it does not end with
    the end-of-text token, or every question about what comes next would be asked after the end.

    Raises:
        CorpusError: it does not, or it has no padding token.
    """
    name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
    ids = tokenizer("a")["input_ids"]
    if tokenizer.pad_token_id is None:
        lacks = "has no padding token"
    elif tokenizer.bos_token_id is None or ids[:1] != [tokenizer.bos_token_id]:
        lacks = "does not put a beginning-of-text token before a text"
    elif len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        lacks = "puts an end-of-text token after every text"
    else:
        return
    raise CorpusError(
        f"tokenizer {name} {lacks}, which a causal model cannot be trained or scored with; choose another "
        "--tokenizer, or leave the option out to train one on the text"
    )


def algorithm_name(tokenizer: Any) -> str:
    """The tokenizer's algorithm, for records: "byte-level BPE", "BPE", "WordPiece", "Unigram" or "WordLevel"."""
    backend = tokenizer if isinstance(tokenizer, Tokenizer) else tokenizer.backend_tokenizer
    name = type(backend.model).__name__
    return "byte-level BPE" if name == "BPE" and "ByteLevel" in repr(backend.pre_tokenizer) else name


def _from_sentencepiece(path: Path) -> PreTrainedTokenizerFast:
    from .fast import wrap

    backend = convert(path)
    model = read_model(path)
    names = {role: model.pieces[index][0] for role, index in model.roles.items() if 0 <= index < len(model.pieces)}
    roles = {f"{role}_token": name for role, name in names.items()}
    roles |= {role: name for role, name in _roles(backend).items() if role == "mask_token"}
    first, last = names.get("bos"), names.get("eos")
    if first and last:
        backend.post_processor = template(first, model.roles["bos"], last, model.roles["eos"])
        roles |= {"cls_token": first, "sep_token": last}
    return wrap(backend, **roles)


def template(first: str, first_id: int, last: str, last_id: int) -> processors.TemplateProcessing:
    """Every text between two special tokens; a second text ends with another of the last."""
    return processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(first, first_id), (last, last_id)],
    )


def begun_with(first: str, first_id: int) -> processors.TemplateProcessing:
    """Every text after a special token, and nothing at its end."""
    return processors.TemplateProcessing(
        single=f"{first} $A", pair=f"{first} $A {first}:1 $B:1", special_tokens=[(first, first_id)]
    )


def _from_json(path: Path) -> PreTrainedTokenizerFast:
    from .fast import wrap

    if not path.is_file():
        raise CorpusError(f"{path} does not exist; check --tokenizer")
    try:
        backend = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise CorpusError(f"{path} is not a tokenizer.json ({error}); check --tokenizer") from None
    return wrap(backend, **_roles(backend))


def _roles(backend: Tokenizer) -> dict[str, str]:
    """Special tokens by their customary names, for files that do not say which is which."""
    vocab = backend.get_vocab()
    found = {role: next((n for n in names if n in vocab), None) for role, names in _ROLE_NAMES.items()}
    return {role: name for role, name in found.items() if name is not None}


def _from_name(name: str) -> PreTrainedTokenizerFast:
    """By transformers; plain fast tokenizers get the class that older versions can load again when they are saved."""
    from transformers import AutoTokenizer
    from transformers.tokenization_utils_tokenizers import TokenizersBackend

    from .fast import PreTrainedTokenizerFast as Portable

    try:
        tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True)
        if type(tokenizer) is TokenizersBackend:
            tokenizer = Portable.from_pretrained(name)
    except Exception as error:  # what damaged files lead to shares no base class
        reason = str(error).strip().split("\n")[0]
        raise CorpusError(f"tokenizer {name} cannot be loaded ({reason}); check --tokenizer") from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise CorpusError(f"tokenizer {name} has no vocabulary: files of it are missing; check --tokenizer")
    if not getattr(tokenizer, "is_fast", False):
        raise CorpusError(f"tokenizer {name} has no fast form; choose another --tokenizer or give its tokenizer.json")
    return tokenizer


def _lowercased(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same tokenizer over lower-cased text, in the plain class: others rebuild their normaliser when loaded
    again."""
    from .fast import wrap

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    first = normalizers.Lowercase()
    backend.normalizer = normalizers.Sequence([first, backend.normalizer]) if backend.normalizer else first
    return wrap(backend, **tokenizer.special_tokens_map)
