"""Tiny models of any shape in double precision, a padded batch for them, and the same batch as search would see it."""

import torch
from torch import Tensor

from nmt.model.build import build_model
from nmt.model.seq2seq import Seq2Seq
from nmt.recipe import ModelSection

VOCAB = 12
BASE: dict[str, object] = {
    "embed_dim": 4,
    "encoder_dim": 3,
    "decoder_dim": 6,  # as wide as both directions, and even: it fits every attention
    "attention_heads": 2,
    "attention_window": 2,
    "dropout": 0.4,
}

SRC = torch.tensor([[5, 6, 7, 3, 0], [8, 3, 0, 0, 0], [4, 9, 10, 11, 3]])
SRC_LENGTHS = torch.tensor([4, 2, 5])
TGT_IN = torch.tensor([[2, 5, 4, 0], [2, 9, 9, 9], [2, 0, 0, 0]])
TGT_LENGTHS = torch.tensor([3, 4, 1])


def section(**options: object) -> ModelSection:
    return ModelSection(**(BASE | options))  # type: ignore[arg-type]


def new_model(*, seed: int = 10, **options: object) -> Seq2Seq:
    """In evaluation mode; biases, 0 at first, are drawn too: they would hide a mistake."""
    torch.manual_seed(seed)
    model = build_model(section(**options), src_vocab_size=VOCAB, tgt_vocab_size=VOCAB).double().eval()
    assert isinstance(model, Seq2Seq)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


def step_by_step(model: Seq2Seq, src: Tensor, src_lengths: Tensor, tgt_in: Tensor) -> Tensor:
    """The log-probabilities (B, T, V) that search would see."""
    state = model.start(src, src_lengths)
    log_probs = []
    for prev_ids in tgt_in.unbind(1):
        scores, state = model.step(prev_ids, state)
        log_probs.append(scores)
    return torch.stack(log_probs, dim=1)
