"""Which letters of labels a key press chooses: told by the whole catalogue, taken out and put back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.documents.accelerators import accelerator_marks, find_accelerator
from nmt.documents.catalogue import MARKUP


@pytest.mark.parametrize(
    ("labels", "marks"),
    [
        (["Open", "_File", "&Edit", "~Undo"], "_&~"),
        (["<b>_Title</b>", "menu|&File"], "_&"),
        (["|label|_OK"], "_"),
        (["_hours", "_minutes"], ""),
        (["_hours", "_minutes", "_days"], "_"),
        (["_hours", "_hours", "_days"], ""),
        (["Use the _ID field", "__init__", "_Atomic _Bool", "file_name"], ""),
        (["&Auml;", "&amp;", "AT&T", "~A is wrong", "~/src", "~user"], ""),
        (["%s_Check", "_ x", "_"], ""),
        (["_Long" + " words" * 20], ""),
    ],
)
def test_a_catalogue_has_the_marks_that_its_labels_begin_with(labels: list[str], marks: str) -> None:
    assert accelerator_marks(labels, MARKUP) == set(marks)


@pytest.mark.parametrize(
    ("label", "translation", "found"),
    [
        ("_File", "Datei", "_Datei"),
        ("_Save", "Sichern", "_Sichern"),
        ("E_xit", "Text", "Te_xt"),
        ("&Open...", "auf, oder", "auf, &oder"),
        ("_Open", "doof, offen", "doof, _offen"),
        ("~Undo", "Zurück", "Z~urück"),
        ("_File", "文件", "文件"),
        ("_Open %s", "%s offen", "%s _offen"),
        ("Show _all", "Alle", "_Alle"),
        ("Save pass&word", "Kennwort", "Kenn&wort"),
        ("U_se it as entered for all of the frames", "Setzt", "_Setzt"),
        ("St_yle:", "Stil:", "_Stil:"),
        ("The _id field", "das Feld id", "das Feld _id"),  # the same word is where it goes best
        ("Ba_sic code", "Sicherer Code in Basic", "Sicherer Code in Ba_sic"),
        ("_X axis", "Extra-X-Achse", "Extra-_X-Achse"),
        ("_Open %(file_name)s", "%(file_name)s offen", "%(file_name)s _offen"),
        ("_3D", "in 3D", "in _3D"),
        ("_File", "_Datei", "_Datei"),
    ],
)
def test_accelerators_are_hidden_and_put_back(label: str, translation: str, found: str) -> None:
    text, accelerator = find_accelerator(label, "_&~", MARKUP)
    assert accelerator is not None
    assert text == label.replace(accelerator.mark, "", 1)
    assert accelerator.put_back(translation, MARKUP) == found


@pytest.mark.parametrize(
    "text",
    [
        "file_name",
        "Read file_name.txt",
        "No name is known for info_type.",
        "Missing in %s: info_type",
        "Missing %s in info_type",
        "No load_stub method.",
        "E438: u_undo wrong",
        "The path of the lp_solve program is wrong",
        "Lord_Howe",
        "RT_F",
        "AT&T",
        "this & that",
        "&amp;",
        "a=1&b=2",
        "%(a_b)s",
        "~user/x~y",
        "at ~A",
        "a _b and _c",
        "__init__",
        "%_done",  # without its mark it would have a placeholder
        "_文",
        "_Long" + " words" * 20,
    ],
)
def test_what_is_no_accelerator_stays_even_in_a_catalogue_that_has_some(text: str) -> None:
    assert find_accelerator(text, "_&~", MARKUP) == (text, None)


def test_without_its_mark_in_the_catalogue_nothing_is_one() -> None:
    assert find_accelerator("_File", "&~", MARKUP) == ("_File", None)


@given(st.lists(st.sampled_from(["_", "&", "~", "File", "x", " ", "%s", "<b>", "É", "3", "文"])).map("".join))
def test_what_comes_back_unchanged_is_as_it_was(text: str) -> None:
    bare, accelerator = find_accelerator(text, "_&~", MARKUP)
    assert accelerator is None or bare.count(accelerator.word) > 1 or accelerator.put_back(bare, MARKUP) == text
