"""What `nmt translate` does with a document in place of lines."""

import sys
from collections.abc import Collection, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmt.cli.extras import needing
from nmt.cli.options import Decoding, load

if TYPE_CHECKING:
    from nmt.documents.document import Document, Wanted

SUFFIXES = {
    ".po": "po",
    ".pot": "po",
    ".srt": "srt",
    ".vtt": "vtt",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".xlf": "xliff",
    ".xliff": "xliff",
    ".tmx": "tmx",
}
FORMS = ("text", *dict.fromkeys(SUFFIXES.values()))
BILINGUAL = ("po", "xliff", "tmx")  # they say what is translated already
SHOWN = 60  # characters of a text in a warning


def form_of(file: str, chosen: str | None) -> str | None:
    """The form of document that FILE is, by its suffix unless one was chosen; None: lines of text."""
    packed = Path(file.removesuffix(".gz")).suffix.lower()
    if chosen is None and file.endswith(".gz") and packed in SUFFIXES:
        raise click.UsageError(f"{file}: a packed document; unpack it first, or take its lines with --format text")
    form = chosen or SUFFIXES.get(Path(file).suffix.lower(), "text")
    return None if form == "text" else form


def check_options(form: str | None, refused: Collection[str], *, everything: bool) -> None:
    """Raises UsageError for options that do not go together; refused: those given that are for lines alone."""
    if form and refused:
        raise click.UsageError(
            f"{', '.join(sorted(refused))} and a document ({form}) do not go together; leave it out, or translate its "
            "lines as they stand with --format text"
        )
    if everything and form not in BILINGUAL:
        raise click.UsageError(f"--all goes with {', '.join(BILINGUAL)}, which say what is translated already")


def translate_document(
    run: Path,
    file: str,
    output: Path | None,
    form: str,
    *,
    everything: bool,
    workers: int,
    decoding: Decoding,
    meanings: Mapping[str, str],
) -> None:
    """Translate a document, and warn of what looks wrong; meanings: of the flags.

    What is written replaces OUTPUT as a whole, or nothing does.
    """
    from nmt.cli.streams import standard_output, with_progress
    from nmt.documents.document import Wanted
    from nmt.documents.translate import keeping, translate_document
    from nmt.errors import OutputError
    from nmt.run_dir import load_stored_recipe, write_bytes
    from nmt.workers import pooled

    languages = load_stored_recipe(run).data
    wanted = Wanted(src_lang=languages.src_lang, tgt_lang=languages.tgt_lang, everything=everything)
    document = _read(form, file, wanted)
    if output and output.exists() and not output.is_file():
        raise OutputError(f"{output}: not a file, so it cannot be replaced by one; name a file, or leave out --output")
    translator = keeping(load(run, decoding), document.markup)
    with pooled(translator, workers) as pool:
        found = translate_document(
            pool,
            document,
            watch=lambda lines, total: with_progress(lines, shown=output is not None, total=total),
        )
    if output:
        write_bytes(output, found.content)
    else:
        with standard_output() as (stream, _):
            stream.write(found.content)
    for flag, numbers in found.flags.items():
        first = " ".join(document.texts[numbers[0]].split())
        shown = first if len(first) <= SHOWN else f"{first[:SHOWN]}..."
        click.echo(f"warning: {meanings[flag]}: {len(numbers)} (first: {shown!r})", err=True)


def _read(form: str, file: str, wanted: "Wanted") -> "Document":
    from nmt.data.lines import read_blocks
    from nmt.errors import DataError

    with needing("documents", "translating documents"):
        from nmt.data.stores import MAX_STORE_BYTES
        from nmt.documents.formats import read_document
    name = "standard input" if file == "-" else file
    blocks = iter(lambda: sys.stdin.buffer.read(1 << 16), b"") if file == "-" else read_blocks(Path(file))
    content = b"".join(islice(blocks, MAX_STORE_BYTES // (1 << 16) + 1))
    if len(content) > MAX_STORE_BYTES:
        raise DataError(f"{name}: more than {MAX_STORE_BYTES >> 20} MiB; split it into several documents")
    return read_document(form, content, name, wanted)
