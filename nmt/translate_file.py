"""Translate a file or a stream: n lines in, n lines out, nothing lost when it is cut short."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from itertools import islice, tee, zip_longest
from pathlib import Path
from signal import SIGINT
from typing import Any, BinaryIO, Protocol

from nmt.errors import DataError, Interrupted, OutputError
from nmt.origin import Origin, origin_of
from nmt.passages import Request
from nmt.run_dir import sha256, write_json
from nmt.translator import Translation

Format = Callable[
    [int, Sequence[Translation]], str
]  # (line number from 0, its translations) -> text, line ends counted


class Translates(Protocol):
    """A `Translator`, or several processes of them."""

    def translations(
        self, lines: Iterable[Request], *, n_best: int, read_ahead: int | None, alignments: bool
    ) -> Iterator[list[Translation]]:
        """As `Translator.translations`."""
        ...


def as_text(_number: int, translations: Sequence[Translation]) -> str:
    """The best translation on a line of its own."""
    return translations[0].text + "\n"


def as_n_best(number: int, translations: Sequence[Translation]) -> str:
    """`number ||| translation ||| score`, a line for each translation: the n-best form of Moses."""
    return "".join(f"{number} ||| {one.text} ||| {one.score:.6f}\n" for one in translations)


def as_json(_number: int, translations: Sequence[Translation]) -> str:
    """One JSON object a line: the best translation's fields and, where there are several, all under `n_best`."""
    best, *others = (asdict(one) for one in translations)
    if others:
        best = {**best, "n_best": [best, *others]}
    return json.dumps(best, ensure_ascii=False) + "\n"


FORMS: dict[str, Format] = {"text": as_text, "json": as_json, "n_best": as_n_best}


def requests(lines: Iterable[str], prefixes: Iterable[str] | None = None) -> Iterator[Request]:
    """Lines with their numbers and, where there are prefixes, how their translations must begin.

    Raises DataError where there is not one prefix a line.
    """
    nothing = object()
    for number, (line, prefix) in enumerate(zip_longest(lines, prefixes or (), fillvalue=nothing)):
        if prefixes is not None and nothing in (line, prefix):
            which, count = ("prefixes", "lines") if prefix is nothing else ("lines", "prefixes")
            raise DataError(f"--prefixes: only {number} {which}, but more {count}; give one a line, blank or not")
        yield Request(str(line), number, "" if prefix is nothing else str(prefix))


def translate_stream(
    translator: Translates,
    lines: Iterable[Request],
    out: BinaryIO,
    *,
    form: Format,
    n_best: int = 1,
    read_ahead: int | None = None,
    alignments: bool = False,
    done: int = 0,
    origin: Origin | None = None,
) -> Iterator[list[Translation]]:
    """Write the translation of each line to `out`, in order, and yield it; the first `done` lines are passed over.

    `read_ahead` limits how many lines are read before the first of them is answered (1 for a person at a terminal).
    A fault of the lines is raised when all before it are answered. origin: that of the part which `out` is.
    """
    lines = iter(lines)
    passed = 0
    for request in islice(lines, done):
        if origin:
            origin.check(request)
        passed += 1
    if passed < done:
        raise DataError(
            f"--resume: {done} lines are translated already, but the input has only {passed}: is it another file?"
        )
    faults: list[Exception] = []
    ahead, behind = tee(_until_a_fault(lines, faults))
    found = translator.translations(ahead, n_best=n_best, read_ahead=read_ahead, alignments=alignments)
    for translations, request in zip(found, behind, strict=False):  # in this order none is read too soon
        written = form(request.number, translations).encode("utf-8")
        if origin:
            origin.add(request)
        out.write(written)
        if origin:
            out.flush()  # or a kill would cost what the buffer holds
        yield translations
    if faults:
        raise faults[0]


def _until_a_fault(lines: Iterator[Request], faults: list[Exception]) -> Iterator[Request]:
    """The same lines; what goes wrong with them ends them, and is put into `faults`."""
    try:
        yield from lines
    except Exception as fault:
        faults.append(fault)


