"""Markup put back by an alignment: never lost, doubled or crossed; where words stay in order, it does too."""

import re

import pytest
from fakes import Fake
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.documents.markup import same_markup
from nmt.documents.placing import placed, without_markup
from nmt.documents.translate import translate_document
from nmt.translator import Translation

TAGS = re.compile(r"</?x\d+>|<x\d+/>|%[sd]")
WORDS = ["Hund", "und", "Mann,", "(Bild)", "7", "H2O", "Ende."]
ANY = st.lists(st.sampled_from([*WORDS, " ", "<x1>", "</x1>", "<x2>", "</x2>", "<x3/>", "%s", "%d", "."]), max_size=14)
trees = st.recursive(
    st.sampled_from(WORDS) | st.sampled_from(["Hund <x/> da", "Mann<x/>, da", "<x/>Wort da"]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda some: f"<x>{' '.join(some)}</x>")
        | st.lists(inner, min_size=2, max_size=3).map(" ".join)
    ),
    max_leaves=6,
)


def numbered(tree: str) -> str:
    """Each tag with a number of its own."""
    opened: list[int] = []
    last = 0

    def name(match: re.Match[str]) -> str:
        nonlocal last
        if match[0] == "</x>":
            return f"</x{opened.pop()}>"
        last += 1
        if match[0] == "<x>":
            opened.append(last)
        return match[0].replace("x", f"x{last}")

    return re.sub("</?x/?>", name, tree)


def shouted(line: str) -> str:
    return re.sub(r"<[^<>]*>|(\w+)", lambda match: match[0].upper() if match[1] else match[0], line)


@settings(deadline=None)
@given(trees.map(numbered))
def test_word_for_word_markup_stands_where_it_did(line: str) -> None:
    bare = without_markup(line, TAGS)
    same = [(word, word) for word in range(len(bare.text.split()))]
    assert placed(bare, bare.text.upper(), same) == shouted(line)


PLACES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


@settings(deadline=None)
@given(ANY.map("".join) | trees.map(numbered), st.lists(st.sampled_from(["a", "b,", "(c)", "–"]), max_size=8), PLACES)
def test_whatever_the_alignment_nothing_is_lost_doubled_or_crossed(
    line: str, words: list[str], pairs: list[tuple[int, int]]
) -> None:
    done = placed(without_markup(line, TAGS), " ".join(words), pairs)
    if done is not None:
        assert same_markup(line, done, TAGS)
        assert TAGS.sub("", done).replace(" ", "").startswith("".join(words)[:1])
        loose = re.compile(r"<x\d/>|%[sd]")
        assert loose.findall(done) == loose.findall(line)


@pytest.mark.parametrize(
    ("line", "translation", "alignment", "wanted"),
    [
        ("Rot ist <x1>das Haus</x1>.", "The house is red.", "0-3 1-2 2-0 3-1", "<x1>The house</x1> is red."),
        ("<x1>A</x1> und <x2>B</x2>", "b and a", "0-2 1-1 2-0", "<x2>b</x2> and <x1>a</x1>"),
        ("Ein <x1>Hund</x1> da", "a “dog” there", "0-0 1-1 2-2", "a “<x1>dog</x1>” there"),
        ("Ein <x1>„Hund“</x1> da", "a “dog” there", "0-0 1-1 2-2", "a <x1>“dog”</x1> there"),
        ("viel H<x1>2</x1>O da", "there: H2O lots", "0-2 1-1 2-0", "there: H<x1>2</x1>O lots"),
        ("<x1>a b</x1>", "x y z", "0-1", "<x1>x y z</x1>"),
        ("Ein <x1>Hund</x1>", "a dog, yes", "0-0 1-1 1-2", "a <x1>dog, yes</x1>"),
        ("Ein <x1>Hund</x1> da", "a dog, there", "0-0 1-1 2-2", "a <x1>dog</x1>, there"),
        ("Datei %s fehlt.", "file is missing.", "0-0 1-1 1-2", "file %s is missing."),
        ("Mehr unter <x1/>.", "more at.", "0-0 1-1", "more at <x1/>."),
        ("Hund<x1>1</x1>, da", "dog, there", "0-0 1-1", "dog<x1>1</x1>, there"),
        ("<x1/> Wort", "word", "0-0", "<x1/> word"),
        ("<x1/> Wort da", "there word", "0-1 1-0", "<x1/> there word"),
        ("Datei%s fehlt", "missing is file", "0-2 1-0", "missing is file%s"),
        ("a <x1>b c</x1> d e", "b x y c d", "1-0 0-1 3-2 2-3 4-4", None),  # too far apart
        ("a <x1>b c</x1> d e", "b d e c c", "1-0 3-1 4-2 2-3 2-4", "b d e <x1>c c</x1>"),  # where most stand together
        ("a <x1>b</x1> c", "a c", "0-0 2-1", None),  # nothing was made of b
        ("<x1>a b</x1> <x2>c d</x2>", "a c b d", "0-0 2-1 1-2 3-3", None),  # they would cross
        ("a %s b %d c", "c b a", "0-2 1-1 2-0", None),  # the order of marks is their meaning
        ("<x1>a</x1> b", "a b", "", None),  # a model without attention
    ],
)
def test_marks_follow_their_words(line: str, translation: str, alignment: str, wanted: str | None) -> None:
    pairs = [(int(one), int(other)) for one, _, other in (pair.partition("-") for pair in alignment.split())]
    assert placed(without_markup(line, TAGS), translation, pairs) == wanted


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("Das <x1/> <x2/> Haus <x3/>.", "Das Haus."),
        ("Hund<x1/>Mann", "Hund Mann"),
        ("<x1>Hunde</x1>leine", "Hundeleine"),
        ("H<x1>2</x1>O, Note<x2>2</x2>", "H2O, Note"),
    ],
)
def test_without_its_markup_a_text_reads_as_if_it_had_none(line: str, bare: str) -> None:
    assert without_markup(line, TAGS).text == bare


class Aligned(Fake):
    """Loses all markup, and says which word became which, if asked."""

    def translations(self, lines, *, n_best, read_ahead, alignments):  # type: ignore[no-untyped-def]
        for request in lines:
            words = request.text.split()
            text = TAGS.sub("", " ".join(reversed(words))).upper()
            pairs = tuple((len(words) - 1 - at, at) for at in range(len(words)))
            yield [Translation(text, alignment=pairs if alignments else (), flags=("placeholders",))]


def test_a_line_that_lost_its_markup_is_translated_as_a_whole() -> None:
    class One:
        texts = ("ein <x1>roter Hund</x1> da",)
        markup = TAGS

        def filled(self, translations):  # type: ignore[no-untyped-def]
            return translations[0].text.encode()

    done = translate_document(Aligned(str.upper), One())
    assert (done.content, done.flags) == (b"DA <x1>HUND ROTER</x1> EIN", {})
