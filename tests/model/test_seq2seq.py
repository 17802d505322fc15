"""The whole encoder-decoder, in all its shapes: search sees what training saw."""

import itertools
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from toy_model import SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS, VOCAB, new_model, step_by_step

from nmt.model.attention import ATTENTIONS
from nmt.model.cells import CELLS
from nmt.model.seq2seq import Seq2Seq
from nmt.search.beam import BeamOptions, beam_search
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty

PAD, BOS, EOS = 0, 2, 3
each_attention = pytest.mark.parametrize("attention", ATTENTIONS)
either = pytest.mark.parametrize("input_feeding", [False, True])

DECODERS = {
    "cell": tuple(CELLS),
    "attention": tuple(ATTENTIONS),
    "input_feeding": (False, True),
}
ENCODERS: list[dict[str, object]] = [
    {"bidirectional": "none", "reverse_source": True},
    {"bidirectional": "none", "encoder_layers": 2, "encoder_dim": 4, "residual": True},
    {"bidirectional": "first", "encoder_layers": 3, "decoder_layers": 2, "residual": True},
    {"bidirectional": "all", "encoder_layers": 2, "reverse_source": True, "cell": "gru"},
    {"bidirectional": "all", "decoder_layers": 3, "residual": True, "input_feeding": True},
    {"encoder": "convolutional", "encoder_layers": 2, "attention": "mlp"},
    {"encoder": "convolutional", "attention": "none", "kernel_size": 5, "cell": "rnn"},
    {"attention": "none", "feed_vector": False},
    {"attention": "none", "feed_vector": False, "input_feeding": True, "tie": "none"},
    {"state_dropout": 0.4, "word_dropout": 0.4, "dropout_kind": "plain"},
]
SHAPES = [dict(zip(DECODERS, values, strict=True)) for values in itertools.product(*DECODERS.values())] + ENCODERS


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
def test_step_by_step_equals_teacher_forcing(shape: dict[str, object]) -> None:
    model = new_model(**shape)
    forced = functional.log_softmax(model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS), dim=-1)
    stepped = step_by_step(model, SRC, SRC_LENGTHS, TGT_IN)
    real = [stepped[row, :length] for row, length in enumerate(TGT_LENGTHS)]
    torch.testing.assert_close(torch.cat(real), forced)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
def test_batch_mates_never_change_readouts(shape: dict[str, object]) -> None:
    model = new_model(**shape)
    together = model.readouts(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS).split(TGT_LENGTHS.tolist())
    for row, (src_length, tgt_length) in enumerate(zip(SRC_LENGTHS, TGT_LENGTHS, strict=True)):
        src, tgt_in = SRC[row : row + 1, :src_length], TGT_IN[row : row + 1, :tgt_length]
        alone = model.readouts(src, src_length[None], tgt_in, tgt_length[None])
        torch.testing.assert_close(together[row], alone)


@each_attention
@settings(deadline=None, max_examples=15)
@given(
    sentences=st.lists(st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=6), min_size=1, max_size=4),
    more=st.integers(0, 3),
    pad=st.integers(0, VOCAB - 1),
)
def test_padding_never_changes_log_probs(attention: str, sentences: list[list[int]], more: int, pad: int) -> None:
    model = new_model(attention=attention, encoder_layers=2, bidirectional="all", reverse_source=True)
    width = max(map(len, sentences)) + more
    src = torch.tensor([ids + [pad] * (width - len(ids)) for ids in sentences])
    lengths = torch.tensor([len(ids) for ids in sentences])
    tgt_in = TGT_IN[1:2]
    together = step_by_step(model, src, lengths, tgt_in.expand(len(sentences), -1))
    for row, ids in enumerate(sentences):
        alone = step_by_step(model, torch.tensor([ids]), torch.tensor([len(ids)]), tgt_in)
        torch.testing.assert_close(together[row], alone[0])


