"""Part of a corpus to ids: all that a process which does only this has to load."""

import json
import os
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa

from nmt.data.arrow import record_batches
from nmt.data.tokenizer import Tokenizer

SIDES = ("src", "tgt")


def work() -> None:
    """What a worker does: its task from standard input, how many pairs it did to standard output."""
    task = json.load(sys.stdin)
    src, tgt = (
        Tokenizer(Path(model).read_bytes(), kind=kind, normalization=normalization)
        for model, kind, normalization in task["tokenizers"]
    )
    for count in encode_part(Path(task["arrow"]), (src, tgt), task["begin"], task["end"], Path(task["part"])):
        os.write(sys.stdout.fileno(), f"{count}\n".encode())  # in one piece, since others write to the same pipe


def encode_part(
    arrow: Path, tokenizers: tuple[Tokenizer, Tokenizer], begin: int, end: int, part: Path
) -> Iterator[int]:
    """Encodes some record batches of a corpus into a file; tells of each, when it is done, how many pairs it had."""
    schema = ids_schema(*tokenizers)
    with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in record_batches(arrow, begin, end):
            columns = [
                _column(tokenizer, batch.column(side).to_pylist(), schema.field(side).type.value_type)
                for side, tokenizer in zip(SIDES, tokenizers, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            yield len(batch)


def _column(tokenizer: Tokenizer, lines: list[str], kind: pa.DataType) -> pa.ListArray:
    ids = tokenizer.encode_batch(lines, threads=1)
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int32)  # a batch is bounded, so they fit
    flat = np.fromiter(chain.from_iterable(ids), dtype=kind.to_pandas_dtype(), count=offsets[-1])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))


def ids_schema(src: Tokenizer, tgt: Tokenizer) -> pa.Schema:
    """A list of ids a side, of 16 bits each where they fit."""
    sizes = zip(SIDES, (src.vocab_size, tgt.vocab_size), strict=True)
    return pa.schema({side: pa.list_(pa.uint16() if size <= 1 << 16 else pa.int32()) for side, size in sizes})
