"""8-bit products."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_engine import KINDS, assert_batch_mates_change_nothing, sentences, some_steps, toy

from nmt.engine.engines import engine_for
from nmt.engine.int8 import Int8Product


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 16, 40), (5, 33, 7), (100, 256, 128)])
def test_a_product_is_the_exact_one_but_for_the_rounding_of_both_sides(
    biased: bool, rows: int, inputs: int, outputs: int
) -> None:
    torch.manual_seed(1)
    weight, bias = torch.randn(outputs, inputs), torch.randn(outputs) if biased else None
    x = torch.rand(rows, inputs) * 2 - 1
    exact = torch.nn.functional.linear(x, weight, bias)
    # Half a step of x (7 bits over -1 to 1) and half a step of a weight, at random signs in each of the sums' terms.
    spread = inputs**0.5 * (weight.abs().max() / 254 + weight.std() / 63)
    found = Int8Product(weight, bias)
    assert float((found(x) - exact).abs().max()) < 3 * float(spread)
    sums = torch.randn(rows, outputs)
    torch.testing.assert_close(found.add_to(sums.clone(), x), sums + found(x))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), rows=st.integers(2, 40), scale=st.floats(0.01, 1.0))
def test_a_row_s_product_does_not_hang_on_the_other_rows(seed: int, rows: int, scale: float) -> None:
    """A step of the quantised values is some 1e-2 here: all but their sums' last bit is the same."""
    generator = torch.Generator().manual_seed(seed)
    product = Int8Product(torch.randn(24, 32, generator=generator), torch.randn(24, generator=generator))
    x = torch.rand(rows, 32, generator=generator) * 2 - 1
    x[0] *= scale  # alone it would have a finer scale
    torch.testing.assert_close(product(x[:1]), product(x)[:1], rtol=0, atol=5e-6)


def test_weights_of_zero_and_sizes_of_one_are_no_trouble() -> None:
    product = Int8Product(torch.zeros(3, 1), torch.tensor([1.0, -torch.inf, 0.0]))
    assert product(torch.tensor([[0.5], [-1.0]])).tolist() == [[1.0, -torch.inf, 0.0]] * 2


@pytest.mark.parametrize("kind", ["lstm", "gru", "layers"])
def test_log_probs_are_near_those_of_the_model_and_not_the_same(kind: str) -> None:
    model, sources = toy(spread=1.0, **KINDS[kind]), sentences(4, [3, 9, 5])
    pairs = list(zip(some_steps(engine_for(model, "int8"), sources), some_steps(model, sources), strict=True))
    for found, wanted in pairs:
        torch.testing.assert_close(found, wanted, rtol=0, atol=0.05)
    assert any(not torch.allclose(found, wanted, rtol=0, atol=1e-5) for found, wanted in pairs)


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    lengths=st.lists(st.integers(1, 20), min_size=2, max_size=9),
    beam_size=st.integers(1, 3),
)
def test_batch_mates_change_nothing(seed: int, lengths: list[int], beam_size: int) -> None:
    engine = engine_for(toy(seed), "int8")
    assert_batch_mates_change_nothing(engine, sentences(seed, lengths), beam_size, levels=True)


def test_the_library_that_others_of_this_process_quantise_with_stays() -> None:
    before = torch.backends.quantized.engine
    Int8Product(torch.randn(4, 4), None)
    assert torch.backends.quantized.engine == before
