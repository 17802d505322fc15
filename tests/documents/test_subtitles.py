import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_document import GERMAN_TO_ENGLISH, outside_markup, same, shouted

from nmt.documents.subtitles import read_srt, read_vtt
from nmt.errors import DataError
from nmt.translator import Translation

_TIMES = re.compile(r"^.*-->.*$", re.MULTILINE)
_MARKS = re.compile(r"<[^<>\n]*>|\{[^{}]*\}")

SRT = """\
1
00:00:01,000 --> 00:00:03,000
{\\an8}<i>Ein Mann geht mit seinem
Hund über die Straße,</i>

2
00:00:03,100 --> 00:00:05,000 X1:1
<i>und eine <b>Frau</b> sieht ihm zu.</i>

3
00:00:05,100 --> 00:00:06,000
- Wer ist da?
- Niemand, nur

4
00:00:09,100 --> 00:00:10,000
[Musik]
Ein Hund läuft
"""
VTT = """\
WEBVTT - title
Kind: captions

NOTE Hund --> Mann
a Hund

STYLE
::cue { color: red }

id-1
00:01.000 --> 00:03.000 align:start position:0%
<v Fred>Ein Mann &amp; eine Frau
gehen <c.red>durch</c> die

00:03.000 --> 01:00:05.000
Straße &lt;hin.
"""
SAID = [
    "Ein Hund",
    " läuft.",
    "<i>",
    "</i>",
    "<b>",
    "</b>",
    "{\\an8}",
    "<x1>",
    "- ",
    "\n",
    "[Musik]",
    "♪",
    ",",
    " und",
    "!",
    "\0",
    "<",
    "&amp;",
    "7",
]


@st.composite
def some_cues(draw: st.DrawFn, sign: str = ",") -> str:
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    cues, at = [], 0
    for number in range(draw(st.integers(1, 6))):
        at += draw(st.integers(0, 4))
        said = re.sub(r"\n\s*(?=\n|\Z)|\A\s+", "", "".join(draw(st.lists(st.sampled_from(SAID), max_size=8))))
        cues.append(
            f"{number + 1}\n00:00:{at:02}{sign}000 --> 00:00:{at + 2:02}{sign}000\n{said}\n".replace("\n", newline)
        )
        at += 2
    return newline.join(cues)


@given(some_cues())
def test_the_same_texts_give_the_same_bytes(text: str) -> None:
    for content in (text.encode(), b"\xef\xbb\xbf" + text.encode()):
        assert same(read_srt(content, "a.srt", GERMAN_TO_ENGLISH)) == content


@given(some_cues("."))
def test_the_same_texts_give_the_same_bytes_in_webvtt(text: str) -> None:
    content = f"WEBVTT\n\n{text}".encode()
    assert same(read_vtt(content, "a.vtt", GERMAN_TO_ENGLISH)) == content


@given(some_cues(), st.sampled_from(["", "Wort ", "viele Worte stehen hier. Und "]))
def test_times_and_marks_stay_whatever_the_words(text: str, more: str) -> None:
    before = read_srt(text.encode(), "a.srt", GERMAN_TO_ENGLISH)
    after = outside_markup(before, lambda words: more + words.upper()).decode()
    assert _TIMES.findall(after) == _TIMES.findall(text)
    assert sorted(_MARKS.findall(after.lower())) == sorted(_MARKS.findall(text.lower()))
    assert ("\r\n" in after) == ("\r\n" in text)
    assert after.count("\r") == text.count("\r") + after.count("\n") - text.count("\n") or "\r" not in text
    read_srt(after.encode(), "b.srt", GERMAN_TO_ENGLISH)


