"""The archive of packages, as apt and dpkg-deb give it, and the file of pairs that every fetching tool writes."""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import click
import pytest
from fake_archive import FakeArchive
from fetching.apt import Archive
from fetching.records import Taken, record, write_records

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not on this machine")
TAKEN = [Taken("thing", "1-2", "GPL-2+", "ab" * 32)]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeArchive:
    return FakeArchive(tmp_path / "fake", monkeypatch)


@pytest.fixture
def archive(fake: FakeArchive, tmp_path: Path) -> Archive:
    return Archive(tmp_path / "work")


@pytest.mark.skipif(shutil.which("apt-config") is None, reason="apt is not on this machine")
def test_the_real_apt_keeps_its_state_in_the_folder_and_its_sources_where_they_are(tmp_path: Path) -> None:
    work = tmp_path / "a folder"
    Archive(work)
    said = subprocess.run(
        ["apt-config", "-c", str(work / "apt.conf"), "dump"], capture_output=True, text=True, check=True
    ).stdout
    assert f'Dir::State "{work}/state";' in said
    assert f'Dir::Cache "{work}/cache";' in said
    assert f'Dir::State::status "{work}/status";' in said
    assert 'Dir::Etc "etc/apt";' in said


def test_a_package_is_fetched_once_and_again_only_when_damaged(fake: FakeArchive, archive: Archive) -> None:
    fake.add_package("thing", {"./usr/a": "text"})
    first = archive.download("thing")
    assert (first.name, first.version, first.path.name) == ("thing", "1:2-3", "thing_1%3a2-3_all.deb")
    assert archive.download("thing") == first
    assert fake.calls("thing=1:2-3") == 1
    first.path.write_bytes(b"half")
    assert archive.download("thing") == first
    assert fake.calls("thing=1:2-3") == 2


def test_a_package_that_is_not_the_promised_one_is_refused(fake: FakeArchive, archive: Archive) -> None:
    fake.add_package("thing", {}).write_bytes(b"another")
    with pytest.raises(click.ClickException, match="SHA-256 is not the one in apt's index; run the tool again"):
        archive.download("thing")


def test_an_unknown_package_is_named(archive: Archive) -> None:
    with pytest.raises(click.ClickException, match=r"package nothing: .*No packages found; check the name"):
        archive.download("nothing")


@pytest.mark.parametrize("name", ["-oX=1", "a b", "../a", "Big", ""])
def test_what_is_no_name_of_a_package_never_reaches_apt(name: str, archive: Archive) -> None:
    with pytest.raises(click.ClickException, match="is no name of a package"):
        archive.download(name)


def test_a_language_is_a_code(fake: FakeArchive, archive: Archive) -> None:
    with pytest.raises(click.ClickException, match="'German' is no language code; write it like de"):
        archive.update(["German"])
    assert fake.calls("update") == 0


