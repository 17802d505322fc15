"""Figures say what the numbers say, with labels, and survive every kind of text."""

import io
from collections.abc import Sequence

import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from nmt.report.gates import summarise
from nmt.report.gradients import StepNorms
from nmt.report.plots import attention_map, gates_of_layer, gradients_by_layer, gradients_by_step, png

NORMS = [
    StepNorms("encoder 1 ahead", "h", torch.tensor([[1.0, 2.0], [3.0, 9.0]]), torch.tensor([2, 1])),
    StepNorms(
        "decoder 1", "h", torch.tensor([[1.0, 2.0, 5.0], [3.0, 4.0, 0.0], [2.0, 0.0, 0.0]]), torch.tensor([3, 2, 1])
    ),
    StepNorms("decoder 1", "c", torch.tensor([[0.5, 0.0, 0.1]]), torch.tensor([3])),
]
ODD_TOKENS = ["$5", "$x$", "$\\frac{$", "▁Haus", "東京", "", "_", "<0x41>"]


def panels(figure: Figure) -> list[Axes]:
    """Axes with a title of their own: colour bars have none."""
    return [axes for axes in figure.axes if axes.get_title()]


def lines(axes: Axes) -> dict[str, list[float]]:
    return {str(line.get_label()): [float(y) for y in line.get_ydata()] for line in axes.get_lines()}  # type: ignore[union-attr]


def size(figure: Figure) -> tuple[int, int]:
    with Image.open(io.BytesIO(png(figure))) as image:
        return image.size


def tick_labels(labels: Sequence[object]) -> list[str]:
    return [label.get_text() for label in labels]  # type: ignore[attr-defined]


def test_gradients_by_step_are_lines_of_means_on_a_log_scale() -> None:
    encoder, decoder = panels(gradients_by_step(NORMS, last_only=False))
    assert (encoder.get_title(), decoder.get_title()) == ("encoder", "decoder")
    assert lines(encoder) == {"encoder 1 ahead, h": [2.0, 2.0]}
    found = lines(decoder)
    assert found["decoder 1, h"] == [2.0, 3.0]  # one of three sentences has a third step: too few
    assert found["decoder 1, c"] == pytest.approx([0.5, float("nan"), 0.1], nan_ok=True)  # a logarithm knows no 0
    for axes in (encoder, decoder):
        assert axes.get_yscale() == "log"
        assert "step" in axes.get_xlabel()
    assert "gradient" in encoder.get_ylabel()


@pytest.mark.parametrize(("last_only", "words"), [(False, "whole sentence"), (True, "last target token")])
def test_titles_say_whose_loss_it_is(last_only: bool, words: str) -> None:
    assert words in gradients_by_step(NORMS, last_only=last_only).get_suptitle()
    [axes] = panels(gradients_by_layer({"encoder 1": 0.5}, last_only=last_only))
    assert words in axes.get_title()


def test_gradients_by_layer_are_bars_from_top_to_bottom() -> None:
    [axes] = panels(gradients_by_layer({"encoder 1": 0.5, "output": 2.0}, last_only=False))
    assert [bar.get_width() for bar in axes.patches] == [0.5, 2.0]  # type: ignore[attr-defined]
    assert tick_labels(axes.get_yticklabels()) == ["encoder 1", "output"]
    assert axes.yaxis_inverted()


def test_a_gate_is_a_map_with_its_mean_and_bars_that_fill_up() -> None:
    torch.manual_seed(3)
    gates = [summarise("f", torch.rand(3, 40)), summarise("g", torch.rand(3, 40) * 2 - 1)]
    figure = gates_of_layer("decoder 1", gates, ["<s>", "a", "b"])
    assert "decoder 1" in figure.get_suptitle()
    shown = panels(figure)
    assert len(shown) == 4
    for gate, spread, ends in zip(gates, shown[::2], shown[1::2], strict=True):
        assert spread.get_title().startswith(f"{gate.name}, ")
        assert lines(spread)["mean of the units"] == pytest.approx(gate.mean.tolist())
        [image] = spread.images
        assert torch.equal(torch.as_tensor(image.get_array()), gate.histogram)
        heights = torch.tensor([float(bar.get_height()) for bar in ends.patches], dtype=torch.float32).view(3, 3)  # type: ignore[attr-defined]
        torch.testing.assert_close(heights[0], gate.near_least)
        torch.testing.assert_close(heights[2], gate.near_most)
        torch.testing.assert_close(heights.sum(dim=0), torch.ones(3))
        bottoms = [float(bar.get_y()) for bar in ends.patches]  # type: ignore[attr-defined]
        assert bottoms == pytest.approx([0.0, 0.0, 0.0, *gate.near_least.tolist(), *(1.0 - gate.near_most).tolist()])
    assert tick_labels(shown[-1].get_xticklabels()) == ["<s>", "a", "b"]


def test_attention_has_the_source_across_and_the_target_downwards() -> None:
    shares = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
    [axes] = panels(attention_map(shares, ["a", "b", "</s>"], ["x", "</s>"]))
    assert torch.equal(torch.as_tensor(axes.images[0].get_array()), shares)
    assert tick_labels(axes.get_xticklabels()) == ["a", "b", "</s>"]
    assert tick_labels(axes.get_yticklabels()) == ["x", "</s>"]
    bottom, top = axes.get_ylim()
    assert bottom > top


def test_any_token_can_be_a_label() -> None:
    tokens = ODD_TOKENS
    count = len(tokens)
    for figure in (
        attention_map(torch.full((count, count), 1 / count), tokens, tokens),
        gates_of_layer("encoder 1 back", [summarise("z", torch.rand(count, 8))], tokens),
    ):
        assert min(size(figure)) > 200
        assert tick_labels(panels(figure)[-1].get_xticklabels()) == tokens


def test_a_very_long_sentence_makes_no_picture_without_end() -> None:
    tokens = [f"t{number}" for number in range(1001)]
    figure = gates_of_layer("encoder 1", [summarise("z", torch.rand(1001, 8))], tokens)
    assert max(size(figure)) < 12_000
    labels = tick_labels(panels(figure)[-1].get_xticklabels())
    assert len(labels) > 100
    assert labels == tokens[:: int(labels[1][1:])]


def test_no_gradient_at_all_is_an_empty_plot() -> None:
    nothing = [StepNorms("decoder 1", "h", torch.zeros(1, 1), torch.tensor([1]))]
    assert min(size(gradients_by_step(nothing, last_only=True))) > 200
