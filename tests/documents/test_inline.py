import io
import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.lines import decode_lines
from nmt.data.placeholders import find_spans
from nmt.documents.inline import Numbered, TaggedDocument, decoded, free_name, tags_named
from nmt.documents.pieces import Mark, Piece, Words, arranged, slot_or_parts, trimmed
from nmt.errors import DataError
from nmt.translator import Translation

OPEN, CLOSE, LINE = Mark("open", ("<b>",), "b"), Mark("close", ("</b>",), "b"), Mark("single", ("<br>",))
some_piece = st.one_of(
    st.sampled_from([OPEN, CLOSE, LINE, Mark("open", ("<i>",), "i"), Mark("close", ("</i>",), "i")]),
    st.sampled_from(["Hund", " ", " Mann ", "<x1>", "", "7"]).map(lambda text: Words(text, text)),
)
some_pieces = st.lists(some_piece, max_size=12)


def raw(pieces: list[Piece]) -> str:
    return "".join(piece.raw or "" if isinstance(piece, Words) else "".join(map(str, piece.parts)) for piece in pieces)


def numbered(*pieces: Piece) -> Numbered:
    return Numbered(pieces, "x")


def placed(numbered: Numbered, translation: str) -> str | None:
    pieces = numbered.pieces(translation, tags_named("x"))
    return pieces and "".join(piece.text if isinstance(piece, Words) else str(piece.parts[0]) for piece in pieces)


@given(some_pieces)
def test_arranging_and_trimming_lose_no_character(pieces: list[Piece]) -> None:
    head, core, tail = trimmed(arranged(pieces))
    assert raw([*head, *core, *tail]) == raw(pieces)


@given(some_pieces)
def test_arranged_marks_pair_up_and_no_two_single_ones_touch(pieces: list[Piece]) -> None:
    done = arranged(pieces)
    depth = 0
    for piece in done:
        if isinstance(piece, Mark):
            depth += {"open": 1, "close": -1, "single": 0}[piece.kind]
            assert depth >= 0
    assert depth == 0
    kinds = [piece.kind if isinstance(piece, Mark) else "" for piece in done]
    assert ("single", "single") not in pairwise(kinds)


@given(some_pieces)
def test_tags_are_what_placeholders_know_as_tags(pieces: list[Piece]) -> None:
    one = Numbered(arranged(pieces), free_name([pieces]))
    places = [one.text[slice(*place)] for place in find_spans(one.text, ["tags"])]
    assert [place for place in places if place in one.tags] == list(one.tags)


@given(some_pieces)
def test_markup_matches_the_tags_and_nothing_else(pieces: list[Piece]) -> None:
    document = TaggedDocument(slot_or_parts(pieces, lambda words: "".join(one.raw or one.text for one in words)))
    assert document.markup is not None
    for text in document.texts:
        found = document.markup.findall(text)
        assert len(found) == len(set(found))
        assert text.strip()
    assert document.filled([Translation(text) for text in document.texts]).decode() == raw(pieces)


@given(some_pieces, st.lists(st.sampled_from(["<x1>", "</x1>", "<x2/>", "<x2>", "</x2>", "<x3/>", "</x9>", "Wort "])))
def test_tags_come_back_once_and_nested_or_the_text_stays(pieces: list[Piece], words: list[str]) -> None:
    one = Numbered(arranged(pieces), "x")
    done = one.pieces("".join(words), tags_named("x"))
    marks = [piece for piece in done or () if isinstance(piece, Mark)]
    assert done is None or Counter(marks) == Counter(one.tags.values())
    stack = []
    for mark in marks:
        if mark.kind == "open":
            stack.append(mark.name)
        elif mark.kind == "close":
            assert stack.pop() == mark.name
    assert stack == []


@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        ("a <x1>b</x1> c", "a <b>b</b> c"),
        ("<x1>b</x1> a", "<b>b</b> a"),
        ("a b", None),
        ("</x1>a<x1> b", None),
        ("<x1>a</x1><x1>b</x1>", None),
        ("<x1>a</x1> <x7/>", None),
        (" ", None),
        ("A <x1>B</x1> C", None),
    ],
)
def test_a_translation_without_its_tags_or_without_words_is_none(translation: str, expected: str | None) -> None:
    assert placed(numbered(Words("A "), OPEN, Words("B"), CLOSE, Words(" C")), translation) == expected


def test_a_blank_translation_of_a_text_without_tags_is_none() -> None:
    assert placed(numbered(Words("A")), "b") == "b"
    assert placed(numbered(Words("A")), " ") is None
    assert placed(numbered(Words("A")), "") is None


def test_tags_that_cross_are_none() -> None:
    one = numbered(OPEN, Words("A"), Mark("open", ("<i>",), "i"), Words("B"), Mark("close", ("</i>",), "i"), CLOSE)
    assert placed(one, "<x1>a<x2>b</x2></x1>d") == "<b>a<i>b</i></b>d"
    assert placed(one, "<x1>a<x2>b</x1>c</x2>d") is None


def test_a_text_that_looks_like_a_tag_makes_the_tags_take_another_name() -> None:
    assert free_name([[Words("see <x1> there")]]) == "xx"
    assert free_name([[Words("see \uff1cx1> there")], [Words("</xx3>")]]) == "xxx"
    assert free_name([[Words("see <y1> there")]]) == "x"


def test_what_is_not_utf_8_is_said_with_its_place() -> None:
    with pytest.raises(DataError, match=re.escape("a.html:2:3: byte 0xFC is not UTF-8 here")):
        decoded(b"ab\nx \xfc", "a.html")
    with pytest.raises(DataError, match=re.escape("a.html:1:5: byte 0xFC")):
        decoded(b"\xef\xbb\xbfa\xfc", "a.html")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("text", ["# Hallo Welt, ein Titel\n", "1\r\n00:00:01,000 --> 00:00:02,000\r\nHund\r\n"])
def test_utf_16_is_told_as_in_lines(codec: str, mark: str, text: str) -> None:
    with pytest.raises(DataError, match="iconv -f UTF-16 -t UTF-8") as told:
        list(decode_lines(io.BytesIO("Ein Hund\n".encode("utf-16")), "a.md"))
    with pytest.raises(DataError, match=f"^{re.escape(str(told.value))}$"):
        decoded(f"{mark}{text}".encode(codec), "a.md")
