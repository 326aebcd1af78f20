"""The default model with SigLIP's image encoder in CLIP's place: it trains, and a run knows which of the two it has."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import Config, OptimizerConfig, SiglipVisionConfig, from_config_dict
from astra_jax.models.astra import Batch, Inputs
from astra_jax.params import flatten, unflatten
from astra_jax.training.astra_objective import AstraObjective
from astra_jax.training.checkpoint import differing_keys
from astra_jax.training.optimizer import make_optimizer
from astra_jax.training.partition import partition
from astra_jax.training.state import create_state
from astra_jax.training.step import make_step
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

    canvas, photo = data.height // model.autoencoder.downsampling, data.reference_size // model.autoencoder.downsampling
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


def test_the_default_size_trains_with_siglip(config):
    """The loss of the same draws falls, and every leaf of the encoder has a gradient through the adapter."""
    objective = AstraObjective(config)
    rng = np.random.default_rng(0)
    shapes = flatten(jax.eval_shape(objective.init, jax.random.key(0)))
    params = unflatten({
        path: jnp.asarray(0.05 * rng.normal(size=leaf.shape) + path.endswith("scale"), jnp.float32)
        for path, leaf in shapes.items()
    })  # fmt: skip
    assert params["siglip_vision"]["positions"].shape == (16, 128)
    assert "clip_vision" not in params
    settings = OptimizerConfig(learning_rate=1e-3, warmup_steps=0)
    optimizer = make_optimizer(settings, 10)
    trainable, frozen = partition(params, config.train.trainable)
    state = create_state(trainable, optimizer, jax.random.key(1))
    step = jax.jit(make_step(objective, optimizer, settings, 10))
    batch, losses = make_batch(config), []
    for _ in range(6):
        state, metrics = step(state, frozen, batch)
        assert not metrics["skipped"]
        losses.append(float(metrics["loss"]))
        state = dataclasses.replace(state, step=jnp.zeros_like(state.step))  # times and noise belong to the step
    assert losses[-1] < 0.95 * losses[0], losses
    for path, moment in flatten(state.opt_state[1][0].mu["siglip_vision"]).items():
        if path != "layers/k/bias":  # the softmax over keys does not see it
            assert np.abs(moment).max() > 0, path


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
