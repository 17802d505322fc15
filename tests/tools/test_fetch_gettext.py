"""Catalogues of gettext: which pairs a message becomes, from made-up catalogues."""

import json
from collections import Counter
from pathlib import Path

import fetch_gettext
import pytest
from click.testing import CliRunner, Result
from fetching.catalogues import Message, find_catalogues, message_pairs, read_catalogue, without_accelerators
from folder_archive import folder_archive
from translate.storage import mo

HEADER = """msgid ""
msgstr ""
"Project-Id-Version: toy 1\\n"
"Content-Type: text/plain; charset={charset}\\n"
"{plurals}\\n"

"""
TWO = "Plural-Forms: nplurals=2; plural=(n != 1);"


def po_file(path: Path, entries: str, *, charset: str = "UTF-8", plurals: str = TWO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((HEADER.format(charset=charset, plurals=plurals) + entries).encode(charset))
    return path


def mo_file(path: Path, messages: dict[str, str], *, charset: str = "UTF-8") -> Path:
    """A catalogue as msgfmt makes it; a context is before "\\4"."""
    store = mo.mofile()
    for source, target in {"": f"Content-Type: text/plain; charset={charset}\n{TWO}\n", **messages}.items():
        context, _, text = source.rpartition("\4")
        unit = mo.mounit(text)
        unit.target = target
        if context:
            unit.setcontext(context)
        store.addunit(unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(store))
    return path


def read(path: Path) -> list[tuple[str, str, str]]:
    return [tuple(message) for message in read_catalogue(path)]


def pairs(text: str, english: str) -> tuple[list[tuple[str, str]], dict[str, int]]:
    counts: Counter[str] = Counter()
    return list(message_pairs(Message(text, english, ""), counts)), dict(counts)


def test_of_a_po_file_only_what_is_translated_for_sure_is_read(tmp_path: Path) -> None:
    entries = (
        'msgctxt "menu"\nmsgid "File"\nmsgstr "Datei"\n\n#, fuzzy\nmsgid "Edit"\nmsgstr "Bearbeiten"\n\n'
        'msgid "View"\nmsgstr ""\n\n#~ msgid "Old"\n#~ msgstr "Alt"\n'
    )
    assert read(po_file(tmp_path / "de.po", entries)) == [("Datei", "File", "menu")]


def test_an_mo_file_has_its_contexts(tmp_path: Path) -> None:
    path = mo_file(tmp_path / "toy.mo", {"menu\4File": "Datei", "Öl": "Oil"})
    assert sorted(read(path)) == [("Datei", "File", "menu"), ("Oil", "Öl", "")]


def test_the_declared_charset_is_the_one_read_by(tmp_path: Path) -> None:
    path = po_file(tmp_path / "de.po", 'msgid "open"\nmsgstr "öffnen"\n', charset="ISO-8859-1")
    assert read(path) == [("öffnen", "open", "")]


@pytest.mark.parametrize(
    ("plurals", "forms", "expected"),
    [
        (TWO, ["eins", "viele"], ["eins", "viele"]),
        ("", ["eins", "viele"], ["eins", "viele"]),
        ("Plural-Forms: nplurals=1; plural=0;", ["immer"], ["immer", "immer"]),
        (
            "Plural-Forms: nplurals=3; plural=n%10==1 && n%100!=11 ? 2 : n%10>=2 && n%10<=4 ? 1 : 0;",
            ["viele", "wenige", "eins"],
            ["eins", "wenige"],
        ),
        ("Plural-Forms: nplurals=2; plural=(n > 1);", ["zero or one", ""], ["zero or one"]),
    ],
)
def test_a_plural_is_read_in_the_forms_for_one_and_for_two(
    tmp_path: Path, plurals: str, forms: list[str], expected: list[str]
) -> None:
    entry = 'msgid "one"\nmsgid_plural "many"\n' + "".join(f'msgstr[{i}] "{form}"\n' for i, form in enumerate(forms))
    path = po_file(tmp_path / "xx.po", entry, plurals=plurals)
    assert read(path) == [(form, source, "") for form, source in zip(expected, ["one", "many"], strict=False)]


@pytest.mark.parametrize(
    "content",
    [b"", b"no catalogue", b"\xde\x12\x04\x95" + bytes(4) + b"\xff\xff\xff\x7f" * 6, b"\xde\x12\x04\x95"],
)
def test_what_is_no_catalogue_is_a_fault_with_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "toy.mo"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"toy\.mo: cannot be read as a catalogue of gettext"):
        read_catalogue(path)


