"""English inflection by rule: noun phrases, verb forms, numbers, clock times and dates."""

from phrasebook.lexicon import ER, ICH, MONTHS, Noun

IRREGULAR_FORMS = {("have", "s"): "has", ("have", "past"): "had"}
DOUBLED = ("get", "put")  # their last letter is doubled before -ing and -ed
IRREGULAR_CONTRACTIONS = {"can": "can't", "will": "won't"}
VOWELS = "aeiou"

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
SMALL_NUMBERS = (*ONES.split(), "eighteen", "nineteen")
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def add_s(word: str) -> str:
    """The ending of plurals and of the third person: key -> keys, go -> goes, pharmacy -> pharmacies."""
    if word.endswith(("s", "sh", "ch", "x", "o")):
        return word + "es"
    if word.endswith("y") and word[-2] not in VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def noun_phrase(noun: Noun, det: str, adj: str = "", plural: bool = False) -> str:
    """Determiner, adjective and noun; the determiner "a" becomes "an" before a vowel."""
    words = " ".join(filter(None, [adj, add_s(noun.en) if plural else noun.en]))
    if det == "a" and words[0] in VOWELS:
        det = "an"
    return f"{det} {words}".strip()


def third_person(verb: str) -> str:
    """He, she and it: "get up" -> "gets up"."""
    return _inflect(verb, "s")


def past(verb: str, irregular: str = "") -> str:
    """The simple past: "call" -> "called", unless the whole of it is given."""
    return irregular or _inflect(verb, "past")


def progressive(verb: str) -> str:
    """The present participle: "put on" -> "putting on"."""
    return _inflect(verb, "ing")


def _inflect(verb: str, ending: str) -> str:
    head, space, rest = verb.partition(" ")
    return (IRREGULAR_FORMS.get((head, ending)) or _regular(head, ending)) + space + rest


def _regular(head: str, ending: str) -> str:
    if ending == "s":
        return add_s(head)
    if head in DOUBLED:
        head += head[-1]
    if ending == "ing":
        return (head[:-1] if head.endswith("e") else head) + "ing"
    if head.endswith("y") and head[-2] not in VOWELS:
        return head[:-1] + "ied"
    return head + ("d" if head.endswith("e") else "ed")


def be(person: int, tense: str) -> str:
    """The form of be: am, is, are; was, were."""
    if tense == "past":
        return "was" if person in (ICH, ER) else "were"
    return "am" if person == ICH else "is" if person == ER else "are"


def contracted_not(auxiliary: str) -> str:
    """The auxiliary with n't: did -> didn't, can -> can't, will -> won't."""
    return IRREGULAR_CONTRACTIONS.get(auxiliary) or auxiliary + "n't"


def number(n: int) -> str:
    """A counting number from 0 to 99 in words: 21 -> twenty-one."""
    if n < 20:
        return SMALL_NUMBERS[n]
    tens, ones = divmod(n, 10)
    return TENS[tens] + (f"-{SMALL_NUMBERS[ones]}" if ones else "")


def ordinal(n: int) -> str:
    """The ordinal in words: 3 -> third, 20 -> twentieth, 24 -> twenty-fourth."""
    head, hyphen, last = number(n).rpartition("-")
    if last.endswith("y"):
        return head + hyphen + last[:-1] + "ieth"
    return head + hyphen + (IRREGULAR_ORDINALS.get(last) or last + "th")


def clock(hour: int, minute: int) -> str:
    """A time of day as one says it: (7, 30) -> half past seven, (7, 45) -> a quarter to eight."""
    this, following = number(hour), number(hour % 12 + 1)
    if minute == 0:
        return f"{this} o'clock"
    if minute == 30:
        return f"half past {this}"
    if minute < 30:
        return f"{_minutes(minute)} past {this}"
    return f"{_minutes(60 - minute)} to {following}"


def _minutes(minutes: int) -> str:
    return "a quarter" if minutes == 15 else number(minutes)


def date(day: int, month: str) -> str:
    """A day of a month, named in German: (3, "Mai") -> the third of May."""
    return f"the {ordinal(day)} of {MONTHS[month]}"
