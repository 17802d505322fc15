"""Writes pairs from LibreOffice's help: the pages of two packages, paragraph by paragraph.

    python tools/fetch_libreoffice_help.py de build/de/libreoffice_help.jsonl

Pages of the same path have the same outline, so their headings, paragraphs, list items and cells pair up; they are cut
into sentences where both sides have as many and their lengths fit. Code blocks and the frame around a page are left
out. What was fetched and unpacked already is not fetched again.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
from fetching.apt import Archive, Package
from fetching.command import fetching, work_folder
from fetching.records import Record, Taken, progress, record, write_records

try:
    from fetching.help_pages import page_pairs
except ModuleNotFoundError as missing:
    raise SystemExit(f'{missing}: it comes with `pip install "nmt[documents]"`') from missing

SOURCE = "libreoffice_help"
_PAGES = "usr/share/libreoffice/help"


def package_name(lang: str) -> str:
    """Of the help in a language: "pt_BR" -> "libreoffice-help-pt-br"."""
    return f"libreoffice-help-{lang.lower().replace('_', '-')}"


def pages_folder(unpacked: Path, package: str) -> Path:
    """Where a package has its pages.

    Raises:
        click.ClickException: nowhere.
    """
    folders = sorted(unpacked.glob(f"{_PAGES}/*/text"))
    if not folders:
        raise click.ClickException(f"package {package}: it has no folder {_PAGES}/*/text; is its layout a new one?")
    return folders[0]


def records(pages: Path, english: Path, lang: str, dropped: Counter[str]) -> Iterator[Record]:
    """The pairs of all pages, with the page of each; blocks left out go into `dropped`."""
    with progress() as bar:
        for page in bar.track(sorted(pages.rglob("*.html")), description="pages"):
            inside = page.relative_to(pages)
            if not (english / inside).is_file():
                dropped["a page without an English one"] += 1
                continue
            for text, english_text in page_pairs(page, english / inside, dropped):
                yield record(SOURCE, {lang: text, "en": english_text}, page=str(inside.with_suffix("")))


@click.command()
@fetching
def main(lang: str, out: Path, work: Path | None, sources: Path | None) -> None:
    """Write OUT, JSON lines of pairs from LibreOffice's help in LANG (de, fr, pt_BR) and English."""
    folder = work_folder(out, work)
    archive = Archive(folder, sources)
    archive.update(["en"])
    packages: list[Package] = [archive.download(name) for name in (package_name(lang), package_name("en_US"))]
    unpacked = [archive.unpack(package, folder / "unpacked") for package in packages]
    taken = [
        Taken(package.name, package.version, archive.licence(place, package), package.sha256)
        for package, place in zip(packages, unpacked, strict=True)
    ]
    dropped: Counter[str] = Counter()
    pages = [pages_folder(place, package.name) for package, place in zip(packages, unpacked, strict=True)]
    write_records(out, records(pages[0], pages[1], lang, dropped), taken=taken, by="source", dropped=dropped)


if __name__ == "__main__":
    main()
