"""BERT's encoder and its pooled sentence vector against transformers' BertModel, padding masked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import BertConfig
from astra_jax.models.bert import BertEncoder, mean_pool
from astra_jax.weights.encoders import bert_naming, bert_unread
from tests.parity.published import assert_close, assert_full_size, read, spread, tensors

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {
    "one_layer": BertConfig(vocab_size=40, width=16, layers=1, heads=2, mlp_dim=24, length=12),
    "deeper": BertConfig(vocab_size=99, width=48, layers=4, heads=3, mlp_dim=100, length=70, norm_eps=1e-5),
}


def reference(config):
    return transformers.BertModel(
        transformers.BertConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.mlp_dim,
            max_position_embeddings=config.length,
            type_vocab_size=config.segments,
            layer_norm_eps=config.norm_eps,
        )
    )


@pytest.mark.parametrize("prefix", ["", "bert."])
@pytest.mark.parametrize("size", SIZES)
def test_sentence_vectors(size, prefix):
    config = SIZES[size]
    model = spread(reference(config), 6)
    params = {"params": read(bert_naming(config, prefix), tensors(model, prefix), bert_unread(prefix))}
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, config.vocab_size, (3, config.length))
    mask = np.arange(config.length) < np.array([[config.length], [5], [1]])
    with torch.no_grad():
        theirs = model(torch.tensor(tokens), attention_mask=torch.tensor(mask.astype(int)))[0].numpy()
    encoder = BertEncoder(config)
    ours = jax.jit(encoder.apply)(params, jnp.asarray(tokens), jnp.asarray(mask))
    assert_close(np.asarray(ours)[mask], theirs[mask])
    # Sentence-BERT's pooling, then unit length.
    means = np.stack([row[kept].mean(axis=0) for row, kept in zip(theirs, mask, strict=True)])
    assert_close(mean_pool(ours, jnp.asarray(mask)), means / np.linalg.norm(means, axis=1, keepdims=True))


def test_full_size_is_minilm_l6():
    """sentence-transformers/all-MiniLM-L6-v2."""
    config = BertConfig()
    with torch.device("meta"):
        theirs = reference(config)
    tokens = jnp.zeros((1, 8), jnp.int32)
    assert_full_size(BertEncoder(config), tokens, bert_naming(config), theirs, unread=bert_unread())
