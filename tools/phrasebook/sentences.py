"""Templates that put a clause into a sentence: statements, questions, and clauses within clauses.

A template is a function from random numbers to one pair.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple

from phrasebook import german
from phrasebook.clause import (
    Clause,
    english_question,
    english_statement,
    english_view,
    german_main,
    german_subordinate,
    german_verb_first,
    join,
)
from phrasebook.draw import (
    draw_clause,
    draw_errand,
    draw_habit,
    draw_plan,
)
from phrasebook.lexicon import (
    BE,
    BUY,
    CALL,
    CITIES,
    COLLECT,
    COME_ALONG,
    DRINK,
    EAT,
    FLY,
    HAVE,
    INVITE,
    LIKE_TO,
    MODALS,
    MOODS,
    NEED,
    READ,
    SEE,
    SEEK,
    SELL,
    STAY,
    TRAVEL,
    VISIT,
    WORK,
    Time,
)
from phrasebook.parts import (
    AT_HOME,
    draw_subject,
    draw_subject_besides,
    draw_time,
    fixed_phrase,
    referring_to,
)


class Pair(NamedTuple):
    """A sentence in both languages. The key is its content words: what two splits must not share."""

    key: tuple[str, ...]
    de: str
    en: str


def pair(words: Sequence[str], de: str, en: str, end: str = ".") -> Pair:
    """Both texts made sentences, and the words a key whatever their order."""
    return Pair(tuple(sorted(set(words))), f"{de[0].upper()}{de[1:]}{end}", f"{en[0].upper()}{en[1:]}{end}")


def statement(rng: Random) -> Pair:
    """Anna hat gestern den Hut gekauft."""
    clause = draw_clause(rng, draw_subject(rng))
    return pair(clause.words, german_main(clause), english_statement(clause))


def fronted_time(rng: Random) -> Pair:
    """Gestern hat Anna den Hut gekauft: the subject behind the verb."""
    clause = draw_clause(rng, draw_subject(rng))
    while not clause.time:
        clause = draw_clause(rng, draw_subject(rng))
    rest = replace(clause, time=None, view=english_view(clause))
    de, en = join(clause.time.de, german_verb_first(rest)), join(clause.time.en, english_statement(rest))
    return pair(clause.words, de, en)


def negation(rng: Random) -> Pair:
    """Anna hat den Hut nicht gekauft; Anna braucht keinen Hut."""
    clause = _denied(draw_clause(rng, draw_subject(rng)))
    return pair(clause.words, german_main(clause), english_statement(clause))


def _denied(clause: Clause) -> Clause:
    modal = MODALS[0] if clause.modal == MODALS[-1] else clause.modal  # nobody "would not like to" in plain English
    return replace(clause, time=None, negated=True, modal=modal)


def yes_no_question(rng: Random) -> Pair:
    """Hat Anna den Hut gekauft?"""
    clause = draw_clause(rng, draw_subject(rng, asked=True))
    return pair(clause.words, german_verb_first(clause), english_question(clause), "?")


def when_question(rng: Random) -> Pair:
    """Wann holst du den Arzt ab?"""
    clause = replace(draw_clause(rng, draw_subject(rng, asked=True)), time=None)
    while clause.verb.aspect != "action":
        clause = replace(draw_clause(rng, draw_subject(rng, asked=True)), time=None)
    if clause.tense == "present" and not clause.modal:
        clause = replace(clause, view="future")
    return pair(clause.words, f"wann {german_verb_first(clause)}", f"when {english_question(clause)}", "?")


def why_question(rng: Random) -> Pair:
    """Warum hast du deine Mutter nicht angerufen?"""
    clause = replace(draw_clause(rng, draw_subject(rng, asked=True)), time=None)
    if rng.random() < 0.5:
        clause = _denied(clause)
    return pair(clause.words, f"warum {german_verb_first(clause)}", f"why {english_question(clause)}", "?")


def what_question(rng: Random) -> Pair:
    """Was isst Anna heute? Wen laden wir ein? Wohin fliegst du?"""
    words = (
        ("was", "what", (BUY, SELL, SEEK, NEED, EAT, DRINK, READ)),
        ("wen", "who", (VISIT, CALL, COLLECT, INVITE, SEE)),
        ("wohin", "where", (TRAVEL, FLY)),
    )
    de, en, verbs = rng.choices(words, (4, 3, 2))[0]
    subject, verb = draw_subject(rng, asked=True), rng.choice(verbs)
    kind = rng.random()
    if kind < 0.5:
        clause = Clause(subject, verb, time=draw_time(rng, "past") if kind < 0.4 else None, tense="past")
    elif kind < 0.8:
        clause = Clause(subject, verb, time=draw_time(rng, "now", "future") if kind < 0.7 else None)
    else:
        clause = Clause(subject, verb, modal=None if verb == NEED else rng.choice(MODALS))
    return pair(clause.words, f"{de} {german_verb_first(clause)}", f"{en} {english_question(clause)}", "?")


def that_clause(rng: Random) -> Pair:
    """Ich glaube, dass Anna heute einkauft."""
    openings = (
        ("ich weiß, dass", "I know that", "wissen"),
        ("ich glaube, dass", "I think that", "glauben"),
        ("ich hoffe, dass", "I hope that", "hoffen"),
        ("wir wissen, dass", "we know that", "wissen"),
        ("er sagt, dass", "he says that", "sagen"),
        ("sie sagt, dass", "she says that", "sagen"),
    )
    de, en, word = rng.choice(openings)
    clause = draw_clause(rng, draw_subject(rng), adjectives=False)
    return pair((word, *clause.words), f"{de} {german_subordinate(clause)}", f"{en} {english_statement(clause)}")


def whether_clause(rng: Random) -> Pair:
    """Wissen Sie, ob Anna heute einkauft?"""
    openings = (
        ("weißt du, ob", "do you know if", "?"),
        ("wissen Sie, ob", "do you know if", "?"),
        ("ich weiß nicht, ob", "I do not know if", "."),
    )
    de, en, end = rng.choice(openings)
    clause = draw_clause(rng, draw_subject(rng), adjectives=False)
    return pair(
        ("wissen", *clause.words), f"{de} {german_subordinate(clause)}", f"{en} {english_statement(clause)}", end
    )


def because_clause(rng: Random) -> Pair:
    """Anna bleibt zu Hause, weil sie krank ist; Paul geht zum Markt, weil er Brot braucht."""
    errand = draw_errand(rng)
    subject = draw_subject_besides(rng, errand.purpose.phrase.words)
    they = referring_to(subject)
    if rng.random() < 0.5:
        rest = (
            Clause(subject, STAY, AT_HOME),
            Clause(subject, COME_ALONG, negated=True),
            Clause(subject, WORK, time=draw_time(rng, "now"), negated=True),
        )
        mood = rng.choice(list(MOODS))
        deed, reason = rng.choice(rest), Clause(they, BE, fixed_phrase(mood, MOODS[mood], mood))
    else:
        deed, reason = Clause(subject, *errand.trip), Clause(they, *errand.purpose, modal=rng.choice(MODALS[1:]))
        if errand.purpose.verb == BUY and rng.random() < 0.5:
            reason = Clause(they, NEED, errand.purpose.phrase)
    de = f"{german_main(deed)}, weil {german_subordinate(reason)}"
    return pair(deed.words + reason.words, de, f"{english_statement(deed)} because {english_statement(reason)}")


def if_clause(rng: Random) -> Pair:
    """Wenn es regnet, bleibe ich zu Hause; wenn Anna Zeit hat, besucht sie den Arzt."""
    subject, city = draw_subject(rng), rng.choice(list(CITIES))
    weather = (("es regnet", "it rains"), ("die Sonne scheint", "the sun shines"), ("es kalt ist", "it is cold"))
    if rng.random() < 0.5:
        de, en = rng.choice(weather)
        words: tuple[str, ...] = (de,)
    else:
        own = rng.choice(
            (
                Clause(subject, HAVE, fixed_phrase("Zeit", "time", "Zeit")),
                Clause(subject, BE, fixed_phrase(f"in {city}", f"in {CITIES[city]}", city)),
            )
        )
        de, en, words = german_subordinate(own), english_statement(own), own.words
        subject = referring_to(subject)
    clause = Clause(subject, *draw_plan(rng), view="future")
    while {*words, *subject.words} & set(clause.phrase.words):
        clause = Clause(subject, *draw_plan(rng), view="future")
    return pair(
        (*words, *clause.words), f"wenn {de}, {german_verb_first(clause)}", f"if {en}, {english_statement(clause)}"
    )


def purpose_clause(rng: Random) -> Pair:
    """Anna fährt nach Berlin, um den Arzt abzuholen."""
    errand = draw_errand(rng)
    verb, phrase = errand.purpose
    deed = Clause(draw_subject_besides(rng, phrase.words), *errand.trip)
    de = f"{german_main(deed)}, um {phrase.de} {german.zu_infinitive(verb)}"
    en = f"{english_statement(deed)} to {verb.en} {phrase.en}"
    return pair((*deed.words, verb.infinitive, *phrase.words), de, en)


def liking(rng: Random) -> Pair:
    """Anna trinkt gern Tee: German has an adverb for what English has a verb for."""
    gern = Time("gern", "", "habit", "gern")
    asks = rng.random() < 0.3
    clause = Clause(draw_subject(rng, asked=asks), *draw_habit(rng), gern)
    english_clause = replace(clause, time=None, modal=LIKE_TO)
    if asks:
        return pair(clause.words, german_verb_first(clause), english_question(english_clause), "?")
    return pair(clause.words, german_main(clause), english_statement(english_clause))