@pytest.mark.parametrize(
    ("text", "english", "expected"),
    [
        ("_Datei", "_File", ("Datei", "File")),
        ("Speichern &unter", "Save &As", ("Speichern unter", "Save As")),
        ("~Bearbeiten", "~Edit", ("Bearbeiten", "Edit")),
        ("B_eenden", "E_xit", ("Beenden", "Exit")),
        ("Datei", "_File", ("Datei", "File")),
        ("ファイル(_F)", "_File", ("ファイル", "File")),
        ("&Suchen && ersetzen", "&Find && Replace", ("Suchen & ersetzen", "Find & Replace")),
        ("das Feld file_name", "the field file_name", ("das Feld file_name", "the field file_name")),
        ("Kunde von AT&T", "customer of AT&T", ("Kunde von AT&T", "customer of AT&T")),
        ("a &amp; b", "a &amp; b", ("a &amp; b", "a &amp; b")),
        ("Fehler in ~a", "error in ~a", ("Fehler in ~a", "error in ~a")),
        ("_eins _zwei", "_one _two", ("_eins _zwei", "_one _two")),
    ],
)
def test_marks_of_underlined_letters_are_taken_off(text: str, english: str, expected: tuple[str, str]) -> None:
    assert without_accelerators(text, english) == expected


@pytest.mark.parametrize(
    ("text", "english", "reason"),
    [
        ("Datei %s", "File %d", "other placeholders"),
        ("Datei {name}", "File", "other placeholders"),
        ("<b>Datei", "File", "other placeholders"),
        ("Fach org.gnome.Files", "org.gnome.Files", "no words"),
        ("%d", "%i", "no words"),
        ("Ich", "translator-credits", "credits of translators"),
        ("Datei", "menu|File", 'a context before the text ("menu|File")'),
        ("Da\x1btei", "File", "control characters"),
        ("Wort " * 61, "word " * 61, "over 60 words"),
    ],
)
def test_what_is_left_out_is_counted_by_its_reason(text: str, english: str, reason: str) -> None:
    assert pairs(text, english) == ([], {reason: 1})


def test_placeholders_may_change_places() -> None:
    assert pairs("%2$s in %1$s", "%1$s has %2$s")[0] == [("%2$s in %1$s", "%1$s has %2$s")]


@pytest.mark.parametrize(
    ("text", "english", "expected"),
    [
        (
            "Eins.\n\nZwei,\nweiter.",
            "One.\n\nTwo,\nmore.",
            [("Eins.", "One."), ("Zwei,", "Two,"), ("weiter.", "more.")],
        ),
        (
            "  -a  alle Dateien\n      zeigen\n  -b  keine",
            "  -a  show all files\n  -b  none",
            [("-a alle Dateien zeigen", "-a show all files"), ("-b keine", "-b none")],
        ),
        (
            "Dies ist ein langer Satz, der in der Mitte umbrochen ist und\nhier endet.",
            "This is a long sentence, which is wrapped in its\nmiddle and ends here.",
            [
                (
                    "Dies ist ein langer Satz, der in der Mitte umbrochen ist und hier endet.",
                    "This is a long sentence, which is wrapped in its middle and ends here.",
                )
            ],
        ),
        ("Eins\nzwei\ndrei", "One\ntwo", [("Eins zwei drei", "One two")]),
        ("Das ist eins. Das ist zwei.\n", "This is one. This is two.\n", None),
    ],
)
def test_lines_pair_up_where_they_are_no_wrapped_text(
    text: str, english: str, expected: list[tuple[str, str]] | None
) -> None:
    if expected is None:
        expected = [("Das ist eins.", "This is one."), ("Das ist zwei.", "This is two.")]
    assert pairs(text, english)[0] == expected


