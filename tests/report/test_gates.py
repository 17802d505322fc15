"""Gate summaries count units."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_traced import BATCH, MODELS, new_model

from nmt.report.gates import BINS, GATES, summarise
from nmt.report.tracing import trace_batch

sigmoids = st.lists(st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4), min_size=1, max_size=5)


@settings(deadline=None, max_examples=50)
@given(sigmoids, st.sampled_from("fn"))
def test_shares_are_counts_of_units(rows: list[list[float]], name: str) -> None:
    least = GATES[name].least
    values = [[least + (1.0 - least) * value for value in row] for row in rows]  # over the gate's range
    found = summarise(name, torch.tensor(values, dtype=torch.float64))
    low, high = (0.1, 0.9) if name == "f" else (-0.8, 0.8)
    for step, row in enumerate(values):
        sure = [value for value in row if min(abs(value - low), abs(value - high)) > 1e-9]
        for found_share, count in (
            (found.near_least[step], sum(value < low for value in sure)),
            (found.near_most[step], sum(value > high for value in sure)),
        ):
            assert count <= round(4 * float(found_share)) <= count + len(row) - len(sure)
        assert abs(float(found.mean[step]) - sum(row) / 4) < 1e-9
    assert found.histogram.shape == (BINS, len(rows))
    torch.testing.assert_close(found.histogram.sum(dim=0), torch.ones(len(rows), dtype=torch.float64))


def test_a_histogram_has_the_least_values_first_and_both_ends_inside() -> None:
    found = summarise("g", torch.tensor([[-1.0, -0.96, 0.01, 1.0]]))
    assert {
        index: float(found.histogram[index, 0]) for index in found.histogram[:, 0].nonzero().flatten().tolist()
    } == {
        0: 0.5,
        BINS // 2: 0.25,
        BINS - 1: 0.25,
    }


def test_every_gate_of_every_cell_has_its_words_and_its_range() -> None:
    for kind in MODELS:
        for layer in trace_batch(new_model(kind), BATCH).layers:
            for name, activations in layer.gates.items():
                assert (activations.min() < 0.0) == (GATES[name].least < 0.0), name
                assert -1.0 <= activations.min() <= activations.max() <= 1.0
