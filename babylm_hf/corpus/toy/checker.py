"""Is it a sentence of the toy language? A recogniser that shares the lexicon with the generator and nothing else.

It reads a sentence from left to right with backtracking and carries along what the rules speak of: the agreement of
the subject, the reflexive it can bind, whether something licenses polarity items, and whether an object has been moved
away. Every method takes the place where a phrase would begin and yields the places where it can end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .lexicon import (
    ADJECTIVES,
    ADVERBS,
    DATIVE,
    DETERMINERS,
    FEMALE_NAMES,
    FIXED_UTTERANCES,
    FORMS_OF_BE,
    INTERJECTIONS,
    INTRANSITIVE,
    MALE_NAMES,
    MASS_NOUNS,
    MODALS,
    NEGATED,
    NOUNS,
    PLURAL,
    PREPOSITIONS,
    PRONOUNS,
    SELF_OF_KIND,
    SPEECH,
    STATES,
    TAKE_INFINITIVES,
    THIRD,
    TRANSITIVE,
)

_ASKING = ("know", "remember", "forget")  # the speech verbs that take a question
_NAMES = {**dict.fromkeys(MALE_NAMES, "himself"), **dict.fromkeys(FEMALE_NAMES, "herself")}
_REFLEXIVES = {pronoun[2] for pronoun in PRONOUNS} | {"itself"}
_FORM_NAMES = ("base", "third", "past", "participle", "ing")


def _noun_forms() -> dict[str, list[tuple[str, str]]]:
    """Word -> its readings as (number, reflexive)."""
    forms: dict[str, list[tuple[str, str]]] = {}
    for noun in NOUNS:
        forms.setdefault(noun.singular, []).append(("singular", SELF_OF_KIND.get(noun.kind, "")))
        forms.setdefault(noun.plural, []).append(("plural", "themselves"))
    for word in MASS_NOUNS:
        forms.setdefault(word, []).append(("mass", "itself"))
    return forms


def _verb_forms() -> dict[str, dict[str, set[tuple[str, str]]]]:
    """Name of a form -> word -> its readings as (frame, base)."""
    forms: dict[str, dict[str, set[tuple[str, str]]]] = {name: {} for name in _FORM_NAMES}
    frames = {"transitive": TRANSITIVE, "intransitive": INTRANSITIVE, "dative": DATIVE, "speech": SPEECH}
    for frame, verbs in {**frames, "infinitive": TAKE_INFINITIVES}.items():
        for verb in verbs:
            for name in _FORM_NAMES:
                forms[name].setdefault(getattr(verb, name), set()).add((frame, verb.base))
    return forms


_NOUN_FORMS, _VERB_FORMS = _noun_forms(), _verb_forms()
_BE = {form for pair in FORMS_OF_BE.values() for form in pair}


class _NounPhrase(NamedTuple):
    end: int
    agreement: str
    reflexive: str
    negative: bool = False


class _Context(NamedTuple):
    """What a verb phrase must know about the rest: its subject's agreement and anaphor, licensing, a moved object."""

    agreement: str
    reflexive: str
    licensed: bool
    gap: bool

    def with_negation(self) -> _Context:
        return self._replace(licensed=True)


def is_grammatical(sentence: str) -> bool:
    """Whether the toy language has this sentence, its punctuation and capitals included."""
    sentence = sentence.strip()
    if sentence in FIXED_UTTERANCES:
        return True
    if not re.fullmatch(r"[A-Za-z' ,]*[A-Za-z][.!?]", sentence):
        return False
    words = re.findall(r"[A-Za-z']+|,", sentence[:-1])
    if len(words) > 2 and words[0] in INTERJECTIONS and words[1] == ",":
        words = words[2:]
    if len(words) > 2 and words[-2] == "," and words[-1] in _NAMES:
        words = words[:-2]
    return _Recogniser(words).accepts(question=sentence.endswith("?"))


