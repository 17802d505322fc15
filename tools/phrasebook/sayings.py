"""Templates of a phrasebook proper: where, how much, when; ordering, asking the way, comparing."""

from random import Random

from phrasebook import english, german
from phrasebook.clause import Clause, Tense, english_statement, german_main
from phrasebook.german import THIRD_PERSON, contract
from phrasebook.lexicon import (
    ADJECTIVES,
    ANIMALS,
    ARRIVE,
    CAFE_CUPS,
    CAFE_PLATES,
    CALL,
    CITIES,
    CLOSE,
    CLOTHES,
    COLLECT,
    COMPARATIVES,
    DAYS,
    ENTERED,
    ER,
    FLY,
    FURNITURE,
    GET_UP,
    GIFTS,
    GIVE,
    GOODS,
    HELP,
    LEAVE,
    MONTHS,
    OBJECTS,
    OPEN,
    PEOPLE,
    REACHED,
    READING,
    SHOW,
    TRANSPORT,
    TRAVEL,
    Subject,
    Time,
)
from phrasebook.parts import (
    draw_somebody,
    draw_subject,
    fixed_phrase,
    object_phrase,
    person_phrase,
    referring_to,
)
from phrasebook.sentences import Pair, pair

MINUTES = (0, 5, 10, 15, 20, 30, 40, 45, 50, 55)
DATE_DAYS = (*range(1, 13), 20)
NUMBERS = (*range(2, 13), 15, 20, 21, 25, 30, 40, 50)
PLACES = ENTERED + REACHED
SMALL_THINGS = GOODS[:3] + READING
WEARABLE = GOODS + CLOTHES
COMPARED = (
    (PLACES, ("älter", "kleiner", "größer", "schöner")),
    (ANIMALS, ("älter", "kleiner", "größer", "schöner")),
    (GOODS[2:], ("älter", "schöner", "teurer", "billiger")),
    (CLOTHES, ("älter", "schöner", "teurer", "billiger")),
)


def where_is(rng: Random) -> Pair:
    """Wo ist der Schlüssel? Er liegt auf dem Tisch: a thing is he, she or it by its gender."""
    if rng.random() < 0.4:
        somebody, place = draw_somebody(rng), rng.choice(ENTERED)
        where = contract(f"in {german.noun_phrase(place, 'der', 'dat')}")
        they = referring_to(somebody)
        return pair(
            (*somebody.words, place.de),
            f"wo ist {somebody.de}? {they.de.capitalize()} ist {where}",
            f"where is {somebody.en}? {they.en.capitalize()} is in the {place.en}",
        )
    thing, furniture = rng.choice(SMALL_THINGS), rng.choice(FURNITURE)
    det, det_en = rng.choice((("der", "the"), ("mein", "my"), ("dein", "your")))
    preposition, preposition_en = rng.choice((("auf", "on"), ("unter", "under"), ("neben", "next to")))
    while thing.de == furniture.de:
        furniture = rng.choice(FURNITURE)
    where = f"{preposition} {german.noun_phrase(furniture, 'der', 'dat')}"
    return pair(
        (thing.de, preposition, furniture.de),
        f"wo ist {german.noun_phrase(thing, det, 'nom')}? {THIRD_PERSON[thing.gender].capitalize()} liegt {where}",
        f"where is {det_en} {thing.en}? It is {preposition_en} the {furniture.en}",
    )


def but_too(rng: Random) -> Pair:
    """Der Mantel ist schön, aber er ist zu teuer."""
    thing = rng.choice(WEARABLE)
    good, bad = rng.choice(("schön", "neu", "billig")), rng.choice(("teuer", "groß", "klein", "alt"))
    if (good, bad) in (("billig", "teuer"), ("neu", "alt")):
        bad = "groß"
    it = THIRD_PERSON[thing.gender]
    words, bad_en = (thing.de, good, bad), ADJECTIVES[bad]
    if rng.random() < 0.3:
        de = f"{german.noun_phrase(thing, 'der', 'nom')} gefällt mir, aber {it} ist zu {bad}"
        return pair((thing.de, "gefallen", bad), de, f"I like the {thing.en}, but it is too {bad_en}")
    de = f"{german.noun_phrase(thing, 'der', 'nom')} ist {good}, aber {it} ist zu {bad}"
    return pair(words, de, f"the {thing.en} is {ADJECTIVES[good]}, but it is too {bad_en}")


