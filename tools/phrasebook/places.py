"""Templates about where: asking the way, what stands next to what, who has lived where, whose a thing is."""

from random import Random

from phrasebook import english, german
from phrasebook.german import contract
from phrasebook.lexicon import ADJECTIVES, CITIES, ER, HAVE, LIVE, PEOPLE, WORK
from phrasebook.parts import (
    draw_subject,
    person_phrase,
)
from phrasebook.sayings import PLACES, WEARABLE
from phrasebook.sentences import Pair, pair

PREPOSITIONS = {"neben": "next to", "hinter": "behind", "vor": "in front of", "gegenüber": "opposite"}
TURNS = {"links": "left", "rechts": "right"}
PERIODS = {"Jahren": "years", "Monaten": "months", "Wochen": "weeks"}
COUNTS = (2, 3, 4, 5, 6, 7, 8, 9, 10)


def way(rng: Random) -> Pair:
    """Wie komme ich zum Bahnhof? Gehen Sie bis zur Kirche und dann nach links."""
    place, turn = rng.choice(PLACES), rng.choice(list(TURNS))
    to_place = contract(f"zu {german.noun_phrase(place, 'der', 'dat')}")
    kind = rng.random()
    if kind < 0.4:
        subject = draw_subject(rng)
        adj = rng.choice(place.adjectives) if rng.random() < 0.5 else ""
        to_place = contract(f"zu {german.noun_phrase(place, 'der', 'dat', adj)}")
        en = english.noun_phrase(place, "the", ADJECTIVES[adj] if adj else "")
        do = "does" if subject.person == ER else "do"
        return pair(
            (*subject.words, "kommen", place.de, adj or "wie"),
            f"wie {german.present('kommen', subject.person)} {subject.de} {to_place}",
            f"how {do} {subject.en} get to {en}",
            "?",
        )
    if kind < 0.6:
        at_place = contract(f"an {german.noun_phrase(place, 'der', 'dat')}")
        return pair((place.de, turn), f"gehen Sie {at_place} nach {turn}", f"turn {TURNS[turn]} at the {place.en}")
    if kind < 0.8:
        de, en = (
            f"gehen Sie bis {to_place} und dann nach {turn}",
            f"go as far as the {place.en} and then turn {TURNS[turn]}",
        )
        return pair((place.de, turn, "bis"), de, en)
    return pair(
        (place.de, turn, "geradeaus"),
        f"gehen Sie geradeaus und {contract('an ' + german.noun_phrase(place, 'der', 'dat'))} nach {turn}",
        f"go straight ahead and turn {TURNS[turn]} at the {place.en}",
    )


def next_to(rng: Random) -> Pair:
    """Das Hotel ist neben der Bank; gibt es hinter dem Park ein Hotel?"""
    place, other = rng.sample(PLACES, 2)
    preposition = rng.choice(list(PREPOSITIONS))
    where = f"{preposition} {german.noun_phrase(other, 'der', 'dat')}"
    where_en = f"{PREPOSITIONS[preposition]} the {other.en}"
    words = (place.de, preposition, other.de)
    if rng.random() < 0.6:
        return pair(words, f"{german.noun_phrase(place, 'der', 'nom')} ist {where}", f"the {place.en} is {where_en}")
    de = f"gibt es {where} {german.noun_phrase(place, 'ein', 'acc')}"
    return pair(words, de, f"is there {english.noun_phrase(place, 'a')} {where_en}", "?")


def since(rng: Random) -> Pair:
    """Anna wohnt seit drei Jahren in Berlin: a German present, an English present perfect."""
    subject, verb, city = draw_subject(rng), rng.choice((LIVE, WORK)), rng.choice(list(CITIES))
    n, period = rng.choice(COUNTS), rng.choice(list(PERIODS))
    has = english.third_person(HAVE.en) if subject.person == ER else HAVE.en
    return pair(
        (*subject.words, verb.infinitive, str(n), period, city),
        f"{subject.de} {german.finite(verb, subject.person)} seit {german.number(n)} {period} in {city}",
        f"{subject.en} {has} {english.past(verb.en)} in {CITIES[city]} for {english.number(n)} {PERIODS[period]}",
    )


def ownership(rng: Random) -> Pair:
    """Das ist mein neues Fahrrad; die Tasche gehört meiner Mutter."""
    thing = rng.choice(WEARABLE)
    adj = rng.choice(thing.adjectives) if rng.random() < 0.7 else ""
    adj_en = ADJECTIVES[adj] if adj else ""
    words = (thing.de, adj) if adj else (thing.de,)
    if rng.random() < 0.6:
        owner = person_phrase(rng, rng.choice(PEOPLE), "dat")
        de = f"{german.noun_phrase(thing, 'der', 'nom', adj)} gehört {owner.de}"
        return pair(
            (*words, "gehören", *owner.words),
            de,
            f"{english.noun_phrase(thing, 'the', adj_en)} belongs to {owner.en}",
        )
    det, det_en = rng.choice((("mein", "my"), ("dein", "your"), ("ein", "a")))
    de, en = german.noun_phrase(thing, det, "nom", adj), english.noun_phrase(thing, det_en, adj_en)
    if rng.random() < 0.3:
        return pair((*words, "das"), f"ist das {de}", f"is this {en}", "?")
    return pair((*words, "das"), f"das ist {de}", f"this is {en}")
