"""What a model predicts at each token of a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch

from ..errors import OptionError
from ..evaluation.models import backend_of_config

_ROWS = 32


@dataclass(frozen=True)
class TokenPrediction:
    """The prediction at one place.

    Attributes:
        token: the piece that stands there; empty after the end of the sentence, where a causal model goes on.
        probability: what the model gives it; None where there is none, or it is a mask.
        rank: 1 where it is the model's first choice; None likewise.
        guesses: the likeliest pieces and their probabilities, falling.
    """

    token: str
    probability: float | None
    rank: int | None
    guesses: list[tuple[str, float]]


@torch.no_grad()
def predict(model: Any, tokenizer: Any, sentence: str, top: int = 5) -> list[TokenPrediction]:
    """Predictions at the tokens of a sentence.

    A masked model sees the sentence with one token masked, once for each token that is not special; where the sentence
    has mask tokens itself, it is asked for those only and sees the sentence as it is. A causal model sees what stands
    before, and also says how it would go on.

    Args:
        model: masked or causal, in evaluation mode.
        tokenizer: its own.
        sentence: any text.
        top: guesses at each place.

    Raises:
        OptionError: nothing to predict, a sentence too long for the model, or a model of neither kind.
    """
    if top < 1:
        raise OptionError(f"--top {top} must be 1 or more")
    top = min(top, len(tokenizer))
    name = type(model).__name__
    backend = backend_of_config(SimpleNamespace(architectures=[name]), name)
    ids = tokenizer(sentence)["input_ids"]
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest and 0 < longest < len(ids):
        raise OptionError(f"the sentence has {len(ids)} tokens, and the model takes {longest}; give a shorter one")
    if backend == "causal":
        return _causal(model, tokenizer, ids, top)
    if backend != "mlm":
        raise OptionError(f"{type(model).__name__} is neither a masked nor a causal model; inspect predict takes those")
    return _masked(model, tokenizer, ids, top)


def _masked(model: Any, tokenizer: Any, ids: list[int], top: int) -> list[TokenPrediction]:
    mask, special = tokenizer.mask_token_id, set(tokenizer.all_special_ids)
    given = [place for place, token in enumerate(ids) if token == mask]
    places = given or [place for place, token in enumerate(ids) if token not in special]
    if not places:
        raise OptionError("the sentence has no token to predict; give some words")
    predictions = []
    for start in range(0, len(places), _ROWS):
        part = torch.tensor(places[start : start + _ROWS])
        rows = torch.tensor([ids]).repeat(len(part), 1)
        rows[torch.arange(len(part)), part] = mask
        rows = rows.to(model.device)
        logits = model(input_ids=rows, attention_mask=torch.ones_like(rows)).logits
        chosen = logits[torch.arange(len(part)), part.to(rows.device)].float().softmax(-1).cpu()
        predictions += [
            _prediction(tokenizer, ids[place], p, top, known=not given)
            for place, p in zip(part.tolist(), chosen, strict=True)
        ]
    return predictions


def _causal(model: Any, tokenizer: Any, ids: list[int], top: int) -> list[TokenPrediction]:
    # Some tokenizers close a text with the end of the text; what follows that is another text.
    while len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    if not ids:
        raise OptionError("the sentence has no token to predict from; give some words")
    rows = torch.tensor([ids], device=model.device)
    chances = model(input_ids=rows).logits[0].float().softmax(-1).cpu()
    following = [*ids[1:], None]
    return [_prediction(tokenizer, token, p, top, True) for token, p in zip(following, chances, strict=True)]


def _prediction(tokenizer: Any, token: int | None, chances: torch.Tensor, top: int, known: bool) -> TokenPrediction:
    best = chances.topk(top)
    guesses = [(_piece(tokenizer, int(i)), float(p)) for p, i in zip(best.values, best.indices, strict=True)]
    shown = "" if token is None else _piece(tokenizer, token)
    if token is None or not known:
        return TokenPrediction(shown, None, None, guesses)
    return TokenPrediction(shown, float(chances[token]), int((chances > chances[token]).sum()) + 1, guesses)


def _piece(tokenizer: Any, token: int) -> str:
    """A piece as text; without the space before it, and by its own name where it is no whole character."""
    text = str(tokenizer.decode([token])).strip()
    if text.isprintable() and text and "\N{REPLACEMENT CHARACTER}" not in text:
        return text
    name = str(tokenizer.convert_ids_to_tokens(token))
    return name if name.isprintable() else ascii(name)[1:-1]
