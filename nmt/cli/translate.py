"""`nmt translate`."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmt.cli.doubts import FLAGS, doubts_told
from nmt.cli.options import Decoding, Sectioned, decoding_options, load
from nmt.cli.translate_document import BILINGUAL, FORMS, check_options, form_of, translate_document

if TYPE_CHECKING:
    from nmt.data.lines import DecodeErrors
    from nmt.origin import Origin
    from nmt.passages import Request


class Shard(click.ParamType[tuple[int, int]]):
    """`2/8`: the second of eight parts."""

    name = "I/N"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """(I, N)"""
        number, _, count = str(value).partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            self.fail(f"{value!r} is no shard; wanted I/N with I from 1 to N: 2/8 is the second of eight", param, ctx)
        return int(number), int(count)


@click.command(cls=Sectioned)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", default="-")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write here; `-`: to standard output.  [default: -]"
)
@click.option("--format", "chosen", type=click.Choice(FORMS), help="What FILE is.  [default: by its suffix]")
@click.option(
    "--all", "everything", is_flag=True, help="Translate anew what PO, XLIFF or TMX have a translation for already."
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with OUTPUT.part, which the same command left unfinished; that of another is refused.",
)
@click.option(
    "--shard",
    type=Shard(),
    help="Only the I-th of N ranges of FILE's lines, to OUTPUT.I-of-N; OUTPUT.I-of-N.done says that it is whole, and "
    "of what: the same command does it no second time.",
)
@click.option(
    "--n-best",
    type=click.IntRange(min=1),
    default=1,
    help="So many translations a line, as `n ||| text ||| score`; fewer where diverse groups find the same ones.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="A JSON object a line: text, score, tokens and their scores, flags, word alignment, n best.",
)
@click.option(
    "--prefixes",
    type=click.Path(path_type=Path),
    help="A file of as many lines: how each translation must begin; a blank one leaves it free.",
)
@click.option(
    "--errors", type=click.Choice(["strict", "replace"]), default="strict", help="What to do with invalid UTF-8."
)
@click.option("--workers", type=click.IntRange(min=1), default=1, help="Processes, of one CPU thread each.")
@decoding_options
def translate(
    run: Path,
    file: str,
    output: Path | None,
    chosen: str | None,
    everything: bool,
    resume: bool,
    shard: tuple[int, int] | None,
    n_best: int,
    as_json: bool,
    prefixes: Path | None,
    errors: "DecodeErrors",
    workers: int,
    decoding: Decoding,
) -> None:
    """Translate FILE, or standard input, with the model in the folder RUN, or with several: n lines in, n lines out.

    Lines keep their order; a blank one stays blank. What looks wrong is flagged, and counted at the end. A FILE that is
    a document keeps its form: PO (what is untranslated is filled and marked fuzzy), XLIFF, TMX, SRT, WebVTT, Markdown,
    HTML.
    """
    output = None if output == Path("-") else output
    asked = Asked(
        run=run,
        file=file,
        output=output,
        resume=resume,
        shard=shard,
        n_best=n_best,
        as_json=as_json,
        prefixes=prefixes,
        errors=errors,
        workers=workers,
        decoding=decoding,
    )
    form = form_of(file, chosen)
    check_options(form, asked.for_lines(), everything=everything)
    if workers > 1 and decoding.threads:
        raise click.UsageError("--threads goes with one worker: each of several has one thread")
    asked.check()
    asked.check_output(form)
    if form:
        translate_document(
            run, file, output, form, everything=everything, workers=workers, decoding=decoding, meanings=FLAGS
        )
    else:
        _translate_lines(asked)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of the command for lines of text."""

    run: Path
    file: str
    output: Path | None
    resume: bool
    shard: tuple[int, int] | None
    n_best: int
    as_json: bool
    prefixes: Path | None
    errors: "DecodeErrors"
    workers: int
    decoding: Decoding

    def for_lines(self) -> list[str]:
        """Those given that go with lines alone."""
        given = {
            "--resume": self.resume,
            "--shard": self.shard,
            "--n-best": self.n_best > 1,
            "--json": self.as_json,
            "--prefixes": self.prefixes,
            "--errors replace": self.errors != "strict",
        }
        return [name for name, value in given.items() if value]

    def check(self) -> None:
        """Raises UsageError where they do not go together."""
        if self.resume and (self.output is None or (self.n_best > 1 and not self.as_json)):
            raise click.UsageError("--resume goes with --output, and with --n-best only as --json: it counts lines")
        if self.shard and (self.output is None or not Path(self.file).is_file()):
            raise click.UsageError("--shard goes with --output and with a FILE on the disk, whose lines can be counted")
        if self.prefixes and self.decoding.shortlist:
            raise click.UsageError("--prefixes goes without --shortlist, which may lack their words")

    def check_output(self, form: str | None) -> None:
        """Raises OutputError where a file that is read would be overwritten by what has not its text in it."""
        from nmt.data.files import check_not_read
        from nmt.translate_file import part_of, shard_of

        if self.output is None:
            return
        source = None if form in BILINGUAL else Path("/dev/stdin" if self.file == "-" else self.file)
        read = [path for path in (source, self.prefixes, self.decoding.glossary) if path]
        output = shard_of(self.output, *self.shard) if self.shard else self.output
        for written in [output] if form else [output, part_of(output)]:
            if written.is_file():  # anything else is refused for what it is
                check_not_read(written, read)


