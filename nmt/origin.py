"""What a file is the translation of, so that it is not taken for another, and no other goes on with it."""

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from nmt.errors import DataError
from nmt.passages import Request

DIGEST_BYTES = 17  # of a source line in PART.of, line end included: 16 hexadecimal digits of its SHA-256
SHOWN = 40  # characters of a value that is told: more is a digest, or the like


class Origin:
    """What a translation is made from: the work, all that decides it by name, and the source lines so far.

    As long as it is a part, PART.of has the work in its first line, as JSON, and then a digest for each source line.
    """

    def __init__(self, work: Mapping[str, Any]) -> None:
        self._work = dict(work)
        self._text = hashlib.sha256()
        self._part = Path()
        self._stream: BinaryIO = io.BytesIO()

    def fields(self) -> dict[str, Any]:
        """The work, and the SHA-256 of the lines so far."""
        return {**self._work, "text": self._text.hexdigest()}

    def of(self, requests: Iterable[Request]) -> dict[str, Any]:
        """The fields that the translation of these lines would have."""
        text = hashlib.sha256()
        for request in requests:
            text.update(_digest(request))
        return {**self._work, "text": text.hexdigest()}

    def known(self, part: Path) -> int:
        """How many lines of a part are of this work and of known lines. Raises DataError where it is of another."""
        try:
            with origin_of(part).open("rb") as stream:
                before = dict(json.loads(stream.readline()))
                begin = stream.tell()
                lines = (stream.seek(0, os.SEEK_END) - begin) // DIGEST_BYTES
        except (OSError, ValueError, TypeError):
            raise DataError(
                f"--resume: {origin_of(part)}, which says of what {part.name} is the translation, is missing or "
                "damaged; leave out --resume to begin anew"
            ) from None
        if other := differences(before, self._work):
            raise DataError(
                f"--resume: {part} is the translation of something else: {other}; give the command of before, or leave "
                "out --resume to begin anew"
            )
        return lines

    @contextmanager
    def kept(self, part: Path, done: int) -> Iterator[None]:
        """Write PART.of from here on; what it has for the first `done` lines stays, to hold the source against."""
        self._part = part
        with origin_of(part).open("r+b" if done else "w+b") as self._stream:
            if not done:
                self._stream.write(json.dumps(self._work).encode() + b"\n")
                self._stream.seek(0)
            self._stream.truncate(len(self._stream.readline()) + done * DIGEST_BYTES)
            yield

    def check(self, request: Request) -> None:
        """Raises DataError unless the next line of the part is the translation of this one."""
        if self._stream.read(DIGEST_BYTES) != self._taken(request):
            raise DataError(
                f"--resume: line {request.number + 1} is not the one that {self._part} has the translation of: is it "
                "another text, or another prefix? Leave out --resume to begin anew"
            )

    def add(self, request: Request) -> None:
        """The next line of the part will be the translation of this one."""
        self._stream.write(self._taken(request))
        self._stream.flush()

    def _taken(self, request: Request) -> bytes:
        digest = _digest(request)
        self._text.update(digest)
        return digest.hex()[: DIGEST_BYTES - 1].encode() + b"\n"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How the fields of one origin differ from those of another, in words; nothing where they do not."""
    told = []
    for name in {**before, **now}:
        values = [str(fields.get(name, "none")) for fields in (before, now)]
        if values[0] != values[1]:
            short = max(map(len, values)) < SHOWN
            told.append(f"{name} {values[0]} before, {values[1]} now" if short else f"another {name}")
    return "; ".join(told)


def origin_of(part: Path) -> Path:
    """Where stands of what a part is the translation: PART.of."""
    return part.with_name(part.name + ".of")


def _digest(request: Request) -> bytes:
    return hashlib.sha256(f"{request.text}\n{request.prefix}\n".encode()).digest()
