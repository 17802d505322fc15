"""The laws of ids to padded batches."""

import time
from dataclasses import asdict, fields
from itertools import groupby, islice, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.batches import BatchStream, Position, collate, collate_src, plan_batches
from nmt.data.ids import IdTable
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID
from nmt.errors import DataError

sentences = st.lists(st.integers(4, 2**31 - 1), max_size=9)
some_pairs = st.lists(st.tuples(sentences, sentences), min_size=1, max_size=12)
lengths = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=80)


def random_lengths(count=4000, seed=0):
    generator = np.random.default_rng(seed)
    src = generator.poisson(20, count)
    return src, np.maximum(0, src + generator.integers(-6, 7, count))


def tables(count=60, seed=0):
    """Pairs that tell which they are: pair i has only the id 4 + i."""
    return tuple(IdTable([4 + i] * n for i, n in enumerate(side)) for side in random_lengths(count, seed))


START = Position(0)


def stream(start=START, examples=None, **options):
    fixed = tables()
    return BatchStream(examples or (lambda epoch: fixed), batch_tokens=200, seed=5, start=start, **options)


def same(one, other):
    return all(torch.equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))


def test_a_batch_is_laid_out_as_the_model_reads_it():
    batch = collate([[7, 8, 9], [5]], [np.array([6], dtype=np.int32), []])
    assert batch.src.tolist() == [[7, 8, 9, EOS_ID], [5, EOS_ID, PAD_ID, PAD_ID]]
    assert batch.src_lengths.tolist() == [4, 2]
    assert batch.tgt_in.tolist() == [[BOS_ID, 6], [BOS_ID, PAD_ID]]
    assert batch.tgt_out.tolist() == [[6, EOS_ID], [EOS_ID, PAD_ID]]
    assert batch.tgt_lengths.tolist() == [2, 1]
    assert (len(batch.src), int(batch.tgt_lengths.sum())) == (2, 3)
    assert {getattr(batch, field.name).dtype for field in fields(batch)} == {torch.int64}


@given(some_pairs)
@settings(deadline=None, database=None)
def test_collating_loses_and_invents_nothing(rows):
    src, tgt = zip(*rows, strict=True)
    batch = collate(src, tgt)
    assert all(torch.equal(*both) for both in zip(collate_src(src), (batch.src, batch.src_lengths), strict=True))
    for i in range(len(batch.src)):
        s, t = len(src[i]) + 1, len(tgt[i]) + 1
        assert batch.src[i, :s].tolist() == [*src[i], EOS_ID]
        assert batch.tgt_in[i, :t].tolist() == [BOS_ID, *tgt[i]]
        assert batch.tgt_out[i, :t].tolist() == [*tgt[i], EOS_ID]
        assert not batch.src[i, s:].any() and not batch.tgt_in[i, t:].any() and not batch.tgt_out[i, t:].any()
    assert batch.src.size(1) == batch.src_lengths.max()
    assert batch.tgt_out.shape == batch.tgt_in.shape == (len(batch.src), batch.tgt_lengths.max())


def test_a_batch_moves_as_a_whole():
    batch = collate([[4]], [[5]]).to("meta")
    assert {getattr(batch, field.name).device.type for field in fields(batch)} == {"meta"}


@given(lengths, st.integers(1, 200), st.integers(0, 3))
@settings(deadline=None, database=None)
def test_a_plan_has_each_pair_once_and_no_batch_that_is_too_large_or_could_take_one_more(rows, batch_tokens, epoch):
    src, tgt = np.array(rows).T
    plan = plan_batches(src, tgt, batch_tokens=batch_tokens, seed=1, epoch=epoch)
    assert sorted(np.concatenate(plan)) == list(range(len(rows)))
    longest = [(tgt[batch] + 1).max() for batch in plan]
    assert all(len(b) == 1 or len(b) * t <= batch_tokens for b, t in zip(plan, longest, strict=True))
    # in the order of cutting: of batches of equal sentences, the rest comes last
    by_length = sorted(plan, key=lambda b: (tgt[b[-1]], src[b[-1]], tgt[b[0]], src[b[0]], -len(b)))
    for batch, following in pairwise(by_length):
        assert (tgt[batch[-1]], src[batch[-1]]) <= (tgt[following[0]], src[following[0]])
        assert (len(batch) + 1) * (tgt[following[0]] + 1) > batch_tokens


