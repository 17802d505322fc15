"""German inflection by rule: noun phrases, verb forms, numbers, clock times and dates."""

from typing import Literal

from phrasebook.lexicon import DU, ER, IHR, PRESENT, PRETERITE, Gender, Noun, Verb

Case = Literal["nom", "acc", "dat"]
Slot = Literal["m", "f", "n", "pl"]  # what an article agrees with: a gender, or the plural

DEFINITE: dict[Case, dict[Slot, str]] = {
    "nom": {"m": "der", "f": "die", "n": "das", "pl": "die"},
    "acc": {"m": "den", "f": "die", "n": "das", "pl": "die"},
    "dat": {"m": "dem", "f": "der", "n": "dem", "pl": "den"},
}
# Endings of ein, kein, mein, dein; ein itself has no plural.
EIN_ENDINGS: dict[Case, dict[Slot, str]] = {
    "nom": {"m": "", "f": "e", "n": "", "pl": "e"},
    "acc": {"m": "en", "f": "e", "n": "", "pl": "e"},
    "dat": {"m": "em", "f": "er", "n": "em", "pl": "en"},
}
# Adjective endings, in the nominative and accusative; every dative after an article has -en.
WEAK: dict[Case, dict[Slot, str]] = {
    "nom": {"m": "e", "f": "e", "n": "e", "pl": "en"},
    "acc": {"m": "en", "f": "e", "n": "e", "pl": "en"},
}
MIXED: dict[Case, dict[Slot, str]] = {
    "nom": {"m": "er", "f": "e", "n": "es", "pl": "en"},
    "acc": {"m": "en", "f": "e", "n": "es", "pl": "en"},
}
STRONG: dict[Case, dict[Slot, str]] = {
    "nom": {"m": "er", "f": "e", "n": "es", "pl": "e"},
    "acc": {"m": "en", "f": "e", "n": "es", "pl": "e"},
}
CONTRACTIONS = {
    "an dem": "am",
    "in dem": "im",
    "in das": "ins",
    "zu dem": "zum",
    "zu der": "zur",
}
THIRD_PERSON: dict[Gender, str] = {"m": "er", "f": "sie", "n": "es"}
INSEPARABLE = ("be", "ver")
PRESENT_ENDINGS = ("e", "st", "t", "en", "t", "en")

ONES = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn"
)
SMALL_NUMBERS = (*ONES.split(), "achtzehn", "neunzehn")
TENS = ("", "", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig")
IRREGULAR_ORDINALS = {1: "erst", 3: "dritt", 7: "siebt", 8: "acht"}


def article(det: str, case: Case, slot: Slot) -> str:
    """The form of `det`: "der", one that goes like ein ("kein", "mein"), or "" for none."""
    if det == "der":
        return DEFINITE[case][slot]
    return det + EIN_ENDINGS[case][slot] if det else ""


def adjective(base: str, det: str, case: Case, slot: Slot) -> str:
    """The attributive form of `base` after the article `det`; without one, nominative and accusative only."""
    stem = base.removesuffix("euer") + "eur" if base.endswith("euer") else base
    if case == "dat":
        assert det, "no phrase of this book has a bare adjective in the dative"
        return stem + "en"
    endings = STRONG if not det else WEAK if det == "der" else MIXED
    return stem + endings[case][slot]


def noun_phrase(noun: Noun, det: str, case: Case, adj: str = "", plural: bool = False) -> str:
    """Article, adjective and noun, agreeing: ("Hut", "ein", "acc", "rot") -> "einen roten Hut"."""
    slot: Slot = "pl" if plural else noun.gender
    form = noun.plural if plural else noun.de
    if plural and case == "dat" and form[-1] not in "ns":
        form += "n"
    return " ".join(filter(None, [article(det, case, slot), adj and adjective(adj, det, case, slot), form]))


def contract(phrase: str) -> str:
    """A preposition and the article right after it, as one word: "zu dem Park" -> "zum Park"."""
    for full, short in CONTRACTIONS.items():
        if phrase.startswith(full + " "):
            return short + phrase.removeprefix(full)
    return phrase


def present(infinitive: str, person: int, er_stem: str = "") -> str:
    """The present of a verb or modal without its separable prefix: ("lesen", ER, "lies") -> "liest"."""
    if infinitive in PRESENT:
        return PRESENT[infinitive][person]
    stem = infinitive.removesuffix("en")
    changed = er_stem if person in (DU, ER) else ""
    ending = PRESENT_ENDINGS[person]
    if changed:
        stem = changed
    elif stem[-1] in "td" and person in (DU, ER, IHR):
        ending = "e" + ending
    if person == DU and stem[-1] in "sßz":
        ending = ending.removeprefix("s")
    return stem + ending


def finite(verb: Verb, person: int) -> str:
    """The present of `verb` as a main clause has it, its prefix left for the end."""
    return present(verb.stem, person, verb.er_stem)


def preterite(verb: Verb, person: int) -> str:
    """The simple past, or "" for all the verbs whose past is the perfect here."""
    return PRETERITE[verb.infinitive][person] if verb.infinitive in PRETERITE else ""


def participle(verb: Verb) -> str:
    """The past participle: machen -> gemacht, aufmachen -> aufgemacht, besuchen -> besucht, sehen -> gesehen."""
    if verb.participle:
        return verb.prefix + verb.participle
    stem = verb.stem.removesuffix("en")
    ge = "" if stem.startswith(INSEPARABLE) else "ge"
    return verb.prefix + ge + stem + ("et" if stem[-1] in "td" else "t")


def zu_infinitive(verb: Verb) -> str:
    """The infinitive with zu, which a separable prefix takes in: zu kaufen, einzukaufen."""
    return f"{verb.prefix}zu{verb.stem}" if verb.prefix else f"zu {verb.stem}"


def number(n: int) -> str:
    """A counting number from 0 to 99 in words, ones before tens: 21 -> einundzwanzig."""
    assert 0 <= n < 100, n
    if n < 20:
        return SMALL_NUMBERS[n]
    tens, ones = divmod(n, 10)
    if not ones:
        return TENS[tens]
    return f"{'ein' if ones == 1 else SMALL_NUMBERS[ones]}und{TENS[tens]}"


def ordinal(n: int, case: Case) -> str:
    """The masculine ordinal of a date after der or am: 3 -> dritte, dritten."""
    stem = IRREGULAR_ORDINALS.get(n) or number(n) + ("t" if n < 20 else "st")
    return stem + ("e" if case == "nom" else "en")


def clock(hour: int, minute: int) -> str:
    """A time of day as one says it, hours 1 to 12: (7, 30) -> halb acht, (7, 40) -> zwanzig vor acht."""
    this, following = number(hour), number(hour % 12 + 1)
    if minute == 0:
        return f"{'ein' if hour == 1 else this} Uhr"
    if minute == 30:
        return f"halb {following}"
    if minute < 30:
        return f"{_minutes(minute)} nach {this}"
    return f"{_minutes(60 - minute)} vor {following}"


def _minutes(minutes: int) -> str:
    return "Viertel" if minutes == 15 else number(minutes)


def date(day: int, month: str, case: Case) -> str:
    """A day of a month: "der dritte Mai" (nom), "am dritten Mai" (dat, as an adverb)."""
    return f"{'der' if case == 'nom' else 'am'} {ordinal(day, case)} {month}"