def comparison(rng: Random) -> Pair:
    """Anna ist älter als mein Bruder; der Hut ist teurer als die Jacke."""
    if rng.random() < 0.4:
        first, second = draw_somebody(rng), draw_somebody(rng)
        while first.words == second.words:
            second = draw_somebody(rng)
        return _compared((first.de, first.en), (second.de, second.en), rng.choice(("älter", "jünger")))
    group, more = rng.choice(COMPARED)
    first_thing, second_thing = ((german.noun_phrase(n, "der", "nom"), f"the {n.en}") for n in rng.sample(group, 2))
    return _compared(first_thing, second_thing, rng.choice(more))


def _compared(first: tuple[str, str], second: tuple[str, str], more: str) -> Pair:
    de, en = f"{first[0]} ist {more} als {second[0]}", f"{first[1]} is {COMPARATIVES[more]} than {second[1]}"
    return pair((first[0].split()[-1], more, second[0].split()[-1]), de, en)


def _draw_clock(rng: Random) -> tuple[tuple[str, str], str, str]:
    """A time of day: its two content words, and its name in German and in English."""
    hour, minute = rng.randint(1, 12), rng.choice(MINUTES)
    return (f"{hour} h", f"{minute} min"), german.clock(hour, minute), english.clock(hour, minute)


def clock_time(rng: Random) -> Pair:
    """Es ist halb acht; der Zug fährt um Viertel vor acht ab; die Bank macht um neun Uhr auf."""
    words, de, en = _draw_clock(rng)
    kind = rng.random()
    if kind < 0.1:
        return pair(words, f"es ist {de}", f"it is {en}")
    if kind < 0.55:
        place, particle, verb = rng.choice(PLACES[1:]), *rng.choice((("auf", "opens"), ("zu", "closes")))
        opening = german.noun_phrase(place, "der", "nom")
        return pair(
            (*words, place.de, particle), f"{opening} macht um {de} {particle}", f"the {place.en} {verb} at {en}"
        )
    verbs = (LEAVE, ARRIVE)
    what, verb_row = rng.choice(TRANSPORT), rng.choice(verbs)
    if kind < 0.8:
        subject = Subject(german.noun_phrase(what, "der", "nom"), f"the {what.en}", ER, (what.de,))
    else:
        subject, verb_row = draw_subject(rng), GET_UP
    at_time = Time(f"um {de}", f"at {en}", "habit", " ".join(words))
    clause = Clause(subject, verb_row, time=at_time)
    return pair((*clause.words, *words), german_main(clause), english_statement(clause))


def calendar(rng: Random) -> Pair:
    """Heute ist Montag, der dritte Mai; Anna hat am dritten Mai Geburtstag."""
    day, month, weekday = rng.choice(DATE_DAYS), rng.choice(list(MONTHS)), rng.choice(list(DAYS))
    on_date, date_en = german.date(day, month, "dat"), english.date(day, month)
    words = (f"{day}.", month)
    kind = rng.random()
    if kind < 0.35:
        de = f"heute ist {weekday}, {german.date(day, month, 'nom')}"
        return pair((*words, weekday), de, f"today is {DAYS[weekday]}, {date_en}")
    if kind < 0.6:
        somebody = draw_somebody(rng)
        de = f"{somebody.de} hat {on_date} Geburtstag"
        return pair((*words, *somebody.words), de, f"{somebody.en}'s birthday is on {date_en}")
    weekly = Time(f"am {weekday}", f"on {DAYS[weekday]}", "future", weekday)
    dated = Time(on_date, f"on {date_en}", "future", " ".join(words))
    city = rng.choice(list(CITIES))
    phrase = fixed_phrase(f"nach {city}", f"to {CITIES[city]}", city)
    tense: Tense = rng.choice(("present", "past"))
    clause = Clause(draw_subject(rng), rng.choice((TRAVEL, FLY)), phrase, rng.choice((weekly, dated)), tense)
    return pair(clause.words, german_main(clause), english_statement(clause))