def test_a_sentence_longer_than_the_budget_is_a_batch_of_its_own():
    plan = plan_batches(np.array([3, 3, 3]), np.array([100, 1, 50]), batch_tokens=4, seed=1, epoch=0)
    assert sorted(batch.tolist() for batch in plan) == [[0], [1], [2]]


def test_a_plan_repeats_for_its_seed_and_epoch_only():
    src, tgt = random_lengths()

    def plan(seed, epoch):
        return [batch.tolist() for batch in plan_batches(src, tgt, batch_tokens=500, seed=seed, epoch=epoch)]

    assert plan(1, 2) == plan(1, 2)
    assert plan(1, 2) != plan(1, 3)
    assert plan(1, 2) != plan(2, 2)
    assert plan(1, 2) != plan(2, 1)


def test_batch_mates_and_the_order_of_batches_change_between_epochs():
    src, tgt = np.full(1000, 9), np.full(1000, 9)  # all of one length: 50 batches of 20
    first, second = (plan_batches(src, tgt, batch_tokens=200, seed=1, epoch=epoch) for epoch in (0, 1))
    assert {len(batch) for batch in first} == {20}
    shared = [len(set(one) & set(other)) for one in first for other in second]
    assert max(shared) < 10
    src, tgt = random_lengths()
    longest = [
        [tgt[batch].max() for batch in plan_batches(src, tgt, batch_tokens=500, seed=1, epoch=e)] for e in (0, 1)
    ]
    assert sorted(longest[0]) == sorted(longest[1])
    assert longest[0] != longest[1]
    assert longest[0] != sorted(longest[0])


def test_little_of_a_batch_is_padding():
    src, tgt = random_lengths()
    plan = plan_batches(src, tgt, batch_tokens=1000, seed=1, epoch=0)
    padded_src, padded_tgt = (sum(len(b) * (side[b].max() + 1) for b in plan) for side in (src, tgt))
    assert (tgt + 1).sum() / padded_tgt > 0.97
    assert (src + 1).sum() / padded_src > 0.85


def test_no_pairs_are_a_fault_not_an_endless_loop():
    with pytest.raises(DataError, match="no sentence pairs to make batches of"):
        BatchStream(lambda epoch: (IdTable([]), IdTable([])), batch_tokens=100, seed=1)


def test_an_epoch_of_the_stream_has_each_pair_once_with_its_own_target():
    source = stream()
    batches = [batch for _, batch in islice(source, source.batches_per_window)]
    pairs = [set(batch.tgt_out[i].tolist()) - {PAD_ID, EOS_ID} for batch in batches for i in range(len(batch.src))]
    assert sorted(i for pair in pairs for i in pair) == [4 + i for i in range(60) if tables()[1].lengths[i]]
    for batch in batches:
        real = (batch.src > EOS_ID)[:, 0] & (batch.tgt_out > EOS_ID)[:, 0]
        assert torch.equal(batch.src[real, 0], batch.tgt_out[real, 0])


@pytest.mark.parametrize("options", [{}, {"window_pairs": 23}, {"window_pairs": 23, "ahead": 2}])
def test_a_stream_that_starts_at_any_position_goes_on_as_the_uninterrupted_one(options):
    count = 40
    whole = list(islice(stream(**options), count))
    epochs = [position.epoch for position, _ in whole]
    assert epochs[-1] >= 2
    assert len({position.window for position, _ in whole}) == (3 if options else 1)
    for done in range(1, count - 3):
        resumed = islice(stream(start=Position(**asdict(whole[done - 1][0])), **options), 3)
        for (position, batch), (expected_position, expected) in zip(resumed, whole[done:], strict=False):
            assert position == expected_position
            assert same(batch, expected)


