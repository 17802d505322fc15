"""Dropout for sequences."""

import pytest
import torch

from nmt.model.dropout import DROPOUTS, LockedDropout

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
    assert torch.equal(DROPOUTS[kind](0.9).eval()(x), x)
    assert torch.equal(DROPOUTS[kind](0.0)(x), x)
