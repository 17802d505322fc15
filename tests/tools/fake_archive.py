"""An archive without a network: programs named apt-get and apt-cache that serve what a test gives them."""

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

_APT_GET = """\
#!/bin/sh
echo "$@" >> {here}/calls
case "$*" in
*" update") cat {here}/update.err >&2 2>/dev/null; exit $(cat {here}/update.rc) ;;
*indextargets*) cat {here}/targets ;;
*" download "*) cp {here}/debs/*.deb . ;;
esac
"""
_APT_CACHE = """\
#!/bin/sh
cat {here}/show && exit
echo "E: No packages found" >&2
exit 100
"""


class FakeArchive:
    """Its programs come first on the path."""

    def __init__(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.here = here
        (here / "bin").mkdir(parents=True)
        (here / "debs").mkdir()
        for name, text in {"apt-get": _APT_GET, "apt-cache": _APT_CACHE}.items():
            (here / "bin" / name).write_text(text.format(here=here))
            (here / "bin" / name).chmod(0o755)
        (here / "targets").touch()
        self.update_says("", code=0)
        monkeypatch.setenv("PATH", f"{here / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def update_says(self, error: str, *, code: int) -> None:
        (self.here / "update.err").write_text(error)
        (self.here / "update.rc").write_text(str(code))

    def calls(self, word: str) -> int:
        """How often apt-get was called with the word."""
        calls = self.here / "calls"
        return sum(word in line.split() for line in calls.read_text().splitlines()) if calls.exists() else 0

    def add_index(self, language: str, text: str, *, suite: str = "sid") -> Path:
        """An index Translation-LANGUAGE of the suite."""
        path = self.here / f"{suite}_Translation-{language}"
        path.write_text(text, encoding="utf-8")
        with (self.here / "targets").open("a") as targets:
            targets.write(f"{path}\t{language}\t{suite}\tmain\t13.1\n")
        return path

    def add_package(self, name: str, files: Mapping[str, str], links: Mapping[str, str] | None = None) -> Path:
        """A package of version 1:2-3, with `files` and symbolic `links` at the paths as they stand."""
        path = self.here / "debs" / f"{name}_1%3a2-3_all.deb"
        control = f"Package: {name}\nVersion: 1:2-3\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: d\n"
        parts = {
            "debian-binary": b"2.0\n",
            "control.tar": _tar({"./control": control}, {}),
            "data.tar": _tar(files, links or {}),
        }
        heads = {part: f"{part:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n" for part, data in parts.items()}
        path.write_bytes(
            b"!<arch>\n"
            + b"".join(heads[part].encode() + data + b"\n" * (len(data) % 2) for part, data in parts.items())
        )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (self.here / "show").write_text(
            f"Package: {name}\nVersion: 1:2-3\nArchitecture: all\nSHA256: {digest}\nDescription: d\n more\n\n"
        )
        return path


def _tar(files: Mapping[str, str], links: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return stream.getvalue()
