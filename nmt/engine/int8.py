"""Products in 8-bit integers (Jacob et al. 2018). All of torch's quantised API that this package uses is here.

Weights have a scale for each output. What they are multiplied with lies within -1 and 1 (a state h, a readout), and its
scale is fixed by that: torch takes the scale of a product from the least and the greatest value in all of x, so a row
of ones and minus ones is added to it. Then no row's result hangs on its batch mates.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

LEVELS = 127  # of a weight to each side of 0
MOST = 1.0  # the size of what is multiplied


class Int8Product:
    """W x + b for x within -1 and 1.

    What packs the weights also multiplies them. With AVX-512 oneDNN does so up to 5 times sooner than FBGEMM, but
    needs a millisecond for the first product of each new size.
    """

    library = "onednn" if torch.backends.cpu.get_cpu_capability() == "AVX512" else "fbgemm"

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight (O, I), bias (O,) or none."""
        weight = weight.detach().float().contiguous()
        outputs, inputs = weight.shape
        scales = (weight.abs().amax(dim=1).double() / LEVELS).clamp_min(1e-12)
        with warnings.catch_warnings(), _library(self.library):
            warnings.simplefilter("ignore")  # torch says that this API will move
            quantised = torch.quantize_per_channel(
                weight, scales, torch.zeros(outputs, dtype=torch.int64), axis=0, dtype=torch.qint8
            )
            bias = None if bias is None else bias.detach().clone()
            self._packed = torch.ops.quantized.linear_prepack(quantised, bias)
        self._bounds = torch.full((1, inputs), MOST)
        self._bounds[0, ::2] = -MOST

    def __call__(self, x: Tensor) -> Tensor:
        bounded = torch.cat([x, self._bounds])
        product: Tensor = torch.ops.quantized.linear_dynamic(bounded, self._packed, reduce_range=True)
        return product[:-1]

    def add_to(self, sums: Tensor, x: Tensor) -> Tensor:
        return sums.add_(self(x))


class BriefInt8Product(Int8Product):
    """For weights that serve one batch, of a size that may never come again."""

    library = "fbgemm"


@contextmanager
def _library(wanted: str) -> Iterator[None]:
    before = torch.backends.quantized.engine
    if wanted in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = wanted
    try:
        yield
    finally:
        torch.backends.quantized.engine = before
