"""Matrix products by shape: their FLOPs and bytes, forward and backward. A multiply-add is two FLOPs."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Product:
    """A product that one example needs: `rows` x `inner` times `inner` x `columns`, `count` of them, `repeats` times.

    The backward pass multiplies again for each of its two operands that a gradient is wanted of.
    """

    name: str  # the parameter's path without /kernel, or that of the attention
    rows: int
    inner: int
    columns: int
    count: int = 1  # side by side: heads, subjects
    repeats: int = 1  # layers
    left_gradient: bool = False  # of the activations
    right_gradient: bool = False  # of the weights, or of the other activations
    weights: bool = True  # whether the right operand is a parameter; if not, this is attention
    window: int = 1  # a convolution's: how often it reads each of its inputs

    @property
    def forward(self) -> float:
        """FLOPs of the forward pass."""
        return 2.0 * self.rows * self.inner * self.columns * self.count * self.repeats

    @property
    def backward(self) -> float:
        """FLOPs of the gradients that are needed, without anything computed a second time."""
        return self.forward * (self.left_gradient + self.right_gradient)

    def bytes(self, examples: int, width: int = 2) -> float:
        """Bytes of one forward pass over `examples`: operands read once, results written once, `width` bytes a number.

        Attention's logits are never written: of its two products this counts queries, keys, values and the result.
        """
        if not self.weights:
            return float(width * (self.rows + self.columns) * self.inner * self.count * examples * self.repeats)
        outer = self.rows * (self.inner / self.window + self.columns) * self.count * examples
        return width * (outer + self.inner * self.columns) * self.repeats


def totals(products: list[Product]) -> dict[str, tuple[float, float]]:
    """(forward, backward) FLOPs an example by the first part of the names."""
    sums: dict[str, tuple[float, float]] = {}
    for product in products:
        part = product.name.split("/")[0]
        forward, backward = sums.get(part, (0.0, 0.0))
        sums[part] = (forward + product.forward, backward + product.backward)
    return sums