def test_a_sentence_over_cues_is_one_text_and_a_dash_or_a_bracket_begins_anew() -> None:
    assert read_srt(SRT.encode(), "a.srt", GERMAN_TO_ENGLISH).texts == [
        "Ein Mann geht mit seinem Hund über die Straße, und eine <x1>Frau</x1> sieht ihm zu.",
        "Wer ist da?",
        "Niemand, nur",
        "[Musik]",
        "Ein Hund läuft",
    ]
    assert read_vtt(VTT.encode(), "a.vtt", GERMAN_TO_ENGLISH).texts == [
        "Ein Mann & eine Frau gehen <x1>durch</x1> die Straße <hin."
    ]


def test_capitals_go_where_the_words_were() -> None:
    shouted_marks_kept = _MARKS.sub(lambda mark: mark[0].lower(), SRT.upper())
    assert shouted(read_srt(SRT.encode(), "a.srt", GERMAN_TO_ENGLISH)).decode() == shouted_marks_kept


def test_notes_styles_ids_and_settings_of_webvtt_stay() -> None:
    after = shouted(read_vtt(VTT.encode(), "a.vtt", GERMAN_TO_ENGLISH)).decode()
    head, _, said = after.partition("position:0%\n")
    assert head == VTT.partition("position:0%\n")[0]
    assert said.startswith("<v Fred>EIN MANN &amp; EINE FRAU")
    assert said.endswith("\n\n00:03.000 --> 01:00:05.000\nSTRASSE &lt;HIN.\n")


def cues_of(words: str, *said: str, gap: int = 0) -> list[str]:
    """What stands in the cues when all that is said, one text, is translated to `words`."""
    times = ((2 + gap) * number for number in range(len(said)))
    cues = [f"{at}\n00:00:{at:02},0 --> 00:00:{at + 2:02},0\n{one}\n" for at, one in zip(times, said, strict=True)]
    document = read_srt("\n".join(cues).encode(), "a.srt", GERMAN_TO_ENGLISH)
    after = document.filled([Translation(words)] * len(document.texts)).decode()
    return [cue.partition(",0\n")[2].strip() for cue in after.split("\n\n")]


def test_words_are_shared_out_by_length_and_rather_after_a_pause() -> None:
    assert cues_of("one two three four", "eins zwei", "drei vier") == ["one two", "three four"]
    assert cues_of("one two three four", "eins", "zwei drei vier") == ["one", "two three four"]
    assert cues_of("one two, three four five six", "eins zwei drei", "vier fünf sechs") == [
        "one two,",
        "three four five six",
    ]
    assert cues_of("one", "eins", "zwei") == ["o", "ne"] or cues_of("one", "eins", "zwei") == ["on", "e"]


def test_a_long_gap_or_the_end_of_a_sentence_parts() -> None:
    assert cues_of("one two", "eins", "zwei", gap=3) == ["one two", "one two"]
    assert cues_of("one two", "eins.", "zwei") == ["one two", "one two"]


def test_long_lines_are_made_two() -> None:
    (said,) = cues_of("a man and a woman walk over the street, and a dog follows both of them", "Ein langer Satz")
    assert said == "a man and a woman walk over the street,\nand a dog follows both of them"


def test_a_line_end_that_is_new_is_as_the_others() -> None:
    document = read_srt(b"1\r\n00:00:01,000 --> 00:00:03,000\r\nEin Satz\r\n", "a.srt", GERMAN_TO_ENGLISH)
    long = "a man and a woman walk over the street, and a dog follows both of them"
    after = document.filled([Translation(long)]).decode()
    assert after.count("\r\n") == after.count("\n") == 4


def test_a_sentence_is_not_parted_within_a_mark() -> None:
    said = cues_of("one <x1>two three</x1> four", "eins <i>zwei</i>", "drei vier")
    assert said == ["one <i>two three</i>", "four"]
    assert cues_of("one two three four", "eins zwei", "drei vier") == ["one two", "three four"]