def shard_range(lines: Iterable[str], shard: int, shards: int) -> tuple[int, int]:
    """Where a shard, counted from 1, begins and ends among the lines: ranges that differ by one line at most."""
    total = sum(1 for _ in lines)
    return (shard - 1) * total // shards, shard * total // shards


def shard_of(path: Path, shard: int, shards: int) -> Path:
    """Where the translation of a shard stands; in the order of the names, they are the whole: `cat OUTPUT.*-of-8`."""
    return path.with_name(f"{path.name}.{shard:0{len(str(shards))}}-of-{shards}")


def marker_of(path: Path) -> Path:
    """What says that a shard is whole: its lines, its SHA-256, and of what it is the translation."""
    return path.with_name(f"{path.name}.done")


def done_before(path: Path) -> dict[str, Any] | None:
    """The fields of the origin of a shard that is there, and the one that its marker speaks of; None: it is not."""
    try:
        marker = json.loads(marker_of(path).read_bytes())
        return dict(marker["of"]) if marker["sha256"] == sha256(path) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mark_done(path: Path, lines: int, *, wanted: int, origin: Origin) -> None:
    """Say that a shard is whole. Raises DataError where it has not the lines that were counted before."""
    if lines != wanted:
        raise DataError(f"{path}: has {lines} lines, but {wanted} were counted: did the text change meanwhile?")
    write_json(marker_of(path), {"lines": lines, "sha256": sha256(path), "of": origin.fields()})


@contextmanager
def output_file(path: Path, *, resume: bool, origin: Origin | None = None) -> Iterator[tuple[BinaryIO, int]]:
    """`path` as a stream to write, and how many whole lines are there already (0 unless `resume`).

    What is written stands in the part until all of it is there; then it replaces `path`. Raises as `part_file` does,
    and OutputError where `path` is something else than a file: a folder, a device.
    """
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: not a file, so it cannot be replaced by one; name a file, or leave out --output")
    with part_file(path, resume=resume, origin=origin) as opened:
        yield opened
    with _faults_told(path):
        part_of(path).replace(path)
        origin_of(part_of(path)).unlink(missing_ok=True)


@contextmanager
def part_file(path: Path, *, resume: bool, origin: Origin | None = None) -> Iterator[tuple[BinaryIO, int]]:
    """The part of `path` as a stream to write, and how many whole lines are there already (0 unless `resume`).

    It stays, for `resume`. Raises OutputError where the disk or the folder does not take it, DataError where it is not
    of `origin`, and turns Ctrl-C into an Interrupted that says how to go on.
    """
    part = part_of(path)
    with _faults_told(path):
        resume = resume and part.exists() and part.stat().st_size > 0
        known = origin.known(part) if resume and origin else None
        done = _whole_lines(part, known) if resume else 0
        with part.open("ab" if done else "wb") as stream, origin.kept(part, done) if origin else nullcontext():
            try:
                yield stream, done
            except KeyboardInterrupt:
                raise Interrupted(
                    f"stopped; what is done stands in {part}: the same command with --resume goes on with it",
                    signal_number=SIGINT,
                ) from None
            stream.flush()
            os.fsync(stream.fileno())


def part_of(path: Path) -> Path:
    """Where unfinished work on `path` stands: `path`.part."""
    return path.with_name(path.name + ".part")


@contextmanager
def _faults_told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        part = part_of(path)
        kept = f"what was done is in {part.name}, go on with --resume" if part.exists() else "nothing was translated"
        raise OutputError(f"{path}: cannot be written: {error.strerror}; {kept}") from error


def _whole_lines(part: Path, most: int | None) -> int:
    """Count the lines of a part, and cut off those after the first `most`, and a last one that has no end."""
    with part.open("r+b") as stream:
        lines = end = 0
        for line in islice(stream, most):
            if line.endswith(b"\n"):
                lines, end = lines + 1, end + len(line)
        stream.truncate(end)
    return lines
