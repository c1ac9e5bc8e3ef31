"""Loading models for evaluation: folders, Hub ids, revisions, and many checkpoints through one model object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from ..errors import OptionError
from .minimal_pairs import PairResults, evaluate_pairs, load_pairs
from .scoring_plan import Backend

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_WEIGHTS = "model.safetensors"
_BOOKKEEPING = ("_name_or_path", "_commit_hash", "transformers_version", "torch_dtype", "dtype")


def evaluate_model(
    model: PreTrainedModel | str | Path,
    tasks: Mapping[str, str | Path],
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    backend: Backend | Literal["auto"] = "auto",
    revision: str | None = None,
    limit: int = 0,
    batch_tokens: int = 8192,
    trust_remote_code: bool = False,
    progress: bool = False,
) -> dict[str, PairResults]:
    """Evaluate a model on tasks of minimal pairs. For the other tasks of BabyLM see `evaluate_tasks`.

    Args:
        model: a model, or the folder or Hub id of one (loaded in float32, onto a GPU where there is one).
        tasks: name -> file or folder of pairs, `{"blimp": "evaluation_data/blimp_filtered"}`.
        tokenizer: that of the folder or Hub id without it; needed for a model object.
        backend: `auto` goes by the architecture.
        revision: branch on the Hub, such as `chck_1M`.
        limit: only so many pairs from the start of each file; 0 for all.
        batch_tokens: tokens in a batch.
        trust_remote_code: run code that the model brings along.
        progress: show a progress bar.

    Raises:
        OptionError: the model or tokenizer cannot be loaded or used.
        CorpusError: a task's data cannot be read.
    """
    data = {
        name: load_pairs(path, limit) for name, path in tasks.items()
    }  # a bad path fails before the model is loaded
    if isinstance(model, str | Path):
        model, loaded = load_for_scoring(model, revision=revision, backend=backend, trust_remote_code=trust_remote_code)
        tokenizer = tokenizer or loaded
    elif tokenizer is None:
        raise OptionError("evaluate_model needs the tokenizer of a model that is given as an object.")
    return {
        name: evaluate_pairs(
            model, tokenizer, pairs, backend, batch_tokens=batch_tokens, progress=name if progress else None
        )
        for name, pairs in data.items()
    }


def load_for_scoring(
    name: str | Path,
    *,
    revision: str | None = None,
    backend: Backend | Literal["auto"] = "auto",
    trust_remote_code: bool = False,
    dtype: torch.dtype = torch.float32,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model of a folder or Hub id with its vocabulary head, and its tokenizer.

    Args:
        name: folder or Hub id.
        revision: branch on the Hub, such as `chck_1M`.
        backend: decides the head; `auto` goes by the architecture.
        trust_remote_code: run code that the model brings along.
        dtype: float32 whatever was stored; transformers 5 would otherwise compute in the stored precision.

    Raises:
        OptionError: there is none, it is neither a masked nor a causal model, or a revision was asked of a folder
            (transformers ignores it without a word, and every milestone would get the score of the same weights).
    """
    import transformers

    check_revision(name, revision)
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if revision is not None:
        options["revision"] = revision
    try:
        config = transformers.AutoConfig.from_pretrained(str(name), **options)
        chosen = backend_of_config(config, str(name)) if backend == "auto" else backend
        model = getattr(transformers, _auto_class(chosen)).from_pretrained(str(name), dtype=dtype, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(name), **options)
    except OptionError:
        raise
    except Exception as error:  # what damaged files lead to shares no base class
        raise OptionError(_why_not(name, revision, error)) from error
    require_vocabulary(tokenizer, name)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer


def require_vocabulary(tokenizer: Any, name: str | Path) -> None:
    """Refuse the tokenizer that transformers makes, without a word, where a folder has lost its tokenizer's files.

    Raises:
        OptionError: it has no pieces but special tokens, and every text would be the same to it.
    """
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise OptionError(f"{name}: its tokenizer has no vocabulary; bring back its tokenizer.json, or save it again.")


def check_revision(name: str | Path, revision: str | None) -> None:
    """Refuse a revision of a folder.

    Raises:
        OptionError: `name` is a folder and a revision is asked of it.
    """
    if revision is not None and Path(name).is_dir():
        raise OptionError(f"{name} is a folder and has no revision {revision}: pass the milestone's own folder.")


def backend_of_config(config: Any, name: str) -> Backend:
    """How a model is scored, from the classes that its configuration names.

    Raises:
        OptionError: they do not tell.
    """
    classes = " ".join([*(getattr(config, "architectures", None) or ()), *(getattr(config, "auto_map", None) or {})])
    if "MaskedLM" in classes:
        return "mlm"
    if "CausalLM" in classes or "LMHead" in classes:
        return "causal"
    raise OptionError(f"{name} does not say whether it is masked or causal: pass --backend mlm or causal.")


