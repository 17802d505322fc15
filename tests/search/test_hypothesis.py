"""What a hypothesis holds."""

import pytest

from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty


def test_a_hypothesis_sums_its_tokens_and_counts_eos_in_its_length() -> None:
    found = Hypothesis.scored([7, 8], [-1.0, -2.0, -6.0], truncated=False, penalty=LengthPenalty("average"))
    assert found == Hypothesis((7, 8), (-1.0, -2.0, -6.0), log_prob=-9.0, score=-3.0, truncated=False)


def test_the_average_score_of_a_hypothesis_is_its_mean_token_log_prob() -> None:
    token_log_probs = [-0.25, -1.5, -0.125, -3.0]
    found = Hypothesis.scored([5, 6, 7], token_log_probs, truncated=False, penalty=LengthPenalty("average"))
    assert found.score == pytest.approx(sum(token_log_probs) / 4)
