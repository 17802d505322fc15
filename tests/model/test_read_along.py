"""The model that translates while it reads: what it knows when it writes, one step, all steps, its state."""

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.embedding import Embedder
from nmt.model.layers import Stack
from nmt.model.read_along import ReadAlong, ReadAlongState
from nmt.search.beam import BeamOptions, beam_search
from nmt.search.greedy import greedy_search
from nmt.search.penalty import LengthPenalty

SRC_VOCAB, TGT_VOCAB, SRC_EMBED, TGT_EMBED, HIDDEN = 12, 9, 3, 4, 5
BOS, EOS = 2, 3
SRC = torch.tensor([[5, 6, 7, 3, 0, 0], [8, 3, 0, 0, 0, 0], [4, 9, 10, 11, 5, 3]])
SRC_LENGTHS = torch.tensor([4, 2, 6])
TGT_IN = torch.tensor([[2, 5, 4, 0, 0], [2, 8, 8, 7, 8], [2, 0, 0, 0, 0]])
TGT_LENGTHS = torch.tensor([3, 5, 1])
CELLS = ("rnn", "gru", "lstm", "lnlstm")
SUPPRESS = [0, 1, BOS]
SEARCH: dict[str, Any] = {
    "max_lengths": torch.tensor([6, 4, 5]),
    "bos_id": BOS,
    "eos_id": EOS,
    "suppress_ids": SUPPRESS,
}
each_wait = pytest.mark.parametrize("wait", [0, 1, 3, 8])


def new_model(
    *,
    cell: str = "lstm",
    layers: int = 2,
    wait: int = 1,
    residual: bool = True,
    dropout: float = 0.0,
    word_dropout: float = 0.0,
) -> ReadAlong:
    torch.manual_seed(4)
    src_embedder, tgt_embedder = (
        Embedder(nn.Embedding(*sizes), dropout=dropout, dropout_kind="locked", word_dropout=word_dropout)
        for sizes in ((SRC_VOCAB, SRC_EMBED), (TGT_VOCAB, TGT_EMBED))
    )
    stack = Stack(
        cell,
        input_dim=SRC_EMBED + TGT_EMBED,
        hidden_dim=HIDDEN,
        layers=layers,
        residual=residual,
        dropout=dropout,
        dropout_kind="locked",
        state_dropout=dropout,
    )
    model = ReadAlong(
        src_embedder=src_embedder,
        tgt_embedder=tgt_embedder,
        stack=stack,
        output=nn.Linear(TGT_EMBED, TGT_VOCAB),
        wait=wait,
        dropout=dropout,
        dropout_kind="locked",
    )
    return model.double().eval()


def step_by_step(model: ReadAlong, src: Tensor, src_lengths: Tensor, tgt_in: Tensor) -> Tensor:
    """The log-probabilities (B, T, V) that search would see."""
    state = model.start(src, src_lengths)
    log_probs = []
    for position in range(tgt_in.size(1)):
        scores, state = model.step(tgt_in[:, position], state)
        log_probs.append(scores)
    return torch.stack(log_probs, dim=1)


def tensors(state: ReadAlongState) -> list[tuple[Tensor, int]]:
    """The tensors of a state, and which dimension of each counts the rows."""
    return [(state.recurrent.h, 1), (state.recurrent.c, 1), (state.src, 0), (state.src_lengths, 0)]


@each_wait
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("layers", "residual"), [(1, False), (3, True)])
def test_step_by_step_equals_teacher_forcing(cell: str, layers: int, residual: bool, wait: int) -> None:
    model = new_model(cell=cell, layers=layers, residual=residual, wait=wait)
    forced = functional.log_softmax(model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS), dim=-1)
    stepped = step_by_step(model, SRC, SRC_LENGTHS, TGT_IN)
    real = [stepped[row, :length] for row, length in enumerate(TGT_LENGTHS)]
    torch.testing.assert_close(torch.cat(real), forced)


@each_wait
def test_a_target_token_knows_the_source_up_to_its_own_position_and_the_wait(wait: int) -> None:
    """Target token j knows source tokens 0 .. j + wait: each of them, and no other."""
    model, src, tgt_in = new_model(wait=wait), SRC[2:], TGT_IN[1:2]
    before = step_by_step(model, src, SRC_LENGTHS[2:], tgt_in)[0]
    for changed in range(src.size(1)):
        other = src.clone()
        other[0, changed] = 1
        after = step_by_step(model, other, SRC_LENGTHS[2:], tgt_in)[0]
        same = [bool(torch.equal(before[j], after[j])) for j in range(tgt_in.size(1))]
        assert same == [changed > j + wait for j in range(tgt_in.size(1))]