def test_positions_count_batches_then_windows_then_epochs():
    source = stream(window_pairs=23)
    places = [START] + [position for position, _ in islice(source, 40)]
    for before, after in pairwise(places):
        assert after in (
            Position(before.epoch, before.window, before.batch + 1),
            Position(before.epoch, before.window + 1),
            Position(before.epoch + 1),
        )
    assert [place.window for place in places if place.batch == 0][:7] == [0, 1, 2, 0, 1, 2, 0]


def test_the_windows_of_an_epoch_are_fair_samples_in_an_order_of_its_own():
    """Window w has every third pair from w on: numbers of one remainder."""

    def remainders(epoch):
        source = stream(start=Position(epoch), window_pairs=23)
        found = []
        for after, batch in source:
            found.append({(int(i) - 4) % 3 for i in batch.src[:, 0] if i > EOS_ID})
            if after.epoch != epoch:
                break
        assert source.windows_per_epoch == 3
        return found

    orders = []
    for epoch in range(6):
        sets = remainders(epoch)
        assert all(len(one) == 1 for one in sets)
        orders.append([k for k, _ in groupby(one.pop() for one in sets)])
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    assert len({tuple(order) for order in orders}) > 2


def test_the_windows_of_an_epoch_have_each_pair_once():
    found = []
    for after, batch in stream(window_pairs=23):
        found += [int(i) for i in batch.src[:, 0] if i > EOS_ID]
        if after.epoch == 1:
            break
    assert sorted(found) == [4 + i for i in range(60) if tables()[0].lengths[i]]


def by_hand(src, tgt, batch_tokens, seed, epoch):
    """The order of training that measured results rest on: a plan a sentence at a time."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    order = sorted(random.permutation(len(tgt)).tolist(), key=lambda i: (tgt[i], src[i]))
    plan = [[]]
    for i in order:
        if plan[-1] and (len(plan[-1]) + 1) * (tgt[i] + 1) > batch_tokens:
            plan.append([])
        plan[-1].append(i)
    return [plan[i] for i in random.permutation(len(plan))]


@pytest.mark.parametrize("longest", [6, 300, 70_000])  # keys of 16 bits, of twice 16, of more
def test_the_order_of_training_is_for_ever(longest):
    generator = np.random.default_rng(longest)
    src, tgt = generator.integers(0, longest, (2, 700))
    for batch_tokens in (1, 50, 2000):
        plan = plan_batches(src, tgt, batch_tokens=batch_tokens, seed=3, epoch=2)
        assert [batch.tolist() for batch in plan] == by_hand(src, tgt, batch_tokens, 3, 2)


def test_eight_million_pairs_are_planned_in_seconds_and_little_memory():
    """Measured: 1.1 s on one core; here a sixteenth, and room for a slow machine."""
    src, tgt = (side.astype(np.int32) for side in random_lengths(500_000))
    begin = time.process_time()
    plan = plan_batches(src, tgt, batch_tokens=1000, seed=1, epoch=0)
    assert time.process_time() - begin < 0.5
    assert plan[0].dtype == np.int32


@pytest.mark.parametrize("window", [-1, 3])
def test_a_window_outside_its_epoch_is_a_fault(window):
    with pytest.raises(DataError, match=rf"window {window} of epoch 2 was to be next, but the epoch has 3 windows"):
        stream(start=Position(2, window), window_pairs=23)


def test_each_epoch_reads_its_own_examples():
    asked = []

    def examples(epoch):
        asked.append(epoch)
        return tables(count=60 + epoch, seed=epoch)

    source = stream(examples=examples, start=Position(3, 0, 1))
    batches = iter(source)
    rest = source.batches_per_window - 1
    last = list(islice(batches, rest))
    assert (asked, last[-1][0]) == ([3], Position(4))
    next(batches)
    assert asked == [3, 4]


@pytest.mark.parametrize("batch", [-1, 10_000])
def test_a_position_outside_its_epoch_is_a_fault(batch):
    with pytest.raises(DataError, match=rf"batch {batch} of epoch 2 was to be next, but the epoch has \d+ batches"):
        stream(start=Position(2, 0, batch))
