"""Update rules, learning rate schedules and the moving average."""

import math
from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nmt.recipe import TrainSection
from nmt.train.optim import SCHEDULES, LearningRate, MovingAverage, build_optimizer

RATE, STEPS, WARMUP = 0.5, 1000, 50
FALLING = ("linear", "cosine", "inverse_sqrt")
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES)


def new_section(**keys: object) -> TrainSection:
    return TrainSection(**{"learning_rate": RATE, "max_steps": STEPS, "warmup_steps": WARMUP} | keys)  # type: ignore


def rates(**keys: object) -> list[float]:
    rate = LearningRate(new_section(**keys))
    return [rate.at(step) for step in range(STEPS + 1)]


def test_the_recipe_names_the_schedules_there_are() -> None:
    assert set(SCHEDULES) == set(get_args(TrainSection.model_fields["schedule"].annotation))


@each_schedule
def test_warm_up_rises_in_equal_steps_from_above_0_to_the_learning_rate(schedule: str) -> None:
    found = rates(schedule=schedule)[: WARMUP + 1]
    assert found == pytest.approx([RATE * (step + 1) / (WARMUP + 1) for step in range(WARMUP + 1)])


@each_schedule
def test_without_warm_up_the_first_step_has_the_whole_learning_rate(schedule: str) -> None:
    assert rates(schedule=schedule, warmup_steps=0)[0] == RATE