@each_attention
def test_padding_never_changes_a_gradient(attention: str) -> None:
    """That of a padded batch is the sum of those of its pairs, each alone."""
    model = new_model(attention=attention, encoder_layers=2, bidirectional="all", reverse_source=True)

    def gradients(batches: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]]) -> list[Tensor]:
        model.zero_grad()
        for batch in batches:
            model.readouts(*batch).square().sum().backward()
        return [torch.zeros(()) if p.grad is None else p.grad.to_dense() for p in model.parameters()]

    src, tgt_in = (functional.pad(ids, (0, 2), value=5) for ids in (SRC, TGT_IN))
    alone = [
        (src[row : row + 1, :of_src], tgt_in[row : row + 1, :of_tgt], of_src[None], of_tgt[None])
        for row, (of_src, of_tgt) in enumerate(zip(SRC_LENGTHS, TGT_LENGTHS, strict=True))
    ]
    pairs = [(one_src, src_length, one_tgt, tgt_length) for one_src, one_tgt, src_length, tgt_length in alone]
    together = gradients([(src, SRC_LENGTHS, tgt_in, TGT_LENGTHS)])
    for padded, plain in zip(together, gradients(pairs), strict=True):
        torch.testing.assert_close(padded, plain)


def test_log_probs_are_those_of_a_distribution() -> None:
    log_probs = step_by_step(new_model(), SRC, SRC_LENGTHS, TGT_IN)
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(3, 4, dtype=torch.float64))


def search(model: Seq2Seq, src: Tensor, lengths: Tensor, max_lengths: Tensor) -> list[list[Hypothesis]]:
    return beam_search(
        model.step,
        model.start(src, lengths),
        max_lengths=max_lengths,
        options=BeamOptions(3, LengthPenalty("average"), 3),
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=(PAD, 1, BOS),
    )


@each_attention
@either
def test_batch_mates_never_change_what_a_beam_finds(attention: str, input_feeding: bool) -> None:
    """Sentences leave the batch one after the other, and those that stay keep their own source."""
    model = new_model(attention=attention, input_feeding=input_feeding)
    with torch.no_grad():
        model.output.weight.mul_(3.0)  # else all hypotheses are about as good
    max_lengths = torch.tensor([7, 2, 5])
    together = search(model, SRC, SRC_LENGTHS, max_lengths)
    for row, length in enumerate(SRC_LENGTHS):
        [alone] = search(model, SRC[row : row + 1, :length], length[None], max_lengths[row : row + 1])
        assert [hypothesis.ids for hypothesis in together[row]] == [hypothesis.ids for hypothesis in alone]
        assert [hypothesis.score for hypothesis in together[row]] == pytest.approx([h.score for h in alone], rel=1e-5)


@each_attention
def test_a_hypothesis_of_a_beam_is_as_probable_as_teacher_forcing_says(attention: str) -> None:
    model = new_model(attention=attention, input_feeding=True, decoder_layers=2)
    for row, hypotheses in enumerate(search(model, SRC, SRC_LENGTHS, torch.tensor([4, 3, 5]))):
        assert len(hypotheses) == 3
        for found in hypotheses:
            src, length = SRC[row : row + 1], SRC_LENGTHS[row : row + 1]
            tgt_in, tgt_length = torch.tensor([[BOS, *found.ids]]), torch.tensor([len(found.ids) + 1])
            log_probs = functional.log_softmax(model(src, length, tgt_in, tgt_length), dim=-1)
            forced = log_probs.gather(1, torch.tensor([[*found.ids, EOS]]).T).squeeze(1)
            assert list(found.token_log_probs) == pytest.approx(forced.tolist(), rel=1e-5)


@each_attention
@either
def test_the_source_is_prepared_once_a_search_and_never_again(
    attention: str, input_feeding: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = new_model(attention=attention, input_feeding=input_feeding)
    module, calls = model.decoder.attention, {"prepare": 0, "key": 0, "value": 0}

    def count(name: str) -> None:
        calls[name] += 1

    for name, layer in module.named_children():
        if name in calls:
            layer.register_forward_hook(lambda *_, name=name: count(name))
    prepare = module.prepare
    monkeypatch.setattr(module, "prepare", lambda encoded: (count("prepare"), prepare(encoded))[1])
    search(model, SRC, SRC_LENGTHS, torch.tensor([4, 3, 5]))
    once = {name: int(name in dict(module.named_children())) for name in ("key", "value")}
    assert calls == {"prepare": 1, **once}
    assert once["key"] == (attention in ("general", "mlp", "local", "multihead"))
    calls.update(dict.fromkeys(calls, 0))
    model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS)
    assert calls == {"prepare": 1, **once}
