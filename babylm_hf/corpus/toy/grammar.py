"""Utterances of the toy language: what is said to a child, and how often.

Every rule of agreement, licensing, extraction and inversion is a few lines here or in `phrases`, so what a model can
learn from the text is known exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .lexicon import (
    ADJECTIVES,
    FIXED_UTTERANCES,
    INTERJECTIONS,
    NEGATED,
    PLURAL,
    PRONOUNS,
    SPEECH,
    THIRD,
    TRANSITIVE,
    Verb,
    Weighted,
    Zipf,
)
from .phrases import FORMS, Phrase, Phrases

_FIXED, _INTERJECTIONS = Zipf(FIXED_UTTERANCES), Zipf(INTERJECTIONS)
_THAT_VERBS = Weighted(list(zip(SPEECH, (4.0, 5.0, 4.0, 2.0, 1.0), strict=True)))
_WH_VERBS = Weighted(list(zip(SPEECH, (6.0, 0.0, 0.0, 3.0, 2.0), strict=True)))
_FOR_WHAT = Zipf([verb for verb in TRANSITIVE if verb.objects != "animate"])
_FOR_WHO = Zipf([verb for verb in TRANSITIVE if verb.objects in ("animate", "any")])
_NEW_SINGULAR = Weighted([("a", 6.0), ("'s", 3.0), ("the", 2.0), ("another", 1.0)])
_NEW_PLURAL = Weighted([("", 4.0), ("'s", 3.0), ("some", 2.0), ("two", 1.0), ("three", 1.0), ("many", 1.0)])
_PRONOUN_OF = {reflexive: Phrase(word, agreement, reflexive) for word, _, reflexive, agreement in PRONOUNS}
_DEICTIC = (("this", THIRD), ("that", THIRD), ("these", PLURAL), ("those", PLURAL), ("here", ""), ("there", ""))


class ToyGrammar(Phrases):
    """Draws whole utterances, lower case but for names, with their punctuation."""

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self._kinds: Weighted[Callable[[], str]] = Weighted(
            [
                (self.statement, 16),
                (self.description, 8),
                (self.deictic, 6),
                (self.negation, 9),
                (self.experience, 7),
                (self.yes_no_question, 7),
                (self.wh_question, 11),
                (self.request, 4),
                (self.thought, 11),
                (self.modified, 17),
                (self.contrast, 7),
                (self.reason, 5),
            ]
        )

    def utterance(self) -> str:
        """An utterance that is not one of the fixed ones."""
        text = self._kinds.draw(self.rng)()
        if self.chance(0.06):
            text = f"{_INTERJECTIONS.draw(self.rng)}, {text}"
        if self.chance(0.05):
            text = f"{text[:-1]}, {self.name().text}{text[-1]}"
        return text

    def fixed(self) -> str:
        """One of the fixed utterances."""
        return _FIXED.draw(self.rng)

    # -- statements -----------------------------------------------------------------------------------------------

    def statement(self) -> str:
        """Who does what."""
        return self.clause() + self.full_stop()

    def full_stop(self) -> str:
        """A full stop, or now and then an exclamation mark."""
        return "!" if self.chance(0.12) else "."

    def being(self, subject: Phrase, negative: bool | None = None) -> str:
        """A subject and its state, quality or place."""
        negative = self.chance(0.12) if negative is None else negative
        form = self.auxiliary("was" if self.chance(0.25) else "progressive", subject.agreement)
        return f"{subject.text} {NEGATED[form] if negative else form} {self.attribute(negative or subject.negative)}"

    def description(self) -> str:
        """How or where something is."""
        return self.being(self.subject() if self.chance(0.5) else self.noun_phrase("any")) + self.full_stop()

    def modified(self) -> str:
        """A statement whose subject ends in another noun or verb than its head."""
        subject = self.complex_subject()
        animate = subject.reflexive != "" and self.chance(0.3)
        return (self.clause(subject) if animate else self.being(subject)) + self.full_stop()

    def deictic(self) -> str:
        """Pointing at something."""
        word, agreement = _DEICTIC[int(self.rng.random() * len(_DEICTIC))]
        plural = agreement == PLURAL or (not agreement and self.chance(0.5))
        noun = self.noun()
        words = noun.plural if plural else noun.singular
        if self.chance(0.25):
            words = f"{self.word(ADJECTIVES)} {words}"
        thing = self.determined((_NEW_PLURAL if plural else _NEW_SINGULAR).draw(self.rng), words)
        where = f" {self.place()}" if word == "there" and self.chance(0.6) else ""
        return f"{word} {'are' if plural else 'is'} {thing}{where}{self.full_stop()}"

    def negation(self) -> str:
        """A statement with a negative verb, a negative subject or `never`."""
        draw = self.rng.random()
        if draw < 0.55:
            return self.clause(negative=True) + "."
        if draw < 0.8:
            return self.clause(self.negative_subject()) + "."
        subject = self.subject()
        verb, rest = self.predicate(subject, licensed=True)
        form = verb.past if self.chance(0.5) else verb.present(subject.agreement)
        return f"{subject.text} never {form}{rest}."

    def experience(self) -> str:
        """The perfect with `ever` where something licenses it, and without where nothing does."""
        draw = self.rng.random()
        subject = self.negative_subject() if draw < 0.45 else self.subject()
        have = self.auxiliary("perfect", subject.agreement)
        if self.chance(0.45):
            verb, rest = _THAT_VERBS.draw(self.rng), f" that {self.clause(self.some_subject())}"
        else:
            verb, rest = self.predicate(subject, licensed=draw < 0.7)
        if draw < 0.45:
            return f"{subject.text} {have} ever {verb.participle}{rest}."
        if draw < 0.55:
            return f"{subject.text} {NEGATED[have]} ever {verb.participle}{rest}."
        if draw < 0.7:
            return f"{have} {subject.text} ever {verb.participle}{rest}?"
        return f"{subject.text} {have} {verb.participle}{rest}."

    def some_subject(self) -> Phrase:
        """A subject, one in four of them negative."""
        return self.negative_subject() if self.chance(0.25) else self.subject()

    def contrast(self) -> str:
        """Two statements in one, often a negative and a positive one with the same kind of object."""
        if self.chance(0.2):
            return f"{self.clause()} and {self.clause()}."
        first, second = self.opposed_clauses("any", "some")
        return f"{first} but {second}." if self.chance(0.5) else f"{second} but {first}."

    def reason(self) -> str:
        """What somebody does, and how he or she feels."""
        subject = self.subject()
        pronoun = _PRONOUN_OF.get(subject.reflexive) or self.subject()
        return f"{self.clause(subject)} because {self.being(pronoun)}."

    def opposed_clauses(self, negative_determiner: str, positive_determiner: str) -> tuple[str, str]:
        """A negative and a positive clause about two plural objects with the given determiners."""
        clauses = []
        for negative, determiner in ((True, negative_determiner), (False, positive_determiner)):
            subject, verb = self.subject(), self.verb_for_what()
            while verb.objects == "drink":
                verb = self.verb_for_what()
            thing = self.noun(verb.objects).plural
            tense = "past" if self.chance(0.6) else "present"
            clauses.append(f"{subject.text} {self.finite(verb, subject, tense, negative)} {determiner} {thing}")
        return clauses[0], clauses[1]

    # -- questions and requests -----------------------------------------------------------------------------------

    def inverted(self, subject: Phrase, verb: Verb) -> str:
        """Auxiliary, subject, verb."""
        tense = self.tense(verb)
        return f"{self.auxiliary(tense, subject.agreement)} {subject.text} {getattr(verb, FORMS[tense])}"

    def yes_no_question(self) -> str:
        """A question to be answered by yes or no."""
        subject = self.subject()
        if self.chance(0.3):
            form = self.auxiliary("progressive", subject.agreement)
            return f"{form} {subject.text} {self.attribute(licensed=True)}?"
        verb, rest = self.predicate(subject, licensed=True)
        return f"{self.inverted(subject, verb)}{rest}?"

    def wh_question(self) -> str:
        """A question for the subject, the object, the place or the reason."""
        draw = self.rng.random()
        subject = self.subject()
        if draw < 0.38:
            return f"what {self.inverted(subject, self.verb_for_what())}?"
        if draw < 0.48:
            return f"who {self.inverted(subject, _FOR_WHO.draw(self.rng))}?"
        if draw < 0.73:
            verb, rest = self.predicate(subject, licensed=True)
            return f"{'where' if self.chance(0.5) else 'why'} {self.inverted(subject, verb)}{rest}?"
        if draw < 0.83:
            verb, rest = self.predicate(Phrase("who", THIRD), licensed=True)
            return f"who {self.finite(verb, Phrase('who', THIRD))}{rest}?"
        if draw < 0.93:
            thing = self.noun_phrase("any")
            return f"where {self.auxiliary('progressive', thing.agreement)} {thing.text}?"
        return f"how many {self.noun('thing').plural} {self.inverted(subject, self.verb_for_what())}?"

    def request(self) -> str:
        """Telling somebody to do something, or not to."""
        draw = self.rng.random()
        verb, rest = self.predicate(Phrase("you", PLURAL, "yourself"), licensed=draw < 0.3)
        opening = "don't " if draw < 0.3 else "let's " if draw < 0.45 and "yourself" not in rest else ""
        closing = ", please" if self.chance(0.15) else ""
        return f"{opening}{verb.base}{rest}{closing}{self.full_stop()}"

    # -- embedded clauses -----------------------------------------------------------------------------------------

    def asking_verb(self) -> Verb:
        """A verb whose complement can be a question."""
        return _WH_VERBS.draw(self.rng)

    def verb_for_what(self) -> Verb:
        """A transitive verb whose object one asks for with `what`."""
        return _FOR_WHAT.draw(self.rng)

    def thought(self) -> str:
        """What somebody knows, thinks or asks."""
        subject = self.subject()
        if self.chance(0.45):
            verb, content = _THAT_VERBS.draw(self.rng), f"that {self.clause(self.some_subject())}"
        else:
            verb, content = self.asking_verb(), self.wh_clause()
        if self.chance(0.2):
            return f"{self.inverted(subject, verb)} {content}?"
        return f"{subject.text} {self.finite(verb, subject, negative=self.chance(0.15))} {content}."

    def wh_clause(self) -> str:
        """An embedded question, its subject before its verb."""
        draw = self.rng.random()
        subject = self.subject()
        if draw < 0.55:
            verb = self.verb_for_what()
            return f"what {subject.text} {self.finite(verb, subject)}"
        if draw < 0.65:
            return f"who {subject.text} {self.finite(_FOR_WHO.draw(self.rng), subject)}"
        if draw < 0.75:
            thing = self.noun_phrase("any")
            return f"where {thing.text} {self.auxiliary('progressive', thing.agreement)}"
        if draw < 0.85:
            verb, rest = self.predicate(Phrase("who", THIRD))
            return f"who {self.finite(verb, Phrase('who', THIRD))}{rest}"
        return f"{'where' if self.chance(0.5) else 'why'} {self.clause(subject)}"
