"""Writes pairs from catalogues of gettext (.mo, .po): the texts of user interfaces, messages and programs' help.

    python tools/fetch_gettext.py de build/de/gettext.jsonl --packages-from tools/fetching/packages.txt
    python tools/fetch_gettext.py de build/de/gettext.jsonl --package git --package nautilus-data
    python tools/fetch_gettext.py de build/de/gettext.jsonl --folder /usr/share/locale

Only what is translated and not fuzzy. A plural is two pairs: one for 1 and one for 2, in the forms of the language. The
marks of underlined letters ("_File") are taken off, and a pair whose placeholders differ is left out. What was fetched
already is not fetched again.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click
from fetching.apt import Archive, sha256_of
from fetching.command import fetching, work_folder
from fetching.records import Record, Taken, progress, record, write_records

from nmt.data.lines import read_lines
from nmt.errors import NmtError

try:
    from fetching.catalogues import find_catalogues, message_pairs, read_catalogue
except ModuleNotFoundError as missing:
    raise SystemExit(f'{missing}: it comes with `pip install "nmt[documents]"`') from missing

SOURCE = "gettext"
_FOLDER = Path("/usr/share/locale")


class Origin(NamedTuple):
    """A catalogue, and the package or folder it is from."""

    name: str
    path: Path


def listed_packages(path: Path, lang: str) -> list[str]:
    """The names in a file, one a line, with the language for "{lang}"; "#" begins a comment."""
    code = lang.lower().replace("_", "-")  # as names of packages have it
    try:
        names = [line.partition("#")[0].strip() for line in read_lines(path)]
        return [name.replace("{lang}", code) for name in names if name]
    except NmtError as error:
        raise click.ClickException(str(error)) from error


def from_packages(
    archive: Archive, names: Sequence[str], listed: Sequence[str], *, lang: str, into: Path
) -> tuple[list[Origin], list[Taken]]:
    """The catalogues of packages. One of `listed` that the archive lacks is said and left out: releases differ."""
    origins, taken = [], []
    with progress() as bar:
        for name in bar.track(list(dict.fromkeys([*names, *listed])), description="packages"):
            try:
                package = archive.download(name)
            except click.ClickException as error:
                if name in names:
                    raise
                click.echo(f"left out: {error.message}", err=True)
                continue
            unpacked = archive.unpack(package, into)
            paths = find_catalogues(unpacked, lang)
            if not paths:
                click.echo(f"left out: package {name}: it has no catalogue in {lang}", err=True)
                continue
            origins += [Origin(name, path) for path in paths]
            taken.append(Taken(name, package.version, archive.licence(unpacked, package), package.sha256))
    return origins, taken


def from_folder(folder: Path, lang: str) -> tuple[list[Origin], list[Taken]]:
    """The catalogues below a folder."""
    paths = find_catalogues(folder, lang)
    licence = "that of the package it is from (dpkg -S FILE)"
    return [Origin(str(folder), path) for path in paths], [
        Taken(str(path), "as installed", licence, sha256_of(path)) for path in paths
    ]


def records(origins: Sequence[Origin], lang: str, dropped: Counter[str]) -> Iterator[Record]:
    """The pairs of all catalogues; what is left out goes into `dropped`. A damaged catalogue is said and left out."""
    with progress() as bar:
        for origin in bar.track(origins, description="catalogues"):
            try:
                messages = read_catalogue(origin.path)
            except ValueError as error:
                click.echo(f"left out: {error}", err=True)
                dropped["a catalogue that cannot be read"] += 1
                continue
            for message in messages:
                for text, english in message_pairs(message, dropped):
                    sides = {lang: text, "en": english}
                    yield record(SOURCE, sides, package=origin.name, context=message.context)


@click.command()
@fetching
@click.option("--package", "packages", multiple=True, help="A package to take catalogues from; may be given often.")
@click.option(
    "--packages-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with names of packages, one a line, such as tools/fetching/packages.txt.",
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=f"Take the catalogues below this folder; {_FOLDER} where no package is named either.",
)
def main(
    lang: str,
    out: Path,
    packages: tuple[str, ...],
    packages_from: Path | None,
    folder: Path | None,
    work: Path | None,
    sources: Path | None,
) -> None:
    """Write OUT, JSON lines of pairs from catalogues of gettext in LANG (de, fr, pt_BR) and English."""
    listed = listed_packages(packages_from, lang) if packages_from else []
    origins: list[Origin] = []
    taken: list[Taken] = []
    if packages or listed:
        work = work_folder(out, work)
        archive = Archive(work, sources)
        archive.update(["en"])
        origins, taken = from_packages(archive, packages, listed, lang=lang, into=work / "unpacked")
    if folder or not (packages or listed):
        below = from_folder(folder or _FOLDER, lang)
        origins, taken = origins + below[0], taken + below[1]
    if not origins:
        raise click.ClickException(
            f"no catalogue in {lang} was found (LANG/LC_MESSAGES/*.mo, LANG.po); name packages that have some, "
            "with --package or --packages-from tools/fetching/packages.txt"
        )
    dropped: Counter[str] = Counter()
    write_records(out, records(origins, lang, dropped), taken=taken, by="package", dropped=dropped)


if __name__ == "__main__":
    main()
