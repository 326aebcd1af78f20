"""The default model with SigLIP's image encoder in CLIP's place: it trains, and a run knows which of the two it has."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from astra_jax.config import Config, SiglipVisionConfig, from_config_dict
from astra_jax.models.astra import Batch, Inputs
from astra_jax.params import flatten, unflatten
from astra_jax.training.astra_objective import AstraObjective
from astra_jax.training.checkpoint import differing_keys
from astra_jax.training.partition import merge, partition
from configs import puppets


@pytest.fixture(scope="module")
def config():
    tree = puppets.get_config()
    tree.model.dsm.encoder = "siglip"
    return from_config_dict(tree)


def make_batch(config, size=2):
    """Random examples of three subjects as the default run reads them: latent moments, and photos for the encoder."""
    rng = np.random.default_rng(0)
    model, data = config.model, config.data
    slots, side = model.max_subjects, model.image_encoder.image_size

    def moments(*shape):
        moments = rng.normal(size=(size, *shape, 2 * model.autoencoder.latent_channels))
        return jnp.asarray(moments, jnp.float16)

    def ids(*shape, high=2000):
        return jnp.asarray(rng.integers(3, high, (size, *shape)), jnp.int32)

    canvas, photo = (side // model.autoencoder.downsampling for side in (data.height, data.reference_size))
    inputs = Inputs(
        text_tokens=ids(model.text_length),
        pooled_tokens=ids(model.clip_text.length),
        guidance=jnp.ones(size),
        pose=moments(canvas, canvas),
        has_pose=jnp.ones(size, bool),
        references=moments(slots, photo, photo),
        has_reference=jnp.ones((size, slots), bool),
        portraits=jnp.asarray(rng.integers(0, 256, (size, slots, side, side, 3)), jnp.uint8),
        phrase_tokens=ids(slots, model.phrase_length),
        placement=ids(slots, model.phrase_length, high=model.text_length),
        has_identity=jnp.ones((size, slots), bool),
    )
    return Batch(target=moments(canvas, canvas), inputs=inputs)


@pytest.mark.slow
def test_the_default_size_trains_with_siglip(config):
    """A step against the gradient lowers the loss, and the gradient reaches the encoder through the adapter."""
    objective = AstraObjective(config)
    rng = np.random.default_rng(0)
    shapes = flatten(jax.eval_shape(objective.init, jax.random.key(0)))
    params = unflatten({
        path: jnp.asarray(0.05 * rng.normal(size=leaf.shape) + path.endswith("scale"), jnp.float32)
        for path, leaf in shapes.items()
    })  # fmt: skip
    assert params["siglip_vision"]["positions"].shape == (16, 128)
    assert "clip_vision" not in params
    trainable, frozen = partition(params, config.train.trainable)
    batch = make_batch(config)

    @jax.jit
    def loss_and_gradient(trainable):
        return jax.value_and_grad(lambda p: objective.loss(merge(p, frozen), batch, jax.random.key(1))[0])(trainable)

    before, gradient = loss_and_gradient(trainable)
    norm = optax.tree.norm(gradient)
    stepped = jax.tree.map(lambda leaf, slope: leaf - 0.01 * slope / norm, trainable, gradient)
    after, _ = loss_and_gradient(stepped)
    assert np.isfinite(before)
    assert before - 2 * 0.01 * norm < after < before - 0.5 * 0.01 * norm
    for path, slope in flatten(gradient["siglip_vision"]).items():
        if path != "layers/k/bias":  # a softmax over keys does not see it
            assert np.abs(slope).max() > 1e-8, path


def test_a_run_may_change_the_sizes_of_the_encoder_that_it_does_not_have(config):
    default = Config()
    other = dataclasses.replace(
        default, model=dataclasses.replace(default.model, siglip_vision=SiglipVisionConfig(image_size=224))
    )
    assert differing_keys(default, other) == []
    wide = dataclasses.replace(config.model.siglip_vision, width=64)
    changed = dataclasses.replace(config, model=dataclasses.replace(config.model, siglip_vision=wide))
    assert differing_keys(config, changed) == ["model.siglip_vision.width: 128 -> 64"]
    assert "model.dsm.encoder: 'siglip' -> 'clip'" in differing_keys(config, default)
