"""Source ids to a memory without recurrence: all positions at once."""

import torch
from torch import Tensor, nn

from nmt.model.dropout import DROPOUTS
from nmt.model.embedding import Embedder
from nmt.model.encoder import EncoderOutput


def sinusoids(length: int, size: int, device: torch.device) -> Tensor:
    """Waves whose lengths grow from 2 pi to 10000 * 2 pi, as position embeddings: (length, size).

    Vaswani et al. 2017, section 3.5. Shifting two positions alike keeps the product of their embeddings.
    """
    pairs = torch.arange((size + 1) // 2, device=device)  # a sine and a cosine each
    angles = torch.arange(length, device=device)[:, None] * 10000.0 ** (-2.0 * pairs / size)  # (length, size / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :size]


HALF = 0.5**0.5  # of the variance


class ConvolutionalEncoder(nn.Module):
    """A stack of convolutions over the source, each followed by a tanh and added to its input (Gehring et al. 2017).

        x_s = P (word_s + position_s)      x'_s = (x_s + tanh(W [x_(s-k); ..; x_(s+k)] + b)) / sqrt(2)    in each layer

    Three things differ from the paper ("A Convolutional Encoder Model for Neural Machine Translation", section 3.2):
    its position embeddings are learned and so end somewhere, ours are sinusoids, which fit a sentence of any length; it
    has a second stack for the values that attention averages, where here one gives both keys and values; and its tanh
    is over the sum, under which a stack of four hardly learned to translate here (recipes/README.md), so that we take
    the residual connections of its successor, with their factor ("Convolutional Sequence to Sequence Learning").
    Padding never enters: it is 0 before every convolution, as is what lies beyond a sentence's ends.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        hidden_dim: int,
        layers: int,
        kernel_size: int,
        dropout: float,
        dropout_kind: str,
    ) -> None:
        """`kernel_size` is odd: a position sees (kernel_size - 1) / 2 more on each side with each layer.

        Weights are Xavier uniform (Glorot & Bengio 2010) with the gain that makes up for the tanh: what a layer adds
        has about the variance of its input, and the factor halves that of the sum, so it stays the same at any depth.
        """
        super().__init__()
        assert kernel_size % 2 == 1
        self.embedder = embedder
        self.output_dim = hidden_dim
        self.project = nn.Identity() if embedder.dim == hidden_dim else nn.Linear(embedder.dim, hidden_dim)
        self.layers = nn.ModuleList(
            nn.Conv1d(hidden_dim, hidden_dim, kernel_size, padding=kernel_size // 2) for _ in range(layers)
        )
        for layer, gain in [(self.project, 1.0), *((layer, nn.init.calculate_gain("tanh")) for layer in self.layers)]:
            for name, parameter in layer.named_parameters():
                nn.init.zeros_(parameter) if name == "bias" else nn.init.xavier_uniform_(parameter, gain)
        self.dropout = DROPOUTS[dropout_kind](dropout)

    def forward(self, src: Tensor, src_lengths: Tensor) -> EncoderOutput:
        """src (B, S) ids, src_lengths (B,), each at least 1 -> the encoder's output, D = H.

        The sentence vector is the mean over the real positions, since no single one has seen the whole sentence. It is
        our choice, not the paper's.
        """
        mask = torch.arange(src.size(1), device=src.device) < src_lengths[:, None]  # (B, S)
        padding = ~mask[:, :, None]
        words = self.embedder(src)  # (B, S, E)
        # Sinusoids have variance 1 / 2, embeddings begin with 1 / E before they are scaled: neither drowns the other.
        scale = self.embedder.scale * (2.0 / self.embedder.dim) ** 0.5
        positions = scale * sinusoids(src.size(1), self.embedder.dim, src.device).to(words.dtype)  # (S, E)
        x = self.project(words + positions).masked_fill(padding, 0.0)  # (B, S, H)
        for layer in self.layers:
            heard = self.dropout(layer(x.transpose(1, 2)).transpose(1, 2))  # (B, S, H)
            x = (HALF * (x + torch.tanh(heard))).masked_fill(padding, 0.0)
        return EncoderOutput(memory=x, mask=mask, vector=x.sum(dim=1) / src_lengths[:, None])