def test_marks_stay_around_their_words_where_a_sentence_goes_over_cues() -> None:
    document = read_srt(SRT.encode(), "a.srt", GERMAN_TO_ENGLISH)
    translations = [
        Translation("A man walks his dog across the street and <x1>a woman</x1> watches him."),
        *map(Translation, "abcd"),
    ]
    after = document.filled(translations).decode()
    assert "{\\an8}<i>A man walks his dog across the street</i>\n" in after
    assert "<i>and <b>a woman</b> watches him.</i>\n" in after


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1\n00:00:01,000 -> x\nHund\n", "a.srt:1: no cue of SubRip in it"),
        (b"1\n00:00:01,000 --> 00:00:xx\nHund\n", "a.srt:2: '00:00:01,000 --> 00:00:xx' are no times of a cue"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nStra\xdfe\n", "a.srt:3:5: byte 0xDF is not UTF-8"),
    ],
)
def test_damage_is_said_with_its_line(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read_srt(content, "a.srt", GERMAN_TO_ENGLISH)


def test_webvtt_must_say_that_it_is() -> None:
    with pytest.raises(DataError, match=r'a\.vtt:1: no WebVTT: its first line must begin with "WEBVTT"'):
        read_vtt(SRT.encode(), "a.vtt", GERMAN_TO_ENGLISH)


def test_an_empty_file_stays_empty() -> None:
    assert same(read_srt(b"", "a.srt", GERMAN_TO_ENGLISH)) == b""
    assert same(read_vtt(b"WEBVTT", "a.vtt", GERMAN_TO_ENGLISH)) == b"WEBVTT"


def texts_of(content: str) -> list[str]:
    return list(read_srt(content.encode(), "a.srt", GERMAN_TO_ENGLISH).texts)


def test_a_sentence_goes_over_five_cues_at_most() -> None:
    assert texts_of("".join(f"1\n0:0:{at},0 --> 0:0:{at + 1},0\nWort\n\n" for at in range(7))) == [
        "Wort Wort Wort Wort Wort",
        "Wort Wort",
    ]


@pytest.mark.parametrize("sign", [".", "!", "?", "…", ":", ' ♪"', "]", ".)"])
def test_what_ends_a_sentence(sign: str) -> None:
    assert cues_of("one two", f"eins{sign}", "zwei") == ["one two", "one two"]


def test_cues_that_overlap_or_have_no_words_are_not_joined() -> None:
    assert texts_of("1\n0:0:1,0 --> 0:0:2,9\nEins\n\n2\n0:0:2,1 --> 0:0:4,0\nzwei\n") == ["Eins", "zwei"]
    assert texts_of("1\n0:0:1,0 --> 0:0:2,9\nEins\n\n2\n0:0:2,5 --> 0:0:4,0\nzwei\n") == ["Eins zwei"]
    assert cues_of("one two", "eins", "7") == ["one two", "7"]


def test_a_forgotten_blank_line_parts_cues_all_the_same() -> None:
    content = "1\n00:00:01,000 --> 00:00:02,000\nEins.\n2\n00:00:02,000 --> 00:00:03,000\nZwei.\n"
    assert texts_of(content) == ["Eins.", "Zwei."]
    assert shouted(read_srt(content.encode(), "a.srt", GERMAN_TO_ENGLISH)).decode() == content.upper()
    assert texts_of(content.replace("2\n00:00:02", "00:00:02")) == ["Eins.", "Zwei."]


def test_where_two_speak_each_keeps_a_line() -> None:
    long = "a man and a woman walk over the street, and a dog follows both of them"
    assert cues_of(long, "- Ja, ein langer Satz\n- Nein") == [f"- {long}\n- {long}"]


def test_lines_may_be_as_long_as_they_were() -> None:
    long = f"{'zehn zehn ' * 5}zehn zehn, {'zehn ' * 7}zehn"
    after_the_pause = long.replace(", ", ",\n")
    assert cues_of(long, f"kurz und {'lang ' * 12}") == [after_the_pause]
    assert cues_of(long, "kurz und") != [after_the_pause]
