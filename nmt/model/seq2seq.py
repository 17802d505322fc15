"""The encoder-decoder: the whole model, and how a recipe's section becomes one."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.decoder import Decoder, DecoderState
from nmt.model.encoder import Encoder
from nmt.recipe import ModelSection


class Seq2Seq(nn.Module):
    """Sequence to sequence learning with an encoder and a decoder (Sutskever et al. 2014; Cho et al. 2014).

    `forward` is for training; `start` and `step` are all that search knows of a model.
    """

    def __init__(self, *, encoder: Encoder, decoder: Decoder, output: nn.Linear) -> None:
        """`output` maps readouts (N, E) to logits (N, V); its weight may be the embeddings' own."""
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.output = output

    def forward(self, src: Tensor, src_lengths: Tensor, tgt_in: Tensor, tgt_lengths: Tensor) -> Tensor:
        """Logits at the real target positions only, row after row, as `real_positions` picks them.

        src (B, S), src_lengths (B,), tgt_in (B, T), tgt_lengths (B,) -> (sum of tgt_lengths, V).
        """
        readouts = self.decoder(tgt_in, self.decoder.start(self.encoder(src, src_lengths)))  # (B, T, E)
        logits: Tensor = self.output(real_positions(readouts, tgt_lengths))
        return logits

    def start(self, src: Tensor, src_lengths: Tensor) -> DecoderState:
        """src (B, S), src_lengths (B,) -> the state before the first target token, N = B rows."""
        state: DecoderState = self.decoder.start(self.encoder(src, src_lengths))
        return state

    def step(self, prev_ids: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One position. prev_ids (N,) -> log_probs (N, V), and the state after it."""
        readout, state = self.decoder.step(prev_ids, state)
        return functional.log_softmax(self.output(readout), dim=-1), state

    def weights(self) -> dict[str, Tensor]:
        """The parameters themselves, by name; tied ones once, under their first name."""
        return {name: parameter.detach() for name, parameter in self.named_parameters()}

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Copy in what `weights` gave. Raises ValueError where names or shapes differ."""
        own = self.weights()
        if own.keys() != weights.keys():
            raise ValueError(f"these weights are not in both: {', '.join(sorted(own.keys() ^ weights.keys()))}")
        for name, tensor in own.items():
            if tensor.shape != weights[name].shape:
                raise ValueError(f"{name}: shape {tuple(weights[name].shape)}, wanted {tuple(tensor.shape)}")
            tensor.copy_(weights[name])


def real_positions(x: Tensor, lengths: Tensor) -> Tensor:
    """Drop padding: x (B, T, ...), lengths (B,) -> (sum of lengths, ...), row after row."""
    return x[torch.arange(x.size(1), device=x.device) < lengths[:, None]]


def build_model(section: ModelSection, *, src_vocab_size: int, tgt_vocab_size: int) -> Seq2Seq:
    """A freshly initialised model, drawn from torch's global random generator."""
    src_embedding = _embedding(src_vocab_size, section.embed_dim)
    tgt_embedding = src_embedding if section.tie == "all" else _embedding(tgt_vocab_size, section.embed_dim)
    encoder = Encoder(
        embedding=src_embedding,
        hidden_dim=section.encoder_dim,
        layers=section.encoder_layers,
        bidirectional=section.bidirectional,
        reverse_source=section.reverse_source,
        dropout=section.dropout,
        dropout_kind=section.dropout_kind,
    )
    decoder = Decoder(
        embedding=tgt_embedding,
        encoder_dim=encoder.output_dim,
        hidden_dim=section.decoder_dim,
        layers=section.decoder_layers,
        feed_vector=section.feed_vector,
        dropout=section.dropout,
        dropout_kind=section.dropout_kind,
    )
    output = nn.Linear(section.embed_dim, tgt_vocab_size)
    nn.init.zeros_(output.bias)
    if section.tie == "none":
        nn.init.normal_(output.weight, std=section.embed_dim**-0.5)
    else:
        output.weight = tgt_embedding.weight
    return Seq2Seq(encoder=encoder, decoder=decoder, output=output)


def _embedding(vocab_size: int, embed_dim: int) -> nn.Embedding:
    """Small enough that tied logits begin near 0, whatever the size."""
    embedding = nn.Embedding(vocab_size, embed_dim)
    nn.init.normal_(embedding.weight, std=embed_dim**-0.5)
    return embedding
