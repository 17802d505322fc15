"""Texts of a document to translations: nothing that must stay is lost, whatever the translator does."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes import Fake, drop, invent, reverse, shout
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.documents.markup import same_markup
from nmt.documents.translate import MOST_MARKS, keeping, translate_document
from nmt.flags import NAMES
from nmt.translator import Translation, Translator

TAGS = re.compile(r"</?[a-z]+/?>|%[sd]")
MARKS = ["<b>", "</b>", "<i>", "</i>", "<br/>", "%s", "%d", " ", "\n", "\t", "5", "<", ">"]
spans = st.sampled_from([*MARKS, "one", "two", "Wort"])
texts = st.lists(spans, min_size=1, max_size=12).map("".join)


class Texts:
    """A document of texts alone, which are joined by a character that none of them has."""

    def __init__(self, *texts: str, markup: re.Pattern[str] | None = TAGS) -> None:
        self.texts: Sequence[str] = texts
        self.markup = markup

    def filled(self, translations: Sequence[Translation]) -> bytes:
        return "\0".join(one.text for one in translations).encode()


def translated(rule: Fake, *texts: str, markup: re.Pattern[str] | None = TAGS) -> list[str]:
    return translate_document(rule, Texts(*texts, markup=markup)).content.decode().split("\0")


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=4), st.sampled_from([shout, drop, reverse, invent]))
def test_markup_comes_back_as_often_and_line_ends_stay(texts: list[str], rule: object) -> None:
    found = translated(Fake(rule), *texts)  # type: ignore[arg-type]
    assert len(found) == len(texts)
    for text, new in zip(texts, found, strict=True):
        assert Counter(TAGS.findall(new)) == Counter(TAGS.findall(text))
        assert re.findall(r"[\n\t]", new) == re.findall(r"[\n\t]", text)
        assert same_markup(text, new, TAGS)


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=4))
def test_a_translator_that_copies_changes_nothing(texts: list[str]) -> None:
    assert translated(Fake(str), *texts) == texts


def test_where_markup_is_lost_the_text_between_is_translated() -> None:
    fake = Fake(drop)
    assert translated(fake, "Press <b>this key</b> twice, %s.") == ["PRESS <b>THIS KEY</b> TWICE, %s."]
    assert fake.asked == ["Press <b>this key</b> twice, %s.", "Press this key twice,.", "Press", "this key", "twice,"]


def test_markup_may_move_but_a_tag_ends_behind_its_beginning() -> None:
    moved = Fake(lambda text: "<b>zweite</b> erste" if "<" in text else text.upper())
    assert translated(moved, "first <b>second</b>") == ["<b>zweite</b> erste"]
    assert translated(Fake(reverse), "first <b>second</b>") == ["first <b>second</b>"]
    crossed = Fake(lambda text: "<i>a<b>b</i></b>" if "<" in text else text.upper())
    assert translated(crossed, "<b>a<i>b</i></b>") == ["<b>A<i>B</i></b>"]


@pytest.mark.parametrize(
    ("source", "translation", "same"),
    [
        ("<b>a</b>", "<b>a</b>", True),
        ("<b>a</b>", "</b>a<b>", False),
        ("</b>a<b>", "<b>a</b>", True),  # nothing was nested there either
        ("</b>a</i>", "</i>a</b>", True),
        ("<br>a<b>c</b>", "<b>c</b>a<br>", True),  # nothing ends a <br>
        ("a<br/><b>c</b>", "<b><br/>c</b>", True),
        ("%s %s", "%s", False),
        ("%s", "%s %d", False),
        ("%s %d", "%d %s", True),
    ],
)
def test_same_markup(source: str, translation: str, same: bool) -> None:
    assert same_markup(source, translation, re.compile(r"<[^<>]*>|%[sd]")) is same


def test_equal_texts_are_translated_once_and_those_without_letters_never() -> None:
    fake = Fake(shout)
    found = translated(fake, "again", " again ", "x\nagain", "- 5 -", "%s: %d", "<b></b>")
    assert found == ["AGAIN", " AGAIN ", "X\nAGAIN", "- 5 -", "%s: %d", "<b></b>"]
    assert fake.asked == ["again", "x"]


def test_white_space_around_each_line_stays() -> None:
    assert translated(Fake(lambda text: f"  {text.upper()} "), "\n  a\n\n\tb c \n") == ["\n  A\n\n\tB C \n"]


def test_a_line_end_within_markup_ends_no_line() -> None:
    tag = re.compile(r"<[^<>]*>")
    text = 'see <a\nhref="x">this</a>'
    assert translated(Fake(shout), text, markup=tag) == ['SEE <a\nhref="x">THIS</a>']
    assert translated(Fake(drop), text, markup=tag) == ['SEE <a\nhref="x">THIS</a>']


def test_flags_tell_which_texts_and_lost_markup_is_told_no_more_once_it_is_mended() -> None:
    class Flagging(Fake):
        def translations(self, lines, *, n_best, read_ahead, alignments):  # type: ignore[no-untyped-def]
            for request in lines:
                flags = NAMES[:1] if request.text == "odd" else ("placeholders",) if "%" in request.text else ()
                yield [Translation(drop(request.text), flags=flags)]

    done = translate_document(Flagging(drop), Texts("fine", "odd", "with %s", "so\nodd"))
    assert done.texts == 4
    assert done.flags == {NAMES[0]: [1, 3]}


def test_a_document_without_markup_takes_what_comes() -> None:
    assert translated(Fake(invent), "a", markup=None) == ["A <b> %s {x}"]


def test_a_watch_sees_all_that_is_translated_first() -> None:
    seen = []

    def watch(found, total):  # type: ignore[no-untyped-def]
        seen.append(total)
        return found

    translate_document(Fake(shout), Texts("a", "b", "a\nc"), watch=watch)
    assert seen == [3]


def test_markup_is_hidden_from_a_model_only_if_it_knows_placeholders(translator: Translator) -> None:
    assert keeping(translator, TAGS) is translator  # it was trained without them
    assert keeping(translator, None) is translator


class Copying(Fake):
    """In capitals, but what stands between tags; says which word is which."""

    def __init__(self) -> None:
        super().__init__(
            lambda text: re.sub(r"(<i>.*?</i>|%s)|([^<%]+)", lambda part: part[1] or part[2].upper(), text)
        )

    def translations(self, lines, *, n_best, read_ahead, alignments):  # type: ignore[no-untyped-def]
        for [one] in super().translations(lines, n_best=n_best, read_ahead=read_ahead, alignments=alignments):
            words = range(len(one.text.split()) if alignments else 0)
            yield [replace(one, alignment=tuple(zip(words, words, strict=True)))]


def test_what_a_model_copies_within_tags_is_translated_all_the_same() -> None:
    """As models do that saw few tags in training: the words between them come back as they were."""
    assert translated(Copying(), "ein <i>kleiner</i> hund") == ["EIN <i>KLEINER</i> HUND"]
    assert translated(Copying(), "ein <i>kleiner</i> hund %s") == ["EIN <i>kleiner</i> HUND %s"]  # might move it


def test_spaces_stand_around_markup_as_they_did() -> None:
    assert translated(Fake(lambda _: "<b> EINS </b>zwei"), "<b>one</b> two") == ["<b>EINS</b> zwei"]


def test_a_piece_with_new_markup_stays_and_the_others_are_translated() -> None:
    rule = Fake(lambda text: {"one": "EINS <b>"}.get(text, re.sub("<.*?>", "", text).upper()))
    assert translated(rule, "one <i>two</i>") == ["one <i>TWO</i>"]


def test_what_becomes_markup_where_pieces_or_lines_meet_is_not_written() -> None:
    met = Fake(lambda text: {"x": "xa", "y": "Y"}.get(text, "z"))
    assert translated(met, "x<b>y", markup=re.compile("a?<b>")) == ["x<b>y"]
    met = Fake(lambda text: {"a": "A <", "b": "B >"}[text])
    assert translated(met, "a\nb", markup=re.compile("<[^<>]*>")) == ["a\nb"]


def test_a_line_of_very_many_marks_is_translated_by_pieces_at_once() -> None:
    fake = Fake(drop)
    text = "a <br/> " * (MOST_MARKS + 1) + "a"
    assert translated(fake, text) == [text.replace("a", "A")]
    assert fake.asked == [text, "a"]
