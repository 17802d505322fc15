"""The one reader of text: bytes from a file or a stream to lines of str.

A line ends at "\\n" and nowhere else; one "\\r" right before it goes with it. U+2028, U+0085, a form feed, NUL and a
lone "\\r" are text. A last line without "\\n" counts, so the number of lines is that of `wc -l`, plus one for such a
last line. A UTF-8 byte order mark at the start is dropped. gzip is told by its first bytes and unpacked on the way; any
other archive is refused, and nothing is ever extracted.
"""

import math
import queue
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from nmt.data.files import refuse_utf16
from nmt.errors import DataError

DecodeErrors = Literal["strict", "replace"]

MAX_LINE_BYTES = 16 << 20
# Text seldom packs better than 20 to 1; a bomb comes near deflate's limit of 1032 to 1.
BOMB_RATIO = 200
BOMB_FREE_BYTES = 32 << 20

# Misfit is the |log ratio| of the lengths of two sides: about 0.2 in a translation, about 0.7 between any two lines.
_ODD_MISFIT = math.log(4)
_SHIFT_MISFIT = 4.0
_SHIFT_MISFIT_PER_LINE = 0.1

_BLOCK_BYTES = 1 << 16
_HEAD_BYTES = 512
_BOM = b"\xef\xbb\xbf"
_REPLACE = ", or read on with --errors replace (data.errors=replace where a recipe is read), which puts U+FFFD for it"
_GZIP = b"\x1f\x8b\x08"
_FOREIGN = (
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "a zip archive"),
    (4, b"1AY&SY", "bzip2 data"),  # "BZh9" alone could begin a text
    (0, b"\xfd7zXZ\x00", "xz data"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard data"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, _GZIP, "gzip data within gzip data"),
    (257, b"ustar", "a tar archive"),
)


class TextFile(NamedTuple):
    """A file, and what faults call it: the copy of a pipe goes by the pipe's name."""

    path: Path
    shown: str

    def lines(self, errors: DecodeErrors) -> Iterator[str]:
        """As `read_lines`."""
        return read_lines(self.path, errors=errors, name=self.shown)


def read_lines(
    path: str | Path, *, errors: DecodeErrors = "strict", name: str | None = None, replaceable: bool = True
) -> Iterator[str]:
    """The lines of a file, a pipe or a gzip file, without their line ends, as they come.

    Faults call the file `name`, or else `path`. With `errors="replace"` what is not UTF-8 becomes U+FFFD.
    replaceable: whether a user can ask for that.

    Raises:
        DataError: the file is missing, unreadable, damaged, an archive, not UTF-8, or holds a line of over 16 MiB.
    """
    return _decode(read_blocks(path, name=name), name or str(path), errors, replaceable=replaceable)


def decode_lines(stream: BinaryIO, name: str, *, errors: DecodeErrors = "strict") -> Iterator[str]:
    """The lines of an open binary stream, such as standard input; all else as `read_lines`.

    A line is handed on as soon as its end has come. The stream is not closed.
    """
    return _decode(_stream_blocks(stream, name), name, errors)


def read_blocks(path: str | Path, *, name: str | None = None) -> Iterator[bytes]:
    """The bytes of a file as they stand, in blocks of 64 KiB at most.

    Raises:
        DataError: the file is missing, a folder or unreadable.
    """
    name = name or str(path)
    with open_bytes(path, name=name) as stream:
        yield from _stream_blocks(stream, name)


def open_bytes(path: str | Path, *, name: str | None = None) -> BinaryIO:
    """The file opened for reading; the caller closes it.

    Raises:
        DataError: the file is missing, a folder or unreadable.
    """
    name = name or str(path)
    try:
        return Path(path).open("rb")
    except FileNotFoundError as fault:
        raise DataError(f"{name}: there is no such file; check its name and its folder") from fault
    except IsADirectoryError as fault:
        raise DataError(f"{name}: a folder, where a text file is wanted; name a file in it") from fault
    except (OSError, ValueError) as fault:
        raise DataError(
            f"{name}: cannot be opened for reading ({fault}); check its name and its permissions"
        ) from fault


def read_line_pairs(src: TextFile, tgt: TextFile, *, errors: DecodeErrors = "strict") -> Iterator[tuple[str, str]]:
    """The lines of two files side by side.

    Raises:
        DataError: as `read_lines`; or one file has more lines, told with both counts and the line where they part.
    """
    src_lines, tgt_lines = src.lines(errors), tgt.lines(errors)
    for paired, (src_line, tgt_line) in enumerate(zip_longest(src_lines, tgt_lines)):
        if src_line is None or tgt_line is None:
            shorter, longer = (src, tgt) if src_line is None else (tgt, src)
            extra = 1 + sum(1 for _ in chain(src_lines, tgt_lines))
            raise DataError(
                f"{longer.shown} has {paired + extra} lines, but {shorter.shown} has {paired}; line N of the one must "
                f"translate line N of the other; {_where_they_part(shorter, longer, extra, errors)}"
            )
        yield src_line, tgt_line


