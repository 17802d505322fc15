import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from toy_run import nmt

from nmt.cli.extras import EXTRAS

LANGS = ("--src-lang", "de", "--tgt-lang", "en")
PO = """msgid ""
msgstr "Language: de\\n"

msgid "file"
msgid_plural "files"
msgstr[0] "Datei"
msgstr[1] "Dateien"

#, fuzzy
msgid "no"
msgstr "ja"

msgid "two\\n"
"lines"
msgstr "zwei\\n"
"Zeilen"
"""


@pytest.fixture
def po(tmp_path: Path) -> Path:
    path = tmp_path / "x.po"
    path.write_text(PO, encoding="utf-8")
    return path


def test_a_catalogue_becomes_line_files_and_a_table(po: Path) -> None:
    done = nmt("data", "convert", po, po.with_name("train"), *LANGS)
    assert done.code == 0, done.err
    assert po.with_name("train.de").read_text(encoding="utf-8") == "Datei\nDateien\nzwei Zeilen\n"
    assert po.with_name("train.en").read_text(encoding="utf-8") == "file\nfiles\ntwo lines\n"
    table = [" ".join(line.split()[:6]) for line in done.lines]
    wanted = (
        "units read 3",
        "more forms of plurals 1",
        "left out: fuzzy 1",
        "pairs written 3",
        "changed: line break made a",
    )
    for row in wanted:
        assert any(line.startswith(row) for line in table), row
    assert sorted(file.name for file in po.parent.iterdir()) == ["train.de", "train.en", "x.po"]


def test_fuzzy_ones_are_kept_where_asked_for(po: Path) -> None:
    assert nmt("data", "convert", po, po.with_name("y.tsv"), *LANGS, "--fuzzy").code == 0
    assert "ja\tno\n" in po.with_name("y.tsv").read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["tsv", "json", "lines"])
def test_bytes_that_are_no_text_are_refused_or_replaced(tmp_path: Path, form: str) -> None:
    content = {"tsv": b"a\xff\tb\n", "json": b'{"de": "a\xff", "en": "b"}\n', "lines": b"a\xff\n"}[form]
    (tmp_path / ("x.de" if form == "lines" else "x")).write_bytes(content)
    (tmp_path / "x.en").write_bytes(b"b\n")
    args = ("data", "convert", tmp_path / "x", tmp_path / "y.tsv", *LANGS, "--from", form)
    refused = nmt(*args)
    assert (refused.code, "byte 0xFF is not UTF-8 here" in refused.err) == (1, True)
    assert nmt(*args, "--errors", "replace").code == 0
    assert (tmp_path / "y.tsv").read_text(encoding="utf-8") == "a\ufffd\tb\n"


def test_the_columns_of_a_tsv_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("a\tnote\tb\n")
    done = nmt("data", "convert", tmp_path / "x.tsv", tmp_path / "y", *LANGS, "--tsv-columns", "en,note,de")
    assert done.code == 0, done.err
    assert [(tmp_path / f"y.{lang}").read_text() for lang in ("de", "en")] == ["b\n", "a\n"]


def test_forms_may_be_named_and_packed(po: Path) -> None:
    odd = po.rename(po.with_name("catalogue"))
    out = po.with_name("y.tmx.gz")
    for _ in range(2):
        assert nmt("data", "convert", odd, out, *LANGS, "--from", "po").code == 0
        first = out.read_bytes()
    assert out.read_bytes() == first
    assert gzip.decompress(first).startswith(b"<?xml version='1.0' encoding='utf-8'?>\n<!DOCTYPE tmx SYSTEM")
    assert first[3] == 0 and first[4:8] == bytes(4)  # no file name in it, and no time
    assert nmt("data", "convert", out, po.with_name("z"), *LANGS, "--to", "json").code == 0
    assert po.with_name("z").read_text(encoding="utf-8").count("\n") == 3


def test_a_fault_leaves_what_was_there(po: Path) -> None:
    out = po.with_name("y.tsv")
    out.write_text("before")
    po.write_text(PO + 'msgid "a"\nmsgstr "b\n', encoding="utf-8")
    done = nmt("data", "convert", po, out, *LANGS)
    assert done.code == 1
    assert f"error: {po}:18: not a sound .po file" in done.err
    assert out.read_text() == "before"
    assert sorted(file.name for file in po.parent.iterdir()) == ["x.po", "y.tsv"]


def test_it_may_write_over_what_it_reads(po: Path) -> None:
    tsv = po.with_name("y.tsv")
    tsv.write_text("a\tb\n" * 9)
    assert nmt("data", "convert", tsv, tsv, *LANGS, "--to", "json").code == 0
    assert tsv.read_text().count('{"translation": {"de": "a", "en": "b"}}\n') == 9


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a\tb\nc\nd\te\nf\n", "2 of its rows would be lost (1 tab-separated columns, but 2 are wanted; first {}:2)"),
        ("a\tb\nc\rd\te\n", "1 of its rows would be lost (line break made a space; first {}:2)"),
        ("a\n", "no pair in 1 units"),
    ],
)
def test_it_writes_over_what_it_reads_only_where_nothing_is_lost(tmp_path: Path, content: str, said: str) -> None:
    tsv = tmp_path / "y.tsv"
    tsv.write_bytes(content.encode())
    done = nmt("data", "convert", tsv, tsv, *LANGS)
    assert done.code == 1
    assert said.format(tsv) in done.err
    assert tsv.read_bytes() == content.encode()
    assert [file.name for file in tmp_path.iterdir()] == ["y.tsv"]