def price(rng: Random) -> Pair:
    """Der rote Hut kostet zwanzig Euro; wie viel kostet der rote Hut?"""
    thing, n = rng.choice(WEARABLE), rng.choice(NUMBERS)
    adj = rng.choice(thing.adjectives[:2] + thing.adjectives[-2:]) if rng.random() < 0.5 else ""
    de = german.noun_phrase(thing, "der", "nom", adj)
    en = english.noun_phrase(thing, "the", ADJECTIVES[adj] if adj else "")
    words = (thing.de, adj or "kosten")
    if rng.random() < 0.2:
        return pair(words, f"wie viel kostet {de}", f"how much does {en} cost", "?")
    return pair((*words, str(n)), f"{de} kostet {german.number(n)} Euro", f"{en} costs {english.number(n)} euros")


def age(rng: Random) -> Pair:
    """Mein Bruder ist fünfundzwanzig Jahre alt."""
    somebody, n = draw_somebody(rng), rng.choice(NUMBERS)
    return pair(
        (*somebody.words, str(n), "Jahr"),
        f"{somebody.de} ist {german.number(n)} Jahre alt",
        f"{somebody.en} is {english.number(n)} years old",
    )


def order(rng: Random) -> Pair:
    """Ich hätte gern einen Kaffee und ein Ei; könnten Sie mir bitte einen Tee bringen?"""
    cup, plate = rng.choice(CAFE_CUPS), rng.choice(CAFE_PLATES)
    both = rng.random() < 0.7
    ordered = rng.sample((cup, plate), 2 if both else 1)
    de = " und ".join(german.noun_phrase(noun, "ein", "acc") for noun in ordered)
    en = " and ".join(english.noun_phrase(noun, "a") for noun in ordered)
    words = [noun.de for noun in ordered]
    forms = (
        ("bitte", f"{de}, bitte", f"{en}, please", "."),
        ("gern", f"ich hätte gern {de}", f"I would like {en}", "."),
        ("gern", f"wir hätten gern {de}", f"we would like {en}", "."),
        ("bringen", f"bringen Sie mir bitte {de}", f"please bring me {en}", "."),
        ("bringen", f"könnten Sie uns bitte {de} bringen", f"could you please bring us {en}", "?"),
        ("bringen", f"könnten Sie mir bitte {de} bringen", f"could you please bring me {en}", "?"),
    )
    polite, de, en, end = rng.choice(forms)
    return pair((*words, polite), de, en, end)


def polite_request(rng: Random) -> Pair:
    """Rufen Sie bitte meinen Vater an; könnten Sie mir bitte die Zeitung geben?"""
    if rng.random() < 0.4:
        verb = rng.choice((CALL, COLLECT, HELP, OPEN, CLOSE))
        phrase = (
            person_phrase(rng, rng.choice(PEOPLE), "dat")
            if verb == HELP
            else object_phrase(rng, rng.choice(OBJECTS[verb]))
        )
        words, tail = (verb.infinitive, *phrase.words), f"{phrase.de} {verb.prefix}".strip()
        if rng.random() < 0.5:
            return pair(words, f"{verb.stem} Sie bitte {tail}", f"please {verb.en} {phrase.en}")
        return pair(
            words,
            f"könnten Sie bitte {phrase.de} {verb.infinitive}",
            f"could you please {verb.en} {phrase.en}",
            "?",
        )
    verb = rng.choice((GIVE, SHOW))
    phrase = object_phrase(rng, rng.choice(GIFTS[verb]))
    whom, whom_en = rng.choice((("mir", "me"), ("uns", "us")))
    return pair(
        (verb.infinitive, *phrase.words),
        f"könnten Sie {whom} bitte {phrase.de} {verb.infinitive}",
        f"could you please {verb.en} {whom_en} {phrase.en}",
        "?",
    )