def test_it_reads_source_and_target_as_one_network_would_that_is_given_both() -> None:
    """What is read at each time, written out for one sentence."""
    model = new_model(wait=2)
    read, written = [8, 3, 3, 3, 3, 3, 3], [2, 2, 2, 8, 8, 7, 8]
    x = torch.cat([model.src_embedder(torch.tensor([read])), model.tgt_embedder(torch.tensor([written]))], dim=-1)
    outputs, _ = model.stack(x, model.start(SRC[1:2], SRC_LENGTHS[1:2]).recurrent)
    expected = model.output(torch.tanh(model.readout(outputs[0, 2:])))
    torch.testing.assert_close(model(SRC[1:2], SRC_LENGTHS[1:2], TGT_IN[1:2], TGT_LENGTHS[1:2]), expected)


@pytest.mark.parametrize("wait", [0, 3])
@settings(deadline=None, max_examples=20)
@given(
    sentences=st.lists(st.lists(st.integers(0, SRC_VOCAB - 1), min_size=1, max_size=6), min_size=1, max_size=4),
    more=st.integers(0, 3),
    pad=st.integers(0, SRC_VOCAB - 1),
)
def test_batch_mates_and_padding_never_change_log_probs(
    wait: int, sentences: list[list[int]], more: int, pad: int
) -> None:
    model = new_model(wait=wait)
    width = max(map(len, sentences)) + more
    src = torch.tensor([ids + [pad] * (width - len(ids)) for ids in sentences])
    lengths = torch.tensor([len(ids) for ids in sentences])
    tgt_in = TGT_IN[1:2]
    together = step_by_step(model, src, lengths, tgt_in.expand(len(sentences), -1))
    for row, ids in enumerate(sentences):
        alone = step_by_step(model, torch.tensor([ids]), torch.tensor([len(ids)]), tgt_in)
        torch.testing.assert_close(together[row], alone[0], rtol=0.0, atol=1e-12)


def test_readouts_are_what_the_output_makes_logits_of() -> None:
    model = new_model()
    readouts = model.readouts(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS)
    assert readouts.shape == (TGT_LENGTHS.sum(), TGT_EMBED)
    torch.testing.assert_close(model.output(readouts), model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS))


def test_log_probs_are_those_of_a_distribution() -> None:
    log_probs = step_by_step(new_model(), SRC, SRC_LENGTHS, TGT_IN)
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(3, 5, dtype=torch.float64))


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_has_the_documented_shapes_and_begins_in_zeros_and_counts_what_was_read(cell: str) -> None:
    model = new_model(cell=cell, wait=3)
    state = model.start(SRC, SRC_LENGTHS)
    _, after = model.step(TGT_IN[:, 0], state)
    _, later = model.step(TGT_IN[:, 1], after)
    assert [value.position for value in (state, after, later)] == [0, 4, 5]
    assert not state.recurrent.h.any() and not state.recurrent.c.any()
    for value in (state, after, later):
        assert value.recurrent.h.shape == (2, 3, HIDDEN)
        assert value.recurrent.c.shape == (2, 3, 0 if cell in ("rnn", "gru") else HIDDEN)


def test_a_step_leaves_the_state_before_it_unharmed() -> None:
    model = new_model()
    _, state = model.step(TGT_IN[:, 0], model.start(SRC, SRC_LENGTHS))
    kept = [tensor.clone() for tensor, _ in tensors(state)]
    first, _ = model.step(TGT_IN[:, 1], state)
    model.step(TGT_IN[:, 2], state)
    for (tensor, _), copy in zip(tensors(state), kept, strict=True):
        assert torch.equal(tensor, copy)
    assert torch.equal(model.step(TGT_IN[:, 1], state)[0], first)


