"""The decoder: one step, all steps, and its state as a value."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toy_model import TGT_IN, new_model

from nmt.model.attention import ATTENTIONS
from nmt.model.cells import CELLS
from nmt.model.decoder import Decoder, DecoderState
from nmt.model.encoder import EncoderOutput

EMBED, HIDDEN, VECTOR = 4, 6, 6  # those of `toy_model`
LENGTHS = torch.tensor([5, 1, 3])
either = pytest.mark.parametrize("input_feeding", [False, True])
each_attention = pytest.mark.parametrize("attention", ATTENTIONS)
SHAPES: dict[str, dict[str, object]] = {
    "no attention": {"attention": "none"},
    "nothing fed": {"attention": "none", "feed_vector": False},
    "deep": {"decoder_layers": 3, "residual": True},
    "input feeding": {"input_feeding": True, "decoder_layers": 2, "attention": "mlp"},
    "fed gru": {"input_feeding": True, "attention": "multihead", "cell": "gru"},
}
each_shape = pytest.mark.parametrize("shape", SHAPES)


def new_decoder(**options: object) -> Decoder:
    return new_model(**options).decoder


def encoded(*, sentences: int = 3, seed: int = 5) -> EncoderOutput:
    lengths = LENGTHS.repeat(2)[:sentences]
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(5) < lengths[:, None]
    memory = torch.randn(sentences, 5, VECTOR, generator=generator, dtype=torch.float64) * mask[:, :, None]
    vector = torch.randn(sentences, VECTOR, generator=generator, dtype=torch.float64)
    return EncoderOutput(memory, mask, vector)


def step_by_step(decoder: Decoder, tgt_in: Tensor, state: DecoderState) -> Tensor:
    readouts = []
    for prev_ids in tgt_in.unbind(1):
        readout, state = decoder.step(prev_ids, state)
        readouts.append(readout)
    return torch.stack(readouts, dim=1)


def tensors(state: DecoderState) -> list[Tensor]:
    """All that a state holds."""
    return [*state.recurrent, state.fed, *state.source]


@each_shape
def test_step_by_step_equals_all_positions_at_once(shape: str) -> None:
    decoder = new_decoder(**SHAPES[shape])
    state = decoder.start(encoded())
    torch.testing.assert_close(step_by_step(decoder, TGT_IN, state), decoder(TGT_IN, state))


@each_shape
def test_a_state_has_the_documented_shapes(shape: str) -> None:
    options = SHAPES[shape]
    decoder = new_decoder(**options)
    state = decoder.start(encoded())
    _, after = decoder.step(TGT_IN[:, 0], state)
    for value in (state, after):
        layers = options.get("decoder_layers", 1)
        assert value.recurrent.h.shape == (layers, 3, HIDDEN)
        assert value.recurrent.c.shape == (layers, 3, 0 if options.get("cell") == "gru" else HIDDEN)
        assert value.fed.shape == (3, EMBED if options.get("input_feeding") else 0)
        fed_vector = options == {"attention": "none"}
        assert value.source.vector.shape == (3, VECTOR if fed_vector else 0)


@pytest.mark.parametrize("cell", CELLS)
def test_every_layer_begins_in_its_own_bridge_of_the_sentence_vector(cell: str) -> None:
    decoder, source = new_decoder(decoder_layers=2, cell=cell), encoded()
    state = decoder.start(source)
    for layer in range(2):
        rows = slice(layer * HIDDEN, (layer + 1) * HIDDEN)
        h = torch.tanh(source.vector @ decoder.bridge_h.weight[rows].T + decoder.bridge_h.bias[rows])
        torch.testing.assert_close(state.recurrent.h[layer], h)
        if decoder.bridge_c is not None:
            c = source.vector @ decoder.bridge_c.weight[rows].T + decoder.bridge_c.bias[rows]
            torch.testing.assert_close(state.recurrent.c[layer], c)
    assert (decoder.bridge_c is not None) is CELLS[cell].long_term


@each_attention
@either
def test_a_step_is_the_published_one(attention: str, input_feeding: bool) -> None:
    """Recurrence, then attention with the new state, then a readout of both; `fed` is random here, not yet 0."""
    decoder = new_decoder(attention=attention, input_feeding=input_feeding)
    state = decoder.start(encoded())
    state = dataclasses.replace(state, fed=torch.randn(state.fed.shape, dtype=torch.float64))
    readout, after = decoder.step(TGT_IN[:, 1], state)
    embedded = decoder.embedder.step(TGT_IN[:, 1])
    x = torch.cat([embedded, state.source.vector, state.fed], dim=-1)
    output, recurrent = decoder.stack.step(x, state.recurrent)
    context = decoder.attention(output[:, None], state.source)[:, 0]
    read = torch.cat([output, context], dim=-1)
    torch.testing.assert_close(readout, torch.tanh(read @ decoder.readout.weight.T + decoder.readout.bias))
    torch.testing.assert_close(after.recurrent, recurrent)
    torch.testing.assert_close(after.fed, readout if input_feeding else state.fed)
    assert after.source is state.source


def test_the_first_readout_fed_is_0() -> None:
    state = new_decoder(input_feeding=True).start(encoded())
    assert state.fed.shape == (3, EMBED)
    assert not state.fed.any()


@pytest.mark.parametrize("feed_vector", [True, False])
def test_a_fed_vector_reaches_each_step_and_one_not_fed_only_the_first_state(feed_vector: bool) -> None:
    """With the states of one sentence and the source of another."""
    decoder = new_decoder(attention="none", feed_vector=feed_vector)
    state = decoder.start(encoded())
    other = dataclasses.replace(state, source=decoder.start(encoded(seed=6)).source)
    same = torch.equal(decoder.step(TGT_IN[:, 0], state)[0], decoder.step(TGT_IN[:, 0], other)[0])
    assert same is not feed_vector


@each_attention
@either
def test_a_later_token_never_changes_an_earlier_readout(attention: str, input_feeding: bool) -> None:
    decoder = new_decoder(attention=attention, input_feeding=input_feeding)
    state = decoder.start(encoded())
    changed = TGT_IN.clone()
    changed[:, 2] = 1
    before, after = decoder(TGT_IN, state), decoder(changed, state)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.isclose(before[:, 2:], after[:, 2:]).all(dim=-1).any()


@each_shape
def test_a_step_leaves_the_state_before_it_unharmed(shape: str) -> None:
    decoder = new_decoder(**SHAPES[shape])
    state = decoder.start(encoded())
    kept = [tensor.clone() for tensor in tensors(state)]
    first, _ = decoder.step(TGT_IN[:, 0], state)
    decoder.step(TGT_IN[:, 1], state)
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(tensors(state), kept, strict=True))
    assert torch.equal(decoder.step(TGT_IN[:, 0], state)[0], first)


def test_a_state_cannot_be_changed_in_place() -> None:
    state = new_decoder().start(encoded())
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.fed = state.fed  # type: ignore[misc]


# --- which rows go on ---

SELECTIONS: dict[str, tuple[int, list[int]]] = {  # beams a sentence before, and the rows that go on
    "the same": (1, [0, 1, 2]),
    "more beams": (1, [0, 0, 0, 1, 1, 1, 2, 2, 2]),
    "other beams": (2, [1, 0, 2, 2, 5, 4]),
    "fewer beams": (2, [1, 3, 4]),
    "fewer sentences": (2, [1, 1, 5, 4]),
    "one, the last": (3, [8, 6, 6]),
    "none": (2, []),
}


@each_shape
@pytest.mark.parametrize("name", SELECTIONS)
def test_select_gives_the_rows_asked_for_as_tensors_of_their_own(shape: str, name: str) -> None:
    beams, chosen = SELECTIONS[name]
    decoder = new_decoder(**SHAPES[shape])
    state = decoder.start(encoded()).select(torch.arange(3).repeat_interleave(beams))
    _, state = decoder.step(torch.arange(3 * beams), state)
    kept = [tensor.clone() for tensor in tensors(state)]
    rows = torch.tensor(chosen, dtype=torch.int64)
    found = state.select(rows)
    assert torch.equal(found.recurrent.h, state.recurrent.h[:, rows])
    assert torch.equal(found.recurrent.c, state.recurrent.c[:, rows])
    assert torch.equal(found.fed, state.fed[rows])
    for tensor in (*found.recurrent, found.fed):
        tensor.detach().zero_()
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(tensors(state), kept, strict=True))


@pytest.mark.parametrize("name", SELECTIONS)
def test_what_is_known_of_a_sentence_is_held_once_however_many_its_rows(name: str) -> None:
    beams, chosen = SELECTIONS[name]
    first = new_decoder().start(encoded())
    state = first.select(torch.arange(3).repeat_interleave(beams))
    assert state.source is first.source
    found = state.select(torch.tensor(chosen, dtype=torch.int64)).source
    left = sorted({row // beams for row in chosen})
    assert (found is first.source) is (len(left) == 3)
    for part, whole in zip(found, first.source, strict=True):
        assert torch.equal(part, whole[left])


@settings(deadline=None, max_examples=40)
@given(shape=st.sampled_from(list(SHAPES)), before=st.integers(1, 3), after=st.integers(1, 3), data=st.data())
def test_selected_rows_go_on_as_they_would_have(shape: str, before: int, after: int, data: st.DataObject) -> None:
    """Sentences leave, those that stay keep their order, and each has `after` of its `before` rows, in any order."""
    decoder = new_decoder(**SHAPES[shape])
    state = decoder.start(encoded(sentences=5)).select(torch.arange(5).repeat_interleave(before))
    _, state = decoder.step(torch.arange(5 * before) % 12, state)
    stay = sorted(data.draw(st.sets(st.integers(0, 4), min_size=1)))
    beams = st.lists(st.integers(0, before - 1), min_size=after, max_size=after)
    rows = torch.tensor([sentence * before + beam for sentence in stay for beam in data.draw(beams)])
    ids = (torch.arange(5 * before) * 5 + 1) % 12
    expected, _ = decoder.step(ids, state)
    found, _ = decoder.step(ids[rows], state.select(rows))
    torch.testing.assert_close(found, expected[rows])


# --- dropout ---


@each_attention
@either
def test_dropout_acts_in_training_and_never_in_a_step(attention: str, input_feeding: bool) -> None:
    options: dict[str, object] = {"attention": attention, "input_feeding": input_feeding, "state_dropout": 0.3}
    decoder = new_decoder(**options).train()
    state = decoder.start(encoded())
    first, again = decoder(TGT_IN, state), decoder(TGT_IN, state)
    assert not torch.equal(first, again)
    expected = step_by_step(new_decoder(**options), TGT_IN, state)
    assert torch.equal(step_by_step(decoder, TGT_IN, state), expected)
    decoder.eval()
    torch.testing.assert_close(decoder(TGT_IN, state), expected)


@either
@pytest.mark.parametrize("kind", ["locked", "plain"])
def test_readouts_are_dropped_feature_by_feature_or_value_by_value(input_feeding: bool, kind: str) -> None:
    decoder = new_decoder(input_feeding=input_feeding, dropout=0.5, dropout_kind=kind).train()
    dropped = decoder(TGT_IN.repeat(1, 3), decoder.start(encoded())) == 0
    assert dropped.any()
    assert not dropped.all()
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped)) is (kind == "locked")


@pytest.mark.parametrize("dropout", ["dropout", "word_dropout", "state_dropout"])
@either
def test_each_dropout_reaches_the_decoder(input_feeding: bool, dropout: str) -> None:
    none: dict[str, object] = {"dropout": 0.0, "word_dropout": 0.0, "state_dropout": 0.0}
    decoder = new_decoder(input_feeding=input_feeding, **none | {dropout: 0.5}).train()
    state = decoder.start(encoded())
    assert not torch.allclose(decoder(TGT_IN, state), step_by_step(decoder, TGT_IN, state))
