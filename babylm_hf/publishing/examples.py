"""What a model answers to a few texts, for its card: asked of the saved folder, loaded as the card says.

So a card shows what its own code does, and a folder that cannot be loaded is noticed on the day it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

MASK = "[MASK]"
BEST = 5
NEW_TOKENS = 30
# English of few words, which the toy language has too.
_ENGLISH = {"masked": [f"the dog {MASK} the cat ."], "causal": ["the dog"]}


def texts_for(family: str, language: str | None, given: Sequence[str] | None) -> list[str]:
    """The texts that a model is asked: those given, or for English a default; none for other languages."""
    if given is not None:
        return list(given)
    return _ENGLISH["causal" if family == "causal" else "masked"] if language == "en" else []


def answers(folder: Path, family: str, texts: Sequence[str], own_code: bool = False) -> list[dict[str, Any]]:
    """What the model in a folder answers.

    Args:
        folder: complete, for `from_pretrained`.
        family: masked, diffusion or causal.
        texts: with `[MASK]` at one place for masked models, beginnings for causal ones.
        own_code: whether the model's code is in the folder.

    Returns:
        one entry a text: `text` with the model's own mask token and `guesses` as (piece, probability), best first; or
        `text` and its `continuation`, drawn with seed 0.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    head = AutoModelForCausalLM if family == "causal" else AutoModelForMaskedLM
    model = head.from_pretrained(folder, trust_remote_code=own_code).eval()
    found = []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for text in texts:
            if family == "causal":
                torch.manual_seed(0)
                start = tokenizer(text, return_tensors="pt")
                made = model.generate(**start, do_sample=True, temperature=0.7, max_new_tokens=NEW_TOKENS)
                whole, begun = (tokenizer.decode(t, skip_special_tokens=True) for t in (made[0], start["input_ids"][0]))
                found.append({"text": begun.strip(), "continuation": whole.removeprefix(begun)})
                continue
            text = text.replace(MASK, tokenizer.mask_token)
            inputs = tokenizer(text, return_tensors="pt")
            logits = model(**inputs).logits[0][inputs["input_ids"][0] == tokenizer.mask_token_id]
            best = logits[0].float().softmax(-1).topk(min(BEST, logits.shape[-1]))
            pieces = [tokenizer.decode([i]).strip() for i in best.indices.tolist()]
            found.append({"text": text, "guesses": list(zip(pieces, best.values.tolist(), strict=True))})
    return found
