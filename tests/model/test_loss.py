"""What training minimises."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nmt.model.loss import smoothed_loss
from nmt.model.seq2seq import real_positions

ROWS, WIDTH, VOCAB = 4, 6, 7
LENGTHS = torch.tensor([6, 1, 4, 3])


def random_logits(*sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def random_targets(*sizes: int) -> Tensor:
    return torch.randint(VOCAB, sizes, generator=torch.Generator().manual_seed(8))


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.9])
def test_equals_torch_cross_entropy_and_so_does_its_gradient(label_smoothing: float) -> None:
    logits, tgt = random_logits(9, VOCAB).requires_grad_(), random_targets(9)
    loss = smoothed_loss(logits, tgt, label_smoothing=label_smoothing)
    expected = functional.cross_entropy(logits, tgt, label_smoothing=label_smoothing, reduction="sum")
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(*(torch.autograd.grad(total, logits)[0] for total in (loss.total, expected)))


def test_nll_is_plain_whatever_the_smoothing_and_carries_no_gradient() -> None:
    logits, tgt = random_logits(9, VOCAB).requires_grad_(), random_targets(9)
    loss = smoothed_loss(logits, tgt, label_smoothing=0.3)
    torch.testing.assert_close(loss.nll, functional.cross_entropy(logits.detach(), tgt, reduction="sum"))
    assert not loss.nll.requires_grad
    assert not smoothed_loss(logits, tgt, label_smoothing=0.0).nll.requires_grad


def test_sums_and_counts_add_up_over_any_split() -> None:
    logits, tgt = random_logits(9, VOCAB), random_targets(9)
    whole = smoothed_loss(logits, tgt, label_smoothing=0.1)
    parts = [smoothed_loss(logits[part], tgt[part], label_smoothing=0.1) for part in (slice(4), slice(4, None))]
    torch.testing.assert_close(whole.total, parts[0].total + parts[1].total)
    torch.testing.assert_close(whole.nll, parts[0].nll + parts[1].nll)
    assert whole.tokens == parts[0].tokens + parts[1].tokens == 9


def test_only_real_positions_count_whatever_stands_in_the_padding() -> None:
    logits, tgt = random_logits(ROWS, WIDTH, VOCAB), random_targets(ROWS, WIDTH)
    loss = smoothed_loss(real_positions(logits, LENGTHS), real_positions(tgt, LENGTHS), label_smoothing=0.1)
    padding = torch.arange(WIDTH) >= LENGTHS[:, None]
    logits[padding], tgt[padding] = torch.nan, 0
    wider = torch.cat([logits, torch.full((ROWS, 2, VOCAB), torch.inf)], dim=1), torch.cat([tgt, tgt[:, :2]], dim=1)
    again = smoothed_loss(*(real_positions(tensor, LENGTHS) for tensor in wider), label_smoothing=0.1)
    assert again == loss
    assert loss.tokens == LENGTHS.sum()


def test_real_positions_come_row_after_row() -> None:
    table = torch.arange(ROWS * WIDTH).view(ROWS, WIDTH)
    expected = [int(table[row, position]) for row, length in enumerate(LENGTHS) for position in range(length)]
    assert real_positions(table, LENGTHS).tolist() == expected
