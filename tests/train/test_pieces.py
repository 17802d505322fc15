"""A batch in pieces."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.batches import Batch, collate
from nmt.train.pieces import share, split

SENTENCES = st.lists(
    st.tuples(st.lists(st.integers(4, 9), max_size=9), st.lists(st.integers(4, 9), max_size=9)), min_size=1, max_size=12
)


def rows(batch: Batch) -> list[tuple[list[int], list[int], list[int]]]:
    """Each pair without its padding."""
    return [
        (
            batch.src[i, : batch.src_lengths[i]].tolist(),
            batch.tgt_in[i, : batch.tgt_lengths[i]].tolist(),
            batch.tgt_out[i, : batch.tgt_lengths[i]].tolist(),
        )
        for i in range(len(batch.src_lengths))
    ]


@given(SENTENCES, st.integers(1, 15))
def test_pieces_hold_every_pair_once_in_order_and_none_is_empty(
    pairs: list[tuple[list[int], list[int]]], count: int
) -> None:
    batch = collate(*zip(*pairs, strict=True))
    pieces = split(batch, count)
    assert 1 <= len(pieces) <= count
    assert all(len(piece.src_lengths) > 0 for piece in pieces)
    assert [row for piece in pieces for row in rows(piece)] == rows(batch)


@given(SENTENCES, st.integers(1, 15))
def test_a_piece_is_padded_to_its_own_longest(pairs: list[tuple[list[int], list[int]]], count: int) -> None:
    for piece in split(collate(*zip(*pairs, strict=True)), count):
        assert piece.src.size(1) == piece.src_lengths.max()
        assert piece.tgt_in.shape == piece.tgt_out.shape == (len(piece.tgt_lengths), piece.tgt_lengths.max())


@given(SENTENCES, st.integers(1, 15))
def test_no_piece_has_more_than_its_part_of_the_tokens_and_one_sentence(
    pairs: list[tuple[list[int], list[int]]], count: int
) -> None:
    batch = collate(*zip(*pairs, strict=True))
    most = int(batch.tgt_lengths.sum()) / count + int(batch.tgt_lengths.max())
    assert all(int(piece.tgt_lengths.sum()) <= most for piece in split(batch, count))


@given(SENTENCES, st.integers(1, 15))
def test_the_shares_of_all_processes_are_the_batch(pairs: list[tuple[list[int], list[int]]], size: int) -> None:
    batch = collate(*zip(*pairs, strict=True))
    shares = [share(batch, rank, size) for rank in range(size)]
    assert [row for piece in shares if piece is not None for row in rows(piece)] == rows(batch)


def test_where_pairs_are_fewer_than_processes_the_last_ones_have_none() -> None:
    batch = collate([[4], [5, 6]], [[7], [8, 9]])
    assert [share(batch, rank, 4) is None for rank in range(4)] == [False, False, True, True]
    assert torch.equal(split(batch, 1)[0].src, batch.src)
