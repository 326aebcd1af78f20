"""T5's encoder against transformers' T5EncoderModel: without an attention mask, as FLUX.1 calls it, and with one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import T5Config
from astra_jax.models.t5 import T5Encoder
from astra_jax.weights.encoders import t5_naming, t5_unread
from tests.parity.published import assert_close, assert_full_size, read, spread, tensors

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {
    "one_layer": T5Config(vocab_size=40, width=16, layers=1, heads=2, head_dim=8, mlp_dim=24),
    # Heads that together are wider than the model, other buckets, more positions than the buckets tell apart.
    "deeper": T5Config(
        vocab_size=99, width=48, layers=3, heads=4, head_dim=20, mlp_dim=80, buckets=12, max_distance=40
    ),
}


def reference(config):
    model = transformers.T5EncoderModel(
        transformers.T5Config(
            vocab_size=config.vocab_size,
            d_model=config.width,
            d_kv=config.head_dim,
            d_ff=config.mlp_dim,
            num_layers=config.layers,
            num_heads=config.heads,
            relative_attention_num_buckets=config.buckets,
            relative_attention_max_distance=config.max_distance,
            feed_forward_proj="gated-gelu",
            is_encoder_decoder=False,
            use_cache=False,
            tie_word_embeddings=False,
        )
    )
    return spread(model, 3)


def published(model):
    found = tensors(model)
    # A file may hold the embedding twice; `t5_unread` names the copy.
    return {**found, "encoder.embed_tokens.weight": found["shared.weight"]}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("length", [7, 130])
def test_features(size, length):
    config = SIZES[size]
    model = reference(config)
    params = {"params": read(t5_naming(config), published(model), t5_unread())}
    tokens = np.random.default_rng(length).integers(2, config.vocab_size, (2, length))
    tokens[1, 3:] = [1, *[0] * (length - 4)]  # </s>, then padding, which is attended to
    with torch.no_grad():
        theirs = model(torch.tensor(tokens))[0]
    assert_close(jax.jit(T5Encoder(config).apply)(params, jnp.asarray(tokens)), theirs)


def test_masked_features():
    config = SIZES["deeper"]
    model = reference(config)
    params = {"params": read(t5_naming(config), published(model), t5_unread())}
    tokens = np.random.default_rng(1).integers(2, config.vocab_size, (2, 9))
    mask = np.arange(9) < np.array([[9], [4]])
    with torch.no_grad():
        theirs = model(torch.tensor(tokens), attention_mask=torch.tensor(mask.astype(int)))[0].numpy()
    ours = jax.jit(T5Encoder(config).apply)(params, jnp.asarray(tokens), jnp.asarray(mask))
    assert_close(np.asarray(ours)[mask], theirs[mask])


def test_full_size_is_t5_xxl():
    """google/t5-v1_1-xxl's encoder, FLUX.1's text_encoder_2: 219 tensors."""
    config = T5Config()
    with torch.device("meta"):
        theirs = transformers.T5EncoderModel(
            transformers.T5Config(
                vocab_size=32128, d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64,
                feed_forward_proj="gated-gelu",
            )
        )  # fmt: skip
    assert len(list(theirs.parameters())) == 219
    assert_full_size(T5Encoder(config), jnp.zeros((1, 4), jnp.int32), t5_naming(config), theirs)
