"""Files before they are read: whether they would be overwritten, and whether they are text that can be read."""

from collections.abc import Iterable
from pathlib import Path

from nmt.errors import DataError, OutputError


def check_not_read(output: Path, inputs: Iterable[Path]) -> None:
    """Raises OutputError where the output is one of the files that are read."""
    if any(same_file(output, given) for given in inputs):
        raise OutputError(f"{output}: is what is read, and would be overwritten; give another name")


def same_file(one: Path, other: Path) -> bool:
    """Whether the two are one file, by whatever names; neither need be there."""
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))


def refuse_utf16(head: bytes, name: str) -> None:
    """Raises DataError where a text that begins so is in UTF-16, with or without a mark."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _alternates_with_nul(head):
        raise DataError(f"{name}: looks like UTF-16, but UTF-8 is wanted; convert it with `iconv -f UTF-16 -t UTF-8`")


def _alternates_with_nul(head: bytes) -> bool:
    """Whether NULs fill every second byte, or fall on such bytes too often for chance: UTF-16 without a mark.

    The letters of other alphabets have no NUL in them, but the spaces between them do.
    """
    even, odd = head[::2].count(0), head[1::2].count(0)
    return min(even, odd) == 0 and max(even, odd) >= min(12, max(4, len(head) // 2))
