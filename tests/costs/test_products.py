from astra_jax.costs.products import Product, totals
from astra_jax.costs.tally import Tally


def test_a_multiply_add_is_two_flops_and_each_wanted_gradient_costs_as_much_again():
    product = Product("a/b", rows=2, inner=3, columns=5, count=7, repeats=11)
    assert product.forward == 2 * 2 * 3 * 5 * 7 * 11
    assert product.backward == 0
    assert Product("a", 2, 3, 5, left_gradient=True, right_gradient=True).backward == 2 * 60


def test_bytes_are_operands_and_result_and_weights_are_shared_by_examples():
    product = Product("a/b", rows=2, inner=3, columns=5, count=7, repeats=2)
    assert product.bytes(examples=4) == 2 * 2 * (4 * 7 * (2 * 3 + 2 * 5) + 3 * 5)
    attention = Product("a", rows=8, inner=4, columns=6, count=3, repeats=2, weights=False)
    assert attention.bytes(1) == 2 * 3 * 2 * (8 * 4 + 6 * 4)  # q and k, then the result and v; no logits
    assert Product("a", rows=10, inner=9 * 2, columns=1, window=9).bytes(1) == 2 * (10 * (2 + 1) + 18)


def test_totals_by_part():
    products = [Product("a/x", 1, 1, 1), Product("a/y", 1, 1, 2, left_gradient=True), Product("b", 1, 1, 3)]
    assert totals(products) == {"a": (6.0, 4.0), "b": (6.0, 0.0)}


def test_a_tally_knows_what_is_trained():
    tally = Tally(["t5/layers/q/kernel"])
    assert tally.trains("t5")
    assert tally.trains("clip", "t5/layers/q/kernel")
    assert not tally.trains("t5/layers/q/ker", "t5/layers/k")
    tally.dense("t5/layers/q", 2, 3, 4, flows=False)
    tally.dense("t5/layers/k", 2, 3, 4, flows=True)
    assert [(p.left_gradient, p.right_gradient) for p in tally.products] == [(False, True), (True, False)]
    tally.attention("t5", 2, 5, heads=3, width=4, flows=True)
    assert tally.products[-1].forward == 2 * (2 * 2 * 5 * 4) * 3  # two products of three heads
