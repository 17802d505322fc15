"""The parts of a clause, drawn or made: subjects, times and the phrases after the verb."""

from random import Random

from phrasebook import english, german
from phrasebook.clause import Phrase, join
from phrasebook.german import THIRD_PERSON, Case, contract
from phrasebook.lexicon import (
    ADJECTIVES,
    CITIES,
    DU,
    ENTERED,
    ER,
    ICH,
    NAMES,
    PEOPLE,
    RELATIVES,
    SEVERAL,
    SIE,
    TIMES,
    WIR,
    Noun,
    Subject,
    Time,
    TimeKind,
)

PRONOUNS = (
    Subject("ich", "I", ICH, pronoun="ich"),
    Subject("du", "you", DU, pronoun="du"),
    Subject("er", "he", ER, pronoun="er"),
    Subject("sie", "she", ER, pronoun="sie"),
    Subject("wir", "we", WIR, pronoun="wir"),
    Subject("sie", "they", SIE, pronoun="sie"),
)
# Only where a capital inside the sentence tells it from "they": a statement never opens with it.
FORMAL_YOU = Subject("Sie", "you", SIE, pronoun="Sie")


def person_named(name: str) -> Subject:
    """A person by name, who is he or she when mentioned again."""
    return Subject(name, name, ER, (name,), THIRD_PERSON[NAMES[name]])


def relative_of_mine(noun: Noun) -> Subject:
    """One of my family, as a subject: "meine Mutter", my mother."""
    de = german.noun_phrase(noun, "mein", "nom")
    return Subject(de, f"my {noun.en}", ER, (noun.de,), THIRD_PERSON[noun.gender])


def draw_subject(rng: Random, asked: bool = False) -> Subject:
    """A pronoun mostly, else a name or one of my family. A question asks Sie too, and nobody of himself."""
    if rng.random() < 0.6:
        return rng.choice((*PRONOUNS[1:], FORMAL_YOU) if asked else PRONOUNS)
    return draw_somebody(rng)


def draw_subject_besides(rng: Random, words: tuple[str, ...]) -> Subject:
    """A subject that is none of the people among `words`: nobody visits himself."""
    subject = draw_subject(rng)
    while set(subject.words) & set(words):
        subject = draw_subject(rng)
    return subject


def draw_somebody(rng: Random) -> Subject:
    """A name or one of my family: somebody with a content word."""
    if rng.random() < 0.6:
        return person_named(rng.choice(list(NAMES)))
    return relative_of_mine(rng.choice(RELATIVES))


def referring_to(subject: Subject) -> Subject:
    """The pronoun that mentions `subject` again: Anna -> sie, she."""
    if subject.de == subject.pronoun:
        return subject
    en = "he" if subject.pronoun == "er" else "she"
    return Subject(subject.pronoun, en, ER, pronoun=subject.pronoun)


def draw_time(rng: Random, *kinds: TimeKind) -> Time:
    """A time of one of these kinds."""
    return rng.choice([time for time in TIMES if time.kind in kinds])


def object_phrase(rng: Random, noun: Noun, adjectives: bool = True) -> Phrase:
    """The noun as a direct object: the, a, or bare where it is a mass or several; perhaps with an adjective."""
    if noun in PEOPLE:
        return person_phrase(rng, noun, "acc")
    adj = rng.choice(noun.adjectives) if adjectives and noun.adjectives and rng.random() < 0.35 else ""
    adj_en = ADJECTIVES[adj] if adj else ""
    words = (noun.de, adj) if adj else (noun.de,)
    if rng.random() < 0.45:
        de, en = german.noun_phrase(noun, "der", "acc", adj), english.noun_phrase(noun, "the", adj_en)
        return Phrase(de, en, f"{de} nicht", en, words)
    if noun.is_mass or (noun in SEVERAL and rng.random() < 0.2):
        return bare_phrase(noun, adj)
    en = english.noun_phrase(noun, "a", adj_en)
    de, de_negated = (german.noun_phrase(noun, det, "acc", adj) for det in ("ein", "kein"))
    return Phrase(de, en, de_negated, en, words)


def bare_phrase(noun: Noun, adj: str = "") -> Phrase:
    """The noun without an article: "heißen Tee", "rote Äpfel"; denied with keinen, keine and "any"."""
    plural = not noun.is_mass
    de, de_negated = (german.noun_phrase(noun, det, "acc", adj, plural) for det in ("", "kein"))
    en = english.noun_phrase(noun, "", ADJECTIVES[adj] if adj else "", plural)
    return Phrase(de, en, de_negated, f"any {en}", (noun.de, adj) if adj else (noun.de,))


def person_phrase(rng: Random, noun: Noun, case: Case) -> Phrase:
    """One of the family (mein, dein) or somebody else (der) as an object."""
    det, det_en = ("mein", "my") if rng.random() < 0.5 else ("dein", "your")
    if noun not in RELATIVES:
        det, det_en = "der", "the"
    de, en = german.noun_phrase(noun, det, case), english.noun_phrase(noun, det_en)
    return Phrase(de, en, f"{de} nicht", en, (noun.de,))


def whither_phrase(noun: Noun) -> Phrase:
    """Where one goes: "in den Park", "zum Bahnhof"."""
    article = german.noun_phrase(noun, "der", "acc" if noun in ENTERED else "dat")
    de = contract(f"{'in' if noun in ENTERED else 'zu'} {article}")
    en = f"to the {noun.en}"
    return Phrase(de, en, f"nicht {de}", en, (noun.de,))


def city_phrase(rng: Random) -> Phrase:
    """To one of the cities, from afar: "nach Berlin"."""
    city = rng.choice(list(CITIES))
    return fixed_phrase(f"nach {city}", f"to {CITIES[city]}", city)


def fixed_phrase(de: str, en: str, word: str) -> Phrase:
    """A phrase that never changes, negated by nicht before it."""
    return Phrase(de, en, f"nicht {de}", en, (word,))


AT_HOME = fixed_phrase("zu Hause", "at home", "zu Hause")


def both(first: Phrase, second: Phrase) -> Phrase:
    """Two objects, the negation left to the second."""
    return Phrase(
        join(first.de, second.de),
        join(first.en, second.en),
        join(first.de, second.de_negated),
        join(first.en, second.en_negated),
        first.words + second.words,
    )
