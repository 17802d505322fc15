"""Dropout for sequences."""

import pytest
import torch

from nmt.model.dropout import DROPOUTS, LockedDropout, WordDropout

KINDS = pytest.mark.parametrize("kind", DROPOUTS)


def test_locked_drops_the_same_features_at_every_position_and_others_in_every_sentence() -> None:
    torch.manual_seed(9)
    out = LockedDropout(0.5)(torch.ones(8, 5, 64))
    assert torch.equal(out, out[:, :1].expand_as(out))
    assert len({tuple(row.tolist()) for row in out[:, 0]}) == 8


def test_plain_drops_each_position_by_itself() -> None:
    torch.manual_seed(9)
    out = DROPOUTS["plain"](0.5)(torch.ones(8, 5, 64))
    assert len({tuple(position.tolist()) for position in out.flatten(0, 1)}) == 40


@KINDS
@pytest.mark.parametrize("training", [True, False])
def test_a_scale_is_that_of_the_result(kind: str, training: bool) -> None:
    x, dropout = torch.randn(3, 4, 8), DROPOUTS[kind](0.5).train(training)
    torch.manual_seed(9)
    scaled = dropout(x, 3.0)
    torch.manual_seed(9)
    torch.testing.assert_close(scaled, 3.0 * dropout(x))


@KINDS
def test_a_draw_for_steps_does_at_each_step_what_the_kind_does_at_each_position(kind: str) -> None:
    torch.manual_seed(9)
    x = torch.ones(8, 64)
    drop = DROPOUTS[kind](0.5).for_steps(x)
    steps = [drop(x) for _ in range(5)]
    rows = {tuple(row.tolist()) for step in steps for row in step}
    assert len(rows) == (8 if kind == "locked" else 40)
    assert {value for row in rows for value in row} == {0.0, 2.0}


def test_a_locked_draw_for_steps_equals_that_for_all_positions() -> None:
    x, dropout = torch.randn(4, 3, 8), LockedDropout(0.3)
    torch.manual_seed(9)
    together = dropout(x)
    torch.manual_seed(9)
    drop = dropout.for_steps(x[:, 0])
    assert torch.equal(torch.stack([drop(position) for position in x.unbind(1)], dim=1), together)


@KINDS
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_a_share_p_is_dropped_and_the_rest_scaled_up_so_that_the_expectation_stays(kind: str, p: float) -> None:
    torch.manual_seed(9)
    out = DROPOUTS[kind](p)(torch.full((400, 3, 100), 2.0))
    kept = out != 0
    torch.testing.assert_close(out[kept], torch.full_like(out[kept], 2.0 / (1.0 - p)))
    assert float(kept.double().mean()) == pytest.approx(1.0 - p, abs=0.01)


@KINDS
def test_off_in_evaluation_and_at_0(kind: str) -> None:
    x = torch.randn(2, 3, 4)
    for dropout in (DROPOUTS[kind](0.9).eval(), DROPOUTS[kind](0.0)):
        assert torch.equal(dropout(x), x)
        assert torch.equal(dropout.for_steps(x[:, 0])(x[:, 0]), x[:, 0])


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_word_dropout_takes_whole_words_each_for_itself_and_leaves_the_others_as_they_are(p: float) -> None:
    torch.manual_seed(9)
    x = torch.randn(300, 40, 5)
    out = WordDropout(p)(x)
    kept = out.any(dim=-1)
    assert torch.equal(out, x * kept[:, :, None])
    assert float(kept.double().mean()) == pytest.approx(1.0 - p, abs=0.02)
    assert len({tuple(row.tolist()) for row in kept}) > 250  # neither by sentence
    assert len({tuple(column.tolist()) for column in kept.T}) == 40  # nor by position


def test_word_dropout_is_off_in_evaluation_and_at_0() -> None:
    x = torch.randn(2, 3, 4)
    assert torch.equal(WordDropout(0.9).eval()(x), x)
    assert torch.equal(WordDropout(0.0)(x), x)
