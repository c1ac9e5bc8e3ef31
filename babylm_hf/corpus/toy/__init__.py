"""A small language with a known grammar: any amount of text, and minimal pairs that tell what a model has learnt of it.

It is child-directed English with a few hundred words: agreement in number, also across other nouns; determiners;
anaphors; negative polarity; moved objects; irregular forms; inversion in questions. A small masked model reads it in
minutes on a CPU, which makes it the corpus of demonstrations and tests. Nothing in it comes from anybody's text.

The same seed gives the same text everywhere. An eighth of the possible sentences never occurs in the training text of
any seed; validation text and minimal pairs are drawn from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from ...errors import OptionError
from .checker import is_grammatical
from .grammar import ToyGrammar
from .pairs import PARADIGMS, is_held_out, toy_minimal_pairs

__all__ = ["PARADIGMS", "is_grammatical", "is_held_out", "toy_minimal_pairs", "toy_sentences", "write_toy_corpus"]

_FIXED_SHARE = 0.03


def toy_sentences(num_words: int, seed: int = 0, held_out: bool = False) -> Iterator[str]:
    """Utterances of the toy language, `num_words` whitespace-separated words or the fewest that reach it.

    Args:
        num_words: words of text, 0 for none.
        seed: text of one seed is a prefix of longer text of that seed.
        held_out: draw from the eighth of the language that is otherwise left out. Fixed phrases ("good job!") are only
            in the other part, or a model could never have met them.
    """
    grammar = ToyGrammar(Random(f"toy text/{seed}/{held_out}"))
    words = 0
    while words < num_words:
        if grammar.chance(_FIXED_SHARE):
            sentence = grammar.fixed()
            if held_out:
                continue
        else:
            sentence = grammar.utterance()
            if is_held_out(sentence) != held_out:
                continue
        words += sentence.count(" ") + 1
        yield sentence


def write_toy_corpus(
    folder: str | Path, num_words: int, seed: int = 0, pairs_per_phenomenon: int = 100
) -> tuple[Path, Path, Path]:
    """Write `train.txt`, `validation.txt` (a twentieth as many words) and `pairs/PARADIGM.jsonl` into a folder.

    Utterances stand one a line. Returns the three paths. The same arguments write the same bytes.

    Raises:
        OptionError: `num_words` is not positive.
    """
    if num_words < 1:
        raise OptionError(f"num_words is {num_words}: a toy corpus needs at least one word.")
    folder = Path(folder)
    pairs_folder = folder / "pairs"
    pairs_folder.mkdir(parents=True, exist_ok=True)
    train, validation = folder / "train.txt", folder / "validation.txt"
    for path, words, held_out in ((train, num_words, False), (validation, max(1000, num_words // 20), True)):
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(sentence + "\n" for sentence in toy_sentences(words, seed, held_out))
    for name, rows in toy_minimal_pairs(pairs_per_phenomenon, seed).items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (pairs_folder / f"{name}.jsonl").write_text(text, encoding="utf-8", newline="\n")
    return train, validation, pairs_folder