def test_a_catalogue_is_never_written_over(po: Path) -> None:
    po.with_name("sub").mkdir()
    for odd in (po, po.with_name("sub") / ".." / "x.po"):
        done = nmt("data", "convert", po, odd, *LANGS, "--fuzzy")
        assert done.code == 1
        assert "is what is read, and may hold more than is written" in done.err
    assert po.read_text(encoding="utf-8") == PO


def test_the_table_has_counts_and_places_whole_in_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / ("folder" * 20) / "x.tmx"
    path.parent.mkdir()
    regions = [f"en-{one}{other}" for one in "AB" for other in "ABCDEFGH"]
    variants = "".join(f'<tuv xml:lang="{lang}"><seg>a</seg></tuv>' for lang in ("de", *regions))
    path.write_text(f'<tmx version="1.4"><header/><body>{f"<tu>{variants}</tu>" * 1234}</body></tmx>')
    done = nmt("data", "convert", path, tmp_path / "y", *LANGS)
    assert done.code == 0, done.err
    assert max(map(len, done.lines)) <= 80
    head = next(line for line in done.lines if "count" in line)
    count, first = head.index("count"), head.index("first")
    columns = [
        "".join(line[begin:end] for line in done.lines) for begin, end in ((0, count), (count, first), (first, 80))
    ]
    what, counts, places = ("".join(column.split()) for column in columns)
    assert f"chosen:{regions[0]}foren,beside{','.join(regions[1:])}" in what
    assert counts == "count" + "1234" * 3
    assert f"{path}:1" in places


def test_what_was_chosen_is_in_the_table(tmp_path: Path) -> None:
    text = '<tuv xml:lang="{}"><seg>{}</seg></tuv>'
    units = [("de", "en-GB", "en-US"), ("de", "en-US", "en-GB")]
    body = "".join(f"<tu>{''.join(map(text.format, langs, 'abc'))}</tu>" for langs in units)
    tmx = tmp_path / "x.tmx"
    tmx.write_text(f'<tmx version="1.4"><header/><body>{body}</body></tmx>')
    done = nmt("data", "convert", tmx, tmp_path / "y.tsv", *LANGS)
    assert done.code == 0, done.err
    assert (tmp_path / "y.tsv").read_text() == "a\tb\na\tc\n"
    assert "chosen: en-GB for en, beside en-US 2" in " ".join(done.text.split())


def test_two_languages_are_wanted(po: Path) -> None:
    done = nmt("data", "convert", po, po.with_name("y.tsv"), "--src-lang", "de", "--tgt-lang", "de")
    assert done.code == 2
    assert "--src-lang and --tgt-lang are both de; name two languages" in done.err


def test_a_library_is_missed_only_by_the_forms_that_need_it(po: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reloaded = ("nmt.corpora", "nmt.data.stores", *EXTRAS["documents"])
    for name in [name for name in sys.modules if name.startswith(reloaded)]:
        monkeypatch.delitem(sys.modules, name)
    for name in EXTRAS["documents"]:
        monkeypatch.setitem(sys.modules, name, None)
    for out in ("y.tsv", "y.jsonl"):
        done = nmt("data", "convert", po, po.with_name(out), *LANGS)
        assert done.code == 1
        assert 'is missing: `nmt data convert` with po needs pip install "nmt[documents]"' in done.err
    po.with_name("y.tsv").write_text("a\tb\n")
    done = nmt("data", "convert", po.with_name("y.tsv"), po.with_name("y.tmx"), *LANGS)
    assert "`nmt data convert` with tmx needs pip" in done.err
    for source, out in (("y.tsv", "y.jsonl"), ("y.jsonl", "y"), ("y", "z.tsv.gz")):
        done = nmt("data", "convert", po.with_name(source), po.with_name(out), *LANGS)
        assert done.code == 0, done.err
    assert gzip.decompress(po.with_name("z.tsv.gz").read_bytes()) == b"a\tb\n"


@pytest.mark.slow
def test_a_tmx_of_any_size_takes_the_same_memory(tmp_path: Path) -> None:
    code = """
import io, resource, sys
from pathlib import Path
from nmt.corpora.convert import write
from nmt.corpora.forms import Entry, FormRules
from nmt.corpora.forms_xml import XML_FORMS
rules = FormRules(src_lang="de", tgt_lang="en")
path = Path(sys.argv[1])
with path.open("wb") as stream:
    entries = (Entry("x", f"ein Satz {n}", f"a sentence {n}") for n in range(int(sys.argv[2])))
    write(entries, XML_FORMS["tmx"], [stream], rules)
print(sum(1 for _ in XML_FORMS["tmx"].read(path, rules)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    found = []
    for units in (2_000, 200_000):
        command = [sys.executable, "-c", code, tmp_path / "x.tmx", str(units)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        count, kilobytes = map(int, done.stdout.split())
        assert count == units
        found.append(kilobytes)
    assert found[1] < found[0] + 8 * 1024
