"""What stands for a source that no one reads."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nmt.data.unread import Unread


def rows(window: int, windows: int) -> NDArray[np.integer]:
    return np.arange(window, 7, windows)


def test_it_has_as_many_sentences_as_the_other_side_and_all_are_empty() -> None:
    table = Unread(7, rows)
    for unread, count in [(table, 7), (table.window(0, 1), 7), (table.window(0, 3), 3), (table.window(2, 3), 2)]:
        assert len(unread) == count
        assert [len(unread[i]) for i in range(count)] == unread.lengths.tolist() == [0] * count
        assert unread.lengths_of(np.array([1, 0, 1])).tolist() == [0, 0, 0]
        with pytest.raises(IndexError):
            unread[count]
