"""Where read corpora are kept: whole files, moved in when finished; and what is known of files that stay as they are.

A file is known again by its stamp, as git does it: a changed file is read again, an unchanged one is not.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from nmt.errors import OutputError

_WORKSPACE = "building-"
_STALE_SECONDS = 7 * 24 * 3600
_SETTLED_NS = 2_000_000_000  # a file changed so lately may change again within one tick of its clock, unseen


class Stamp(NamedTuple):
    """What changes when a file does; times in ns."""

    size: int
    mtime: int
    ctime: int
    inode: int
    device: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Stamp":
        """From what `stat` tells."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


class Cache:
    """One folder of it."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: `default_cache_dir()`, if none is given."""
        self.folder = folder or default_cache_dir()

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder that goes away again, on the cache's file system so that files can be moved there in one step.

        Raises OutputError for any OSError within.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _clear_stale(self.folder)
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=_WORKSPACE) as folder:
                yield Path(folder)
        except OSError as fault:
            raise OutputError(
                f"{self.folder}: the corpus cannot be cached here ({fault}); make room, or set NMT_CACHE to another "
                "folder"
            ) from fault

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """One process at a time builds `key`; the others wait, and then find it built."""
        locks = self.folder / "locks"
        locks.mkdir(exist_ok=True)
        with FileLock(locks / key):
            yield

    def recall(self, key: str, stamps: Sequence[Stamp] = ()) -> Any:
        """What was remembered under the key while the stamps were the same; else None."""
        try:
            stored = json.loads(self._memo(key).read_bytes())
            known = stored["key"] == key and stored["stamps"] == [list(stamp) for stamp in stamps]
            return stored["value"] if known and stored["check"] == _check(stored) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remember(self, key: str, value: Any, stamps: Sequence[Stamp] = ()) -> None:
        """Keep a JSON value for `recall`, in one step."""
        memo = self._memo(key)
        memo.parent.mkdir(exist_ok=True)
        stored = {"key": key, "stamps": stamps, "value": value}
        handle, name = tempfile.mkstemp(dir=memo.parent, prefix=_WORKSPACE)
        with os.fdopen(handle, "w") as stream:
            json.dump({**stored, "check": _check(stored)}, stream)
        Path(name).replace(memo)

    def sha256(self, path: Path) -> str:
        """Of a file that only this cache writes; read only where its stamp is not the remembered one."""
        stamps = [Stamp.of(path.stat())]
        known = self.recall(str(path), stamps)
        if known is None:
            with path.open("rb") as stream:
                known = hashlib.file_digest(stream, "sha256").hexdigest()
            self.remember(str(path), known, stamps)
        return str(known)

    def store(self, built: Path, path: Path, facts: dict[str, Any]) -> None:
        """Moves a finished file of the workspace to `path`, and facts about it beside it."""
        sidecar = built.with_name(f"{built.name}.json")
        with built.open("rb") as stream:
            os.fsync(stream.fileno())  # its hash is remembered: a power cut must not leave another file under it
        built.replace(path)
        sidecar.write_text(json.dumps({**facts, "seal": self._seal(path, facts)}))
        sidecar.replace(path.with_suffix(".json"))

    def facts(self, path: Path) -> dict[str, Any] | None:
        """The facts about a stored file; None where one of both is absent, half written or damaged."""
        try:
            stored = json.loads(path.with_suffix(".json").read_bytes())
            seal = stored.pop("seal")
            return dict(stored) if seal == self._seal(path, stored) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _seal(self, path: Path, facts: dict[str, Any]) -> str:
        """SHA-256 over the file and the facts: a flipped byte in either would go unnoticed otherwise."""
        return hashlib.sha256(f"{self.sha256(path)} {json.dumps(facts)}".encode()).hexdigest()

    def _memo(self, key: str) -> Path:
        return self.folder / "known" / hashlib.sha256(key.encode()).hexdigest()


def settled(stamps: Sequence[Stamp]) -> bool:
    """Whether the files were last changed so long ago that another change must show in their stamps."""
    return all(time.time_ns() - max(stamp.mtime, stamp.ctime) > _SETTLED_NS for stamp in stamps)


def default_cache_dir() -> Path:
    """$NMT_CACHE, or else $XDG_CACHE_HOME/nmt, or else ~/.cache/nmt."""
    if own := os.environ.get("NMT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nmt"


def _check(stored: dict[str, Any]) -> str:
    told = json.dumps([stored["key"], stored["stamps"], stored["value"]])
    return hashlib.sha256(told.encode()).hexdigest()


def _clear_stale(cache: Path) -> None:
    """Removes what builds that were killed left behind, long after any build can still be running."""
    for folder in cache.glob(f"{_WORKSPACE}*"):
        with contextlib.suppress(OSError):  # gone by now, or not ours to remove: neither keeps this build from going on
            if not folder.is_symlink() and time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(folder)