def _where_they_part(shorter: TextFile, longer: TextFile, extra: int, errors: DecodeErrors) -> str:
    """What the lengths of the lines tell about the place where `extra` lines were lost or came in.

    From that place on, a line of the shorter file is as long as the one `extra` lines further on in the longer. So the
    place is where the sum over all lines, of how much better each one fits as it stands, is the lowest.
    """
    total = lowest = 0.0
    shift_line, odd_line, last = 1, 0, 0
    sides = (shorter.lines(errors), longer.lines(errors), islice(longer.lines(errors), extra, None))
    for number, (line, facing, shifted) in enumerate(zip(*sides, strict=False), start=1):
        misfit = _misfit(line, facing)
        odd_line = odd_line or (number if misfit > _ODD_MISFIT else 0)
        total += misfit - _misfit(line, shifted)
        last = number
        if total < lowest:
            lowest, shift_line = total, number + 1
    if total - lowest > _SHIFT_MISFIT + _SHIFT_MISFIT_PER_LINE * (last - shift_line + 1):
        return f"looks shifted from line {shift_line} on"
    if odd_line:
        return f"the first line whose two sides differ oddly in length is {odd_line}"
    return "no line of those that pair up stands out: is the shorter file cut off at its end?"


def _misfit(one: str, other: str) -> float:
    return abs(math.log((1 + len(one.strip())) / (1 + len(other.strip()))))


def copy_pipes(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Copies what comes from each named pipe into a file of `folder`: pipe -> copy. Other files are left out.

    All pipes are read at the same time, since one writer may fill several by turns.
    """
    copies = {path: folder / f"pipe-{index}" for index, path in enumerate(paths) if path.is_fifo()}
    outcomes: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def copy(pipe: Path, to: Path) -> None:
        try:
            with to.open("wb") as sink:
                sink.writelines(read_blocks(pipe))
        except Exception as fault:  # handed to the caller's thread, which raises it
            outcomes.put(fault)
        else:
            outcomes.put(None)

    for pair in copies.items():
        threading.Thread(target=copy, args=pair, daemon=True).start()
    for _ in copies:
        if fault := outcomes.get():
            raise fault
    return copies


def unpack(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """What gzip packed into the blocks, or they themselves.

    Raises:
        DataError: the data is damaged, cut off, or grows as no text does.
    """
    head, blocks = _peek(blocks)
    return _gunzip(blocks, name) if head.startswith(_GZIP) else blocks


def _stream_blocks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    # read1 returns what is there; read, on a buffered stream, would wait for a whole block.
    read = getattr(stream, "read1", stream.read)
    try:
        while block := read(_BLOCK_BYTES):
            yield block
    except OSError as fault:
        raise DataError(f"{name}: cannot be read ({fault}); check the file and the disk it is on") from fault


def _decode(blocks: Iterator[bytes], name: str, errors: DecodeErrors, *, replaceable: bool = True) -> Iterator[str]:
    head, blocks = _peek(unpack(blocks, name))
    _refuse_what_is_not_text(head, name)
    bom = len(_BOM) if head.startswith(_BOM) else 0
    for number, line in enumerate(_split(blocks, name, skip=bom), start=1):
        try:
            yield line.decode("utf-8", errors)
        except UnicodeDecodeError as fault:
            byte = fault.start + 1 + (bom if number == 1 else 0)
            raise DataError(
                f"{name}:{number}:{byte}: byte 0x{line[fault.start]:02X} is not UTF-8 here; save the file as UTF-8 "
                f"(`iconv -f LATIN1 -t UTF-8`, if that is what it is){_REPLACE if replaceable else ''}"
            ) from fault


def _peek(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first line, or 512 bytes of it, to tell what the bytes are; and all the blocks again.

    No more than a line, since someone may be typing them, and the size of the reads must not change what is told.
    """
    head = b""
    for block in blocks:
        head += block
        if len(head) >= _HEAD_BYTES or b"\n" in head:
            break
    return head[:_HEAD_BYTES].partition(b"\n")[0], chain([head], blocks)


def _refuse_what_is_not_text(head: bytes, name: str) -> None:
    for offset, magic, kind in _FOREIGN:
        if head.startswith(magic, offset):
            raise DataError(f"{name}: this is {kind}, not text; unpack it first and name a text file from it")
    refuse_utf16(head, name)


def _gunzip(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    engine = zlib.decompressobj(wbits=31)
    packed_bytes = text_bytes = 0
    for block in blocks:
        packed_bytes += len(block)
        rest = block
        while rest:
            if engine.eof:  # another member may follow, or padding
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                engine = zlib.decompressobj(wbits=31)
            try:
                text = engine.decompress(rest, _BLOCK_BYTES)
            except zlib.error as fault:
                raise DataError(f"{name}: damaged gzip data ({fault}); fetch or pack the file again") from fault
            text_bytes += len(text)
            if text_bytes > max(BOMB_FREE_BYTES, BOMB_RATIO * packed_bytes):
                raise DataError(
                    f"{name}: gzip data that grows over {BOMB_RATIO}-fold, which text does not; "
                    "if it is meant to be so, unpack it first"
                )
            yield text
            rest = engine.unused_data if engine.eof else engine.unconsumed_tail
    if not engine.eof:
        raise DataError(f"{name}: the gzip data breaks off before its end; fetch or pack the file again")


def _split(blocks: Iterable[bytes], name: str, *, skip: int) -> Iterator[bytes]:
    """The lines of all blocks joined, less the first `skip` bytes; never holds more than one line and one block."""
    ended = 0
    pending = bytearray()
    for block in blocks:
        first, *others = block[skip:].split(b"\n")
        skip = 0  # the head is never shorter than the mark found in it
        pending += first
        if len(pending) > MAX_LINE_BYTES:
            raise DataError(
                f"{name}:{ended + 1}: a line of over {MAX_LINE_BYTES >> 20} MiB; one sentence a line is wanted, "
                'ended by "\\n": is this a text file?'
            )
        if not others:
            continue
        yield bytes(pending).removesuffix(b"\r")
        for line in others[:-1]:
            yield line.removesuffix(b"\r")
        ended += len(others)
        pending = bytearray(others[-1])
    if pending:
        yield bytes(pending)
