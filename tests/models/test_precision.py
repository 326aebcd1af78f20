"""bfloat16 where it costs nothing that matters: timestep embedding, rotary, norms, softmax stay float32."""

import jax
import jax.numpy as jnp
import numpy as np

from astra_jax.config import TransformerConfig
from astra_jax.models.conditions import Conditions
from astra_jax.models.europe import positions, rotary_tables
from astra_jax.models.transformer import Transformer

# FLUX.1's shape of a head and its ratio of blocks, at an eighth of the width.
CONFIG = TransformerConfig(
    width=384, heads=3, double_blocks=4, single_blocks=8, context_dim=256, pooled_dim=128, remat="none"
)
TEXT, GRID = 32, (8, 8)


def make_case(seed):
    rng = np.random.default_rng(seed)
    ids = positions(TEXT, GRID)
    cos, sin = rotary_tables(jnp.asarray(ids)[None], CONFIG.axes_dim)
    conditions = Conditions(
        text=rng.normal(size=(1, TEXT, CONFIG.context_dim)).astype(np.float32),
        pooled=rng.normal(size=(1, CONFIG.pooled_dim)).astype(np.float32),
        guidance=np.full(1, 4.0, np.float32),
        images=np.zeros((1, 0, CONFIG.latent_dim), np.float32),
        cos=cos,
        sin=sin,
        mask=np.ones((1, len(ids)), bool),
        offsets=np.zeros((CONFIG.double_blocks, 1, 1, CONFIG.width), np.float32),
        place=np.zeros((1, 1, TEXT), np.float32),
    )
    x, t = rng.normal(size=(1, 64, CONFIG.latent_dim)).astype(np.float32), np.float32([rng.uniform(0.05, 1)])
    tree = jax.eval_shape(Transformer(CONFIG).init, jax.random.key(0), x, t, conditions)["params"]

    def draw(path, leaf):
        name = jax.tree_util.keystr(path)
        if "norm" in name:
            return (1 + 0.2 * rng.normal(size=leaf.shape)).astype(np.float32)
        # Kernels keep the scale of what passes through them.
        scale = leaf.shape[-2] ** -0.5 if "kernel" in name else 0.1
        return (scale * rng.normal(size=leaf.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, tree), x, t, conditions


def forward(dtype, weights, x, t, conditions):
    weights = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), weights)
    return np.asarray(jax.jit(Transformer(CONFIG, dtype).apply)({"params": weights}, x, t, conditions), np.float64)


def test_bfloat16_is_within_two_percent_of_float32():
    case = make_case(0)
    exact, low = forward(jnp.float32, *case), forward(jnp.bfloat16, *case)
    error = np.linalg.norm(low - exact) / np.linalg.norm(exact)
    print(f"{100 * error:.2f} %")
    assert error < 0.02