def test_without_apt_the_fault_says_what_is_needed(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(click.ClickException, match=r"apt-get: No such file .* need apt and dpkg: a Debian or Ubuntu"):
        archive.update(["en"])


def test_apts_own_words_are_passed_on(fake: FakeArchive, archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    fake.update_says("Reading\nE: Could not get lock\n", code=100)
    with pytest.raises(click.ClickException, match="apt-get failed: E: Could not get lock"):
        archive.update(["en"])
    fake.update_says("W: Failed to fetch one of them\n", code=0)
    archive.update(["en"])
    assert "W: Failed to fetch one of them" in capsys.readouterr().err


def test_indexes_are_those_of_the_language(fake: FakeArchive, archive: Archive) -> None:
    for language, suite in (("en", "sid"), ("de", "sid"), ("de", "bookworm")):
        fake.add_index(language, f"{language} {suite}", suite=suite)
    assert [index.name for index in archive.translations("de")] == [
        "bookworm/main Translation-de",
        "sid/main Translation-de",
    ]
    with pytest.raises(click.ClickException, match="no source of this machine's apt has descriptions in 'fr'"):
        archive.translations("fr")


@needs_dpkg
def test_files_are_unpacked_and_links_that_lead_out_are_left_out(
    fake: FakeArchive, archive: Archive, tmp_path: Path
) -> None:
    fake.add_package(
        "thing",
        {"./usr/share/a": "text"},
        {"./usr/b": "share/a", "./usr/out": "../../../out", "./usr/absolute": "/etc/passwd"},
    )
    package = archive.download("thing")
    folder = archive.unpack(package, tmp_path / "unpacked")
    assert sorted(path.name for path in folder.rglob("*")) == ["a", "b", "share", "usr"]
    assert (folder / "usr/b").read_text() == "text"
    (folder / "mine").touch()
    assert (archive.unpack(package, tmp_path / "unpacked") / "mine").exists()


@needs_dpkg
@pytest.mark.parametrize("name", ["../evil", "./usr/../../evil", "/evil"])
def test_a_path_that_leads_out_refuses_the_package(
    name: str, fake: FakeArchive, archive: Archive, tmp_path: Path
) -> None:
    fake.add_package("thing", {name: "x"})
    with pytest.raises(click.ClickException, match="evil', which leads out; refused"):
        archive.unpack(archive.download("thing"), tmp_path / "unpacked")
    assert not list(tmp_path.rglob("evil"))
    assert all(folder.suffix == ".part" for folder in (tmp_path / "unpacked").iterdir())


@needs_dpkg
def test_more_than_a_package_can_hold_is_refused(
    fake: FakeArchive, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetching.apt._MAX_UNPACKED_BYTES", 10)
    fake.add_package("thing", {"./a": "12345", "./b": "123456"})
    with pytest.raises(click.ClickException, match="unpacked; refused"):
        archive.unpack(archive.download("thing"), tmp_path / "unpacked")


@needs_dpkg
def test_a_damaged_package_is_named(fake: FakeArchive, archive: Archive, tmp_path: Path) -> None:
    fake.add_package("thing", {"./a": "x"})
    package = archive.download("thing")
    package.path.write_bytes(package.path.read_bytes()[:300])
    with pytest.raises(click.ClickException, match=r"thing_1%3a2-3_all\.deb: cannot be unpacked"):
        archive.unpack(package, tmp_path / "unpacked")


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        (
            "Format: https://x/\n\nFiles: *\nLicense: MPL-2.0\n text\n\nLicense: GPL-2+\nLicense: MPL-2.0\n",
            "GPL-2+, MPL-2.0",
        ),
        ("It is free.\nLicense: none of yours\n", "see /usr/share/doc/thing/copyright in the package"),
        (None, "not stated in package thing; see its source package"),
    ],
)
def test_the_licence_is_what_the_copyright_file_names(
    text: str | None, licence: str, fake: FakeArchive, archive: Archive, tmp_path: Path
) -> None:
    fake.add_package("thing", {})
    if text is not None:
        (tmp_path / "usr/share/doc/thing").mkdir(parents=True)
        (tmp_path / "usr/share/doc/thing/copyright").write_text(text)
    assert archive.licence(tmp_path, archive.download("thing")) == licence


def test_pairs_are_written_once_in_order_as_nfc_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "out.jsonl"
    rows = [
        record("s", {"de": "Zu\u0308ge\nund  mehr", "en": "Trains and more"}, part="b"),
        record("s", {"de": "Züge und mehr", "en": "Trains and more"}, part="b"),
        record("s", {"de": "gleich", "en": " gleich"}, part="b"),
        record("s", {"de": " \u200b", "en": "nothing"}, part="b"),
        record("s", {"de": "ä", "en": "a"}, part="a"),
    ]
    assert write_records(out, rows, taken=TAKEN, by="part", dropped=Counter(earlier=3)) == 2
    assert out.read_text(encoding="utf-8") == (
        '{"translation": {"de": "Züge und mehr", "en": "Trains and more"}, "source": "s", "part": "b"}\n'
        '{"translation": {"de": "ä", "en": "a"}, "source": "s", "part": "a"}\n'
    )
    note = json.loads((tmp_path / "new" / "out.jsonl.provenance.json").read_text())
    assert note["by_part"] == {"a": 1, "b": 1}
    assert note["dropped"] == {"a side is empty": 1, "both sides are equal": 1, "earlier": 3, "seen before": 1}
    assert note["taken"] == [{"name": "thing", "version": "1-2", "licence": "GPL-2+", "sha256": "ab" * 32}]
    said = capsys.readouterr().out
    assert f"taken: thing 1-2, SHA-256 {'ab' * 32}" in said
    assert "licence: GPL-2+" in said


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("old")

    def breaks():
        yield record("s", {"de": "ä", "en": "a"})
        raise click.ClickException("gone")

    with pytest.raises(click.ClickException, match="gone"):
        write_records(out, breaks(), taken=TAKEN)
    with pytest.raises(click.ClickException, match=r"out\.jsonl: not one pair was found, so nothing is written"):
        write_records(out, [], taken=TAKEN)
    assert out.read_text() == "old"
