"""Matrix products with weights that never change again, laid out as the product reads them."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class Product(Protocol):
    """x (N, I) -> W x + b (N, O). What comes out for a row does not depend on the other rows."""

    def __call__(self, x: Tensor) -> Tensor: ...

    def add_to(self, sums: Tensor, x: Tensor) -> Tensor:
        """sums (N, O) + W x + b, which may be written into `sums`."""
        ...


Pack = Callable[[Tensor, Tensor | None], Product]  # weight (O, I) and bias (O,) or none -> their product


class FloatProduct:
    """In float32, the weights transposed: a product of few rows reads them up to twice as fast so."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = weight.detach().t().contiguous()  # (I, O)
        self._bias = None if bias is None else bias.detach().clone()

    def __call__(self, x: Tensor) -> Tensor:
        if len(x) == 1:
            return self._of_one(x)
        return x @ self._weight if self._bias is None else torch.addmm(self._bias, x, self._weight)

    def add_to(self, sums: Tensor, x: Tensor) -> Tensor:
        if len(x) == 1:
            return sums.add_(self._of_one(x))
        sums.addmm_(x, self._weight)
        return sums if self._bias is None else sums.add_(self._bias)

    def _of_one(self, x: Tensor) -> Tensor:
        """The libraries take another way for a lone row, whose sums are rounded differently: so it is never alone."""
        return self(x.expand(2, -1))[:1]
