"""Collects the products of a step, and which of their gradients the training needs."""

from __future__ import annotations

from collections.abc import Iterable

from astra_jax.costs.products import Product


class Tally:
    """A list of products that knows which parameters are trained (by their paths, "t5/layers/q/kernel")."""

    def __init__(self, trained: Iterable[str]) -> None:
        self.products: list[Product] = []
        self._trained = frozenset(trained)

    def trains(self, *prefixes: str) -> bool:
        """Whether any parameter under one of these paths is trained."""
        return any(path == prefix or path.startswith(f"{prefix}/") for path in self._trained for prefix in prefixes)

    def dense(
        self, path: str, rows: int, inner: int, columns: int, flows: bool, count: int = 1, repeats: int = 1,
        window: int = 1, parameter: str = "/kernel",
    ) -> None:  # fmt: skip
        """A linear map or a convolution; `flows`: whether a gradient is wanted of what goes into it."""
        right = self.trains(path + parameter)
        self.products.append(Product(path, rows, inner, columns, count, repeats, flows, right, True, window))

    def attention(
        self, path: str, queries: int, keys: int, heads: int, width: int, flows: bool, count: int = 1, repeats: int = 1
    ) -> None:
        """q k^T and its product with v, `width` channels a head: two products of equal size."""
        self.products.append(
            Product(f"{path}/attention", queries, width, keys, count * heads, 2 * repeats, flows, flows, False)
        )

    def scatter(self, path: str, rows: int, inner: int, columns: int, flows: bool, repeats: int = 1) -> None:
        """A product with a matrix of zeros and ones, of which no gradient is wanted."""
        self.products.append(Product(path, rows, inner, columns, 1, repeats, False, flows))
