"""The grammar of the phrasebook: German and English inflected and ordered right."""

import pytest
from phrasebook import english, german, lexicon
from phrasebook.clause import (
    Clause,
    Phrase,
    english_question,
    english_statement,
    german_main,
    german_subordinate,
    german_verb_first,
)
from phrasebook.lexicon import ADJECTIVES, DU, ER, ICH, IHR, MODALS, WIR, Modal, Noun, Subject, Time, Verb

HAT = Noun("Hut", "m", "Hüte", "hat")
BAG = Noun("Tasche", "f", "Taschen", "bag")
BOOK = Noun("Buch", "n", "Bücher", "book")
EGG = Noun("Ei", "n", "Eier", "egg")
WATER = Noun("Wasser", "n", "-", "water")

I = Subject("ich", "I", ICH)  # noqa: E741
YOU = Subject("du", "you", DU)
ANNA = Subject("Anna", "Anna", ER, ("Anna",), "sie")
THE_HAT = Phrase("den Hut", "the hat", "den Hut nicht", "the hat", ("Hut",))
TODAY, TOMORROW, DAILY, YESTERDAY = (lexicon.TIMES[i] for i in (0, 3, 2, 6))
CAN, HAVE_TO, WANT_TO, WOULD_LIKE_TO = MODALS


@pytest.mark.parametrize(
    ("noun", "det", "case", "adj", "plural", "expected"),
    [
        (HAT, "der", "nom", "", False, "der Hut"),
        (HAT, "der", "acc", "rot", False, "den roten Hut"),
        (HAT, "ein", "nom", "alt", False, "ein alter Hut"),
        (HAT, "ein", "acc", "teuer", False, "einen teuren Hut"),
        (HAT, "mein", "dat", "neu", False, "meinem neuen Hut"),
        (BAG, "der", "dat", "", False, "der Tasche"),
        (BAG, "kein", "acc", "klein", False, "keine kleine Tasche"),
        (BAG, "dein", "dat", "", False, "deiner Tasche"),
        (BOOK, "ein", "acc", "neu", False, "ein neues Buch"),
        (BOOK, "der", "nom", "neu", False, "das neue Buch"),
        (BOOK, "der", "dat", "", True, "den Büchern"),
        (BOOK, "kein", "acc", "alt", True, "keine alten Bücher"),
        (BOOK, "", "acc", "alt", True, "alte Bücher"),
        (WATER, "", "acc", "kalt", False, "kaltes Wasser"),
    ],
)
def test_german_noun_phrases_agree_in_gender_case_and_number(
    noun: Noun, det: str, case: german.Case, adj: str, plural: bool, expected: str
) -> None:
    assert german.noun_phrase(noun, det, case, adj, plural) == expected


@pytest.mark.parametrize(
    ("full", "short"),
    [
        ("zu dem Park", "zum Park"),
        ("zu der Bank", "zur Bank"),
        ("in das Kino", "ins Kino"),
        ("in die Bank", "in die Bank"),
        ("an dem Park", "am Park"),
        ("in dem Kino", "im Kino"),
        ("in demselben Kino", "in demselben Kino"),
    ],
)
def test_a_preposition_and_its_article_become_one_word(full: str, short: str) -> None:
    assert german.contract(full) == short


@pytest.mark.parametrize(
    ("verb", "person", "expected"),
    [
        (lexicon.BUY, ICH, "kaufe"),
        (lexicon.BUY, IHR, "kauft"),
        (lexicon.READ, DU, "liest"),
        (lexicon.READ, IHR, "lest"),
        (lexicon.WORK, DU, "arbeitest"),
        (lexicon.WORK, WIR, "arbeiten"),
        (lexicon.INVITE, ER, "lädt"),
        (lexicon.INVITE, IHR, "ladet"),
        (lexicon.EAT, DU, "isst"),
        (lexicon.TRAVEL, ER, "fährt"),
        (lexicon.BE, DU, "bist"),
    ],
)
def test_german_presents_change_their_stem_and_ending(verb: Verb, person: int, expected: str) -> None:
    assert german.finite(verb, person) == expected


