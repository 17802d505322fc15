"""What training minimises."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model import loss as loss_module
from nmt.model.loss import Loss, full_loss, sampled_loss, smoothed_loss
from nmt.model.model import real_positions

ROWS, WIDTH, VOCAB, EMBED = 4, 6, 30, 5
LENGTHS = torch.tensor([6, 1, 4, 3])
TARGETS = torch.tensor([3, 17, 3, 4, 29, 0, 3, 8, 17])  # six types
each_smoothing = pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.9])


def randn(*sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def random_targets(*sizes: int) -> Tensor:
    return torch.randint(VOCAB, sizes, generator=torch.Generator().manual_seed(8))


@each_smoothing
def test_equals_torch_cross_entropy_and_so_does_its_gradient(label_smoothing: float) -> None:
    logits, tgt = randn(9, VOCAB).requires_grad_(), random_targets(9)
    loss = smoothed_loss(logits, tgt, label_smoothing=label_smoothing)
    expected = functional.cross_entropy(logits, tgt, label_smoothing=label_smoothing, reduction="sum")
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(*(torch.autograd.grad(total, logits)[0] for total in (loss.total, expected)))


def test_nll_is_plain_whatever_the_smoothing_and_carries_no_gradient() -> None:
    logits, tgt = randn(9, VOCAB).requires_grad_(), random_targets(9)
    loss = smoothed_loss(logits, tgt, label_smoothing=0.3)
    torch.testing.assert_close(loss.nll, functional.cross_entropy(logits.detach(), tgt, reduction="sum"))
    assert not loss.nll.requires_grad
    assert not smoothed_loss(logits, tgt, label_smoothing=0.0).nll.requires_grad


def test_sums_and_counts_add_up_over_any_split() -> None:
    logits, tgt = randn(9, VOCAB), random_targets(9)
    whole = smoothed_loss(logits, tgt, label_smoothing=0.1)
    parts = [smoothed_loss(logits[part], tgt[part], label_smoothing=0.1) for part in (slice(4), slice(4, None))]
    torch.testing.assert_close(whole.total, parts[0].total + parts[1].total)
    torch.testing.assert_close(whole.nll, parts[0].nll + parts[1].nll)
    assert whole.tokens == parts[0].tokens + parts[1].tokens == 9


def test_only_real_positions_count_whatever_stands_in_the_padding() -> None:
    logits, tgt = randn(ROWS, WIDTH, VOCAB), random_targets(ROWS, WIDTH)
    loss = smoothed_loss(real_positions(logits, LENGTHS), real_positions(tgt, LENGTHS), label_smoothing=0.1)
    padding = torch.arange(WIDTH) >= LENGTHS[:, None]
    logits[padding], tgt[padding] = torch.nan, 0
    wider = torch.cat([logits, torch.full((ROWS, 2, VOCAB), torch.inf)], dim=1), torch.cat([tgt, tgt[:, :2]], dim=1)
    again = smoothed_loss(*(real_positions(tensor, LENGTHS) for tensor in wider), label_smoothing=0.1)
    assert again == loss
    assert loss.tokens == LENGTHS.sum()


# --- over a sample of the vocabulary ---


def new_output() -> nn.Linear:
    torch.manual_seed(5)
    return nn.Linear(EMBED, VOCAB).double()


@each_smoothing
@pytest.mark.parametrize("samples", [VOCAB - 6, VOCAB, 10 * VOCAB])
def test_a_sample_of_all_is_the_smoothed_loss_and_has_its_gradients(label_smoothing: float, samples: int) -> None:
    output, readouts = new_output(), randn(9, EMBED).requires_grad_()
    found = sampled_loss(readouts, TARGETS, *output.parameters(), samples=samples, label_smoothing=label_smoothing)
    expected = smoothed_loss(output(readouts), TARGETS, label_smoothing=label_smoothing)
    torch.testing.assert_close(found, expected)
    wanted = [readouts, *output.parameters()]
    gradients = (torch.autograd.grad(loss.total, wanted) for loss in (found, expected))
    for own, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(own, theirs)
    assert not found.nll.requires_grad


@pytest.mark.parametrize("samples", [1, 7])
def test_a_sample_is_the_batchs_own_types_and_so_many_others(samples: int) -> None:
    """No other weight of the output layer is moved."""
    output = new_output()
    sampled_loss(randn(9, EMBED), TARGETS, *output.parameters(), samples=samples, label_smoothing=0.1).total.backward()
    assert output.weight.grad is not None
    touched = set(output.weight.grad.any(dim=-1).nonzero().squeeze(1).tolist())
    types = set(TARGETS.tolist())
    assert types < touched
    assert len(touched) == len(types) + samples


def test_estimates_of_the_sum_and_of_the_mean_over_the_vocabulary_have_no_bias() -> None:
    """Read off the losses of one position: nll = log sum - target's logit, and smoothing adds the mean logit."""
    output, readouts, tgt, draws = new_output(), 2.0 * randn(1, EMBED), torch.tensor([17]), 3000
    logits = output(readouts)[0].detach()
    sums, means = [], []
    torch.manual_seed(1)
    with torch.no_grad():
        for _ in range(draws):
            loss = sampled_loss(readouts, tgt, *output.parameters(), samples=6, label_smoothing=0.5)
            log_sum = loss.nll + logits[17]
            sums.append(log_sum.exp())
            means.append(loss.nll + log_sum - 2.0 * loss.total)
    for found, truth in ((sums, logits.exp().sum()), (means, logits.mean())):
        estimates = torch.stack(found)
        error = float(estimates.std()) / math.sqrt(draws)
        assert error < 0.02 * float(logits.exp().sum())  # sharp enough to tell
        assert abs(float(estimates.mean() - truth)) < 4 * error


