import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.models import blocks
from astra_jax.models.gradients import product

LINEAR = (((2,), (0,)), ((), ()))


def test_a_product_and_its_gradients_by_hand():
    rng = np.random.default_rng(0)
    x, kernel, g = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((2, 5, 3), (3, 4), (2, 5, 4)))
    out, pull = jax.vjp(lambda x, kernel: product(x, kernel, LINEAR), x, kernel)
    to_x, to_kernel = pull(g)
    np.testing.assert_allclose(out, np.einsum("bli,io->blo", x, kernel), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(to_x, np.einsum("blo,io->bli", g, kernel), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(to_kernel, np.einsum("bli,blo->io", x, g), rtol=1e-5, atol=1e-6)


def test_gradients_are_products_and_no_transpositions():
    x, kernel = jnp.ones((2, 5, 3)), jnp.ones((3, 4))
    program = str(jax.make_jaxpr(jax.grad(lambda kernel: product(x, kernel, LINEAR).sum()))(kernel))
    assert program.count("dot_general[") == 3  # forward, to x and to the kernel
    assert "transpose[" not in program


def test_gradients_have_the_dtypes_of_what_they_belong_to():
    x, kernel = jnp.ones((1, 2, 3), jnp.bfloat16), jnp.ones((3, 4), jnp.bfloat16)
    out, pull = jax.vjp(lambda x, kernel: product(x, kernel, LINEAR, None, jnp.float32), x, kernel)
    assert out.dtype == jnp.float32
    assert [gradient.dtype for gradient in pull(out)] == [jnp.bfloat16, jnp.bfloat16]


def test_another_product_is_refused():
    with pytest.raises(ValueError, match="contracts its last axis"):
        product(jnp.ones((2, 3, 3)), jnp.ones((3, 4)), (((1,), (0,)), ((), ())))


@pytest.mark.parametrize(
    ("function", "others"),
    [
        (blocks.gelu, ()),
        (blocks.rms_norm, (jnp.ones(16),)),
        (blocks.modulate, (jnp.ones((1, 1, 16)), jnp.ones((1, 1, 16)))),
    ],
)
def test_norms_and_activations_keep_nothing_but_their_arguments(function, others):
    x = jax.random.normal(jax.random.key(0), (1, 50, 16))
    _, pull = jax.vjp(function, x, *others)
    kept = [leaf for leaf in jax.tree.leaves(pull) if leaf.size >= x.size]
    assert len(kept) == 1
    np.testing.assert_array_equal(kept[0], x)
