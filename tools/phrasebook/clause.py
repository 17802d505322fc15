"""A clause as one value, and the orders in which German and English say it.

German: the finite verb stands second (main, fronted), first (question) or last (subordinate), and what belongs to it
- separable prefix, participle, infinitive - closes the clause. English keeps its order and asks and negates with do.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from phrasebook import english, german
from phrasebook.lexicon import ER, Modal, Subject, Time, Verb

Tense = Literal["present", "past"]
View = Literal["progressive", "simple", "future"]  # what English makes of the German present


@dataclass(frozen=True)
class Phrase:
    """What follows the verb: an object, a direction. The negated forms carry nicht or kein, and "any"."""

    de: str
    en: str
    de_negated: str
    en_negated: str
    words: tuple[str, ...]  # its content words, for the key of a pair


NO_PHRASE = Phrase("", "", "nicht", "", ())


@dataclass(frozen=True)
class Clause:
    """Who does what and when. `view` overrides what the time and the verb say about the English present."""

    subject: Subject
    verb: Verb
    phrase: Phrase = NO_PHRASE
    time: Time | None = None
    tense: Tense = "present"
    modal: Modal | None = None
    negated: bool = False
    view: View | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """All content words; tense, negation and pronouns are none."""
        modal = (self.modal.de,) if self.modal else ()
        time = (self.time.word,) if self.time else ()
        return (*self.subject.words, self.verb.infinitive, *modal, *time, *self.phrase.words)


def join(*parts: str) -> str:
    """The parts that are not empty, one space between."""
    return " ".join(filter(None, parts))


def _german_middle(clause: Clause) -> str:
    return join(clause.time.de if clause.time else "", clause.phrase.de_negated if clause.negated else clause.phrase.de)


def _german_verb(clause: Clause) -> tuple[str, str]:
    """The finite verb, and what closes a main clause."""
    verb, person = clause.verb, clause.subject.person
    if clause.modal:
        return german.present(clause.modal.de, person), verb.infinitive
    if clause.tense == "present":
        return german.finite(verb, person), verb.prefix
    simple_past = german.preterite(verb, person)
    if simple_past:
        return simple_past, ""
    return german.present(verb.auxiliary, person), german.participle(verb)


def german_main(clause: Clause) -> str:
    """Anna steht heute auf"""
    finite, closing = _german_verb(clause)
    return join(clause.subject.de, finite, _german_middle(clause), closing)


def german_verb_first(clause: Clause) -> str:
    """steht Anna heute auf: a question, or what follows a fronted part of the sentence"""
    finite, closing = _german_verb(clause)
    return join(finite, clause.subject.de, _german_middle(clause), closing)


def german_subordinate(clause: Clause) -> str:
    """Anna heute aufsteht: after weil, dass, wenn, ob"""
    finite, closing = _german_verb(clause)
    is_prefix = clause.tense == "present" and not clause.modal
    verb = closing + finite if is_prefix else join(closing, finite)
    return join(clause.subject.de, _german_middle(clause), verb)


class VerbGroup(NamedTuple):
    """The English verb: with an auxiliary, `rest` follows it; without one, `rest` is finite and `base` goes with do."""

    auxiliary: str
    rest: str
    base: str = ""
    do: str = ""


def _english_verb(clause: Clause) -> VerbGroup:
    verb, modal = clause.verb, clause.modal
    if modal and modal.en_auxiliary:
        return VerbGroup(modal.en_auxiliary, join(modal.en_verb, verb.en))
    base = join(modal.en_verb, verb.en) if modal else verb.en
    view = clause.view or english_view(clause)
    if view == "future" and clause.tense == "present":
        return VerbGroup("will", base)
    if base == "be":
        return VerbGroup(english.be(clause.subject.person, clause.tense), "")
    if clause.tense == "past":
        return VerbGroup("", english.past(base, verb.en_past), base, "did")
    if view == "progressive":
        return VerbGroup(english.be(clause.subject.person, "present"), english.progressive(base))
    is_third = clause.subject.person == ER
    return VerbGroup("", english.third_person(base) if is_third else base, base, "does" if is_third else "do")


def english_view(clause: Clause) -> View:
    """What English makes of the German present: "buys" with a modal or a habit, "will buy" of the future."""
    if clause.modal:
        return "simple"
    if clause.time and clause.time.kind == "future":
        return "future"
    if clause.verb.aspect != "action" or (clause.time and clause.time.kind == "habit"):
        return "simple"
    return "progressive"


def _english_end(clause: Clause) -> str:
    return join(clause.phrase.en_negated if clause.negated else clause.phrase.en, clause.time.en if clause.time else "")


def english_statement(clause: Clause) -> str:
    """Anna does not get up today: also the order after because, that, if"""
    group = _english_verb(clause)
    if not clause.negated:
        verb = join(group.auxiliary, group.rest)
    elif group.auxiliary == "can":
        verb = join("cannot", group.rest)
    else:
        verb = join(group.auxiliary or group.do, "not", group.rest if group.auxiliary else group.base)
    return join(clause.subject.en, verb, _english_end(clause))


def english_question(clause: Clause) -> str:
    """does Anna get up today, doesn't Anna get up today: a question, or what follows a question word"""
    group = _english_verb(clause)
    first, rest = (group.auxiliary, group.rest) if group.auxiliary else (group.do, group.base)
    if clause.negated:
        first = english.contracted_not(first)  # "why did Anna not call" is nobody's question
    return join(first, clause.subject.en, rest, _english_end(clause))