def test_draws_come_from_torchs_generator_and_differ() -> None:
    output = new_output()
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(
            [
                float(sampled_loss(randn(9, EMBED), TARGETS, *output.parameters(), samples=4, label_smoothing=0.0).nll)
                for _ in "ab"
            ]
        )
    assert found[0] == found[1]
    assert len({value for losses in found for value in losses}) == 4


# --- with its gradient at once ---


def gradients(loss: Loss, readouts: Tensor, output: nn.Linear) -> tuple[Tensor, ...]:
    return torch.autograd.grad(3.0 * loss.total, [readouts, *output.parameters()])


@each_smoothing
@pytest.mark.parametrize(("rows", "cached_values"), [(9, 1), (4, 2 * VOCAB), (1000, 1000 * VOCAB)])
def test_the_full_loss_is_the_smoothed_loss_of_the_logits_and_has_its_gradients(
    label_smoothing: float, rows: int, cached_values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows are there at a time, 9, 4 or all, and of them in the cache, 1, 2 or all."""
    monkeypatch.setattr(loss_module, "ROWS", rows)
    monkeypatch.setattr(loss_module, "CACHED_VALUES", cached_values)
    output, readouts = new_output(), randn(9, EMBED).requires_grad_()
    found = full_loss(readouts, TARGETS, *output.parameters(), label_smoothing=label_smoothing)
    expected = smoothed_loss(output(readouts), TARGETS, label_smoothing=label_smoothing)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, readouts, output), gradients(expected, readouts, output))
    assert not found.nll.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shift", [-300.0, 0.0, 300.0])
@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_the_full_loss_holds_where_exponentials_do_not(shift: float, spread: float, dtype: torch.dtype) -> None:
    """Logits of hundreds, above 0 and below, all of them or the largest alone."""
    output = new_output().to(dtype)
    with torch.no_grad():
        output.bias += shift
    readouts = (spread * randn(9, EMBED)).to(dtype).requires_grad_()
    found = full_loss(readouts, TARGETS, *output.parameters(), label_smoothing=0.1)
    expected = smoothed_loss(output(readouts), TARGETS, label_smoothing=0.1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        gradients(found, readouts, output), gradients(expected, readouts, output), rtol=1e-5, atol=2e-4
    )


def test_logits_that_are_no_numbers_make_no_finite_loss() -> None:
    output = new_output()
    with torch.no_grad():
        output.bias[3] = torch.nan
    assert not torch.isfinite(full_loss(randn(9, EMBED), TARGETS, *output.parameters(), label_smoothing=0.1).total)


def test_a_second_backward_pass_is_refused_rather_than_wrong() -> None:
    output, readouts = new_output(), randn(9, EMBED).requires_grad_()
    loss = full_loss(readouts, TARGETS, *output.parameters(), label_smoothing=0.1)
    torch.autograd.grad(3.0 * loss.total, readouts, retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(3.0 * loss.total, readouts)


def test_a_loss_of_no_positions_has_gradients_of_0() -> None:
    output, readouts = new_output(), randn(0, EMBED).requires_grad_()
    found = gradients(full_loss(readouts, TARGETS[:0], *output.parameters(), label_smoothing=0.1), readouts, output)
    torch.testing.assert_close(found, tuple(torch.zeros_like(x) for x in (readouts, *output.parameters())))


@each_smoothing
@pytest.mark.parametrize("samples", [3, 7, VOCAB])
def test_a_sampled_loss_is_the_same_by_torchs_own_formula_as_under_autocast(
    label_smoothing: float, samples: int
) -> None:
    output, readouts = new_output(), randn(9, EMBED).requires_grad_()
    losses = []
    for autocast in (False, True):  # which leaves double precision as it is
        torch.manual_seed(2)
        with torch.autocast("cpu", enabled=autocast):
            losses.append(
                sampled_loss(readouts, TARGETS, *output.parameters(), samples=samples, label_smoothing=label_smoothing)
            )
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(*(gradients(loss, readouts, output) for loss in losses))


def test_a_loss_that_nobody_differentiates_is_the_same() -> None:
    output, readouts = new_output(), randn(9, EMBED)
    with torch.no_grad():
        found = full_loss(readouts, TARGETS, *output.parameters(), label_smoothing=0.1)
    torch.testing.assert_close(found, full_loss(readouts, TARGETS, *output.parameters(), label_smoothing=0.1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("samples", [None, 300])
def test_in_16_bits_sums_over_a_large_vocabulary_are_made_in_32(dtype: torch.dtype, samples: int | None) -> None:
    torch.manual_seed(1)
    output = torch.nn.Linear(8, 9000)
    readouts, tgt = torch.randn(6, 8), torch.arange(6)

    def total() -> float:
        torch.manual_seed(2)
        if samples is None:
            return float(full_loss(readouts, tgt, *output.parameters(), label_smoothing=0.1).total.detach())
        return float(
            sampled_loss(readouts, tgt, *output.parameters(), samples=samples, label_smoothing=0.1).total.detach()
        )

    wanted = total()
    with torch.autocast("cpu", dtype):
        assert total() == pytest.approx(wanted, rel=0.02)
