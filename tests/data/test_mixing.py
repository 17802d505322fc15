"""The laws of mixing corpora."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.ids import IdTable
from nmt.data.mixing import Drawn, Mixture, permuted, tempered
from nmt.errors import DataError

SIZES, WEIGHTS = (50, 7, 300), (1.0, 2.0, 1.0)


def drawn(mixture, epochs, windows=1):
    """The rows of each source, in the order of drawing."""
    rows = []
    for epoch in epochs:
        parts = [mixture.rows(epoch, window, windows) for window in range(windows)]
        whole = np.empty(len(mixture), dtype=np.int64)
        for window, part in enumerate(parts):
            whole[window::windows] = part
        rows.append(whole)
    return rows


def source_of(row):
    return int(np.searchsorted(np.cumsum(SIZES), row, side="right"))


@given(st.integers(1, 300), st.integers(0, 2**63))
@settings(deadline=None, database=None)
def test_a_permutation_has_each_place_once(size, key):
    places = np.arange(size, dtype=np.uint64)
    assert sorted(permuted(places, size, np.full(size, key, dtype=np.uint64))) == list(range(size))


def test_a_permutation_is_as_good_as_random():
    size = 2000
    places = np.arange(size, dtype=np.uint64)
    orders = [permuted(places, size, np.full(size, key * 2**40, dtype=np.uint64)).astype(float) for key in (1, 2, 3)]
    for order in orders:
        assert abs(np.corrcoef(places.astype(float), order)[0, 1]) < 0.1
        assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.1
        assert abs((np.diff(order) == 1).mean()) < 0.01
    assert (orders[0] == orders[1]).mean() < 0.01


def test_an_epoch_has_as_many_draws_as_pairs_in_the_shares_of_the_weights():
    mixture = Mixture(SIZES, WEIGHTS, seed=1)
    for rows in drawn(mixture, range(3)):
        counts = Counter(map(source_of, rows))
        assert len(rows) == sum(SIZES) == sum(counts.values())
        assert all(abs(counts[i] - sum(SIZES) * WEIGHTS[i] / 4) <= 1 for i in range(3))


def test_each_sources_pairs_are_all_seen_before_one_comes_again_across_epochs():
    mixture = Mixture(SIZES, WEIGHTS, seed=1)
    draws = [row for rows in drawn(mixture, range(9)) for row in rows]
    for source, size in enumerate(SIZES):
        own = [row for row in draws if source_of(row) == source]
        rounds = [own[begin : begin + size] for begin in range(0, len(own) - size, size)]
        assert len(rounds) >= 2
        assert all(len(set(each)) == size for each in rounds)
        assert rounds[0] != rounds[1]


def test_draws_depend_on_the_seed_and_epoch_alone():
    one, other = (Mixture(SIZES, WEIGHTS, seed=seed) for seed in (1, 2))
    epochs = drawn(one, (0, 1, 2))
    again = drawn(Mixture(SIZES, WEIGHTS, seed=1), (2, 1, 0))[::-1]
    assert all(np.array_equal(a, b) for a, b in zip(epochs, again, strict=True))
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], drawn(other, (0,))[0])


@pytest.mark.parametrize("windows", [2, 3, 10])
def test_windows_share_out_the_same_draws_and_each_has_its_share_of_every_source(windows):
    mixture = Mixture(SIZES, WEIGHTS, seed=1)
    assert np.array_equal(drawn(mixture, (4,), windows)[0], drawn(mixture, (4,))[0])
    for window in range(windows):
        counts = Counter(map(source_of, mixture.rows(4, window, windows)))
        assert all(abs(counts[i] - mixture.draws[i] / windows) <= 1 for i in range(3))


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(1e-6, 1e6)), min_size=1, max_size=6))
@settings(deadline=None, database=None)
def test_shares_sum_up_and_no_source_is_left_out(sources):
    sizes, weights = zip(*sources, strict=True)
    mixture = Mixture(sizes, weights, seed=0)
    assert sum(mixture.draws) == sum(sizes)
    assert min(mixture.draws) >= 1 or sum(sizes) < len(sizes)
    for number, weight in enumerate(weights):
        exact = sum(sizes) * weight / sum(weights)
        assert abs(mixture.draws[number] - exact) <= len(sizes)


def test_temperature_goes_from_the_sizes_to_equal_shares():
    assert tempered((100, 10_000), 1.0) == [100, 10_000]
    assert tempered((100, 10_000), 2.0) == pytest.approx([10, 100])
    few, many = tempered((100, 10_000), 1e9)
    assert few == pytest.approx(many)


def test_a_weight_on_nothing_is_a_fault():
    with pytest.raises(DataError, match=r"data.weights: source 2 of data.train has no pairs left"):
        Mixture((5, 0), (1.0, 1.0), seed=0)
    assert Mixture((5, 0), tempered((5, 0), 2.0), seed=0).draws == [5, 0]


def test_one_side_of_an_epoch_has_the_rows_that_were_drawn():
    table = IdTable([[row] * (row % 5) for row in range(sum(SIZES))])
    mixture = Mixture(SIZES, WEIGHTS, seed=1)
    side = Drawn(table, mixture, 3)
    window = side.window(1, 2)
    rows = mixture.rows(3, 1, 2)
    assert len(side) == sum(SIZES)
    assert [list(window[i]) for i in range(len(window))] == [[row] * (row % 5) for row in rows]
    assert window.lengths.tolist() == [row % 5 for row in rows]
