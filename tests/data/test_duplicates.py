"""The laws of what came before."""

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data import duplicates
from nmt.data.duplicates import DigestSet, digests


@given(st.lists(st.lists(st.integers(1, 40), max_size=30)), st.integers(0, 2**64 - 41))
@settings(deadline=None, database=None)
def test_a_digest_is_new_when_it_never_came_before(calls, far):
    """Numbers close together want the same slots; the last slot is followed by the first."""
    found, seen = DigestSet(), set()
    for call in calls:
        expected = []
        for number in call:
            expected.append(number not in seen)
            seen.add(number)
        assert found.add(np.array(call, dtype=np.uint64) + np.uint64(far)).tolist() == expected


def test_a_growing_set_forgets_nothing_and_stays_small():
    generator = np.random.default_rng(1)
    every = generator.integers(1, 2**64, 200_000, dtype=np.uint64)
    found = DigestSet()
    for begin in range(0, len(every), 5000):
        assert found.add(every[begin : begin + 5000]).all()
        assert begin < 5000 or found._slots.nbytes <= 16.01 * (begin + 5000)
    assert not found.add(every).any()
    assert found._count == len(every)


def test_digests_are_the_same_everywhere_and_never_that_of_a_free_slot(monkeypatch):
    texts = ["", "ä\nb"]
    expected = [int(hashlib.blake2b(text.encode(), digest_size=8).hexdigest(), 16) for text in texts]
    assert digests(texts).byteswap().tolist() == expected
    monkeypatch.setattr(duplicates.np, "frombuffer", lambda joined, dtype: np.zeros(1, dtype=np.uint64))
    assert digests(["x"]).tolist() == [1]
