"""`nmt translate`."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmt.cli.options import Decoding, Sectioned, decoding_options, load
from nmt.cli.translate_document import FORMS, check_options, form_of, translate_document

if TYPE_CHECKING:
    from nmt.data.lines import DecodeErrors
    from nmt.passages import Request

FLAGS = {
    "truncated": "translations that reached the length limit and were cut off",
    "split": "lines too long for the model, translated in pieces",
    "language": "source lines that are surely in another language than the model was trained on",
    "untranslated": "translations that are nearly their source",
    "repeated": "translations that go round in circles",
    "length_ratio": "translations far shorter or longer than their source",
    "placeholders": "translations that lack a placeholder of their source, or have one too many",
    "glossary": "translations that lack a term of the glossary",
}
SHOWN = 5  # line numbers of a warning
FEWEST_TOLD, MOST_TOLD = 20, 2000  # lines whose language is looked at: that takes half a second to begin


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
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here instead of to standard output.")
@click.option("--format", "chosen", type=click.Choice(FORMS), help="What FILE is.  [default: by its suffix]")
@click.option(
    "--all", "everything", is_flag=True, help="Translate anew what PO, XLIFF or TMX have a translation for already."
)
@click.option("--resume", is_flag=True, help="Go on with OUTPUT.part, which an interrupted translation left.")
@click.option(
    "--shard",
    type=Shard(),
    help="Only the I-th of N ranges of FILE's lines, to OUTPUT.I-of-N; OUTPUT.I-of-N.done says that it is whole.",
)
@click.option(
    "--n-best", type=click.IntRange(min=1), default=1, help="So many translations a line, as `n ||| text ||| score`."
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
    if form:
        translate_document(
            run, file, output, form, everything=everything, workers=workers, decoding=decoding, meanings=FLAGS
        )
    else:
        asked.check()
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


def _translate_lines(asked: Asked) -> None:
    from nmt import translate_file
    from nmt.cli.streams import standard_output, with_progress
    from nmt.data.lines import read_lines
    from nmt.workers import pooled

    output, n_best, first, end = asked.output, asked.n_best, 0, None
    if asked.shard and output:
        output = translate_file.shard_of(output, *asked.shard)
        if translate_file.is_done(output):
            click.echo(f"{output}: done already; delete {translate_file.marker_of(output)} to do it again", err=True)
            return
        first, end = translate_file.shard_range(read_lines(Path(asked.file), errors=asked.errors), *asked.shard)
    translator = load(asked.run, asked.decoding)
    if n_best > translator.search.beam_size and not translator.search.sample:
        raise click.UsageError(
            f"--n-best {n_best} is more than the beam holds: add --beam-size {n_best}, or ask for fewer"
        )
    prefixes = read_lines(asked.prefixes) if asked.prefixes else None
    requests = islice(translate_file.requests(_lines(asked.file, asked.errors), prefixes), first, end)
    terminal = asked.file == "-" and sys.stdin.isatty()
    target = translate_file.output_file(output, resume=asked.resume) if output else standard_output()
    as_lines = translate_file.as_text if n_best == 1 else translate_file.as_n_best
    flagged: dict[str, list[int]] = defaultdict(list)
    noted: list[Request] = []
    with pooled(translator, asked.workers) as pool, target as (stream, done):
        translations = translate_file.translate_stream(
            pool,
            _noted(requests, noted),
            stream,
            form=translate_file.as_json if asked.as_json else as_lines,
            n_best=n_best,
            read_ahead=1 if terminal else None,
            alignments=asked.as_json,
            done=done,
        )
        number = first + done
        for best, *_ in with_progress(translations, shown=output is not None):
            number += 1
            for flag in best.flags:
                flagged[flag].append(number)
            if output is None and terminal:
                stream.flush()
    if asked.shard and output:
        translate_file.mark_done(output, number - first, wanted=(end or 0) - first)
    if foreign := _foreign(asked.run, noted):
        flagged["language"] = foreign
    _warn(flagged)


def _noted(requests: "Iterator[Request]", first: "list[Request]") -> "Iterator[Request]":
    """The same requests; the first ones are kept."""
    for request in requests:
        if len(first) < MOST_TOLD:
            first.append(request)
        yield request


def _foreign(run: Path, requests: "Sequence[Request]") -> list[int]:
    """The lines, from 1, that are in another language, where that can be told (the extra "language")."""
    if len(requests) < FEWEST_TOLD:
        return []
    try:
        from nmt.corpora.language import other_language
    except ModuleNotFoundError:
        return []
    from nmt.run_dir import load_stored_recipe

    language = load_stored_recipe(run).data.src_lang
    return [request.number + 1 for request in requests if other_language(request.text, language)]


def _lines(file: str, errors: "DecodeErrors") -> Iterator[str]:
    from nmt.cli.streams import begun
    from nmt.data.lines import decode_lines, read_lines

    if file == "-":
        return decode_lines(sys.stdin.buffer, "standard input", errors=errors)
    return begun(read_lines(Path(file), errors=errors))


def _warn(flagged: Mapping[str, Sequence[int]]) -> None:
    """flagged: the lines of each flag, from 1."""
    for flag, lines in flagged.items():
        shown = ", ".join(map(str, lines[:SHOWN])) + (", ..." if len(lines) > SHOWN else "")
        click.echo(f"warning: {FLAGS[flag]}: {len(lines)} (line{'s' * (len(lines) > 1)} {shown})", err=True)
