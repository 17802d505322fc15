"""Tiny models of all kinds and a batch of different lengths, for tests of what is seen inside them."""

from typing import Any

import torch

from nmt.data.batches import Batch, collate
from nmt.model.build import AnyModel, build_model
from nmt.recipe import ModelSection

VOCAB = 12
BASE: dict[str, Any] = {"embed_dim": 4, "encoder_dim": 3, "decoder_dim": 6, "dropout": 0.4, "state_dropout": 0.3}
MODELS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "deep gru": {"cell": "gru", "encoder_layers": 2, "decoder_layers": 2, "bidirectional": "first", "residual": True},
    "rnn vector": {"cell": "rnn", "attention": "none", "bidirectional": "none", "reverse_source": True},
    "lstm vector": {"attention": "none", "reverse_source": True, "encoder_layers": 2, "tie": "none"},
    "lnlstm": {"cell": "lnlstm", "attention": "mlp"},
    "fed gru": {"cell": "gru", "attention": "multihead", "attention_heads": 2, "input_feeding": True},
    "fed lstm": {"attention": "dot", "input_feeding": True, "decoder_layers": 2},
    "convolutional": {"encoder": "convolutional", "attention": "local", "encoder_layers": 2},
    "read along": {"architecture": "read_along", "wait": 2, "decoder_layers": 2, "tie": "tgt"},
}
SRC, TGT = [[5, 6, 7], [8], [4, 9, 10, 11, 5]], [[5, 4], [9, 9, 8, 7], []]
BATCH = collate(SRC, TGT)


def new_model(kind: str, **options: object) -> AnyModel:
    """One of MODELS in double precision, in evaluation mode."""
    torch.manual_seed(10)
    section = ModelSection(**(BASE | MODELS[kind] | options))
    return build_model(section, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB).double().eval()


def sentence(row: int) -> Batch:
    """One pair of the batch alone."""
    return collate(SRC[row : row + 1], TGT[row : row + 1])
