import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from toy_run import nmt

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


def test_two_languages_are_wanted(po: Path) -> None:
    done = nmt("data", "convert", po, po.with_name("y.tsv"), "--src-lang", "de", "--tgt-lang", "de")
    assert done.code == 2
    assert "--src-lang and --tgt-lang are both de; name two languages" in done.err


def test_a_missing_library_is_named_with_what_installs_it(po: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("nmt.corpora", "nmt.data.stores", "translate"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "translate", None)
    done = nmt("data", "convert", po, po.with_name("y.tsv"), *LANGS)
    assert done.code == 1
    assert 'translate is missing: `nmt data convert` needs pip install "nmt[doc' in done.err


@pytest.mark.slow
def test_a_tmx_of_any_size_takes_the_same_memory(tmp_path: Path) -> None:
    code = """
import io, resource, sys
from pathlib import Path
from nmt.corpora.convert import *
rules = FormRules(src_lang="de", tgt_lang="en")
path = Path(sys.argv[1])
with path.open("wb") as stream:
    write((Entry("x", f"ein Satz {n}", f"a sentence {n}") for n in range(int(sys.argv[2]))), "tmx", [stream], rules)
print(sum(1 for _ in read(path, "tmx", rules)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    found = []
    for units in (2_000, 200_000):
        command = [sys.executable, "-c", code, tmp_path / "x.tmx", str(units)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        count, kilobytes = map(int, done.stdout.split())
        assert count == units
        found.append(kilobytes)
    assert found[1] < found[0] + 8 * 1024
