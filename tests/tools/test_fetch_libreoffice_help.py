"""LibreOffice's help: which texts of two pages pair up, from made-up pages."""

import json
from collections import Counter
from pathlib import Path

import fetch_libreoffice_help
import pytest
from click.testing import CliRunner, Result
from fetching.help_pages import page_pairs
from fetching.texts import sentence_pairs
from folder_archive import folder_archive

FRAME = """<!DOCTYPE html><html><head><title>title</title><script>var p;</script></head><body>
<header><p>menu in {lang}</p></header><div id="DisplayArea">{body}</div>
<footer><p id="bug">This page in {lang}</p></footer></body></html>"""


def page(path: Path, body: str, lang: str = "xx") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FRAME.format(lang=lang, body=body), encoding="utf-8")
    return path


def pairs(tmp_path: Path, german: str, english: str, counts: Counter[str] | None = None) -> list[tuple[str, str]]:
    paths = page(tmp_path / "de.html", german, "de"), page(tmp_path / "en.html", english, "en")
    return list(page_pairs(*paths, Counter() if counts is None else counts))


def test_blocks_pair_up_as_plain_text_without_the_frame(tmp_path: Path) -> None:
    german = (
        '<h1 id="h">Seiten<span class="x">ränder</span></h1>'
        '<ul><li><p id="a" class="listitem">Mit  <a href="f">Datei\n – Neu</a>&nbsp;&amp; '
        "<b>a\u0308hnlich</b>em.</p></li></ul>"
        "<table><tr><td>Zelle<br>zwei</td></tr></table>"
    )
    english = (
        '<h1 id="h">Page<span class="x"> margins</span></h1>'
        '<ul><li><p id="a" class="listitem">With <a href="f">File - New</a> &amp; <b>similar</b>.</p></li></ul>'
        "<table><tr><td>Cell<br>two</td></tr></table>"
    )
    assert pairs(tmp_path, german, english) == [
        ("Seitenränder", "Page margins"),
        ("Mit Datei – Neu & ähnlichem.", "With File - New & similar."),
        ("Zelle zwei", "Cell two"),
    ]


@pytest.mark.parametrize(
    "code",
    [
        '<div class="bascode"><pre><code>Dim {0}</code></pre></div>',
        '<p class="code" id="c">Print {0}</p>',
        '<td><p class="codeintable">Print {0}</p></td>',
        '<p class="smathcode">int {0}</p>',
    ],
)
def test_code_is_left_out(tmp_path: Path, code: str) -> None:
    text = '<p id="p">{0}</p>'
    sides = [(code + text).format(word) for word in ("Wort", "word")]
    assert pairs(tmp_path, *sides) == [("Wort", "word")]


def test_of_a_switch_only_the_text_for_any_system_is_taken(tmp_path: Path) -> None:
    switch = (
        '<p id="p">{0} <span class="switchinline"><span hidden="true" class="MAC" id="MAC1">Cmd</span>'
        '<span hidden="true" id="default1">{1}</span></span>+C.</p>'
    )
    assert pairs(tmp_path, switch.format("Mit", "Strg"), switch.format("Press", "Ctrl")) == [
        ("Mit Strg+C.", "Press Ctrl+C.")
    ]


def test_pages_of_another_outline_pair_by_the_ids_that_occur_once(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    german = '<p id="new">Neu.</p><p id="a">Eins.</p><p id="b">Zwei.</p><p id="b">Drei.</p><p>Ohne.</p>'
    english = '<p id="b">Two.</p><p id="b">Three.</p><p id="a">One.</p><p>Without.</p>'
    assert pairs(tmp_path, german, english, counts) == [("Eins.", "One.")]
    assert counts["a block whose partner cannot be told"] == 3


def test_an_id_that_returns_pairs_by_its_place(tmp_path: Path) -> None:
    assert pairs(tmp_path, '<p id="b">Zwei.</p><p id="b">Drei.</p>', '<p id="b">Two.</p><p id="b">Three.</p>') == [
        ("Zwei.", "Two."),
        ("Drei.", "Three."),
    ]


def test_a_page_without_content_has_no_pairs(tmp_path: Path) -> None:
    for side in ("de.html", "en.html"):
        (tmp_path / side).write_text("<html><body><p>menu</p></body></html>")
    assert list(page_pairs(tmp_path / "de.html", tmp_path / "en.html", Counter())) == []


def test_nothing_outside_the_page_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    entity = f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><div id="DisplayArea"><p>A &x;</p></div>'
    for side in ("de.html", "en.html"):
        (tmp_path / side).write_text(entity)
    assert "secret" not in str(list(page_pairs(tmp_path / "de.html", tmp_path / "en.html", Counter())))


def test_sentences_pair_up_where_they_are_as_many_and_of_like_lengths() -> None:
    assert sentence_pairs("Das ist eins. Das ist zwei.", "This is one. This is two.") == [
        ("Das ist eins.", "This is one."),
        ("Das ist zwei.", "This is two."),
    ]
    fewer = ("Das ist eins, das ist zwei.", "This is one. This is two.")
    assert sentence_pairs(*fewer) == [fewer]
    shifted = (f"Ja. {'Es ist ein sehr langer Satz ' * 3}. Nein.", f"Yes. No. {'It is a very long sentence ' * 3}.")
    assert sentence_pairs(*shifted) == [shifted]


def invoke(packages: Path, lang: str, out: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setattr(fetch_libreoffice_help, "Archive", folder_archive(packages))
    return CliRunner().invoke(fetch_libreoffice_help.main, [lang, str(out)])


def test_two_packages_become_one_file_that_says_where_it_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = "usr/share/libreoffice/help"
    page(tmp_path / "libreoffice-help-pt-br" / inside / "pt-BR/text/a/one.html", '<p id="p">Página.</p>')
    page(tmp_path / "libreoffice-help-pt-br" / inside / "pt-BR/text/a/lone.html", '<p id="p">Só.</p>')
    page(tmp_path / "libreoffice-help-en-us" / inside / "en-US/text/a/one.html", '<p id="p">Page.</p>')
    out = tmp_path / "out" / "help.jsonl"
    result = invoke(tmp_path, "pt_BR", out, monkeypatch)
    assert result.exit_code == 0, result.output
    assert [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] == [
        {"translation": {"pt_BR": "Página.", "en": "Page."}, "source": "libreoffice_help", "page": "a/one"}
    ]
    origin = json.loads(Path(f"{out}.provenance.json").read_text(encoding="utf-8"))
    assert origin["dropped"] == {"a page without an English one": 1}
    assert [(thing["name"], thing["version"], thing["licence"], thing["sha256"]) for thing in origin["taken"]] == [
        (name, "1:2-3", f"licence-of-{name}", f"sum-of-{name}")
        for name in ("libreoffice-help-pt-br", "libreoffice-help-en-us")
    ]


def test_faults_are_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = invoke(tmp_path, "en_US", tmp_path / "out", monkeypatch)
    assert refused.exit_code == 2
    assert "LANG is the other language" in refused.output
    for name in ("libreoffice-help-de", "libreoffice-help-en-us"):
        (tmp_path / name).mkdir()
    refused = invoke(tmp_path, "de", tmp_path / "out", monkeypatch)
    assert refused.exit_code == 1
    assert "package libreoffice-help-de: it has no folder usr/share/libreoffice/help/*/text" in refused.output
    assert not (tmp_path / "out").exists()
