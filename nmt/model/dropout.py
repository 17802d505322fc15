"""Dropout for sequences."""

from collections.abc import Callable

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
        return x * _mask(x[:, :1], self.p)

    def for_steps(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        """One draw for a sentence that is taken step by step: what it does to each x (N, F); like (N, F)."""
        if not self.training or self.p == 0.0:
            return _unchanged
        return _mask(like, self.p).mul


class PlainDropout(nn.Dropout):
    """Drops each value for itself (Srivastava et al. 2014)."""

    def for_steps(self, like: Tensor) -> Callable[[Tensor], Tensor]:
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
    return like.new_empty(like.shape).bernoulli_(1.0 - p).div_(1.0 - p)


def _unchanged(x: Tensor) -> Tensor:
    return x