@pytest.mark.parametrize("rows", [[2, 0, 1], [1, 1, 1, 0], [2], []])
def test_select_gives_the_rows_asked_for_as_tensors_of_their_own(rows: list[int]) -> None:
    model = new_model()
    _, state = model.step(TGT_IN[:, 0], model.start(SRC, SRC_LENGTHS))
    chosen = state.select(torch.tensor(rows, dtype=torch.long))
    kept = [tensor.clone() for tensor, _ in tensors(state)]
    for (tensor, axis), copy in zip(tensors(chosen), kept, strict=True):
        assert tensor.size(axis) == len(rows)
        for new, row in enumerate(rows):
            assert torch.equal(tensor.select(axis, new), copy.select(axis, row))
        tensor.detach().zero_()
    for (tensor, _), copy in zip(tensors(state), kept, strict=True):
        assert torch.equal(tensor, copy)
    assert chosen.position == state.position


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_selected_rows_go_on_as_they_would_have(steps: int) -> None:
    model = new_model(wait=2)
    state = model.start(SRC, SRC_LENGTHS)
    for position in range(steps):
        _, state = model.step(TGT_IN[:, position], state)
    rows = torch.tensor([2, 0, 2])
    selected, _ = model.step(TGT_IN[rows, steps], state.select(rows))
    torch.testing.assert_close(selected, model.step(TGT_IN[:, steps], state)[0][rows])


def test_a_state_cannot_be_changed_in_place() -> None:
    state = new_model().start(SRC, SRC_LENGTHS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.position = 5  # type: ignore[misc]


def test_dropout_acts_in_training_and_never_in_a_step() -> None:
    model = new_model(dropout=0.5).train()
    first, again = (model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS) for _ in range(2))
    assert not torch.equal(first, again)
    first, again = (step_by_step(model, SRC, SRC_LENGTHS, TGT_IN) for _ in range(2))
    assert torch.equal(first, again)


def test_dropout_acts_on_the_readouts_by_feature() -> None:
    model = new_model(dropout=0.5).train()
    model.src_embedder.eval()
    model.tgt_embedder.eval()
    model.stack.eval()
    full_lengths = torch.full_like(TGT_LENGTHS, TGT_IN.size(1))
    dropped = model.readouts(SRC, SRC_LENGTHS, TGT_IN, full_lengths).view(*TGT_IN.shape, TGT_EMBED) == 0.0
    assert dropped.any() and not dropped.all()
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))


@pytest.mark.parametrize("cell", CELLS)
def test_a_gradient_reaches_every_parameter(cell: str) -> None:
    model = new_model(cell=cell).train()
    model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def forced_log_probs(model: ReadAlong, row: int, ids: tuple[int, ...]) -> Tensor:
    """The log-probabilities (T, V) after each of bos + ids, for one sentence of `SRC`."""
    tgt_in = torch.tensor([[BOS, *ids]])
    alone = slice(row, row + 1)
    logits: Tensor = model(SRC[alone], SRC_LENGTHS[alone], tgt_in, torch.tensor([tgt_in.size(1)]))
    return logits.log_softmax(dim=-1)


@each_wait
def test_greedy_search_takes_what_teacher_forcing_holds_most_probable(wait: int) -> None:
    model = new_model(wait=wait)
    found = greedy_search(model.step, model.start(SRC, SRC_LENGTHS), penalty=LengthPenalty("none"), **SEARCH)
    for row, hypothesis in enumerate(found):
        log_probs = forced_log_probs(model, row, hypothesis.ids)
        log_probs[:, SUPPRESS] = -torch.inf
        *best, last = log_probs.argmax(dim=-1).tolist()
        assert best == list(hypothesis.ids)
        assert hypothesis.truncated or last == EOS


@each_wait
def test_beam_search_scores_as_teacher_forcing_does(wait: int) -> None:
    """Though its rows are chosen anew at each position, several or none of what was a row before."""
    model = new_model(wait=wait)
    options = BeamOptions(beam_size=4, n_best=4, penalty=LengthPenalty("average"))
    found = beam_search(model.step, model.start(SRC, SRC_LENGTHS), options=options, **SEARCH)
    for row, hypotheses in enumerate(found):
        assert len(hypotheses) == 4
        for hypothesis in hypotheses:
            log_probs = forced_log_probs(model, row, hypothesis.ids)
            expected = log_probs.gather(1, torch.tensor([*hypothesis.ids, EOS])[:, None]).squeeze(1)
            assert hypothesis.token_log_probs == pytest.approx(expected.tolist(), abs=1e-5)
