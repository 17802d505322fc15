"""Backpointers, by hand."""

import torch

from nmt.search.history import History
from nmt.search.penalty import LengthPenalty


def test_a_hypothesis_is_traced_back_through_the_beams_that_it_came_from() -> None:
    history = History(batch=2, beam_size=2, longest=3, device=torch.device("cpu"))
    both, second = torch.tensor([0, 1]), torch.tensor([1])
    history.extend(
        0,
        both,
        parents=torch.tensor([[0, 0], [0, 0]]),
        tokens=torch.tensor([[10, 11], [20, 21]]),
        token_log_probs=torch.tensor([[-1.0, -2.0], [-3.0, -4.0]]),
    )
    no, yes = -torch.inf, torch.tensor([[-5.0, -6.0]])
    history.end(1, both, torch.tensor([[no, -7.0], [no, no]]), yes.expand(2, 2), torch.zeros(2, 2, dtype=torch.bool))
    history.extend(
        1,
        second,
        parents=torch.tensor([[1, 1]]),
        tokens=torch.tensor([[22, 23]]),
        token_log_probs=torch.tensor([[-0.5, -0.25]]),
    )
    history.end(2, second, torch.tensor([[-9.5, -10.25]]), yes, torch.tensor([[False, True]]))

    first, other = history.best(2, LengthPenalty("none"))
    assert [(found.ids, found.token_log_probs, found.truncated) for found in first] == [((11,), (-2.0, -6.0), False)]
    assert [(found.ids, found.token_log_probs, found.truncated) for found in other] == [
        ((21, 22), (-4.0, -0.5, -5.0), False),
        ((21, 23), (-4.0, -0.25, -6.0), True),
    ]


def test_the_best_come_first_by_the_score_they_show_and_not_by_its_float32_sum() -> None:
    history = History(batch=1, beam_size=2, longest=0, device=torch.device("cpu"))
    tied = torch.tensor([[-1.0, -1.0]])
    history.end(0, torch.tensor([0]), tied, torch.tensor([[-1.25, -1.0]]), torch.zeros(1, 2, dtype=torch.bool))
    assert [found.score for found in history.best(2, LengthPenalty("none"))[0]] == [-1.0, -1.25]
