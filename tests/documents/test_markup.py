"""Spaces around markup come back as the source has them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.documents.markup import respaced

MARKUP = re.compile(r"</?x\d+/?>|%[sd]")
PARTS = st.lists(st.sampled_from(["<x1>", "</x1>", "<x2/>", "%s", "%d", " ", "Wort", "7", ",", "(", ")", "文"]))


@pytest.mark.parametrize(
    ("source", "translation", "wanted"),
    [
        ("<x1>Datei</x1> öffnen", "<x1> file </x1>open", "<x1>file</x1> open"),
        ("Das <x1/>Haus<x2/>.", "The<x1/> house <x2/>.", "The <x1/>house<x2/>."),
        ("%s: nicht da", "not there%s", "not there %s"),
        ("Zelle%s,", "cells %s,", "cells%s,"),
        ("Die %d. Zeile", "line%d", "line %d"),
        ("<x1>A</x1>, <x2>B</x2>", "<x2>B</x2>and<x1> A</x1>", "<x2>B</x2> and <x1>A</x1>"),
        ("<x1>A</x1> <x1>B</x1>", "<x1>A</x1>or<x1> B</x1>", "<x1>A</x1> or <x1>B</x1>"),
        ("über <x1>~5 %.</x1> da", "above<x1>five</x1>there", "above <x1>five</x1> there"),
        ("Nimm <x1/> (so), da", "there.<x1/>(so)", "there. <x1/> (so)"),
        ("Nimm (<x1/>)", "take(<x1/>)", "take(<x1/>)"),
        ("Das <x1>Haus</x1> da", "那个<x1>房子</x1>在", "那个<x1>房子</x1>在"),
    ],
)
def test_spaces_go_where_the_source_has_them(source: str, translation: str, wanted: str) -> None:
    assert respaced(source, translation, MARKUP) == wanted


@given(PARTS)
def test_a_text_as_it_was_stays_so(parts: list[str]) -> None:
    text = "".join(parts)
    assert respaced(text, text, MARKUP) == text


@given(PARTS, PARTS)
def test_nothing_but_spaces_changes(parts: list[str], others: list[str]) -> None:
    source, translation = "".join(parts), "".join(others)
    assert respaced(source, translation, MARKUP).replace(" ", "") == translation.replace(" ", "")
