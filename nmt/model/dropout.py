"""Dropout for sequences."""

from torch import Tensor, nn


class LockedDropout(nn.Module):
    """Drops the same features at every position of a sentence (variational dropout, Gal & Ghahramani 2016)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, F) -> (B, T, F), scaled by 1 / (1 - p) while training, x itself otherwise."""
        if not self.training or self.p == 0.0:
            return x
        keep = x.new_empty(x.size(0), 1, x.size(2)).bernoulli_(1.0 - self.p).div_(1.0 - self.p)  # (B, 1, F)
        return x * keep


DROPOUTS: dict[str, type[LockedDropout] | type[nn.Dropout]] = {"locked": LockedDropout, "plain": nn.Dropout}
