"""`nmt translate`."""

import sys
from pathlib import Path
from typing import Literal

import click

from nmt.cli.options import Decoding, decoding_options, load


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", default="-")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here instead of to standard output.")
@click.option("--resume", is_flag=True, help="Go on with OUTPUT.part, which an interrupted translation left.")
@click.option(
    "--n-best", type=click.IntRange(min=1), default=1, help="So many translations a line, as `n ||| text ||| score`."
)
@click.option(
    "--json", "as_json", is_flag=True, help="A JSON object a line: text, score, tokens and their scores, flags."
)
@click.option(
    "--errors", type=click.Choice(["strict", "replace"]), default="strict", help="What to do with invalid UTF-8."
)
@decoding_options
def translate(
    run: Path,
    file: str,
    output: Path | None,
    resume: bool,
    n_best: int,
    as_json: bool,
    errors: Literal["strict", "replace"],
    decoding: Decoding,
) -> None:
    """Translate FILE, or standard input, with the model in the folder RUN, or with several: n lines in, n lines out.

    Lines keep their order; a blank one stays blank.
    """
    from nmt import translate_file
    from nmt.cli.streams import begun, standard_output, with_progress
    from nmt.data.lines import decode_lines, read_lines

    if resume and (output is None or (n_best > 1 and not as_json)):
        raise click.UsageError("--resume goes with --output, and with --n-best only as --json: it counts lines")
    translator = load(run, decoding)
    if n_best > translator.search.beam_size:
        raise click.UsageError(
            f"--n-best {n_best} is more than the beam holds: add --beam-size {n_best}, or ask for fewer"
        )
    form = translate_file.as_text if n_best == 1 else translate_file.as_n_best
    if file == "-":
        lines = decode_lines(sys.stdin.buffer, "standard input", errors=errors)
    else:
        lines = begun(read_lines(Path(file), errors=errors))
    target = translate_file.output_file(output, resume=resume) if output else standard_output()
    cut = 0
    with target as (stream, done):
        translations = translate_file.translate_stream(
            translator,
            lines,
            stream,
            form=translate_file.as_json if as_json else form,
            n_best=n_best,
            read_ahead=1 if file == "-" and sys.stdin.isatty() else None,
            done=done,
        )
        for best, *_ in with_progress(translations, shown=output is not None):
            cut += "truncated" in best.flags
            if output is None and sys.stdin.isatty():
                stream.flush()
    if cut:
        click.echo(f"warning: {cut} translations reached the length limit and were cut off", err=True)
