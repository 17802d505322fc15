"""A corpus to ids, once: in parallel, into an Arrow file of the cache that later calls map.

The workers are processes of their own that know of nothing but text: torch and its threads stay out of them, and the
program that started them is not run again in them.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, pairwise
from pathlib import Path

import pyarrow as pa

from nmt.data.arrow import record_batches
from nmt.data.cache import Cache
from nmt.data.corpus import Corpus, Watch
from nmt.data.encode_part import SIDES, encode_part, ids_schema
from nmt.data.ids import MappedIds
from nmt.data.placeholders import MASKING_VERSION
from nmt.data.tokenizer import TokenizerPair
from nmt.errors import OutputError

IDS_VERSION = 1  # raise it whenever the same text and tokenizers come to other ids, or ids to other files
PAIRS_ALONE = 200_000  # that many are encoded before workers have started

_WORK = "import sys; sys.path[:] = {path!r}; from nmt.data.encode_part import work; work()"
_SHOWN_CHARS = 2000


def encoded(
    corpus: Corpus, tokenizers: TokenizerPair, *, threads: int = 0, watch: Watch | None = None
) -> tuple[MappedIds, MappedIds]:
    """The ids of both sides, from the cache where it has them; the same for any number of threads (0: one a core).

    `watch` is told how many pairs are done of how many. Raises OutputError where the cache cannot be written.
    """
    cache = Cache(corpus.arrow.parent)
    key = _key(corpus, tokenizers)
    arrow = cache.folder / f"{key}.ids"
    with cache.workspace() as workspace, cache.lock(key):
        if cache.facts(arrow) is None:
            parts = _encode(corpus, tokenizers, workspace, threads or cores(), watch)
            _write(
                workspace / "ids", chain.from_iterable(map(_stored, parts)), ids_schema(tokenizers.src, tokenizers.tgt)
            )
            cache.store(workspace / "ids", arrow, {"pairs": len(corpus.pairs)})
    return MappedIds(arrow, "src"), MappedIds(arrow, "tgt")


def _key(corpus: Corpus, tokenizers: TokenizerPair) -> str:
    both = [[hashlib.sha256(side.model).hexdigest(), side.normalization] for side in (tokenizers.src, tokenizers.tgt)]
    masking = [[MASKING_VERSION, *tokenizers.placeholders]] if tokenizers.placeholders else []
    return hashlib.sha256(json.dumps([IDS_VERSION, corpus.fingerprint, both, *masking]).encode()).hexdigest()


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _encode(
    corpus: Corpus, tokenizers: TokenizerPair, workspace: Path, threads: int, watch: Watch | None
) -> list[Path]:
    """The parts, in order, each in a file of its own."""
    total = len(corpus.pairs)
    batches = len(corpus.pairs.data.column("src").chunks)
    workers = min(threads, batches, 1 + total // PAIRS_ALONE)
    bounds = [batches * number // workers for number in range(workers + 1)]
    parts = [workspace / f"part-{number}" for number in range(workers)]
    if workers == 1:
        done = 0
        for count in encode_part(corpus.arrow, tokenizers, 0, batches, parts[0]):
            done += count
            if watch:
                watch(done, total)
        return parts
    tasks = []
    for part, (begin, end) in zip(parts, pairwise(bounds), strict=True):
        task = {"arrow": str(corpus.arrow), "begin": begin, "end": end, "part": str(part), "tokenizers": []}
        task["placeholders"] = tokenizers.placeholders
        for side, tokenizer in zip(SIDES, (tokenizers.src, tokenizers.tgt), strict=True):
            model = workspace / f"{side}.model"
            model.write_bytes(tokenizer.model)
            task["tokenizers"].append([str(model), tokenizer.kind, tokenizer.normalization])  # type: ignore[attr-defined]
        tasks.append(json.dumps(task))
    _run_workers(tasks, workspace, total, watch)
    return parts


def _run_workers(tasks: Sequence[str], workspace: Path, total: int, watch: Watch | None) -> None:
    """One process a task; each tells on one pipe, shared by all, how many pairs more it has done."""
    code = _WORK.format(path=sys.path)
    told, tell = os.pipe()
    with ExitStack() as stack:
        counts = stack.enter_context(os.fdopen(told))
        workers = []
        try:
            for number, task in enumerate(tasks):
                complaints = stack.enter_context((workspace / f"stderr-{number}").open("w+", encoding="utf-8"))
                worker = subprocess.Popen(
                    [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=tell, stderr=complaints, text=True
                )
                workers.append((worker, complaints))
                stack.callback(worker.wait)
                stack.callback(worker.kill)  # whatever ends this one ends them; it does nothing to one that is done
                assert worker.stdin is not None
                with worker.stdin as stream:
                    stream.write(task)
        finally:
            os.close(tell)
        done = 0
        for count in counts:
            done += int(count)
            if watch:
                watch(done, total)
        for worker, complaints in workers:
            if worker.wait() != 0:
                complaints.seek(0)
                raise OutputError(
                    f"a process that encodes text ended with {worker.returncode}: {complaints.read()[-_SHOWN_CHARS:]}"
                    "\nset train.threads to 1 to do without such processes"
                )


def _stored(part: Path) -> Iterator[pa.RecordBatch]:
    yield from record_batches(part)
    part.unlink()


def _write(path: Path, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
