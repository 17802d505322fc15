"""A batch in pieces: one for each process, and smaller ones where memory is short."""

from itertools import pairwise

import torch

from nmt.data.batches import Batch


def split(batch: Batch, count: int) -> list[Batch]:
    """At most `count` runs of neighbouring pairs with about as many target tokens each; none is empty."""
    if count == 1:
        return [batch]
    ends = batch.tgt_lengths.cumsum(0)  # (B,)
    goals = torch.arange(1, count + 1, device=ends.device) * ends[-1] / count
    last = torch.searchsorted(ends, goals.ceil().to(ends.dtype)) + 1  # (count,), pairs up to each goal
    cuts = [0, *sorted(set(last.clamp(max=len(ends)).tolist()))]
    return [_rows(batch, begin, end) for begin, end in pairwise(cuts)]


def share(batch: Batch, rank: int, size: int) -> Batch | None:
    """What process `rank` of `size` takes; None where there are not enough pairs for all."""
    pieces = split(batch, size)
    return pieces[rank] if rank < len(pieces) else None


def _rows(batch: Batch, begin: int, end: int) -> Batch:
    """These pairs, without the padding that only others needed."""
    src_lengths, tgt_lengths = batch.src_lengths[begin:end], batch.tgt_lengths[begin:end]
    src, tgt = int(src_lengths.max()), int(tgt_lengths.max())
    return Batch(
        src=batch.src[begin:end, :src].contiguous(),
        src_lengths=src_lengths,
        tgt_in=batch.tgt_in[begin:end, :tgt].contiguous(),
        tgt_out=batch.tgt_out[begin:end, :tgt].contiguous(),
        tgt_lengths=tgt_lengths,
    )
