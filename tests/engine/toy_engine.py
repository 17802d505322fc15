"""Toy models of every kind that an engine can be made from, and what tests of engines ask of them."""

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
from nmt.search.scores import as_scores

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SUPPRESSED = (PAD, UNK, BOS)
VOCAB = 97  # no multiple of anything that the engine cuts a vocabulary into
AVERAGE = LengthPenalty("average")

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
