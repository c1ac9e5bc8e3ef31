"""Loading a model for evaluation, and evaluating it: the way in for those who have a folder or a Hub id."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from ..errors import OptionError
from .minimal_pairs import PairResults, evaluate_pairs, load_pairs
from .scoring import Backend

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def evaluate_model(
    model: PreTrainedModel | str | Path,
    tasks: Mapping[str, str | Path],
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    backend: Backend | Literal["auto"] = "auto",
    revision: str | None = None,
    limit: int = 0,
    batch_tokens: int = 8192,
    progress: bool = False,
) -> dict[str, PairResults]:
    """Evaluate a model on tasks of minimal pairs.

    Args:
        model: a model, or the folder or Hub id of one (loaded in float32, onto a GPU where there is one).
        tasks: name -> file or folder of pairs, `{"blimp": "evaluation_data/blimp_filtered"}`.
        tokenizer: that of the folder or Hub id without it; needed for a model object.
        backend: `auto` goes by the architecture.
        revision: branch on the Hub, such as `chck_1M`.
        limit: only so many pairs from the start of each file; 0 for all.
        batch_tokens: tokens in a batch.
        progress: show a progress bar.

    Raises:
        OptionError: the model or tokenizer cannot be loaded or used.
        CorpusError: a task's data cannot be read.
    """
    data = {
        name: load_pairs(path, limit) for name, path in tasks.items()
    }  # a bad path fails before the model is loaded
    if isinstance(model, str | Path):
        model, loaded = load_for_scoring(model, revision=revision, backend=backend)
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
    name: str | Path, *, revision: str | None = None, backend: Backend | Literal["auto"] = "auto"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model of a folder or Hub id with its vocabulary head, in float32, and its tokenizer.

    Raises:
        OptionError: there is none, it is neither a masked nor a causal model, or a revision was asked of a folder
            (transformers ignores it without a word, and every milestone would get the score of the same weights).
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    if revision is not None and Path(name).is_dir():
        raise OptionError(f"{name} is a folder and has no revision {revision}: pass the milestone's own folder.")
    options: dict[str, Any] = {} if revision is None else {"revision": revision}
    try:
        config = AutoConfig.from_pretrained(str(name), **options)
        architectures = " ".join(config.architectures or ())
        masked = "MaskedLM" in architectures if backend == "auto" else backend == "mlm"
        if backend == "auto" and not masked and not ("CausalLM" in architectures or "LMHead" in architectures):
            raise OptionError(f"{name} does not say whether it is masked or causal: pass --backend mlm or causal.")
        auto_class = AutoModelForMaskedLM if masked else AutoModelForCausalLM
        # float32 whatever was stored: transformers 5 would otherwise compute in the stored precision, 4 never did.
        model = auto_class.from_pretrained(str(name), dtype=torch.float32, **options)
        tokenizer = AutoTokenizer.from_pretrained(str(name), **options)
    except (OSError, ValueError) as error:
        raise OptionError(f"{name}: the model and its tokenizer cannot be loaded ({error}).") from error
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer
