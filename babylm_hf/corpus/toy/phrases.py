"""Noun and verb phrases of the toy language, with what the rest of a sentence must agree with.

All choices are made with `Random.random()` alone, so that a seed gives the same text under every version of Python.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from .lexicon import (
    ADJECTIVES,
    ADVERBS,
    DATIVE,
    DRINKS,
    FEMALE_NAMES,
    FORMS_OF_BE,
    INTRANSITIVE,
    KINDS,
    MALE_NAMES,
    MASS_NOUNS,
    MODALS,
    NEGATED,
    NOUNS_OF_KIND,
    PLURAL,
    POSSESSIVES,
    PREPOSITIONS,
    PRONOUNS,
    REFLEXIVE,
    SELF_OF_KIND,
    STATES,
    STATIVE,
    TAKE_INFINITIVES,
    THIRD,
    TRANSITIVE,
    Noun,
    Verb,
    Weighted,
    Zipf,
)


class Phrase(NamedTuple):
    """A noun phrase.

    Attributes:
        agreement: of a verb whose subject it is.
        reflexive: the anaphor that it binds; empty where the language avoids one.
        negative: it licenses polarity items to its right.
    """

    text: str
    agreement: str
    reflexive: str = ""
    negative: bool = False


_SINGULAR = Weighted([("the", 34), ("a", 28), ("this", 12), ("that", 12), ("'s", 9), ("another", 2), ("every", 3)])
_PLURAL = Weighted([("the", 30), ("these", 15), ("those", 15), ("'s", 8), ("some", 10), ("", 10), ("many", 3)])
_NUMBERS = Weighted([("two", 3), ("three", 2), ("four", 1)])
_MASS_DETERMINERS = Weighted([("the", 30), ("some", 25), ("this", 8), ("that", 8), ("'s", 10), ("", 19)])
_SUBJECTS = Weighted([("noun", 46), ("name", 22), ("pronoun", 28), ("indefinite", 4)])
_INDEFINITES = Weighted([("everybody", 1), ("somebody", 1)])
_TENSES = Weighted([("progressive", 26), ("was", 8), ("past", 28), ("present", 18), ("perfect", 12), ("modal", 8)])
_STATIVE_TENSES = Weighted([("past", 38), ("present", 44), ("perfect", 12), ("modal", 6)])
FORMS = {
    "progressive": "ing",
    "was": "ing",
    "perfect": "participle",
    "past": "base",
    "present": "base",
    "modal": "base",
}
_PREDICATES = Weighted([("transitive", 56), ("intransitive", 30), ("infinitive", 6), ("dative", 3), ("reflexive", 17)])

_ZIPF = {
    words: Zipf(words) for words in (MALE_NAMES, FEMALE_NAMES, ADJECTIVES, STATES, ADVERBS, PREPOSITIONS, MASS_NOUNS)
}
_ZIPF |= {words: Zipf(words) for words in (MODALS, POSSESSIVES, DRINKS)}
_PRONOUNS = Zipf(PRONOUNS)
_TRANSITIVE, _INTRANSITIVE, _DATIVE = Zipf(TRANSITIVE), Zipf(INTRANSITIVE), Zipf(DATIVE)
_REFLEXIVE = Zipf([verb for verb in TRANSITIVE if verb.base in REFLEXIVE])
_TAKING = {kind: Zipf([v for v in TRANSITIVE if kind in KINDS.get(v.objects, ())]) for kind in KINDS["any"]}


class Phrases:
    """Draws phrases from one stream of random numbers."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.rng.random() < probability

    def word(self, words: tuple[str, ...]) -> str:
        """One of the words of a table of the lexicon, by its rank."""
        return _ZIPF[words].draw(self.rng)

    # -- noun phrases ---------------------------------------------------------------------------------------------

    def noun(self, kind: str = "any") -> Noun:
        """A count noun of that kind."""
        return NOUNS_OF_KIND[kind].draw(self.rng)

    def verb_taking(self, noun: Noun) -> Verb:
        """A transitive verb whose object that noun can be."""
        return _TAKING[noun.kind].draw(self.rng)

    def reflexive_verb(self) -> Verb:
        """A verb that people do to themselves."""
        return _REFLEXIVE.draw(self.rng)

    def determined(self, determiner: str, words: str) -> str:
        """`words` after a determiner: `a` becomes `an` before a vowel, `'s` somebody's name or a possessive."""
        if determiner == "'s":
            determiner = self.name().text + "'s" if self.chance(0.3) else self.word(POSSESSIVES)
        elif determiner == "a" and words[0] in "aeiou":
            determiner = "an"
        return f"{determiner} {words}" if determiner else words

    def with_noun(self, noun: Noun, plural: bool, licensed: bool = False, adjective: bool | None = None) -> Phrase:
        """A phrase headed by `noun`; where polarity items are licensed, half of the plural ones are such."""
        words = noun.plural if plural else noun.singular
        if self.chance(0.25) if adjective is None else adjective:
            words = f"{self.word(ADJECTIVES)} {words}"
        if not plural:
            return Phrase(self.determined(_SINGULAR.draw(self.rng), words), THIRD, SELF_OF_KIND.get(noun.kind, ""))
        determiner = _NUMBERS.draw(self.rng) if self.chance(0.1) else _PLURAL.draw(self.rng)
        if licensed and (determiner == "some" or self.chance(0.5)):
            determiner = "any"
        return Phrase(self.determined(determiner, words), PLURAL, "themselves")

    def mass(self, words: tuple[str, ...] = MASS_NOUNS, licensed: bool = False) -> Phrase:
        """A phrase headed by a mass noun."""
        determiner = _MASS_DETERMINERS.draw(self.rng)
        if licensed and (determiner == "some" or self.chance(0.5)):
            determiner = "any"
        return Phrase(self.determined(determiner, self.word(words)), THIRD, "itself")

    def name(self) -> Phrase:
        """Somebody by name."""
        if self.chance(0.5):
            return Phrase(self.word(MALE_NAMES), THIRD, "himself")
        return Phrase(self.word(FEMALE_NAMES), THIRD, "herself")

    def noun_phrase(self, kind: str = "any", licensed: bool = False) -> Phrase:
        """A phrase with a count or mass noun of that kind."""
        if kind == "drink" or (kind == "food" and self.chance(0.3)):
            return self.mass(DRINKS if kind == "drink" else MASS_NOUNS, licensed)
        return self.with_noun(self.noun(kind), self.chance(0.7 if licensed else 0.45), licensed)

    def subject(self) -> Phrase:
        """An animate subject."""
        shape = _SUBJECTS.draw(self.rng)
        if shape == "noun":
            return self.noun_phrase("animate")
        if shape == "name":
            return self.name()
        if shape == "pronoun":
            nominative, _, reflexive, agreement = _PRONOUNS.draw(self.rng)
            return Phrase(nominative, agreement, reflexive)
        return Phrase(_INDEFINITES.draw(self.rng), THIRD)

    def negative_subject(self) -> Phrase:
        """Nobody, or no dog."""
        if self.chance(0.6):
            return Phrase("nobody", THIRD, negative=True)
        noun = self.noun("animate")
        if self.chance(0.6):
            return Phrase("no " + noun.singular, THIRD, negative=True)
        return Phrase("no " + noun.plural, PLURAL, negative=True)

    def object(self, kind: str, licensed: bool = False) -> str:
        """An object of that kind: a noun phrase, or somebody's name or pronoun."""
        if kind == "animate" or (kind == "any" and self.chance(0.3)):
            draw = self.rng.random()
            if draw < 0.25:
                return self.name().text
            if draw < 0.5:
                return _PRONOUNS.draw(self.rng)[1]
            return self.noun_phrase("animate", licensed).text
        return self.noun_phrase(kind, licensed).text

    def place(self, licensed: bool = False) -> str:
        """A prepositional phrase."""
        kind = "place" if self.chance(0.6) else "any"
        return f"{self.word(PREPOSITIONS)} {self.noun_phrase(kind, licensed).text}"

    def relative_clause(self, noun: Noun, agreement: str) -> str:
        """A relative clause on `noun`: its subject or its object is missing."""
        if noun.kind in KINDS["animate"] and self.chance(0.4):
            verb = _TRANSITIVE.draw(self.rng)
            return f"that {self.finite(verb, Phrase('', agreement))} {self.object(verb.objects)}"
        subject = self.noun_phrase("animate") if self.chance(0.7) else self.subject()
        return f"that {subject.text} {self.finite(self.verb_taking(noun), subject)}"

    def complex_subject(self) -> Phrase:
        """A subject with a phrase or clause between its head and the verb."""
        noun, plural = self.noun("any"), self.chance(0.5)
        head = self.with_noun(noun, plural, adjective=False)
        if self.chance(0.5):
            other = self.with_noun(
                self.noun("any"), plural != self.chance(0.7), adjective=False
            )  # mostly of the other number
            modifier = f"{self.word(PREPOSITIONS)} {other.text}"
        else:
            modifier = self.relative_clause(noun, head.agreement)
        return head._replace(text=f"{head.text} {modifier}")

    # -- verb phrases ---------------------------------------------------------------------------------------------

    def auxiliary(self, tense: str, agreement: str) -> str:
        """The auxiliary of that tense, agreeing; that of the simple tenses is `do`."""
        if tense in ("progressive", "was"):
            return FORMS_OF_BE[agreement][tense == "was"]
        if tense == "perfect":
            return "has" if agreement == THIRD else "have"
        if tense == "modal":
            return self.word(MODALS)
        return "did" if tense == "past" else "does" if agreement == THIRD else "do"

    def tense(self, verb: Verb) -> str:
        """A tense that goes with the verb."""
        return (_STATIVE_TENSES if verb.base in STATIVE else _TENSES).draw(self.rng)

    def finite(self, verb: Verb, subject: Phrase, tense: str | None = None, negative: bool = False) -> str:
        """The verb with its auxiliary, if any, in the order of a statement."""
        tense = tense or self.tense(verb)
        if negative:
            return f"{NEGATED[self.auxiliary(tense, subject.agreement)]} {getattr(verb, FORMS[tense])}"
        if tense == "past":
            return verb.past
        if tense == "present":
            return verb.present(subject.agreement)
        return f"{self.auxiliary(tense, subject.agreement)} {getattr(verb, FORMS[tense])}"

    def predicate(self, subject: Phrase, licensed: bool = False) -> tuple[Verb, str]:
        """A verb, and what follows it."""
        shape = _PREDICATES.draw(self.rng)
        if subject.reflexive in ("himself", "herself") and self.chance(0.15):
            shape = "reflexive"  # nothing else tells of a name's gender as clearly
        if shape == "intransitive":
            verb, rest = _INTRANSITIVE.draw(self.rng), ""
        elif shape == "infinitive":
            verb = TAKE_INFINITIVES[int(self.rng.random() * len(TAKE_INFINITIVES))]
            inner, tail = self.predicate(subject, licensed)
            return verb, f" to {inner.base}{tail}"
        elif shape == "dative":
            verb = _DATIVE.draw(self.rng)
            receiver = self.name().text if self.chance(0.5) else self.object("animate")
            rest = f" {self.object('thing', licensed)} to {receiver}"
        elif shape == "reflexive" and subject.reflexive:
            verb, rest = self.reflexive_verb(), " " + subject.reflexive
        else:
            verb = _TRANSITIVE.draw(self.rng)
            rest = " " + self.object(verb.objects, licensed)
        if self.chance(0.3 if shape == "intransitive" else 0.15):
            rest += " " + (self.place(licensed) if self.chance(0.6) else self.word(ADVERBS))
        return verb, rest

    def clause(self, subject: Phrase | None = None, negative: bool = False) -> str:
        """A statement."""
        subject = subject or self.subject()
        verb, rest = self.predicate(subject, licensed=negative or subject.negative)
        return f"{subject.text} {self.finite(verb, subject, negative=negative)}{rest}"

    def attribute(self, licensed: bool = False) -> str:
        """What can follow a form of `be`, other than a verb: a state, a quality or a place."""
        draw = self.rng.random()
        if draw < 0.45:
            return self.word(STATES)
        return self.word(ADJECTIVES) if draw < 0.7 else self.place(licensed)
