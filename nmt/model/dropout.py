"""Dropout for sequences."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Drop = Callable[[Tensor], Tensor]  # one draw: what it does to each x (N, F)


def unchanged(x: Tensor) -> Tensor:
    """The draw that drops nothing."""
    return x


class LockedDropout(nn.Module):
    """Drops the same features at every position of a sentence (variational dropout, Gal & Ghahramani 2016).

    y_t = m * x_t    where m is 0 with probability p, else 1 / (1 - p), the same at each t
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        """x (B, T, F) -> (B, T, F): scale * m * x while training, scale * x otherwise."""
        if not self.training or self.p == 0.0:
            return x if scale == 1.0 else x * scale
        return x * (_mask(x[:, :1], self.p) * scale)

    def for_steps(self, like: Tensor) -> Drop:
        """One draw for a sentence that is taken step by step; like (N, F), as each x of it."""
        if not self.training or self.p == 0.0:
            return unchanged
        return _mask(like, self.p).mul


class PlainDropout(nn.Dropout):
    """Drops each value for itself (Srivastava et al. 2014)."""

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        """As in `LockedDropout`."""
        return super().forward(x if scale == 1.0 else x * scale)

    def for_steps(self, like: Tensor) -> Drop:
        """As in `LockedDropout`: here each step draws anew."""
        return self


class WordDropout(nn.Module):
    """Sets whole words to 0, each position for itself (Sennrich et al. 2016, section 2; Gal & Ghahramani 2016 drop a
    word wherever it stands in the sentence).

    What is left is not scaled up: the embedding of a word stays what it is.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, E) -> (B, T, E) while training, x itself otherwise."""
        if not self.training or self.p == 0.0:
            return x
        return x * x.new_empty(x.size(0), x.size(1), 1).bernoulli_(1.0 - self.p)


DROPOUTS: dict[str, type[LockedDropout] | type[PlainDropout]] = {"locked": LockedDropout, "plain": PlainDropout}


def _mask(like: Tensor, p: float) -> Tensor:
    """0 where a feature is dropped, 1 / (1 - p) elsewhere, in the shape of `like`."""
    kept = torch.rand(like.shape, device=like.device) < 1.0 - p
    return kept.to(like.dtype).div_(1.0 - p)
