"""Minimal pairs of the toy language, in BLiMP's format.

The two sentences of a pair have the same number of words and differ in one word or in the order of the same words.
Each paradigm is balanced: what is right in half of its pairs is wrong, in the same kind of place, in the other half. So
a scorer that looks at words one by one, or prefers one word to another, does no better than half: the words around have
to be read.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from ...errors import OptionError
from .grammar import ToyGrammar
from .lexicon import (
    ADJECTIVES,
    INTRANSITIVE,
    NEGATED,
    NOUNS,
    PLURAL,
    PREPOSITIONS,
    SPEECH,
    STATIVE,
    THIRD,
    TRANSITIVE,
    Noun,
    Verb,
    Weighted,
    Zipf,
)
from .phrases import Phrase

Words = tuple[str, str]  # a good and a bad sentence without their full stop

_IRREGULAR = Zipf([noun for noun in NOUNS if noun.irregular and noun.kind != "place"])
_REGULAR = Zipf([noun for noun in NOUNS if not noun.irregular and noun.kind != "place"])
_CHANGING = Zipf([verb for verb in TRANSITIVE if verb.base != verb.past])  # whose present and past differ
_PARTICIPLES = Zipf([verb for verb in TRANSITIVE if len({verb.base, verb.past, verb.participle}) == 3])
_INTRANSITIVE = Zipf([verb for verb in INTRANSITIVE if verb.base not in STATIVE])
_DEMONSTRATIVES = Weighted([(("this", "these"), 1), (("that", "those"), 1)])


class Paradigm(NamedTuple):
    """How one kind of pair is made; `make(grammar, flip)` gives one of its two mirror images."""

    make: Callable[[ToyGrammar, bool], Words]
    field: str
    linguistics_term: str
    lexically_identical: bool = True


def toy_minimal_pairs(per_phenomenon: int = 100, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Minimal pairs for every paradigm: name -> that many rows with the fields of a BLiMP file.

    The sentences differ from each other, and no good one occurs in `toy_sentences` of any seed (they are drawn from the
    share of the language that is kept from it).

    Raises:
        OptionError: `per_phenomenon` is not positive.
    """
    if per_phenomenon < 1:
        raise OptionError(f"per_phenomenon is {per_phenomenon}: ask for at least one pair.")
    return {
        name: _rows(name, paradigm, per_phenomenon, Random(f"toy pairs/{seed}/{name}"))
        for name, paradigm in PARADIGMS.items()
    }


def is_held_out(sentence: str) -> bool:
    """Whether a sentence belongs to the eighth of the language that the training text never has."""
    return zlib.crc32(sentence.encode()) % 8 == 0


def _rows(name: str, paradigm: Paradigm, count: int, rng: Random) -> list[dict[str, Any]]:
    grammar = ToyGrammar(rng)
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    while len(rows) < count:
        good, bad = paradigm.make(grammar, len(rows) % 2 == 1)
        mark = "" if good.endswith("?") else "."
        good, bad = good + mark, bad + mark
        if good in seen or not is_held_out(good):
            continue
        seen.add(good)
        rows.append(
            {
                "sentence_good": good,
                "sentence_bad": bad,
                "field": paradigm.field,
                "linguistics_term": paradigm.linguistics_term,
                "UID": name,
                "simple_LM_method": True,
                "one_prefix_method": sum(a != b for a, b in zip(good.split(), bad.split(), strict=True)) == 1,
                "two_prefix_method": False,
                "lexically_identical": paradigm.lexically_identical,
                "pair_id": len(rows),
            }
        )
    return rows


# -- agreement of subject and verb ------------------------------------------------------------------------------------


def _agreeing(g: ToyGrammar, subject: Phrase) -> Words:
    """A predicate whose finite verb agrees with the subject, and one whose verb has the other number."""
    other = subject._replace(agreement=PLURAL if subject.agreement == THIRD else THIRD)
    draw = g.rng.random()
    if draw < 0.4:
        tense, rest = ("was" if g.chance(0.3) else "progressive"), g.attribute()
        negative = g.chance(0.25)
        forms = [g.auxiliary(tense, who.agreement) for who in (subject, other)]
        good, bad = ((NEGATED[form] if negative else form) for form in forms)
        return f"{good} {rest}", f"{bad} {rest}"
    verb = _INTRANSITIVE.draw(g.rng) if g.chance(0.5) else _CHANGING.draw(g.rng)
    rest = "" if verb.objects == "-" else " " + g.object(verb.objects)
    if draw < 0.6 and verb.base not in STATIVE:
        tense = "progressive"
    else:
        tense = "perfect" if draw < 0.7 else "present"
    return f"{g.finite(verb, subject, tense)}{rest}", f"{g.finite(verb, other, tense)}{rest}"