@each_schedule
def test_no_schedule_ever_rises_after_warm_up_nor_leaves_0_to_the_learning_rate(schedule: str) -> None:
    found = rates(schedule=schedule)
    assert all(later <= earlier for earlier, later in pairwise(found[WARMUP:]))
    assert max(found) == RATE
    assert min(found) >= 0.0


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_constant_and_plateau_stay_by_themselves(schedule: str) -> None:
    assert set(rates(schedule=schedule)[WARMUP:]) == {RATE}


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("decay_start", [0.2, 0.5])
def test_linear_and_cosine_stay_until_decay_start_are_half_way_in_the_middle_and_0_at_the_end(
    schedule: str, decay_start: float
) -> None:
    found = rates(schedule=schedule, decay_start=decay_start)
    begin = int(decay_start * STEPS)
    assert set(found[WARMUP : begin + 1]) == {RATE}
    assert found[begin + 1] < RATE
    assert found[(begin + STEPS) // 2] == pytest.approx(RATE / 2)
    assert found[STEPS] == pytest.approx(0.0, abs=1e-12)


def test_linear_falls_by_the_same_each_step_and_cosine_slowest_at_both_ends() -> None:
    linear, cosine = (rates(schedule=kind, decay_start=0.5)[500:] for kind in ("linear", "cosine"))
    assert [early - late for early, late in pairwise(linear)] == pytest.approx([RATE / 500] * 500)
    assert cosine[125] == pytest.approx(RATE * (0.5 + 0.5 * math.sqrt(0.5)))
    assert cosine[375] == pytest.approx(RATE * (0.5 - 0.5 * math.sqrt(0.5)))


def test_inverse_sqrt_falls_with_the_root_of_the_step() -> None:
    found = rates(schedule="inverse_sqrt")
    assert found[4 * WARMUP] == pytest.approx(RATE / 2)
    assert found[16 * WARMUP] == pytest.approx(RATE / 4)


def test_a_rate_stays_at_the_end_of_its_schedule() -> None:
    """A step past the last one never makes a rate negative or lets cosine rise again."""
    for schedule in FALLING:
        rate = LearningRate(new_section(schedule=schedule))
        assert 0.0 <= rate.at(3 * STEPS) <= rate.at(STEPS)


def after(validations: str, **keys: object) -> float:
    """The rate of a late step after validations, "+" better and "-" not."""
    rate = LearningRate(new_section(schedule="plateau", plateau_factor=0.1, plateau_patience=2) if not keys else
                        new_section(**keys))  # fmt: skip
    for sign in validations:
        rate.validated(better=sign == "+")
    return rate.at(STEPS)


@pytest.mark.parametrize(
    ("validations", "falls"), [("", 0), ("-", 0), ("--", 1), ("-+-", 0), ("---", 1), ("----", 2), ("--+-+--", 2)]
)
def test_plateau_falls_at_each_patience_of_validations_in_a_row_without_a_better_one(
    validations: str, falls: int
) -> None:
    assert after(validations) == pytest.approx(RATE * 0.1**falls)


@pytest.mark.parametrize("schedule", ["constant", *FALLING])
def test_validations_move_no_other_schedule(schedule: str) -> None:
    assert after("------", schedule=schedule) == after("", schedule=schedule)


@given(before=st.text("+-", max_size=6), rest=st.text("+-", max_size=6))
def test_factor_and_waited_are_all_that_a_rate_needs_to_go_on(before: str, rest: str) -> None:
    whole = LearningRate(new_section(schedule="plateau"))
    for sign in before:
        whole.validated(better=sign == "+")
    resumed = LearningRate(whole.section, factor=whole.factor, waited=whole.waited)
    for rate in (whole, resumed):
        for sign in rest:
            rate.validated(better=sign == "+")
    assert (resumed.factor, resumed.waited) == (whole.factor, whole.waited)


def test_the_recipe_names_the_optimizers_there_are() -> None:
    parameter = nn.Parameter(torch.ones(2))
    for name in get_args(TrainSection.model_fields["optimizer"].annotation):
        assert type(build_optimizer(new_section(optimizer=name), [parameter])).__name__.lower() == name


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_each_optimizer_finds_the_bottom_of_a_bowl(optimizer: str) -> None:
    weights = nn.Parameter(torch.tensor([3.0, -2.0]))
    update = build_optimizer(new_section(optimizer=optimizer), [weights])
    for _ in range(200):
        for group in update.param_groups:
            group["lr"] = 0.05
        update.zero_grad()
        weights.grad = 2 * weights.detach()
        update.step()
    assert weights.abs().max() < 0.05


def test_weight_decay_is_decoupled_from_the_gradient_in_adamw_only() -> None:
    """Without a gradient AdamW shrinks by rate * decay; Adam scales its step to the rate, SGD's is the decay itself."""
    moved = {}
    for optimizer in ("adam", "adamw", "sgd"):
        weights = nn.Parameter(torch.tensor([2.0]))
        update = build_optimizer(new_section(optimizer=optimizer, weight_decay=0.1), [weights])
        for group in update.param_groups:
            group["lr"] = 0.01
        weights.grad = torch.zeros(1)
        update.step()
        moved[optimizer] = 2.0 - float(weights.detach())
    assert moved == pytest.approx({"adam": 0.01, "adamw": 0.01 * 0.1 * 2.0, "sgd": 0.01 * 0.1 * 2.0}, rel=1e-3)


def test_the_moving_average_follows_its_recurrence_with_a_short_memory_at_first() -> None:
    torch.manual_seed(11)
    weights = {"a": torch.zeros(3), "b": torch.ones(2, 2)}
    average = MovingAverage(weights, decay=0.6)
    expected = {name: tensor.clone() for name, tensor in weights.items()}
    for step in range(1, 30):
        weights = {name: torch.randn_like(tensor) for name, tensor in weights.items()}
        average.update(weights, step)
        decay = min(0.6, (1 + step) / (10 + step))
        expected = {name: decay * kept + (1 - decay) * weights[name] for name, kept in expected.items()}
        torch.testing.assert_close(average.weights, expected)


def test_the_average_of_weights_that_stand_still_is_those_weights() -> None:
    still = {"a": torch.full((3,), 7.0)}
    average = MovingAverage({"a": torch.zeros(3)}, decay=0.9)
    for step in range(1, 400):
        average.update(still, step)
    torch.testing.assert_close(average.weights, still)


def test_the_average_is_a_copy() -> None:
    weights = {"a": nn.Parameter(torch.zeros(3))}
    average = MovingAverage(weights, decay=0.9)
    with torch.no_grad():
        weights["a"].fill_(5.0)
    assert not average.weights["a"].any()
    assert not average.weights["a"].requires_grad


def test_the_average_goes_by_name_not_by_order() -> None:
    """Weights come back from a file in another order than the model has them."""
    average = MovingAverage({"a": torch.zeros(2), "b": torch.zeros(2)}, decay=0.5)
    average.update({"b": torch.full((2,), 8.0), "a": torch.ones(2)}, 100)
    torch.testing.assert_close(average.weights, {"a": torch.full((2,), 0.5), "b": torch.full((2,), 4.0)})
