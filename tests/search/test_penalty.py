"""Length penalties."""

import pytest

from nmt.errors import RecipeError
from nmt.search.penalty import LENGTH_PENALTIES, LengthPenalty


@pytest.mark.parametrize(
    ("name", "alpha", "length", "expected"),
    [
        ("none", 1.0, 7, 1.0),
        ("average", 0.3, 7, 7.0),
        ("gnmt", 1.0, 7, 2.0),
        ("gnmt", 0.5, 19, 2.0),
        ("gnmt", 0.0, 19, 1.0),
        ("gnmt", 0.6, 1, 1.0),
    ],
)
def test_a_penalty_is_its_published_formula(name: str, alpha: float, length: int, expected: float) -> None:
    assert LengthPenalty(name, alpha)(length) == pytest.approx(expected)


@pytest.mark.parametrize("name", LENGTH_PENALTIES)
@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_penalty_is_positive_and_never_falls_with_length(name: str, alpha: float) -> None:
    penalties = [LengthPenalty(name, alpha)(length) for length in range(1, 200)]
    assert penalties == sorted(penalties)
    assert penalties[0] > 0


def test_an_unknown_penalty_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(RecipeError, match="'avg'; choose one of 'none', 'average', 'gnmt'"):
        LengthPenalty("avg")


@pytest.mark.parametrize("alpha", [-0.1, float("nan")])
def test_an_alpha_under_which_a_penalty_would_fall_with_length_is_refused(alpha: float) -> None:
    with pytest.raises(RecipeError, match="must be 0 or more"):
        LengthPenalty("gnmt", alpha)