def _subject_verb(g: ToyGrammar, flip: bool) -> Words:
    subject = g.with_noun(g.noun("animate"), flip)
    good, bad = _agreeing(g, subject)
    return f"{subject.text} {good}", f"{subject.text} {bad}"


def _subject_verb_across(g: ToyGrammar, plural: bool, modifier: Callable[[Noun, Phrase, Phrase], str]) -> Words:
    """Agreement across a noun of the other number."""
    noun = g.noun("animate")
    head = g.with_noun(noun, plural, adjective=False)
    distractor = g.with_noun(g.noun("animate"), not plural, adjective=False)
    subject = head._replace(text=f"{head.text} {modifier(noun, head, distractor)}")
    good, bad = _agreeing(g, subject)
    return f"{subject.text} {good}", f"{subject.text} {bad}"


def _across_phrase(g: ToyGrammar, flip: bool) -> Words:
    return _subject_verb_across(g, flip, lambda _noun, _head, other: f"{g.word(PREPOSITIONS)} {other.text}")


def _across_clause(g: ToyGrammar, flip: bool) -> Words:
    def clause(noun: Noun, head: Phrase, other: Phrase) -> str:
        if g.chance(0.4):
            verb = g.verb_taking(noun)
            return f"that {g.finite(verb, head)} {other.text}"
        return f"that {other.text} {g.finite(g.verb_taking(noun), other)}"

    return _subject_verb_across(g, flip, clause)


# -- determiners, reflexives, verb forms ------------------------------------------------------------------------------


def _determiner(g: ToyGrammar, plural: bool, noun: Noun, adjective: bool = False) -> Words:
    """A demonstrative and its noun; half of the pairs differ in the one, half in the other."""
    determiners = _DEMONSTRATIVES.draw(g.rng)
    nouns = (noun.singular, noun.plural)
    quality = g.word(ADJECTIVES) + " " if adjective else ""
    good = f"{determiners[plural]} {quality}{nouns[plural]}"
    wrong_noun = g.chance(0.5)
    bad = f"{determiners[plural != (not wrong_noun)]} {quality}{nouns[plural != wrong_noun]}"
    subject = g.subject()
    verb = g.verb_taking(noun)
    start = f"{subject.text} {g.finite(verb, subject)}"
    end = f" {g.place()}" if g.chance(0.2) else ""
    return f"{start} {good}{end}", f"{start} {bad}{end}"


def _determiner_noun(g: ToyGrammar, flip: bool) -> Words:
    return _determiner(g, flip, _REGULAR.draw(g.rng))


def _determiner_adjective_noun(g: ToyGrammar, flip: bool) -> Words:
    return _determiner(g, flip, _REGULAR.draw(g.rng), adjective=True)


def _determiner_irregular(g: ToyGrammar, flip: bool) -> Words:
    return _determiner(g, flip, _IRREGULAR.draw(g.rng), adjective=g.chance(0.3))


def _reflexive(g: ToyGrammar, subject: Phrase, wrong: str) -> Words:
    verb = g.reflexive_verb()
    start = f"{subject.text} {g.finite(verb, subject)}"
    end = f" {g.place()}" if g.chance(0.3) else ""
    return f"{start} {subject.reflexive}{end}", f"{start} {wrong}{end}"


def _reflexive_gender(g: ToyGrammar, female: bool) -> Words:
    selves = ("himself", "herself")
    while True:
        subject = g.name() if g.chance(0.5) else g.with_noun(g.noun("gendered"), plural=False)
        if subject.reflexive == selves[female]:
            return _reflexive(g, subject, selves[not female])


def _reflexive_number(g: ToyGrammar, plural: bool) -> Words:
    noun = g.noun("gendered")
    subject = g.with_noun(noun, plural)
    singular = "himself" if noun.kind == "male" else "herself"
    return _reflexive(g, subject, singular if plural else "themselves")


def _irregular_verb(g: ToyGrammar, flip: bool) -> Words:
    """Past form and participle of a verb in which they differ."""
    subject, verb = g.subject(), _PARTICIPLES.draw(g.rng)
    thing = g.object(verb.objects)
    if flip:
        return f"{subject.text} {verb.past} {thing}", f"{subject.text} {verb.participle} {thing}"
    have = g.auxiliary("perfect", subject.agreement)
    return f"{subject.text} {have} {verb.participle} {thing}", f"{subject.text} {have} {verb.past} {thing}"