class _Recogniser:
    def __init__(self, words: list[str]) -> None:
        self.words = words

    def at(self, i: int) -> str:
        return self.words[i] if i < len(self.words) else ""

    def accepts(self, question: bool) -> bool:
        starts = self.question() if question else self.not_question()
        return len(self.words) in starts

    # -- whole utterances -----------------------------------------------------------------------------------------

    def not_question(self) -> Iterator[int]:
        for end in self.statement(0, licensed=False):
            yield end
            if self.at(end) in ("but", "and", "because"):
                yield from self.statement(end + 1, licensed=False)
        start = 1 if self.at(0) in ("don't", "let's") else 0
        reflexive = "" if self.at(0) == "let's" else "yourself"
        for end in self.verb_phrase(start, "base", _Context(PLURAL, reflexive, self.at(0) == "don't", gap=False)):
            yield end
            if self.at(end) == "," and self.at(end + 1) == "please":
                yield end + 2

    def question(self) -> Iterator[int]:
        first = self.at(0)
        yield from self.inversion(0, gap=False)
        if first in ("what", "who"):
            yield from self.inversion(1, gap=True)
            yield from self.finite(1, _Context(THIRD, "", licensed=True, gap=False))
        if first in ("where", "why"):
            yield from self.inversion(1, gap=False)
        if first == "where" and self.at(1) in _BE:
            yield from (np.end for np in self.noun_phrase(2) if self.at(1) in FORMS_OF_BE[np.agreement])
        if (first, self.at(1)) == ("how", "many") and ("plural", "themselves") in _NOUN_FORMS.get(self.at(2), ()):
            yield from self.inversion(3, gap=True)

    def statement(self, i: int, licensed: bool) -> Iterator[int]:
        for subject in self.noun_phrase(i, subject=True, licensed=licensed):
            context = _Context(subject.agreement, subject.reflexive, licensed or subject.negative, gap=False)
            yield from self.finite(subject.end, context)
        yield from self.pointing(i)

    def pointing(self, i: int) -> Iterator[int]:
        word, form = self.at(i), self.at(i + 1)
        if word not in ("this", "that", "these", "those", "here", "there"):
            return
        for thing in self.noun_phrase(i + 2):
            own = {"this": THIRD, "that": THIRD, "these": PLURAL, "those": PLURAL}.get(word, thing.agreement)
            if own == thing.agreement and form == FORMS_OF_BE[own][0]:
                yield thing.end
                if word == "there":
                    yield from self.place(thing.end, licensed=False)

    # -- noun phrases ---------------------------------------------------------------------------------------------

    def noun_phrase(self, i: int, subject: bool = False, licensed: bool = False) -> Iterator[_NounPhrase]:
        word = self.at(i)
        for nominative, accusative, reflexive, agreement in PRONOUNS:
            if word == (nominative if subject else accusative):
                yield _NounPhrase(i + 1, agreement, reflexive)
        if word in _NAMES:
            yield _NounPhrase(i + 1, THIRD, _NAMES[word])
        if subject and word in ("everybody", "somebody", "nobody"):
            yield _NounPhrase(i + 1, THIRD, "", negative=word == "nobody")
        for head in self.common_noun_phrase(i, subject, licensed):
            yield head
            if subject:
                yield from (head._replace(end=end) for end in self.place(head.end, licensed))
                yield from (head._replace(end=end) for end in self.relative_clause(head))

    def common_noun_phrase(self, i: int, subject: bool, licensed: bool) -> Iterator[_NounPhrase]:
        word = self.at(i)
        numbers: tuple[str, ...] = ("plural", "mass")  # without a determiner
        if word.endswith("'s") and word[:-2] in _NAMES:
            i, numbers = i + 1, ("singular", "plural", "mass")
        elif word in DETERMINERS:
            if (word == "any" and not licensed) or (word == "no" and not subject):
                return
            if word in ("a", "an") and (self.at(i + 1)[:1] in tuple("aeiou")) != (word == "an"):
                return
            i, numbers = i + 1, DETERMINERS[word]
        if self.at(i) in ADJECTIVES:
            i += 1
        for number, reflexive in _NOUN_FORMS.get(self.at(i), ()):
            if number in numbers:
                yield _NounPhrase(i + 1, PLURAL if number == "plural" else THIRD, reflexive, negative=word == "no")

    def place(self, i: int, licensed: bool) -> Iterator[int]:
        if self.at(i) in PREPOSITIONS:
            yield from (np.end for np in self.noun_phrase(i + 1, licensed=licensed))

    def relative_clause(self, head: _NounPhrase) -> Iterator[int]:
        if self.at(head.end) != "that":
            return
        yield from self.finite(head.end + 1, _Context(head.agreement, head.reflexive, licensed=False, gap=False))
        for subject in self.noun_phrase(head.end + 1, subject=True):
            context = _Context(subject.agreement, subject.reflexive, subject.negative, gap=True)
            yield from self.finite(subject.end, context)

    # -- verb phrases ---------------------------------------------------------------------------------------------

    def finite(self, i: int, context: _Context) -> Iterator[int]:
        """A finite verb that agrees, with everything after it."""
        word, third = self.at(i), context.agreement == THIRD
        for form in ("past", "third" if third else "base"):
            yield from self.verb_phrase(i, form, context)
            if word == "never":
                yield from self.verb_phrase(i + 1, form, context.with_negation())
        for auxiliary in self.auxiliaries(context.agreement):
            if word == auxiliary and auxiliary not in ("do", "does", "did"):
                yield from self.after_auxiliary(i + 1, auxiliary, context)
            negated = NEGATED[auxiliary].split()
            if self.words[i : i + len(negated)] == negated:
                yield from self.after_auxiliary(i + len(negated), auxiliary, context.with_negation())

    def auxiliaries(self, agreement: str) -> tuple[str, ...]:
        has_does = ("has", "does") if agreement == THIRD else ("have", "do")
        return (*FORMS_OF_BE[agreement], *has_does, "did", *MODALS)

    def after_auxiliary(self, i: int, auxiliary: str, context: _Context) -> Iterator[int]:
        if auxiliary in _BE:
            yield from self.verb_phrase(i, "ing", context)
            if not context.gap:
                yield from self.attribute(i, context.licensed)
        elif auxiliary in ("has", "have"):
            yield from self.verb_phrase(i, "participle", context)
            if self.at(i) == "ever" and context.licensed:
                yield from self.verb_phrase(i + 1, "participle", context)
        else:
            yield from self.verb_phrase(i, "base", context)

    def attribute(self, i: int, licensed: bool) -> Iterator[int]:
        if self.at(i) in STATES or self.at(i) in ADJECTIVES:
            yield i + 1
        yield from self.place(i, licensed)

    def inversion(self, i: int, gap: bool) -> Iterator[int]:
        """An auxiliary, its subject and the rest; a question licenses polarity items throughout."""
        for subject in self.noun_phrase(i + 1, subject=True, licensed=True):
            if self.at(i) in self.auxiliaries(subject.agreement):
                context = _Context(subject.agreement, subject.reflexive, licensed=True, gap=gap)
                yield from self.after_auxiliary(subject.end, self.at(i), context)

    def verb_phrase(self, i: int, form: str, context: _Context) -> Iterator[int]:
        """A verb in that form, its complements, and up to two adverbials."""
        for frame, base in _VERB_FORMS[form].get(self.at(i), ()):
            for end in self.complement(i + 1, frame, base, context):
                yield end
                for first in self.adverbial(end, context.licensed):
                    yield first
                    yield from self.adverbial(first, context.licensed)

    def complement(self, i: int, frame: str, base: str, context: _Context) -> Iterator[int]:
        if frame == "infinitive" and self.at(i) == "to":
            yield from self.verb_phrase(i + 1, "base", context)
        elif frame == "transitive" and context.gap:
            yield i
        elif frame == "transitive":
            if self.at(i) in _REFLEXIVES and self.at(i) == context.reflexive:
                yield i + 1
            yield from (np.end for np in self.noun_phrase(i, licensed=context.licensed))
        elif context.gap:
            return  # whatever was moved away has no place in the other frames
        elif frame == "intransitive":
            yield i
        elif frame == "dative":
            for thing in self.noun_phrase(i, licensed=context.licensed):
                if self.at(thing.end) == "to":
                    yield from (np.end for np in self.noun_phrase(thing.end + 1, licensed=context.licensed))
        elif frame == "speech" and self.at(i) == "that":
            yield from self.statement(i + 1, context.licensed)
        elif frame == "speech" and base in _ASKING:
            yield from self.embedded_question(i, context.licensed)

    def embedded_question(self, i: int, licensed: bool) -> Iterator[int]:
        word = self.at(i)
        if word in ("where", "why"):
            yield from self.statement(i + 1, licensed)
        if word in ("what", "who"):
            yield from self.finite(i + 1, _Context(THIRD, "", licensed, gap=False))
        for subject in self.noun_phrase(i + 1, subject=True, licensed=licensed):
            if word in ("what", "who"):
                gapped = _Context(subject.agreement, subject.reflexive, licensed or subject.negative, gap=True)
                yield from self.finite(subject.end, gapped)
            if word == "where" and self.at(subject.end) in FORMS_OF_BE[subject.agreement]:
                yield subject.end + 1

    def adverbial(self, i: int, licensed: bool) -> Iterator[int]:
        if self.at(i) in ADVERBS:
            yield i + 1
        yield from self.place(i, licensed)
