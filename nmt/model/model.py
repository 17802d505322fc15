"""What all models share: logits from readouts, their weights as plain tensors, and leaving padding out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Model(nn.Module, ABC):
    """A translation model; its weights can be taken out and put back by name.

    `output` maps readouts (N, E) to logits (N, V).
    """

    output: nn.Linear

    @abstractmethod
    def readouts(self, src: Tensor, src_lengths: Tensor, tgt_in: Tensor, tgt_lengths: Tensor) -> Tensor:
        """Given the true tokens before each (teacher forcing), at the real target positions only, row after row.

        src (B, S), src_lengths (B,), tgt_in (B, T), tgt_lengths (B,) -> (sum of tgt_lengths, E).
        """

    def forward(self, src: Tensor, src_lengths: Tensor, tgt_in: Tensor, tgt_lengths: Tensor) -> Tensor:
        """The logits that the readouts give: (sum of tgt_lengths, V)."""
        logits: Tensor = self.output(self.readouts(src, src_lengths, tgt_in, tgt_lengths))
        return logits

    def attended(
        self, src: Tensor, src_lengths: Tensor, tgt_in: Tensor, tgt_lengths: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """The readouts, and where attention looked for them: the share of each source position (B, T, S), 0 at padding.

        A row's last `T - tgt_lengths` positions are padding. None without attention.
        """
        return self.readouts(src, src_lengths, tgt_in, tgt_lengths), None

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
    if lengths.device.type == "cpu" and len(lengths) and int(lengths.min()) == x.size(1):  # a GPU would be waited for
        return x.flatten(0, 1)
    return x[torch.arange(x.size(1), device=x.device) < lengths[:, None]]
