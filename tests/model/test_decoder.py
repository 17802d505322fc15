"""The decoder: one step, all steps, and its state as a value."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from nmt.model.decoder import Decoder, DecoderState
from nmt.model.encoder import EncoderOutput

ROWS, VOCAB, EMBED, VECTOR, HIDDEN = 3, 9, 4, 5, 6
SHAPES = [(layers, feed_vector) for layers in (1, 3) for feed_vector in (True, False)]
each_shape = pytest.mark.parametrize(("layers", "feed_vector"), SHAPES)
TGT_IN = torch.tensor([[2, 5, 6, 7], [2, 8, 8, 4], [2, 4, 5, 0]])


def new_decoder(*, layers: int = 2, feed_vector: bool = True, dropout: float = 0.0) -> Decoder:
    torch.manual_seed(4)
    decoder = Decoder(
        embedding=nn.Embedding(VOCAB, EMBED),
        encoder_dim=VECTOR,
        hidden_dim=HIDDEN,
        layers=layers,
        feed_vector=feed_vector,
        dropout=dropout,
        dropout_kind="locked",
    )
    return decoder.double().eval()


def encoded(seed: int = 5) -> EncoderOutput:
    generator = torch.Generator().manual_seed(seed)
    h, c = (torch.randn(ROWS, VECTOR, generator=generator, dtype=torch.float64) for _ in range(2))
    return EncoderOutput(memory=h[:, None], mask=torch.ones(ROWS, 1, dtype=torch.bool), h=h, c=c)


def step_by_step(decoder: Decoder, tgt_in: Tensor, state: DecoderState) -> Tensor:
    readouts = []
    for position in range(tgt_in.size(1)):
        readout, state = decoder.step(tgt_in[:, position], state)
        readouts.append(readout)
    return torch.stack(readouts, dim=1)


@each_shape
def test_step_by_step_equals_all_positions_at_once(layers: int, feed_vector: bool) -> None:
    decoder = new_decoder(layers=layers, feed_vector=feed_vector)
    state = decoder.start(encoded())
    torch.testing.assert_close(step_by_step(decoder, TGT_IN, state), decoder(TGT_IN, state))


@each_shape
def test_a_state_has_the_documented_shapes(layers: int, feed_vector: bool) -> None:
    decoder = new_decoder(layers=layers, feed_vector=feed_vector)
    state = decoder.start(encoded())
    _, after = decoder.step(TGT_IN[:, 0], state)
    for value in (state, after):
        assert value.h.shape == value.c.shape == (layers, ROWS, HIDDEN)
        assert value.vector.shape == (ROWS, VECTOR if feed_vector else 0)


def test_every_layer_begins_in_its_own_bridge_of_the_final_state() -> None:
    decoder = new_decoder(layers=2)
    source = encoded()
    state = decoder.start(source)
    for layer in range(2):
        rows = slice(layer * HIDDEN, (layer + 1) * HIDDEN)
        h = torch.tanh(source.h @ decoder.bridge_h.weight[rows].T + decoder.bridge_h.bias[rows])
        torch.testing.assert_close(state.h[layer], h)
        torch.testing.assert_close(state.c[layer], source.c @ decoder.bridge_c.weight[rows].T)


def test_a_fed_vector_reaches_each_step_and_one_not_fed_only_the_first_state() -> None:
    """With the states of one sentence and the vector of another."""
    for feed_vector in (True, False):
        decoder = new_decoder(feed_vector=feed_vector)
        state = decoder.start(encoded())
        other = dataclasses.replace(state, vector=decoder.start(encoded(seed=6)).vector)
        same = torch.equal(decoder.step(TGT_IN[:, 0], state)[0], decoder.step(TGT_IN[:, 0], other)[0])
        assert same is not feed_vector


def test_a_later_token_never_changes_an_earlier_readout() -> None:
    decoder = new_decoder()
    state = decoder.start(encoded())
    changed = TGT_IN.clone()
    changed[:, 2] = 1
    before, after = decoder(TGT_IN, state), decoder(changed, state)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.isclose(before[:, 2:], after[:, 2:]).all(dim=-1).any()


def test_a_step_leaves_the_state_before_it_unharmed() -> None:
    decoder = new_decoder()
    state = decoder.start(encoded())
    kept = [tensor.clone() for tensor in (state.h, state.c, state.vector)]
    first, _ = decoder.step(TGT_IN[:, 0], state)
    decoder.step(TGT_IN[:, 1], state)
    for tensor, copy in zip((state.h, state.c, state.vector), kept, strict=True):
        assert torch.equal(tensor, copy)
    assert torch.equal(decoder.step(TGT_IN[:, 0], state)[0], first)


@pytest.mark.parametrize("rows", [[2, 0, 1], [1, 1, 1, 0], [2], []])
def test_select_gives_the_rows_asked_for_as_tensors_of_their_own(rows: list[int]) -> None:
    decoder = new_decoder()
    state = decoder.start(encoded())
    chosen = state.select(torch.tensor(rows, dtype=torch.long))
    for new, row in enumerate(rows):
        assert torch.equal(chosen.h[:, new], state.h[:, row])
        assert torch.equal(chosen.c[:, new], state.c[:, row])
        assert torch.equal(chosen.vector[new], state.vector[row])
    kept = [tensor.clone() for tensor in (state.h, state.c, state.vector)]
    for tensor in (chosen.h, chosen.c, chosen.vector):
        tensor.detach().zero_()
    for tensor, copy in zip((state.h, state.c, state.vector), kept, strict=True):
        assert torch.equal(tensor, copy)


def test_selected_rows_go_on_as_they_would_have() -> None:
    decoder = new_decoder()
    _, state = decoder.step(TGT_IN[:, 0], decoder.start(encoded()))
    rows = torch.tensor([2, 0, 2])
    selected, _ = decoder.step(TGT_IN[rows, 1], state.select(rows))
    torch.testing.assert_close(selected, decoder.step(TGT_IN[:, 1], state)[0][rows])


def test_a_state_cannot_be_changed_in_place() -> None:
    state = new_decoder().start(encoded())
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.h = state.c  # type: ignore[misc]


def test_dropout_acts_in_training_and_never_in_a_step() -> None:
    decoder = new_decoder(dropout=0.5).train()
    state = decoder.start(encoded())
    assert not torch.equal(decoder(TGT_IN, state), decoder(TGT_IN, state))
    assert torch.equal(decoder.step(TGT_IN[:, 0], state)[0], decoder.step(TGT_IN[:, 0], state)[0])
