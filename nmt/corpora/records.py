"""Parallel text as records: each pair with the line it was read from, so that it can be written back as it was."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from nmt.data.files import check_not_read
from nmt.data.sources import FileSource, Row, SourceRules, find_source
from nmt.errors import DataError, OutputError

SUFFIXES = {"two files": (), "tsv": (".tsv",), "json": (".jsonl", ".json")}


class Record(NamedTuple):
    """A pair of a source, or a row with a `fault`. raw: the line it stands in; None where each side has its own."""

    source: int
    number: int
    src: str
    tgt: str
    fault: str
    raw: str | None


def find_sources(names: Sequence[str], rules: SourceRules) -> list[FileSource]:
    """The files that the names stand for, all of one form.

    Raises DataError where one is not there, is named twice, or is of another form than the first.
    """
    found: list[FileSource] = []
    for name in names:
        source = find_source(name, rules)
        assert isinstance(source, FileSource)  # the rules of a command name nothing on the hub
        if found and source.kind != found[0].kind:
            raise DataError(
                f"{source.shown}: another form than {found[0].shown}, and what is kept goes out in the form it came "
                "in; give each form a command of its own, or make them one with `nmt data convert`"
            )
        if source in found:
            raise DataError(f"{source.shown}: named twice; name it once")
        found.append(source)
    return found


def read_records(sources: Sequence[FileSource], rules: SourceRules) -> Iterator[Record]:
    """Every row of all sources in order. Raises DataError as the sources' own reader does."""
    for place, source in enumerate(sources):
        rows: Iterable[tuple[Row, str | None]] = ((row, None) for row in source.rows(rules))
        if SUFFIXES[source.kind]:
            rows = zip(source.rows(rules), source.files[0].lines(rules.errors), strict=True)
        for number, (row, raw) in enumerate(rows, start=1):
            yield Record(place, number, row.src, row.tgt, row.fault, raw)


def output_files(output: Path, sources: Sequence[FileSource], rules: SourceRules) -> list[Path]:
    """The files that records of the sources are written to, in their form: one, or one a side.

    Raises OutputError where the name is not of that form, or is a file that is read.
    """
    if not output.name:
        raise OutputError(f"{output}: a folder; give the name of a file in it")
    suffixes = SUFFIXES[sources[0].kind]
    if suffixes and output.suffix not in suffixes:
        unpacked = ", without .gz: it is written unpacked" if output.suffix == ".gz" else ""
        raise OutputError(
            f"{output}: the input has the form {suffixes[0]}, and is written in it; give a name that ends in "
            f"{' or '.join(suffixes)}{unpacked}"
        )
    if not suffixes and output.suffix in (".tsv", ".jsonl", ".json", ".gz"):
        raise OutputError(
            f"{output}: the input is two files of lines, so the output is too: give the NAME of NAME.{rules.src_lang} "
            f"and NAME.{rules.tgt_lang}"
        )
    files = [output] if suffixes else [output.with_name(f"{output.name}.{lang}") for lang in _languages(rules)]
    for file in files:
        check_output(file, sources)
    return files


def check_output(output: Path, sources: Sequence[FileSource]) -> None:
    """Raises OutputError where the output is a file that is read, or no file."""
    check_not_read(output, (file.path for source in sources for file in source.files))
    if output.exists() and not output.is_file():
        raise OutputError(f"{output}: not a file, so it cannot be replaced by one; give another name")


class Writer:
    """Records to files as `output_files` names them. Each line is what was read; a pair comes as its two sides."""

    def __init__(self, streams: Sequence[BinaryIO]) -> None:
        self._streams = streams

    def write(self, records: pa.RecordBatch) -> None:
        """Takes a batch with the columns of `Record`."""
        columns = ("raw",) if len(self._streams) == 1 else ("src", "tgt")
        for stream, column in zip(self._streams, columns, strict=True):
            stream.write("".join(map(_ended, records.column(column).to_pylist())).encode())


@contextmanager
def written(files: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """The files opened as FILE.part each; all take their names at the end, or none does.

    Raises OutputError where the folder or the disk does not take them.
    """
    parts = [file.with_name(f"{file.name}.part") for file in files]
    try:
        with ExitStack() as stack:
            for file in files:
                file.parent.mkdir(parents=True, exist_ok=True)
            yield [stack.enter_context(part.open("wb")) for part in parts]
        for part, file in zip(parts, files, strict=True):
            part.replace(file)
    except OSError as fault:
        raise OutputError(
            f"{files[0]}: cannot be written ({fault}); make room, or give a place that can be written to"
        ) from fault
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink()


def _languages(rules: SourceRules) -> tuple[str, str]:
    return rules.src_lang, rules.tgt_lang


def _ended(line: str) -> str:
    """With its end; the reader takes one "\\r" before it for a part of that, so a line's own needs another."""
    return f"{line}\r\n" if line.endswith("\r") else f"{line}\n"
