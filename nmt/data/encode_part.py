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
from nmt.data.tokenizer import Tokenizer, TokenizerPair

SIDES = ("src", "tgt")


def work() -> None:
    """What a worker does: its task from standard input, how many pairs it did to standard output."""
    task = json.load(sys.stdin)
    placeholders = tuple(task["placeholders"])
    src, tgt = (
        Tokenizer(Path(model).read_bytes(), kind=kind, normalization=normalization, placeholders=placeholders)
        for model, kind, normalization in task["tokenizers"]
    )
    both = TokenizerPair(src, tgt, joint=False)
    for count in encode_part(Path(task["arrow"]), both, task["begin"], task["end"], Path(task["part"])):
        os.write(sys.stdout.fileno(), f"{count}\n".encode())  # in one piece, since others write to the same pipe


def encode_part(arrow: Path, tokenizers: TokenizerPair, begin: int, end: int, part: Path) -> Iterator[int]:
    """Encodes some record batches of a corpus into a file; tells of each, when it is done, how many pairs it had."""
    schema = ids_schema(tokenizers.src, tokenizers.tgt)
    with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in record_batches(arrow, begin, end):
            ids = tokenizers.encode_pairs(*(batch.column(side).to_pylist() for side in SIDES), threads=1)
            columns = [_column(own, schema.field(side).type.value_type) for side, own in zip(SIDES, ids, strict=True)]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            yield len(batch)


def _column(ids: list[list[int]], kind: pa.DataType) -> pa.ListArray:
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int32)  # a batch is bounded, so they fit
    flat = np.fromiter(chain.from_iterable(ids), dtype=kind.to_pandas_dtype(), count=offsets[-1])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))


def ids_schema(src: Tokenizer, tgt: Tokenizer) -> pa.Schema:
    """A list of ids a side, of 16 bits each where they fit."""
    sizes = zip(SIDES, (src.vocab_size, tgt.vocab_size), strict=True)
    return pa.schema({side: pa.list_(pa.uint16() if size <= 1 << 16 else pa.int32()) for side, size in sizes})
