import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.corpora.rules import (
    OFF,
    PLACEHOLDER_SIGNS,
    REASONS,
    RULES,
    SCRIPTS,
    Limits,
    expected_scripts,
    other_placeholders,
    twin_key,
)
from nmt.data.placeholders import PATTERNS, find_spans

DE_EN = Limits(src_lang="de", tgt_lang="en")
LONG = "Ein Satz von gewöhnlicher Länge, wie er in vielen Texten steht, und noch etwas mehr davon."
SPANS = st.sampled_from(
    ["{name}", "%d", "%(x)s", "<b>", "&amp;", "https://a.b", "www.a.de", "a@b.de", "12,5", "x", " "]
)


def broken(src: str, tgt: str, limits: Limits = DE_EN) -> list[str]:
    return [name for name, rule in RULES.items() if name not in OFF and rule(src, tgt, limits)]


GOOD = [
    ("Ein Hund läuft.", "A dog runs."),
    ("OK", "In Ordnung"),
    ("Name", "Name"),
    ("GNU Emacs", "GNU Emacs"),
    ("Datei %s nicht gefunden", "File %s not found"),
    ("100 % sicher", "100% sure"),
    ("TLS 1.0, 1.1 und 1.2", "TLS 1.0, 1.1 and 1.2"),
    ("Programmierschnittstelle", "API"),
    ("Das griechische Alphabet beginnt mit α, β und γ", "The Greek alphabet begins with α, β and γ"),
    ("Er sagte „Schluss“.", "He said ‘enough’."),
]
BAD = [
    ("length", "w " * 201, "w " * 201 + "x"),
    ("length", "ä" * 1001, "a" * 600),
    ("ratio", "a", "abcdefghij"),
    ("ratio", LONG, "A sentence of"),
    ("identical", "This was not translated", "This was not translated"),
    ("letters", "12 34 56 +++ §", "Twelve and so on"),
    ("script", "Это русский текст", "This is Russian"),
    ("script", "Das ist Griechisch", "Ελληνικό κείμενο"),
    ("placeholders", "Datei %s fehlt", "File %d is missing"),
    ("placeholders", "Hallo {name}", "Hello"),
    ("placeholders", "<b>fett", "<i>bold"),
]


@pytest.mark.parametrize(("src", "tgt"), GOOD)
def test_a_good_pair_breaks_no_rule(src: str, tgt: str) -> None:
    assert broken(src, tgt) == []


@pytest.mark.parametrize(("name", "src", "tgt"), BAD)
def test_a_bad_pair_breaks_its_rule_alone(name: str, src: str, tgt: str) -> None:
    assert broken(src, tgt) == [name]
    assert broken(tgt, src, Limits(src_lang="en", tgt_lang="de")) == [name]


@pytest.mark.parametrize(
    ("lang", "text"),
    [("hi", "यह हिन्दी में लिखा है"), ("zh", "这是一个句子。"), ("ja", "これは日本語の文です。"),
     ("ko", "이것은 문장입니다."),
     ("ar", "هذه جملة عربية"), ("th", "นี่คือประโยค"), ("sr", "Ово је реченица"), ("sr", "Ovo je rečenica"),
     ("xx", "ᚠᚢᚦ ᛗᛁᛞ ᛒᛖᛏᚹ"), ("zh_TW", "這是一個句子。"), ("vi", "Đây là một câu văn")],
)  # fmt: skip
def test_a_sentence_in_its_own_script_passes(lang: str, text: str) -> None:
    assert broken(text, "This is some sentence.", Limits(src_lang=lang, tgt_lang="en")) == []


def test_a_sentence_in_another_script_does_not() -> None:
    assert broken("This is English", "This is too", Limits(src_lang="ru", tgt_lang="en")) == ["script"]
    assert broken("Это русский текст", "This is some text", Limits(src_lang="zh", tgt_lang="en")) == ["script"]


def test_numbers_may_be_grouped_otherwise_but_not_be_others() -> None:
    assert not RULES["numbers"]("1.000 Stück für 2,50", "1,000 pieces for 2.50", DE_EN)
    assert RULES["numbers"]("3 Stück", "4 pieces", DE_EN)
    assert RULES["numbers"]("3 Stück", "pieces", DE_EN)


def test_limits_are_where_they_say() -> None:
    tight = Limits(src_lang="de", tgt_lang="en", min_chars=2, max_chars=5, max_words=2, max_ratio=2.0)
    assert broken("ab", "abcd", tight) == []
    assert broken("a", "ab", tight) == ["length"]
    assert broken("abcdef", "abcde", tight) == ["length"]
    assert broken("a b c", "abcde", tight) == ["length"]
    assert broken("ab", "abcde", tight) == ["ratio"]


def test_the_reasons_begin_with_the_rules_that_always_hold_and_name_each_once() -> None:
    assert REASONS[:2] == ("columns", "empty")
    assert len(set(REASONS)) == len(REASONS)
    assert set(OFF) < set(REASONS)


def test_a_sign_is_known_of_every_kind_of_placeholder() -> None:
    assert PLACEHOLDER_SIGNS.keys() == PATTERNS.keys()


@given(st.lists(SPANS | st.text(max_size=4), max_size=6), st.sampled_from(sorted(PATTERNS)))
def test_what_has_no_sign_of_a_placeholder_has_none(words: list[str], kind: str) -> None:
    text = "".join(words)
    limits = Limits(src_lang="de", tgt_lang="en", placeholders=(kind,))  # type: ignore[arg-type]
    assert other_placeholders(text, "", limits) == bool(find_spans(text, (kind,)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "texts",
    [
        ("Ein Hund läuft.", "ein Hund läuft", "EIN HUND LÄUFT!", "Ein  Hund\u00a0läuft …", "Ｅｉｎ Hund läuft"),
        ("Version 1.2", "version 10", "Version: 3,000", "Version ٣"),
        ("Größe", "GRÖSSE", "Gro\u0308ße", "Grö\u00adße"),
        ("!!!", " !!! "),
    ],
)
def test_near_twins_have_one_key(texts: tuple[str, ...]) -> None:
    assert len(set(map(twin_key, texts))) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("Hund", "Hunde"), ("C", "C++"), ("schon", "schön"), ("कि", "की"), ("...", "!"), ("a", "")]
)
def test_others_have_not(one: str, other: str) -> None:
    assert twin_key(one) != twin_key(other)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Fehler.~%", "fehler~"),
        ("Fehler~%~%", "fehler~~"),
        ("+ < = > | ^ ` $ \u20ac \u00a9 \U0001f600", "+<=>|^`$\u20ac\u00a9\U0001f600"),
        ("% & # @ * / _ \u00ab a\u200bb\ue000 \u00bb", "ab"),
        ("Seite 1.234, 5-67 und \u2460 \u00bd \u2168", "seite0und0\u20440ix"),
    ],
)
def test_what_a_key_keeps_stays_so_that_splits_are_cut_as_they_were(text: str, key: str) -> None:
    assert twin_key(text) == key


@given(st.text(max_size=20))
def test_the_key_does_not_depend_on_the_normal_form(text: str) -> None:
    keys = {twin_key(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert len(keys) == 1 or not any(map(str.isalnum, text))


def test_every_script_is_spelled_as_unicode_does() -> None:
    names = {unicodedata.name(chr(code), "").split(" ")[0] for code in range(0x20000)}
    assert set().union(*SCRIPTS.values()) <= names
    assert expected_scripts("pt-BR") == {"LATIN"}
    assert expected_scripts("tlh") == frozenset()