def _auto_class(backend: str) -> str:
    if backend.startswith("enc_dec"):
        return "AutoModelForSeq2SeqLM"
    return "AutoModelForCausalLM" if backend == "causal" else "AutoModelForMaskedLM"


def _why_not(name: str | Path, revision: str | None, error: Exception) -> str:
    reason = " ".join(str(error).split())
    if "trust_remote_code" in reason:
        return f"{name} brings its own code: read it, and pass --trust-remote-code if you trust it."
    if revision is not None and re.search(r"revision|git identifier|Revision Not Found", reason):
        return f"{name} has no revision {revision} that can be loaded ({reason})."
    return f"{name}: the model and its tokenizer cannot be loaded ({reason})."


# -- many checkpoints ------------------------------------------------------------------------------------------------


class CheckpointLoader:
    """Checkpoints of one model, one after the other: the first is loaded whole, later ones only bring their weights.

    Args:
        backend: `auto` goes by the first one's architecture.
        trust_remote_code: run code that the model brings along.
        dtype: of the weights.
    """

    def __init__(
        self,
        *,
        backend: Backend | Literal["auto"] = "auto",
        trust_remote_code: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.backend = backend
        self.options = {"trust_remote_code": trust_remote_code}
        self.dtype = dtype
        self.model: Any = None
        self.tokenizer: Any = None
        self._fingerprint: Any = None

    def load(self, name: str | Path, revision: str | None = None) -> tuple[nn.Module, Any]:
        """The model with the weights of a checkpoint, and its tokenizer: the same objects while they can serve.

        Raises:
            OptionError: as `load_for_scoring`.
        """
        check_revision(name, revision)
        weights, fingerprint = _file(name, revision, _WEIGHTS), _fingerprint(name, revision)
        same = None not in (self.model, weights, fingerprint) and fingerprint == self._fingerprint
        if not (same and weights is not None and _swapped(self.model, weights)):
            self.model, self.tokenizer = load_for_scoring(
                name, revision=revision, backend=self.backend, dtype=self.dtype, **self.options
            )
        self._fingerprint = fingerprint
        return self.model, self.tokenizer


def _swapped(model: nn.Module, file: Path) -> bool:
    """`swap_weights`; False for a damaged file too, about which the ordinary way of loading has a sentence."""
    from safetensors import SafetensorError

    try:
        return swap_weights(model, file)
    except (OSError, SafetensorError):
        return False


def swap_weights(model: nn.Module, file: Path) -> bool:
    """Put the weights of a safetensors file into a model; False, and the model is to be loaded anew, if they differ."""
    from safetensors.torch import load_file

    stored = load_file(file)
    present = model.state_dict(keep_vars=True)
    if any(name not in present or present[name].shape != value.shape for name, value in stored.items()):
        return False
    # Tied weights are stored once: what is not in the file must share its memory with something that is.
    filled = {present[name].data_ptr() for name in stored}
    if any(name not in stored and value.data_ptr() not in filled for name, value in present.items()):
        return False
    with torch.no_grad():
        for name, value in stored.items():
            present[name].data.copy_(value)
    return True


def _file(name: str | Path, revision: str | None, file: str) -> Path | None:
    """A file of a folder or of a revision on the Hub; None where it has none."""
    from transformers.utils import cached_file

    try:
        found = cached_file(
            str(name),
            file,
            revision=revision,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_connection_errors=False,
        )
    except (OSError, ValueError):
        return None
    return Path(found) if found else None


def _fingerprint(name: str | Path, revision: str | None) -> Any:
    """What has to be equal in two checkpoints for one model object and one tokenizer to serve both."""
    stored = _file(name, revision, "config.json")
    if stored is None:
        return None
    config = json.loads(stored.read_text(encoding="utf-8"))
    kept = {key: value for key, value in config.items() if key not in _BOOKKEEPING}
    code = {str(entry).split("--")[-1].split(".")[0] + ".py" for entry in (config.get("auto_map") or {}).values()}
    others = [_file(name, revision, file) for file in ("tokenizer.json", "tokenizer_config.json", *sorted(code))]
    return json.dumps(kept, sort_keys=True), *(path.read_bytes() if path else None for path in others)


def position_limit(model: nn.Module) -> int | None:
    """The longest row that a table of absolute positions allows, or None where positions are relative or rotary."""
    for name, module in model.named_modules():
        last = name.rsplit(".", 1)[-1]
        if isinstance(module, nn.Embedding) and last in ("position_embeddings", "wpe", "embed_positions"):
            offset = getattr(module, "offset", 0)
            if module.padding_idx is not None:  # RoBERTa counts positions from behind the padding id
                offset = module.padding_idx + 1
            return module.num_embeddings - offset
    return None