def _transitivity(g: ToyGrammar, flip: bool) -> Words:
    """A transitive verb with its object, an intransitive one without."""
    with_object, without = _CHANGING.draw(g.rng), _INTRANSITIVE.draw(g.rng)
    subject, tense = g.subject(), ("past" if g.chance(0.6) else "perfect")
    rest = g.object(with_object.objects) if flip else g.place()
    right, wrong = (with_object, without) if flip else (without, with_object)
    good, bad = (g.finite(verb, subject, tense) for verb in (right, wrong))
    return f"{subject.text} {good} {rest}", f"{subject.text} {bad} {rest}"


# -- licensing, extraction, inversion ---------------------------------------------------------------------------------


def _any_and_some(g: ToyGrammar, flip: bool) -> Words:
    """`any` in the negative one of two clauses."""
    sentences = []
    rng, state = g.rng, g.rng.getstate()
    for determiners in (("any", "some"), ("some", "any")):
        rng.setstate(state)  # the same two clauses, with their determiners exchanged
        first, second = g.opposed_clauses(*determiners)
        sentences.append(f"{second} but {first}" if flip else f"{first} but {second}")
    return sentences[0], sentences[1]


def _ever(g: ToyGrammar, flip: bool) -> Words:
    """`ever` below a negative subject, not beside one."""
    verb: Verb = SPEECH[int(g.rng.random() * len(SPEECH))]
    someone = g.name() if flip else g.with_noun(g.noun("animate"), plural=False, adjective=False)
    inner_verb, rest = g.predicate(Phrase("", THIRD))
    inner = f"{g.finite(inner_verb, someone)}{rest}"
    middle = f"has ever {verb.participle} that"
    return f"nobody {middle} {someone.text} {inner}", f"{someone.text} {middle} nobody {inner}"


def _filler_gap(g: ToyGrammar, flip: bool) -> Words:
    """`what` where an object is missing, `that` where none is."""
    thinker, subject = g.subject(), g.subject()
    verb, inner = g.asking_verb(), g.verb_for_what()
    start = f"{thinker.text} {g.finite(verb, thinker)}"
    end = f"{subject.text} {g.finite(inner, subject)}"
    if flip:
        end += " " + g.object(inner.objects)
        return f"{start} that {end}", f"{start} what {end}"
    return f"{start} what {end}", f"{start} that {end}"


def _inversion(g: ToyGrammar, flip: bool) -> Words:
    """Subject and auxiliary change places in a question, and do not in an embedded one."""
    subject, verb = g.subject(), g.verb_for_what()
    tense = "perfect" if verb.base in STATIVE else ("progressive", "was", "perfect")[int(g.rng.random() * 3)]
    auxiliary, form = g.finite(verb, subject, tense).split()
    plain, inverted = f"{subject.text} {auxiliary} {form}", f"{auxiliary} {subject.text} {form}"
    if flip:
        thinker = g.subject()
        start = f"{thinker.text} {g.finite(g.asking_verb(), thinker)} what"
        return f"{start} {plain}", f"{start} {inverted}"
    return f"what {inverted}?", f"what {plain}?"


PARADIGMS: dict[str, Paradigm] = {
    "anaphor_gender_agreement": Paradigm(_reflexive_gender, "morphology", "anaphor_agreement"),
    "anaphor_number_agreement": Paradigm(_reflexive_number, "morphology", "anaphor_agreement"),
    "argument_structure": Paradigm(_transitivity, "syntax", "argument_structure", lexically_identical=False),
    "determiner_noun_agreement": Paradigm(_determiner_noun, "morphology", "determiner_noun_agreement"),
    "determiner_noun_agreement_adjective": Paradigm(
        _determiner_adjective_noun, "morphology", "determiner_noun_agreement"
    ),
    "determiner_noun_agreement_irregular": Paradigm(_determiner_irregular, "morphology", "determiner_noun_agreement"),
    "filler_gap_what_that": Paradigm(_filler_gap, "syntax", "filler_gap_dependency", lexically_identical=False),
    "irregular_verb_forms": Paradigm(_irregular_verb, "morphology", "irregular_forms"),
    "npi_any_some": Paradigm(_any_and_some, "semantics", "npi_licensing"),
    "npi_ever_scope": Paradigm(_ever, "semantics", "npi_licensing"),
    "subject_auxiliary_inversion": Paradigm(_inversion, "syntax", "subject_auxiliary_inversion"),
    "subject_verb_agreement": Paradigm(_subject_verb, "morphology", "subject_verb_agreement"),
    "subject_verb_agreement_across_phrase": Paradigm(_across_phrase, "morphology", "subject_verb_agreement"),
    "subject_verb_agreement_across_clause": Paradigm(_across_clause, "morphology", "subject_verb_agreement"),
}
