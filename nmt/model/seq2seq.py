"""The encoder-decoder."""

from torch import Tensor, nn
from torch.nn import functional

from nmt.model.convolution import ConvolutionalEncoder
from nmt.model.decoder import Decoder, DecoderState
from nmt.model.encoder import RecurrentEncoder
from nmt.model.model import Model, real_positions


class Seq2Seq(Model):
    """Sequence to sequence learning with an encoder and a decoder (Sutskever et al. 2014; Cho et al. 2014).

    `forward` is for training; `start` and `step` are all that search knows of a model.
    """

    def __init__(
        self, *, encoder: RecurrentEncoder | ConvolutionalEncoder, decoder: Decoder, output: nn.Linear
    ) -> None:
        """`output` maps readouts (N, E) to logits (N, V); its weight may be the embeddings' own."""
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.output = output

    def readouts(self, src: Tensor, src_lengths: Tensor, tgt_in: Tensor, tgt_lengths: Tensor) -> Tensor:
        """What the output layer reads, at the real target positions only, row after row, as `real_positions` has it.

        src (B, S), src_lengths (B,), tgt_in (B, T), tgt_lengths (B,) -> (sum of tgt_lengths, E).
        """
        readouts = self.decoder(tgt_in, self.decoder.start(self.encoder(src, src_lengths)))  # (B, T, E)
        return real_positions(readouts, tgt_lengths)

    def attended(
        self, src: Tensor, src_lengths: Tensor, tgt_in: Tensor, tgt_lengths: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """As `Model` has it."""
        readouts, shares = self.decoder.attended(tgt_in, self.decoder.start(self.encoder(src, src_lengths)))
        return real_positions(readouts, tgt_lengths), shares

    def start(self, src: Tensor, src_lengths: Tensor) -> DecoderState:
        """src (B, S), src_lengths (B,) -> the state before the first target token, N = B rows."""
        return self.decoder.start(self.encoder(src, src_lengths))

    def step(self, prev_ids: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One position. prev_ids (N,) -> log_probs (N, V), and the state after it."""
        readout, state = self.decoder.step(prev_ids, state)
        return functional.log_softmax(self.output(readout), dim=-1), state