@pytest.mark.parametrize(
    ("verb", "participle", "zu_infinitive"),
    [
        (lexicon.BUY, "gekauft", "zu kaufen"),
        (lexicon.WORK, "gearbeitet", "zu arbeiten"),
        (lexicon.SELL, "verkauft", "zu verkaufen"),
        (lexicon.VISIT, "besucht", "zu besuchen"),
        (lexicon.SHOP, "eingekauft", "einzukaufen"),
        (lexicon.CALL, "angerufen", "anzurufen"),
        (lexicon.LOSE, "verloren", "zu verlieren"),
    ],
)
def test_ge_and_zu_go_behind_a_separable_prefix(verb: Verb, participle: str, zu_infinitive: str) -> None:
    assert german.participle(verb) == participle
    assert german.zu_infinitive(verb) == zu_infinitive


@pytest.mark.parametrize(
    ("n", "de", "en"),
    [
        (1, "eins", "one"),
        (12, "zwölf", "twelve"),
        (16, "sechzehn", "sixteen"),
        (21, "einundzwanzig", "twenty-one"),
        (30, "dreißig", "thirty"),
        (87, "siebenundachtzig", "eighty-seven"),
    ],
)
def test_numbers_are_said_in_words(n: int, de: str, en: str) -> None:
    assert (german.number(n), english.number(n)) == (de, en)


@pytest.mark.parametrize(
    ("hour", "minute", "de", "en"),
    [
        (1, 0, "ein Uhr", "one o'clock"),
        (7, 30, "halb acht", "half past seven"),
        (12, 30, "halb eins", "half past twelve"),
        (7, 15, "Viertel nach sieben", "a quarter past seven"),
        (7, 45, "Viertel vor acht", "a quarter to eight"),
        (12, 40, "zwanzig vor eins", "twenty to one"),
        (1, 10, "zehn nach eins", "ten past one"),
    ],
)
def test_german_half_hours_count_towards_the_next_hour(hour: int, minute: int, de: str, en: str) -> None:
    assert (german.clock(hour, minute), english.clock(hour, minute)) == (de, en)


@pytest.mark.parametrize(
    ("day", "der", "am", "en"),
    [
        (1, "der erste Mai", "am ersten Mai", "the first of May"),
        (3, "der dritte Mai", "am dritten Mai", "the third of May"),
        (7, "der siebte Mai", "am siebten Mai", "the seventh of May"),
        (8, "der achte Mai", "am achten Mai", "the eighth of May"),
        (12, "der zwölfte Mai", "am zwölften Mai", "the twelfth of May"),
        (20, "der zwanzigste Mai", "am zwanzigsten Mai", "the twentieth of May"),
        (22, "der zweiundzwanzigste Mai", "am zweiundzwanzigsten Mai", "the twenty-second of May"),
    ],
)
def test_dates_are_ordinals(day: int, der: str, am: str, en: str) -> None:
    assert (german.date(day, "Mai", "nom"), german.date(day, "Mai", "dat")) == (der, am)
    assert english.date(day, "Mai") == en


@pytest.mark.parametrize(
    ("noun", "det", "adj", "plural", "expected"),
    [
        (EGG, "a", "", False, "an egg"),
        (EGG, "a", "big", False, "a big egg"),
        (HAT, "a", "old", False, "an old hat"),
        (HAT, "the", "", False, "the hat"),
        (Noun("Tomate", "f", "Tomaten", "tomato"), "", "red", True, "red tomatoes"),
    ],
)
def test_a_becomes_an_before_a_vowel(noun: Noun, det: str, adj: str, plural: bool, expected: str) -> None:
    assert english.noun_phrase(noun, det, adj, plural) == expected


@pytest.mark.parametrize(
    ("verb", "third", "past", "progressive"),
    [
        ("watch TV", "watches TV", "watched TV", "watching TV"),
        ("carry", "carries", "carried", "carrying"),
        ("stay", "stays", "stayed", "staying"),
        ("invite", "invites", "invited", "inviting"),
        ("have", "has", "had", "having"),
    ],
)
def test_an_english_verb_inflects_at_its_first_word(verb: str, third: str, past: str, progressive: str) -> None:
    assert (english.third_person(verb), english.past(verb), english.progressive(verb)) == (third, past, progressive)


