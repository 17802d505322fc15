"""The package archive of this machine, through apt in a folder of its own: no root, nothing installed or changed.

Mirrors, keys and proxies are those of the machine's apt. What is there already, whole, is not fetched again.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?(@[a-z]+)?")
_TARGET = "$(FILENAME)\t$(LANGUAGE)\t$(CODENAME)\t$(COMPONENT)\t$(VERSION)"
_MAX_UNPACKED_BYTES = 4 << 30
_MACHINE_READABLE = re.compile(r"\AFormat(-Specification)?:", re.IGNORECASE)
_LICENCE = re.compile(r"^Licen[sc]e:[ \t]*(\S.*)$", re.MULTILINE | re.IGNORECASE)
# The hooks are the machine's own and need root; "root" keeps apt, run as root, from giving the folder to a user
# who may not be able to reach it. For others it changes nothing.
_SETTINGS = """\
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Acquire::GzipIndexes "false";
Acquire::Retries "3";
APT::Sandbox::User "root";
"""


class IndexFile(NamedTuple):
    """An index of translated descriptions: where it lies, unpacked, and which release it is of."""

    path: Path
    language: str
    suite: str
    component: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """Such as `bookworm/main Translation-de`."""
        return f"{self.suite}/{self.component} Translation-{self.language}"


class Package(NamedTuple):
    """A downloaded package, its SHA-256 that of apt's signed index."""

    name: str
    version: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class Archive:
    """apt with its state in `folder`; `sources`, a sources.list or .sources file, replaces the machine's."""

    folder: Path
    sources: Path | None = None

    def __post_init__(self) -> None:
        folder = self.folder.resolve()
        if '"' in str(folder) or "\n" in str(folder):
            raise click.ClickException(
                f"{folder}: apt cannot work in a folder with a quote in its name; choose another"
            )
        settings = _SETTINGS.format(folder=folder)
        if self.sources is not None:
            settings += f'Dir::Etc::sourcelist "{self.sources.resolve()}";\nDir::Etc::sourceparts "-";\n'
        try:
            for part in ("state/lists/partial", "cache/archives/partial", "packages"):
                (folder / part).mkdir(parents=True, exist_ok=True)
            (folder / "status").touch()
            (folder / "apt.conf").write_text(settings, encoding="utf-8")
        except OSError as error:
            raise click.FileError(str(error.filename or folder), error.strerror) from error
        object.__setattr__(self, "folder", folder)

    def update(self, languages: Sequence[str]) -> None:
        """Fetches the indexes, with the translated descriptions of `languages`; what has not changed stays."""
        for language in languages:
            if not _LANGUAGE.fullmatch(language):
                raise click.ClickException(f"{language!r} is no language code; write it like de, fr or pt_BR")
        said = self._run("apt-get", "-q", "-o", f"Acquire::Languages={','.join(languages)}", "update")
        for line in said.stderr.splitlines():  # a source that failed is no fault where others serve
            click.echo(line, err=True)

    def translations(self, language: str) -> list[IndexFile]:
        """The indexes of one language, by release; those of the language `en` hold the originals.

        Raises:
            click.ClickException: no release of the machine's sources has the language.
        """
        command = ["-o", f"Acquire::Languages={language}", "indextargets", "--format", _TARGET]
        listed = self._run("apt-get", *command, "Created-By: Translations").stdout
        rows = sorted(tuple(line.split("\t")) for line in listed.splitlines())
        found = [
            IndexFile(Path(path), code, suite, component, version, sha256_of(Path(path)))
            for path, code, suite, component, version in rows
            if code == language
        ]
        if not found:
            raise click.ClickException(
                f"no source of this machine's apt has descriptions in {language!r}; check the language code, the "
                "network and that /etc/apt names a Debian or Ubuntu release"
            )
        return found

    def download(self, package: str) -> Package:
        """The newest version that the sources have.

        Raises:
            click.ClickException: there is no such package, or what came is not what the index promised.
        """
        if not _NAME.fullmatch(package):
            raise click.ClickException(f"{package!r} is no name of a package: small letters, digits and + - . only")
        shown = self._run("apt-cache", "show", "--no-all-versions", package, missing=f"package {package}").stdout
        fields = dict(re.findall(r"^([A-Z][\w-]*):[ \t]*(.*)$", shown.split("\n\n")[0], re.MULTILINE))
        if not fields.keys() >= {"Package", "Version", "Architecture", "SHA256"}:
            raise click.ClickException(f"package {package}: apt-cache show does not tell its version and SHA256")
        version, promised = fields["Version"], fields["SHA256"]
        file = f"{fields['Package']}_{version.replace(':', '%3a')}_{fields['Architecture']}.deb"
        path = self.folder / "packages" / file
        if not path.is_file() or sha256_of(path) != promised:
            path.unlink(missing_ok=True)
            self._run("apt-get", "-q", "download", f"{package}={version}", missing=f"package {package}")
        if not path.is_file():
            raise click.ClickException(f"package {package}: apt-get download said nothing, yet left no {file}")
        if sha256_of(path) != promised:
            raise click.ClickException(f"{path}: its SHA-256 is not the one in apt's index; run the tool again")
        return Package(fields["Package"], version, path, promised)

    def unpack(self, package: Package, to: Path) -> Path:
        """The folder in `to` with the package's files; one that is there already is taken as it is.

        Devices and links that lead out of the folder are left out.

        Raises:
            click.ClickException: the package is damaged, too large, or holds a path that leads out of the folder.
        """
        folder = to / f"{package.name}-{package.sha256[:12]}"
        if folder.is_dir():
            return folder
        part = folder.with_name(f"{folder.name}.part")
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            _extract(package.path, part)
            part.rename(folder)
        except FileNotFoundError as error:
            raise _no_program(error) from error
        except (OSError, tarfile.TarError) as error:
            raise click.ClickException(f"{package.path}: cannot be unpacked into {folder}: {error}") from error
        return folder

    def licence(self, unpacked: Path, package: Package) -> str:
        """The names of the licences in the package's copyright file, or where to read it."""
        inside = Path("usr/share/doc", package.name, "copyright")
        try:
            text = (unpacked / inside).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return f"not stated in package {package.name}; see its source package"
        if not _MACHINE_READABLE.match(text):
            return f"see /{inside} in the package"
        return ", ".join(sorted({name.strip() for name in _LICENCE.findall(text)})) or f"see /{inside} in the package"

    def _run(self, program: str, *arguments: str, missing: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a program of apt; `missing` names what is not there when apt cannot find it."""
        command = [program, "-c", str(self.folder / "apt.conf"), *arguments]
        try:
            said = subprocess.run(
                command,
                check=False,
                cwd=self.folder / "packages",
                env={**os.environ, "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise _no_program(error) from error
        if said.returncode:
            lines = [line for line in said.stderr.splitlines() if line.startswith(("E:", "W:"))]
            words = "; ".join(lines[-3:]) or f"exit code {said.returncode}"
            if "No packages found" in words or "Unable to locate" in words:
                words += "; check the name, and that /etc/apt names a release that has it"
            what = f"{missing}: " if missing else ""
            raise click.ClickException(f"{what}{program} failed: {words}")
        return said


def sha256_of(path: Path) -> str:
    """Of the file's bytes, in hexadecimal."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from error


def _no_program(error: OSError) -> click.ClickException:
    return click.ClickException(
        f"{error.filename}: {error.strerror}; the fetching tools need apt and dpkg: a Debian or Ubuntu machine"
    )


def _extract(deb: Path, into: Path) -> None:
    left = _MAX_UNPACKED_BYTES
    # stderr is let through: dpkg-deb says in its own words what is damaged
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                for member in tar:
                    left -= member.size
                    if left < 0:
                        raise click.ClickException(f"{deb}: over {_MAX_UNPACKED_BYTES >> 30} GiB unpacked; refused")
                    if member.name.startswith("/") or ".." in Path(member.name).parts:
                        raise click.ClickException(f"{deb}: holds {member.name!r}, which leads out; refused")
                    try:
                        safe = tarfile.data_filter(member, str(into))
                    except tarfile.OutsideDestinationError as error:
                        raise click.ClickException(f"{deb}: holds {member.name!r}, which leads out; refused") from error
                    except tarfile.FilterError:
                        continue
                    tar.extract(safe, into, filter="fully_trusted")
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise tarfile.ReadError(f"dpkg-deb left with code {process.returncode}")
