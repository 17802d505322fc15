"""The laws of splitting: no character is lost, no piece too long; and where sentences end."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmt.data.sentences import split_sentences, split_text

PARTS = (
    "Der Hund",
    "läuft",
    "Dr",
    "z. B.",
    "3",
    ".",
    "!",
    "?",
    "…",
    "...",
    " ",
    "  ",
    "\t",
    "\u00a0",
    '"',
    "”",
    ")",
    ",",
)
PARTS += ("。", "「", "」", "今日は", "と", "！", "e\u0301", "\U0001f469\u200d\U0001f467", "abcdefghij" * 3, "")
texts = st.lists(st.sampled_from(PARTS), max_size=40).map("".join) | st.text(max_size=60)


def sentences(text: str) -> list[str]:
    return [sentence for sentence, _ in split_sentences(text)]


@given(texts)
@example("  ")
@example("")
@settings(max_examples=400, deadline=None, database=None)
def test_sentences_joined_again_are_the_text(text):
    found = split_sentences(text)
    assert "".join(sentence + space for sentence, space in found) == text
    assert all(sentence == sentence.strip() and not space.strip() for sentence, space in found)
    assert all(sentence for sentence, _ in found[1:])


@given(texts, st.integers(1, 30))
@settings(max_examples=400, deadline=None, database=None)
def test_pieces_joined_again_are_the_text_and_none_is_too_long(text, max_chars):
    found = split_text(text, max_chars=max_chars)
    assert "".join(piece + space for piece, space in found) == text
    assert all(len(piece) <= max_chars and piece == piece.strip() and not space.strip() for piece, space in found)
    assert split_text(text, max_chars=len(text) + 1) == split_sentences(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hallo Welt.|Wie geht's?|Gut!|Ja…|Nein.",
        'Er sagte: "Geh."|Sie ging.|(Wirklich?)|„Ja!“|«Non.»|¿Qué?|*Doch.*|Also.',
        "Am 3. Mai kam Dr. Müller, z. B. mit J. S. Bach, d. h. allein.|Es war 1914.|Dann nicht.",
        "It rose 3.5 points, i.e. a lot, e.g. on Nov. 5 with Mr. Fox of the U.S. Army.|See No. 7 on p. 127.|No.|Stop.",
        "Ludwig XIV. War er das, der Str. Nr. 5?|Hunde, Katzen usw.|Die Leute etc.|Dann Stille.",
        "Warte ... und so weiter.|Na gut...|Dann eben nicht.|Was?!|Doch!!!",
        '"Was?" fragte er.|Yahoo! ist groß.|Vgl. Abb. 3 und Goethe-Str. 5.',
        "www.a.de ist da.|5.000 kamen.|Kapitel 12. Anfang.",
        "Привет.|Как дела?|Хорошо.",
    ],
)
def test_where_sentences_end(text):
    assert sentences(text.replace("|", " ")) == text.split("|")


def test_chinese_and_japanese_need_no_space():
    assert split_sentences("今日は。元気！？  はい。a") == [
        ("今日は。", ""),
        ("元気！？", "  "),
        ("はい。", ""),
        ("a", ""),
    ]
    assert sentences("「そう。」と言った。「え？」") == ["「そう。」と言った。", "「え？」"]


def test_long_text_is_cut_after_commas_else_at_spaces_else_anywhere():
    assert split_text("eins zwei, drei vier fünf", max_chars=15) == [("eins zwei,", " "), ("drei vier fünf", "")]
    assert split_text("eins zwei drei  vier fünf", max_chars=15) == [("eins zwei drei", "  "), ("vier fünf", "")]
    assert split_text("e, zwei drei vierfünf", max_chars=15) == [("e, zwei drei", " "), ("vierfünf", "")]
    assert split_text("一二三，四五六七", max_chars=6) == [("一二三，", ""), ("四五六七", "")]
    assert split_text("一二三四五，六七", max_chars=5) == [("一二三四五", ""), ("，六七", "")]
    assert split_text("abcde\u0301f", max_chars=5) == [("abcd", ""), ("e\u0301f", "")]
    assert split_text("ab\U0001f469\u200d\U0001f467", max_chars=4) == [("ab", ""), ("\U0001f469\u200d\U0001f467", "")]


@pytest.mark.parametrize("unit", ["word ", "a", ".", "! ", "A. ", "。", "一", ")", " ", ".)", "a,"])
def test_time_grows_with_the_text_and_no_faster(unit):
    text = unit * (100_000 // len(unit))
    assert "".join(piece + space for piece, space in split_text(text, max_chars=200)) == text
