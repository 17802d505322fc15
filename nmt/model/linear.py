"""Linear layers as all models here begin with them."""

from torch import nn


def new_linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """Xavier uniform weights (Glorot & Bengio 2010), biases 0."""
    linear = nn.Linear(inputs, outputs, bias=bias)
    nn.init.xavier_uniform_(linear.weight)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear
