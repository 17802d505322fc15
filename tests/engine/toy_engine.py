"""Toy models of every kind that an engine can be made from, and what tests of engines ask of them."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nmt.data.batches import collate_src
from nmt.model.build import build_model
from nmt.model.seq2seq import Seq2Seq
from nmt.recipe import ModelSection
from nmt.search.beam import BeamOptions, beam_search
from nmt.search.greedy import greedy_search
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty
from nmt.search.scores import Scores, Ways, as_scores

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SUPPRESSED = (PAD, UNK, BOS)
VOCAB = 97  # no multiple of anything that the engine cuts a vocabulary into
AVERAGE = LengthPenalty("average")
ROUNDING = 5e-5

KINDS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "gru": {"cell": "gru"},
    "rnn": {"cell": "rnn"},
    "layers": {"decoder_layers": 3, "encoder_layers": 2},
    "residual": {"decoder_layers": 3, "residual": True, "cell": "gru"},
    "dot": {"attention": "dot"},
    "mlp": {"attention": "mlp"},
    "local": {"attention": "local", "attention_window": 2},
    "vector": {"attention": "none", "feed_vector": True},
    "first state only": {"attention": "none", "feed_vector": False},
    "convolutional": {"encoder": "convolutional", "encoder_dim": 16},
    "reversed": {"reverse_source": True, "bidirectional": "none", "encoder_dim": 16},
}
OTHERS: dict[str, dict[str, Any]] = {
    "multihead": {"attention": "multihead", "attention_heads": 2},
    "lnlstm": {"cell": "lnlstm"},
    "input feeding": {"input_feeding": True},
    "read along": {"architecture": "read_along"},
}


def toy(seed: int = 0, *, spread: float = 3.0, **keys: Any) -> Seq2Seq:
    """A small model in evaluation mode, its weights wide enough for some tokens to be much likelier than others."""
    sizes = {"embed_dim": 12, "encoder_dim": 8, "decoder_dim": 16, "dropout": 0.1}
    section = ModelSection(**(sizes | keys))
    torch.manual_seed(seed)
    model = build_model(section, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB)
    with torch.no_grad():
        model.output.bias.normal_()
        for parameter in model.parameters():
            parameter.mul_(spread)
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)  # most biases begin at 0
    found: Any = model.eval()
    return found


def sentences(seed: int, lengths: Sequence[int]) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(4, VOCAB, (length,), generator=generator).tolist() for length in lengths]


def search(model: Any, sources: Sequence[list[int]], beam_size: int = 3, n_best: int = 1) -> list[list[Hypothesis]]:
    """All in one batch."""
    src, src_lengths = collate_src(sources)
    max_lengths = torch.tensor([2 * len(ids) + 3 for ids in sources])
    own = {"max_lengths": max_lengths, "bos_id": BOS, "eos_id": EOS, "suppress_ids": SUPPRESSED}
    with torch.no_grad():
        state = model.start(src, src_lengths)
    if beam_size == 1:
        return [[one] for one in greedy_search(model.step, state, penalty=AVERAGE, **own)]
    return beam_search(model.step, state, options=BeamOptions(beam_size, AVERAGE, n_best), **own)


def search_alone(model: Any, sources: Sequence[list[int]], beam_size: int) -> list[Hypothesis | None]:
    """The best of each in a batch of its own; None where two candidates that it was to choose from were as good.

    Of sums that differ by rounding alone, batch mates may decide which is the larger: products of other shapes are
    added up in another order. Of a thousand sentences two are such.
    """
    found: list[Hypothesis | None] = []
    for ids in sources:
        watched = _Watched(model)
        [[best, *others]] = search(watched, [ids], beam_size, min(2, beam_size))
        watched.closest = min([watched.closest, *(best.score - other.score for other in others)])
        found.append(None if watched.closest < ROUNDING else best)
    return found


def assert_batch_mates_change_nothing(
    model: Any, sources: Sequence[list[int]], beam_size: int, *, levels: bool = False
) -> None:
    """Whatever their order. `levels`: of int8, where what lies right between two of them may fall to either for a last
    bit that is another: in one of a thousand sentences, never in two of these few.
    """
    alone = search_alone(model, sources, beam_size)
    for order in (range(len(sources)), sorted(range(len(sources)), key=lambda i: -len(sources[i]))):
        together = search(model, [sources[i] for i in order], beam_size)
        pairs = [(found, wanted) for [found], i in zip(together, order, strict=True) if (wanted := alone[i])]
        assert [found.ids for found, _ in pairs] == [wanted.ids for _, wanted in pairs]
        apart = [abs(found.score - wanted.score) for found, wanted in pairs]
        fallen = [difference for difference in apart if difference > 1e-5]
        assert len(fallen) <= levels
        assert all(difference < 1e-2 for difference in fallen)


class _Watched:
    """A model in whose searches `closest` becomes the least difference that decided which candidates live on."""

    def __init__(self, model: Any) -> None:
        self.start, self._model, self.closest = model.start, model, math.inf

    def step(self, prev_ids: Tensor, state: Any) -> tuple["_WatchedScores", Any]:
        found, state = self._model.step(prev_ids, state)
        return _WatchedScores(as_scores(found), self), state


class _WatchedScores:
    def __init__(self, scores: Scores, watched: _Watched) -> None:
        self._scores, self._watched = scores, watched

    def ways(self, so_far: Tensor, *, width: int, eos_id: int, barred: Tensor) -> Ways:
        going_on, *_, ends = self._scores.ways(so_far, width=width + 1, eos_id=eos_id, barred=barred)
        both = torch.cat([going_on, so_far + ends], dim=1).sort(descending=True).values
        for candidates in (going_on, both):
            apart = (candidates[:, width - 1] - candidates[:, width]).nan_to_num(math.inf)  # -inf: no such candidate
            self._watched.closest = min(self._watched.closest, float(apart.min()))
        return self._scores.ways(so_far, width=width, eos_id=eos_id, barred=barred)

    def log_probs(self) -> Tensor:
        return self._scores.log_probs()


@torch.no_grad()
def some_steps(model: Any, sources: Sequence[list[int]], rows: int = 2) -> list[Tensor]:
    """The log_probs (N, V) of four steps with tokens drawn at random, rows crossed and sentences left on the way."""
    generator = torch.Generator().manual_seed(1)
    src, src_lengths = collate_src(sources)
    state, count, each, steps = model.start(src, src_lengths), len(sources), 1, []
    for step in range(4):
        prev_ids = torch.randint(4, VOCAB, (count * each,), generator=generator)
        found, state = model.step(prev_ids, state)
        steps.append(as_scores(found).log_probs())
        kept = [i for i in range(count) if not (step == 1 and i == 1)]
        chosen = [i * each + int(torch.randint(each, (), generator=generator)) for i in kept for _ in range(rows)]
        state, count, each = state.select(torch.tensor(chosen)), len(kept), rows
    return steps