def test_sentences_stay_together_where_a_placeholder_moves_from_one_to_the_other() -> None:
    whole = ("Datei %s ist da. Was nun?", "There is a file. What about %s now?")
    assert pairs(*whole)[0] == [whole]


def test_catalogues_are_found_by_their_places_and_links_are_not_followed(tmp_path: Path) -> None:
    usr = tmp_path / "usr"
    wanted = [usr / "share/locale/pt_BR/LC_MESSAGES/a.mo", usr / "src/pt_BR.po"]
    for path in [*wanted, usr / "share/locale/pt/LC_MESSAGES/a.mo", usr / "src/de.po", usr / "pt_BR.txt"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (usr / "share/locale/pt_BR/LC_MESSAGES/link.mo").symlink_to(wanted[0])
    assert find_catalogues(usr, "pt_BR") == find_catalogues(usr, "pt-br") == wanted


def invoke(packages: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setattr(fetch_gettext, "Archive", folder_archive(packages))
    return CliRunner().invoke(fetch_gettext.main, list(arguments))


def test_packages_become_one_file_that_says_where_it_is_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    po_file(tmp_path / "one/po/de.po", 'msgctxt "c"\nmsgid "File"\nmsgstr "Datei"\n\nmsgid "On"\nmsgstr "On"\n')
    mo_file(tmp_path / "l10n-de/usr/share/locale/de/LC_MESSAGES/two.mo", {"Edit": "Bearbeiten", "File": "Datei"})
    (tmp_path / "l10n-de/usr/share/locale/de/LC_MESSAGES/zzz.mo").write_bytes(b"damaged")
    (tmp_path / "none").mkdir()
    names = tmp_path / "names.txt"
    names.write_text("# a comment\nl10n-{lang}  # another\n\ngone\nnone\none\n")
    out = tmp_path / "out" / "gettext.jsonl"
    arguments = ("de", str(out), "--package", "one", "--packages-from", str(names))
    result = invoke(tmp_path, *arguments, monkeypatch=monkeypatch)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(row["translation"]["de"], row["translation"]["en"], row["package"], row["context"]) for row in rows] == [
        ("Datei", "File", "one", "c"),
        ("Bearbeiten", "Edit", "l10n-de", ""),
    ]
    assert {row["source"] for row in rows} == {"gettext"}
    origin = json.loads(Path(f"{out}.provenance.json").read_text(encoding="utf-8"))
    assert [(thing["name"], thing["licence"]) for thing in origin["taken"]] == [
        ("one", "licence-of-one"),
        ("l10n-de", "licence-of-l10n-de"),
    ]
    assert origin["dropped"]["a catalogue that cannot be read"] == 1
    assert "left out: package gone" in result.output
    assert "left out: package none: it has no catalogue in de" in result.output
    assert "zzz.mo: cannot be read" in result.output


def test_a_folder_of_catalogues_needs_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mo_file(tmp_path / "locale/de/LC_MESSAGES/two.mo", {"Edit": "Bearbeiten"})
    out = tmp_path / "out.jsonl"
    result = invoke(tmp_path, "de", str(out), "--folder", str(tmp_path / "locale"), monkeypatch=monkeypatch)
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text(encoding="utf-8"))["translation"] == {"de": "Bearbeiten", "en": "Edit"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["en", "out"], "LANG is the other language"),
        (["de", "out", "--package", "gone"], "package gone: No packages found"),
        (["de", "out", "--folder", "."], "no catalogue in de was found"),
    ],
)
def test_faults_are_words(tmp_path: Path, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(tmp_path, *arguments, monkeypatch=monkeypatch)
    assert result.exit_code == (2 if "other language" in words else 1)
    assert words in result.output
    assert not (tmp_path / "out").exists()
