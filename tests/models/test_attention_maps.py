import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import TransformerConfig
from astra_jax.models.attention_maps import attention_weights
from astra_jax.models.blocks import layer_norm
from astra_jax.models.conditions import Conditions
from astra_jax.models.europe import positions, rotary_tables
from astra_jax.models.transformer import Transformer

CONFIG = TransformerConfig(
    width=32, heads=2, axes_dim=(4, 4, 8), double_blocks=1, single_blocks=1, latent_dim=8, context_dim=8, pooled_dim=8,
    guidance_embed=False, remat="none",
)  # fmt: skip
TEXT, CANVAS, POSE = 3, 4, 4


def inputs(mode="europe"):
    keys = jax.random.split(jax.random.key(0), 4)
    cos, sin = rotary_tables(jnp.asarray(positions(TEXT, (2, 2), (2, 2), mode=mode))[None], CONFIG.axes_dim)
    conditions = Conditions(
        text=jax.random.normal(keys[0], (1, TEXT, 8)),
        pooled=jax.random.normal(keys[1], (1, 8)),
        guidance=jnp.ones(1),
        images=jax.random.normal(keys[2], (1, POSE, 8)),
        cos=cos,
        sin=sin,
        mask=jnp.ones((1, TEXT + CANVAS + POSE), bool).at[0, -1].set(False),
        offsets=jnp.zeros((1, 1, 0, 32)),
        place=jnp.zeros((1, 0, TEXT)),
    )
    return jax.random.normal(keys[3], (1, CANVAS, 8)), jnp.array([0.5]), conditions


@pytest.fixture(scope="module")
def params(random_params):
    return random_params(jax.eval_shape(Transformer(CONFIG).init, jax.random.key(1), *inputs()))["params"]


def test_weights_are_a_distribution_over_the_tokens_that_exist(params):
    tokens = jnp.array([TEXT, TEXT + 3])
    weights = attention_weights(Transformer(CONFIG), params, *inputs(), tokens)
    assert weights.shape == (2, 1, 2, 2, TEXT + CANVAS + POSE)  # a double and a single block, two heads
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    assert (weights[..., -1] == 0).all()
    assert (weights[..., :-1] > 0).all()


def test_the_first_block_by_hand(params):
    """One canvas token of the double block, whose modulation starts at zero: q k^T / sqrt(d) written out."""
    block = jax.tree.map(lambda leaf: leaf[0], params["double_blocks"])
    for stream in ("img_mod", "txt_mod"):
        block[stream] = jax.tree.map(jnp.zeros_like, block[stream])
    zeroed = params | {"double_blocks": jax.tree.map(lambda leaf: leaf[None], block)}
    x, t, conditions = inputs()
    got = attention_weights(Transformer(CONFIG), zeroed, x, t, conditions, jnp.array([TEXT]))[0, 0, :, 0]

    def parts(stream, entry, tokens):
        tokens = layer_norm(tokens @ params[entry]["kernel"] + params[entry]["bias"])
        fused = tokens @ block[f"{stream}_qkv"]["kernel"] + block[f"{stream}_qkv"]["bias"]
        q, k, _ = np.moveaxis(np.asarray(fused).reshape(-1, 3, 2, 16), 1, 0)
        scale = block[f"{stream}_norm"]
        return [
            v / np.sqrt((v**2).mean(-1, keepdims=True) + 1e-6) * np.asarray(scale[name]["scale"])
            for v, name in ((q, "query_norm"), (k, "key_norm"))
        ]

    q_t, k_t = parts("txt", "txt_in", conditions.text[0])
    q_i, k_i = parts("img", "img_in", jnp.concatenate([x, conditions.images], 1)[0])
    turn = np.asarray(conditions.cos[0] + 1j * conditions.sin[0])[:, None]
    q, k = ((v[..., ::2] + 1j * v[..., 1::2]) * turn for v in (np.concatenate([q_t, q_i]), np.concatenate([k_t, k_i])))
    scores = np.einsum("hd,lhd->hl", q[TEXT], k.conj()).real / 4
    scores[:, -1] = -np.inf
    expected = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(got, expected / expected.sum(-1, keepdims=True), rtol=2e-4, atol=1e-6)


def test_positions_change_the_weights(params):
    weights = [
        attention_weights(Transformer(CONFIG), params, *inputs(mode), jnp.array([TEXT])) for mode in ("europe", "unope")
    ]
    assert np.abs(weights[0] - weights[1]).max() > 1e-3
    same = dataclasses.replace(CONFIG, remat="full")  # what is recomputed is captured all the same
    again = attention_weights(Transformer(same), params, *inputs(), jnp.array([TEXT]))
    np.testing.assert_allclose(again, weights[0], rtol=1e-5, atol=1e-7)
