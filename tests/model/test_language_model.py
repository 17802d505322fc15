"""The language model: it reads no source, and step by step it is what it is in training."""

import itertools

import pytest
import torch
from toy_model import SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS, VOCAB, section

from nmt.model.build import build_model
from nmt.model.cells import CELLS
from nmt.model.language_model import LanguageModel
from nmt.model.model import real_positions

OTHER_SRC, OTHER_LENGTHS = torch.tensor([[3], [3], [3]]), torch.tensor([1, 1, 1])
SHAPES: list[dict[str, object]] = [{"cell": cell} for cell in CELLS] + [
    {"decoder_layers": 3, "residual": True, "tie": "none"}
]
each_shape = pytest.mark.parametrize("options", SHAPES, ids=str)


def new_model(**options: object) -> LanguageModel:
    """In evaluation mode and double precision; biases, 0 at first, are drawn too: they would hide a mistake."""
    torch.manual_seed(10)
    made = section(**{"architecture": "language_model"} | options)
    model = build_model(made, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB).double().eval()
    assert isinstance(model, LanguageModel)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


def test_another_source_or_none_changes_nothing() -> None:
    model = new_model(dropout=0.0).train()
    found = []
    for src, lengths in ((SRC, SRC_LENGTHS), (OTHER_SRC, OTHER_LENGTHS), (SRC[:, :0], SRC_LENGTHS - SRC_LENGTHS)):
        model.zero_grad()
        logits = model(src, lengths, TGT_IN, TGT_LENGTHS)
        logits.square().sum().backward()
        gradients = [parameter.grad for parameter in model.parameters()]
        log_probs, _ = model.step(TGT_IN[:, 0], model.start(src, lengths))
        found.append([logits, log_probs, *(gradient for gradient in gradients if gradient is not None)])
    for others in found[1:]:
        assert len(others) == 2 + len(list(model.parameters()))
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


@each_shape
@torch.no_grad()
def test_step_by_step_equals_teacher_forcing(options: dict[str, object]) -> None:
    model = new_model(**options)
    state, stepped = model.start(SRC, SRC_LENGTHS), []
    for prev_ids in TGT_IN.unbind(1):
        log_probs, state = model.step(prev_ids, state)
        stepped.append(log_probs)
    forced = model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS).log_softmax(-1)
    torch.testing.assert_close(real_positions(torch.stack(stepped, dim=1), TGT_LENGTHS), forced)


@each_shape
@torch.no_grad()
def test_a_token_depends_on_all_before_it_and_on_none_after(options: dict[str, object]) -> None:
    """So that the product of what it says is the probability of a sentence."""
    model = new_model(**options)
    changed = TGT_IN.clone()
    changed[0, 1] = 7
    one, other = (model(SRC, SRC_LENGTHS, tgt_in, TGT_LENGTHS) for tgt_in in (TGT_IN, changed))
    assert torch.equal(one[0], other[0])
    assert not torch.isclose(one[1], other[1]).all()
    assert not torch.isclose(one[2], other[2]).all()
    assert torch.equal(one[3:], other[3:])  # another sentence's


@torch.no_grad()
def test_selected_rows_go_on_as_they_would_have() -> None:
    model = new_model(decoder_layers=2)
    before = torch.tensor([5, 9, 4])
    _, state = model.step(before, model.start(SRC, SRC_LENGTHS))
    rows, prev_ids = torch.tensor([2, 0, 0]), torch.tensor([4, 5, 6])
    found, _ = model.step(prev_ids, state.select(rows))
    for row, prev, log_probs in zip(rows, prev_ids, found, strict=True):
        _, alone = model.step(before[row][None], model.start(SRC[:1], SRC_LENGTHS[:1]))
        wanted, _ = model.step(prev[None], alone)
        torch.testing.assert_close(log_probs, wanted[0])


@torch.no_grad()
def test_the_probabilities_of_all_sentences_of_a_length_sum_to_one() -> None:
    model = new_model()
    total = 0.0
    for ids in itertools.product(range(VOCAB), repeat=2):
        tgt_in = torch.tensor([[2, ids[0]]])
        log_probs = model(SRC[:1], SRC_LENGTHS[:1], tgt_in, torch.tensor([2])).log_softmax(-1)
        total += float((log_probs[0, ids[0]] + log_probs[1, ids[1]]).exp())
    assert total == pytest.approx(1.0)


@pytest.mark.parametrize("tie", ["none", "tgt", "all"])
def test_a_gradient_reaches_every_parameter_and_there_is_none_for_a_source(tie: str) -> None:
    model = new_model(tie=tie, dropout=0.0, decoder_layers=2).train()
    model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
    vocabularies = [
        parameter for parameter in model.parameters() if parameter.shape[0] == VOCAB and parameter.dim() == 2
    ]
    assert len(vocabularies) == (2 if tie == "none" else 1)


@pytest.mark.parametrize("place", range(3))
def test_dropout_is_drawn_in_training_alone(place: int) -> None:
    """On embeddings, between and after the layers, on readouts: here each by itself."""
    model = new_model()
    for index, dropout in enumerate((model.embedder.dropout, model.stack.dropout, model.dropout)):
        dropout.p *= index == place
    batch = SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS
    assert torch.equal(model(*batch), model(*batch))
    model.train()
    assert not torch.equal(model(*batch), model(*batch))
