"""The best tokens of each row."""

import pytest
import torch

from nmt.errors import NmtError
from nmt.search.scores import top_tokens


@pytest.mark.parametrize("suppress", [[], [5], [0, 1, 3]])
def test_the_best_tokens_are_those_of_a_sort_without_the_suppressed(suppress: list[int]) -> None:
    log_probs = torch.randn(6, 20, generator=torch.Generator().manual_seed(1)).log_softmax(1)
    values, ids = top_tokens(log_probs, 4, torch.tensor(suppress, dtype=torch.int64))
    for row in range(6):
        allowed = [token for token in log_probs[row].argsort(descending=True).tolist() if token not in suppress]
        best = values[row].topk(4)
        assert ids[row][best.indices].tolist() == allowed[:4]
        assert best.values.tolist() == log_probs[row][allowed[:4]].tolist()


def test_what_the_step_returned_is_left_as_it_was() -> None:
    log_probs = torch.randn(3, 8).log_softmax(1)
    before = log_probs.clone()
    top_tokens(log_probs, 2, torch.tensor([0, 1]))
    assert torch.equal(log_probs, before)


def test_a_vocabulary_smaller_than_asked_for_is_filled_up_with_impossible_tokens() -> None:
    log_probs = torch.randn(2, 3).log_softmax(1)
    values, ids = top_tokens(log_probs, 5, torch.tensor([0]))
    assert values.shape == ids.shape == (2, 6)
    assert (values > -torch.inf).sum(1).tolist() == [2, 2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_sums_are_made_in_float32_whatever_the_step_computes_in(dtype: torch.dtype) -> None:
    values, _ = top_tokens(torch.randn(2, 5).log_softmax(1).to(dtype), 2, torch.tensor([0]))
    assert values.dtype == torch.float32


@pytest.mark.parametrize("column", [0, 1, 499, 999])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.5])
def test_a_value_that_is_no_log_probability_is_refused_wherever_it_stands(column: int, bad: float) -> None:
    log_probs = torch.randn(4, 1000).log_softmax(1)
    log_probs[2, column] = bad
    with pytest.raises(NmtError, match=r"1 of 4 rows .* NaN or a value above 0.*the model is damaged or .* diverged"):
        top_tokens(log_probs, 3, torch.tensor([0, 1]))
