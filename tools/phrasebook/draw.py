"""Random predicates - a verb with what follows it - and whole clauses."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from phrasebook import german
from phrasebook.clause import NO_PHRASE, Clause, Phrase
from phrasebook.lexicon import (
    BE,
    CITIES,
    CITY_ERRANDS,
    ENTERED,
    ERRANDS,
    FLY,
    FURNITURE,
    GIFTS,
    GO,
    GOODS,
    HABITS,
    HELP,
    INTRANSITIVE,
    LAY,
    MODALS,
    MOODS,
    NEED,
    OBJECTS,
    PAST_OBJECTS,
    PEOPLE,
    PLANS,
    REACHED,
    READING,
    STAY,
    TIMELESS_OBJECTS,
    TRAVEL,
    Noun,
    Subject,
    Verb,
)
from phrasebook.parts import (
    AT_HOME,
    bare_phrase,
    both,
    city_phrase,
    draw_time,
    fixed_phrase,
    object_phrase,
    person_phrase,
    whither_phrase,
)


class Predicate(NamedTuple):
    """A verb with its phrase, before anyone does it."""

    verb: Verb
    phrase: Phrase


class Errand(NamedTuple):
    """A trip, and what it is for."""

    trip: Predicate
    purpose: Predicate


def _transitive(rng: Random, objects: dict[Verb, tuple[Noun, ...]], adjectives: bool) -> Predicate:
    verb = rng.choice(list(objects))
    return Predicate(verb, object_phrase(rng, rng.choice(objects[verb]), adjectives))


def _giving(rng: Random) -> Predicate:
    verb = rng.choice(list(GIFTS))
    receiver = person_phrase(rng, rng.choice(PEOPLE), "dat")
    return Predicate(verb, both(receiver, object_phrase(rng, rng.choice(GIFTS[verb]), adjectives=False)))


def _laying(rng: Random) -> Predicate:
    preposition, en = rng.choice((("auf", "on"), ("unter", "under"), ("neben", "next to")))
    thing, furniture = rng.choice(GOODS[:3] + READING), rng.choice(FURNITURE[:3])
    de = german.noun_phrase(thing, "der", "acc")
    where = f"{preposition} {german.noun_phrase(furniture, 'der', 'acc')}"
    en_thing, en_where = f"the {thing.en}", f"{en} the {furniture.en}"
    words = (thing.de, preposition, furniture.de)
    return Predicate(
        LAY, Phrase(f"{de} {where}", f"{en_thing} {en_where}", f"{de} nicht {where}", f"{en_thing} {en_where}", words)
    )


def _moving(rng: Random) -> Predicate:
    if rng.random() < 0.5:
        return Predicate(GO, whither_phrase(rng.choice(ENTERED + REACHED)))
    return Predicate(rng.choice((TRAVEL, FLY)), city_phrase(rng))


def draw_errand(rng: Random) -> Errand:
    """A trip to where its purpose can be had: to the market for bread, to Berlin for nearly anything."""
    if rng.random() < 0.4:
        trip, verb = Predicate(TRAVEL, city_phrase(rng)), rng.choice(CITY_ERRANDS)
    else:
        place = rng.choice(list(ERRANDS))
        trip, verb = Predicate(GO, whither_phrase(place)), rng.choice(ERRANDS[place])
    return Errand(trip, Predicate(verb, object_phrase(rng, rng.choice(OBJECTS[verb]), adjectives=False)))


def _being(rng: Random) -> Predicate:
    mood = rng.choice(list(MOODS))
    city = rng.choice(list(CITIES))
    choices = (fixed_phrase(mood, MOODS[mood], mood), fixed_phrase(f"in {city}", f"in {CITIES[city]}", city), AT_HOME)
    return Predicate(BE, rng.choices(choices, (4, 4, 1))[0])


def draw_predicate(rng: Random, adjectives: bool = True) -> Predicate:
    """Anything that one does at a time: an action or a state."""
    kind = rng.choices(("object", "gift", "put", "help", "move", "alone", "stay"), (55, 12, 5, 4, 12, 8, 4))[0]
    predicates: dict[str, Callable[[], Predicate]] = {
        "object": lambda: _transitive(rng, OBJECTS, adjectives),
        "gift": lambda: _giving(rng),
        "put": lambda: _laying(rng),
        "help": lambda: Predicate(HELP, person_phrase(rng, rng.choice(PEOPLE), "dat")),
        "move": lambda: _moving(rng),
        "alone": lambda: Predicate(rng.choice(INTRANSITIVE), NO_PHRASE),
        "stay": lambda: Predicate(STAY, AT_HOME),
    }
    return predicates[kind]()


def draw_plan(rng: Random) -> Predicate:
    """What one may do if it rains, or if there is time for it."""
    kind = rng.random()
    if kind < 0.3:
        return _moving(rng)
    if kind < 0.5:
        return rng.choice((Predicate(STAY, AT_HOME), Predicate(rng.choice(INTRANSITIVE), NO_PHRASE)))
    return _transitive(rng, {verb: OBJECTS[verb] for verb in PLANS}, adjectives=False)


def _present(rng: Random, subject: Subject, adjectives: bool) -> Clause:
    timed = rng.random() < 0.5
    if rng.random() < 0.15:
        return Clause(subject, *_being(rng), draw_time(rng, "now") if timed else None)
    return Clause(subject, *draw_predicate(rng, adjectives), draw_time(rng, "now", "future") if timed else None)


def _past(rng: Random, subject: Subject, adjectives: bool) -> Clause:
    kind = rng.random()
    if kind < 0.1:
        verb, phrase = _being(rng)
    elif kind < 0.25:
        verb, phrase = _transitive(rng, PAST_OBJECTS, adjectives)
    else:
        verb, phrase = draw_predicate(rng, adjectives)
    time = draw_time(rng, "past") if rng.random() < 0.5 else None
    return Clause(subject, verb, phrase, time, tense="past")


def _modal(rng: Random, subject: Subject, adjectives: bool) -> Clause:
    verb, phrase = draw_predicate(rng, adjectives)
    while verb == NEED:  # nobody must need a thing
        verb, phrase = draw_predicate(rng, adjectives)
    time = draw_time(rng, "now", "future") if rng.random() < 0.35 else None
    return Clause(subject, verb, phrase, time, modal=rng.choice(MODALS))


def _habit(rng: Random, subject: Subject, adjectives: bool) -> Clause:
    verb, phrase = draw_habit(rng)
    return Clause(subject, verb, phrase, draw_time(rng, "habit"))


def _timeless(rng: Random, subject: Subject, adjectives: bool) -> Clause:
    return Clause(subject, *_transitive(rng, TIMELESS_OBJECTS, adjectives))


def draw_habit(rng: Random) -> Predicate:
    """What one does again and again, and may like to: "Tee trinken", "arbeiten"."""
    if rng.random() < 0.3:
        return Predicate(rng.choice(INTRANSITIVE[:-1]), NO_PHRASE)
    verb = rng.choice(HABITS)
    return Predicate(verb, bare_phrase(rng.choice(OBJECTS[verb])))


def draw_clause(rng: Random, subject: Subject, adjectives: bool = True) -> Clause:
    """A clause in the present, the past or with a modal; nobody does a thing to himself."""
    while True:
        kind = rng.choices((_present, _past, _modal, _habit, _timeless), (32, 30, 25, 6, 7))[0]
        clause = kind(rng, subject, adjectives)
        if not set(subject.words) & set(clause.phrase.words):
            return clause