def test_an_irregular_past_and_a_doubled_letter() -> None:
    assert english.past("get up", "got up") == "got up"
    assert english.progressive("put on") == "putting on"


@pytest.mark.parametrize(
    ("clause", "main", "verb_first", "subordinate"),
    [
        (
            Clause(ANNA, lexicon.GET_UP, time=TODAY),
            "Anna steht heute auf",
            "steht Anna heute auf",
            "Anna heute aufsteht",
        ),
        (
            Clause(ANNA, lexicon.GET_UP, tense="past"),
            "Anna ist aufgestanden",
            "ist Anna aufgestanden",
            "Anna aufgestanden ist",
        ),
        (
            Clause(I, lexicon.PUT_ON, THE_HAT, TODAY, modal=CAN),
            "ich kann heute den Hut anziehen",
            "kann ich heute den Hut anziehen",
            "ich heute den Hut anziehen kann",
        ),
        (
            Clause(YOU, lexicon.BUY, THE_HAT, tense="past", negated=True),
            "du hast den Hut nicht gekauft",
            "hast du den Hut nicht gekauft",
            "du den Hut nicht gekauft hast",
        ),
        (
            Clause(ANNA, lexicon.BE, tense="past", time=YESTERDAY),
            "Anna war gestern",
            "war Anna gestern",
            "Anna gestern war",
        ),
    ],
)
def test_the_german_verb_stands_second_first_or_last(
    clause: Clause, main: str, verb_first: str, subordinate: str
) -> None:
    assert german_main(clause) == main
    assert german_verb_first(clause) == verb_first
    assert german_subordinate(clause) == subordinate


@pytest.mark.parametrize(
    ("verb", "time", "modal", "tense", "statement", "question", "negation"),
    [
        (lexicon.BUY, None, None, "present", "Anna is buying", "is Anna buying", "Anna is not buying"),
        (lexicon.BUY, TOMORROW, None, "present", "Anna will buy", "will Anna buy", "Anna will not buy"),
        (lexicon.BUY, DAILY, None, "present", "Anna buys", "does Anna buy", "Anna does not buy"),
        (lexicon.NEED, TODAY, None, "present", "Anna needs", "does Anna need", "Anna does not need"),
        (lexicon.BUY, None, None, "past", "Anna bought", "did Anna buy", "Anna did not buy"),
        (lexicon.BE, None, None, "past", "Anna was", "was Anna", "Anna was not"),
        (lexicon.BE, None, None, "present", "Anna is", "is Anna", "Anna is not"),
        (lexicon.BUY, TOMORROW, CAN, "present", "Anna can buy", "can Anna buy", "Anna cannot buy"),
        (
            lexicon.BUY,
            None,
            HAVE_TO,
            "present",
            "Anna has to buy",
            "does Anna have to buy",
            "Anna does not have to buy",
        ),
        (
            lexicon.BUY,
            None,
            WOULD_LIKE_TO,
            "present",
            "Anna would like to buy",
            "would Anna like to buy",
            "Anna would not like to buy",
        ),
    ],
)
def test_english_asks_and_denies_with_do_unless_there_is_an_auxiliary(
    verb: Verb, time: Time | None, modal: Modal | None, tense: str, statement: str, question: str, negation: str
) -> None:
    def said(negated: bool) -> Clause:
        return Clause(
            ANNA, verb, time=time, modal=modal, tense="past" if tense == "past" else "present", negated=negated
        )

    when = f" {time.en}" if time else ""
    assert english_statement(said(negated=False)) == statement + when
    assert english_question(said(negated=False)) == question + when
    assert english_statement(said(negated=True)) == negation + when


@pytest.mark.parametrize(("modal", "opening"), [(None, "isn't Anna buying"), (CAN, "can't Anna buy")])
def test_a_negated_question_is_contracted(modal: Modal | None, opening: str) -> None:
    assert english_question(Clause(ANNA, lexicon.BUY, modal=modal, negated=True)) == opening


def test_every_adjective_of_a_noun_can_be_translated() -> None:
    nouns = [noun for group in lexicon.OBJECTS.values() for noun in group]
    assert {adjective for noun in nouns for adjective in noun.adjectives} <= set(ADJECTIVES)
