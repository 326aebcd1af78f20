"""A tiny model of every part, its random parameters and random inputs."""

import dataclasses

import jax
import numpy as np
import pytest

from astra_jax.config import (
    AutoencoderConfig,
    ClipTextConfig,
    ClipVisionConfig,
    DsmConfig,
    ModelConfig,
    T5Config,
    TransformerConfig,
)
from astra_jax.models.astra import Astra, Inputs

TINY = ModelConfig(
    transformer=TransformerConfig(
        width=16,
        heads=2,
        axes_dim=(2, 2, 4),
        double_blocks=2,
        single_blocks=2,
        latent_dim=16,
        context_dim=12,
        pooled_dim=10,
        remat="none",
    ),
    autoencoder=AutoencoderConfig(channels=4, channel_mult=(1, 2), res_blocks=1, latent_channels=4, norm_groups=2),
    t5=T5Config(vocab_size=32, width=12, layers=1, heads=2, head_dim=4, mlp_dim=16),
    clip_text=ClipTextConfig(vocab_size=32, width=10, layers=1, heads=2, mlp_dim=16, length=6),
    clip_vision=ClipVisionConfig(image_size=8, patch=4, width=8, layers=2, heads=2, mlp_dim=16),
    dsm=DsmConfig(width=8, layers=1, heads=2),
    text_length=6,
    phrase_length=2,
    max_subjects=2,
    dtype="float32",
)


def make_inputs(config, batch=2, canvas=8, reference=4, seed=0):
    """Inputs whose first subject stands at prompt tokens 1 and 2, the second at token 4."""
    rng = np.random.default_rng(seed)
    subjects, side = config.max_subjects, config.clip_vision.image_size

    def pictures(*shape):
        return rng.integers(0, 256, (*shape, 3)).astype(np.uint8)

    placement = np.tile(np.array([[1, 2], [4, -1]], np.int32), (batch, 1, 1))
    return Inputs(
        text_tokens=rng.integers(2, 30, (batch, config.text_length)).astype(np.int32),
        pooled_tokens=np.full((batch, config.clip_text.length), config.clip_text.vocab_size - 1, np.int32),
        guidance=np.full(batch, 3.5, np.float32),
        pose=pictures(batch, canvas, canvas),
        has_pose=np.ones(batch, bool),
        references=pictures(batch, subjects, reference, reference),
        has_reference=np.ones((batch, subjects), bool),
        portraits=pictures(batch, subjects, side, side),
        phrase_tokens=rng.integers(2, 30, (batch, subjects, config.phrase_length)).astype(np.int32),
        placement=placement,
        has_identity=np.ones((batch, subjects), bool),
    )


@pytest.fixture(scope="session")
def tiny():
    return Astra(TINY)


@pytest.fixture(scope="session")
def params(tiny, random_params):
    """Random parameters, those that start at zero too, so that every path shows."""
    return random_params(jax.eval_shape(tiny.init, jax.random.key(0)))


@pytest.fixture(scope="session")
def inputs():
    return make_inputs(TINY)


@pytest.fixture(scope="session")
def replace():
    return dataclasses.replace
