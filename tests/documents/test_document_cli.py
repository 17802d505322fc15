"""`nmt translate` with a document, on the tiny run: German to English, half well learned."""

import builtins
import re
from pathlib import Path
from typing import Any

import pytest
from toy_run import TinyRun, nmt

from nmt.cli.translate_document import BILINGUAL, FORMS
from nmt.documents.formats import FORMATS

HEADER = 'msgid ""\nmsgstr ""\n"Language: en\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n'


@pytest.fixture
def catalogue(tiny: TinyRun, tmp_path: Path) -> Path:
    path = tmp_path / "messages.po"
    entries = "".join(f'msgid "{src}"\nmsgstr ""\n\n' for src in tiny.sources[:12])
    path.write_text(HEADER + entries + 'msgid "fertig"\nmsgstr "done by hand"\n', encoding="utf-8")
    return path


def strings(content: str) -> list[str]:
    return re.findall(r'^msgstr "(.+)"$', content, re.MULTILINE)


def test_a_catalogue_is_filled_with_what_its_texts_become_as_lines(tiny: TinyRun, catalogue: Path) -> None:
    output = catalogue.with_name("messages.en.po")
    result = nmt("translate", tiny.run, catalogue, "-o", output)
    assert (result.code, result.out) == (0, b""), result.err
    lines = nmt("translate", tiny.run, stdin="".join(f"{src}\n" for src in tiny.sources[:12]).encode()).lines
    written = output.read_text(encoding="utf-8")
    assert strings(written) == [*lines, "done by hand"]
    assert written.count("#, fuzzy\n") == 12
    assert sorted(path.name for path in catalogue.parent.iterdir()) == ["messages.en.po", "messages.po"]


def test_standard_input_and_output_serve_a_named_format_and_workers_change_nothing(
    tiny: TinyRun, catalogue: Path
) -> None:
    alone = nmt("translate", tiny.run, catalogue)
    assert alone.code == 0, alone.err
    piped = nmt("translate", tiny.run, "--format", "po", "--workers", 2, stdin=catalogue.read_bytes())
    assert piped.code == 0, piped.err
    assert piped.out == alone.out


def test_all_translates_what_a_person_did(tiny: TinyRun, catalogue: Path) -> None:
    result = nmt("translate", tiny.run, catalogue, "--all")
    assert result.code == 0, result.err
    assert "done by hand" not in result.text
    assert result.text.count("#, fuzzy\n") == 13


def test_as_text_a_catalogue_is_its_lines(tiny: TinyRun, catalogue: Path) -> None:
    result = nmt("translate", tiny.run, catalogue, "--format", "text")
    assert result.code == 0, result.err
    assert len(result.lines) == catalogue.read_text(encoding="utf-8").count("\n")


DOCUMENTS = {
    "a.txt": "Ein Hund\n",
    "a.md": "# Ein Hund\n",
    "a.html": "<p>Ein Hund</p>\n",
    "a.srt": "1\n00:00:01,000 --> 00:00:02,000\nEin Hund\n",
    "a.vtt": "WEBVTT\n\n00:01.000 --> 00:02.000\nEin Hund\n",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_would_be_lost_is_not_overwritten(tiny: TinyRun, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(DOCUMENTS[name])
    (tmp_path / "link").symlink_to(path)
    for output in (path, tmp_path / "link"):
        result = nmt("translate", tiny.run, path, "-o", output)
        assert result.code == 1
        assert result.err == f"error: {output}: is what is read, and would be overwritten; give another name\n"
        assert path.read_text() == DOCUMENTS[name]
    assert {each.name for each in tmp_path.iterdir()} == {name, "link"}


def test_a_catalogue_may_be_filled_in_its_place_but_not_as_lines(tiny: TinyRun, catalogue: Path) -> None:
    before = catalogue.read_text(encoding="utf-8")
    assert nmt("translate", tiny.run, catalogue, "-o", catalogue, "--format", "text").code == 1
    assert catalogue.read_text(encoding="utf-8") == before
    result = nmt("translate", tiny.run, catalogue, "-o", catalogue)
    assert result.code == 0, result.err
    after = catalogue.read_text(encoding="utf-8")
    assert re.findall("^msgid .*$", after, re.MULTILINE) == re.findall("^msgid .*$", before, re.MULTILINE)
    assert len(strings(after)) == 13


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--resume"], "--resume and a document"),
        (["--json"], "--json and a document"),
        (["--n-best", 2], "--n-best and a document"),
        (["--shard", "1/2"], "--shard and a document"),
        (["--prefixes", "x"], "--prefixes and a document"),
        (["--errors", "replace"], "--errors replace and a document"),
        (["--format", "text", "--all"], "--all goes with po, xliff, tmx"),
    ],
)
def test_options_for_lines_are_refused_in_words(tiny: TinyRun, catalogue: Path, options: list[Any], told: str) -> None:
    result = nmt("translate", tiny.run, catalogue, "-o", catalogue.with_name("out.po"), *options)
    assert result.code == 2
    assert told in result.err


def test_a_damaged_document_is_a_fault_with_its_line_and_leaves_the_output(tiny: TinyRun, catalogue: Path) -> None:
    output = catalogue.with_name("out.po")
    output.write_text("as before")
    catalogue.write_text(HEADER + 'msgid "a\nmsgstr ""\n')
    result = nmt("translate", tiny.run, catalogue, "-o", output)
    assert result.code == 1
    assert f"error: {catalogue}:6:" in result.err
    assert output.read_text() == "as before"


def test_a_catalogue_of_another_language_is_refused(tiny: TinyRun, catalogue: Path) -> None:
    catalogue.write_text(HEADER.replace("Language: en", "Language: fr") + 'msgid "a"\nmsgstr ""\n')
    result = nmt("translate", tiny.run, catalogue)
    assert result.code == 1
    assert '"Language: fr", but the translation is into en' in result.err


def test_what_looks_wrong_is_counted_and_the_first_text_shown(tiny: TinyRun, tmp_path: Path) -> None:
    path = tmp_path / "long.po"
    path.write_text(HEADER + f'msgid "{"Wo ist das? " * 60}"\nmsgstr ""\n', encoding="utf-8")
    result = nmt("translate", tiny.run, path, "--max-src-tokens", 16)
    assert result.code == 0, result.err
    assert "warning: lines too long for the model, translated in pieces: 1 (first: 'Wo ist das? Wo" in result.err


def test_a_missing_package_is_told_with_how_to_get_it(
    tiny: TinyRun, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("nmt.documents.formats"):
            raise ModuleNotFoundError("No module named 'lxml'", name="lxml")
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    result = nmt("translate", tiny.run, catalogue)
    assert result.code == 1
    assert 'lxml is missing: translating documents needs pip install "nmt[documents]"' in result.err


def test_the_command_names_the_forms_that_there_are() -> None:
    assert {"text", *FORMATS} == set(FORMS)
    assert set(BILINGUAL) < set(FORMATS)


def test_a_packed_document_is_refused_in_words(tiny: TinyRun, tmp_path: Path) -> None:
    result = nmt("translate", tiny.run, tmp_path / "messages.po.gz")
    assert result.code == 2
    assert "unpack it first" in result.err