def _translate_lines(asked: Asked) -> None:
    from nmt import translate_file
    from nmt.cli.streams import standard_output, with_progress
    from nmt.data.lines import read_lines
    from nmt.origin import Origin
    from nmt.workers import pooled

    output, n_best, first, end = asked.output, asked.n_best, 0, None
    if asked.shard and output:
        output = translate_file.shard_of(output, *asked.shard)
        first, end = translate_file.shard_range(read_lines(Path(asked.file), errors=asked.errors), *asked.shard)
    translator = load(asked.run, asked.decoding)
    if n_best > translator.search.beam_size and not translator.search.draws:
        raise click.UsageError(
            f"--n-best {n_best} is more than the beam holds: add --beam-size {n_best}, or ask for fewer"
        )
    form = "json" if asked.as_json else "text" if n_best == 1 else "n_best"
    work = {
        **asked.decoding.work(asked.run, translator.search),
        "form": form,
        "n best": n_best,
        "first line": first + 1,
    }
    origin = Origin(work) if output else None
    if asked.shard and output and origin and _is_done(output, origin, _requests(asked, first, end)):
        return
    requests = _requests(asked, first, end)
    terminal = asked.file == "-" and sys.stdin.isatty()
    target = translate_file.output_file(output, resume=asked.resume, origin=origin) if output else standard_output()
    with doubts_told(asked.run) as doubts:
        with pooled(translator, asked.workers) as pool, target as (stream, done):
            translations = translate_file.translate_stream(
                pool,
                doubts.noted(requests),
                stream,
                form=translate_file.FORMS[form],
                n_best=n_best,
                read_ahead=1 if terminal else None,
                alignments=asked.as_json,
                done=done,
                origin=origin,
            )
            number = first + done
            for best, *_ in with_progress(translations, shown=output is not None):
                number += 1
                doubts.add(number, best.flags)
                if output is None and terminal:
                    stream.flush()
        if asked.shard and output and origin:
            translate_file.mark_done(output, number - first, wanted=(end or 0) - first, origin=origin)
    if done:
        which = f"line {first + 1} was" if done == 1 else f"lines {first + 1} to {first + done} were"
        click.echo(f"{which} translated before; what looked wrong there was told then, if at all", err=True)


def _requests(asked: Asked, first: int, end: int | None) -> "Iterator[Request]":
    """The lines to translate, and how their translations must begin."""
    from nmt.data.lines import read_lines
    from nmt.translate_file import requests

    prefixes = read_lines(asked.prefixes) if asked.prefixes else None
    return islice(requests(_lines(asked.file, asked.errors), prefixes), first, end)


def _is_done(shard: Path, origin: "Origin", requests: "Iterator[Request]") -> bool:
    """Is a shard whole? One that is of something else is to be done again: its marker goes, with a word."""
    from nmt.origin import differences
    from nmt.translate_file import done_before, marker_of

    before, marker = done_before(shard), marker_of(shard)
    if before is not None:
        if not (other := differences(before, origin.of(requests))):
            click.echo(f"{shard}: done already; delete {marker} to do it again", err=True)
            return True
        click.echo(f"warning: {shard}: is the translation of something else, and done anew: {other}", err=True)
    marker.unlink(missing_ok=True)
    return False


def _lines(file: str, errors: "DecodeErrors") -> Iterator[str]:
    from nmt.cli.streams import begun
    from nmt.data.lines import decode_lines, read_lines

    if file == "-":
        return decode_lines(sys.stdin.buffer, "standard input", errors=errors)
    return begun(read_lines(Path(file), errors=errors))
