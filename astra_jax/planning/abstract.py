"""Shapes of what a training step takes: a batch as the data pipeline would make it, and nothing of it in memory."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from astra_jax.config import Config
from astra_jax.models.astra import Batch, Inputs
from astra_jax.models.keypoint_batch import MOST_PEOPLE, KeypointBatch
from astra_jax.training.mesh import batch_sharding


def abstract_batch(config: Config, mesh: Mesh) -> Batch | KeypointBatch:
    """The batch of one step of all processes together, as `jax.ShapeDtypeStruct`s placed on `mesh`.

    Pictures are uint8, or float16 latent moments where `data.latents` names a cache of them; with `data.embeddings`
    words and portraits are float16 features.
    """
    model, data, size = config.model, config.data, config.train.batch_size
    sharding = batch_sharding(mesh)

    def array(dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((size, *shape), np.dtype(dtype), sharding=sharding)

    def pictures(height: int, width: int, *slots: int) -> jax.ShapeDtypeStruct:
        if not data.latents:
            return array(np.uint8, *slots, height, width, 3)
        factor = model.autoencoder.downsampling
        return array(np.float16, *slots, height // factor, width // factor, 2 * model.autoencoder.latent_channels)

    if config.train.objective == "autoencoder":
        height, width = (data.crop, data.crop) if data.crop else (data.height, data.width)
        return Batch(target=array(np.uint8, height, width, 3), inputs=None)
    if config.train.objective == "keypoints":
        cuts, (joints, people) = config.keypoints.crops, (config.keypoints.joints, config.keypoints.people)
        return KeypointBatch(
            pictures=array(np.uint8, *people.vit.image_size, 3),
            heads=array(np.float32, MOST_PEOPLE, 2),
            boxes=array(np.float32, MOST_PEOPLE, 4),
            present=array(np.bool_, MOST_PEOPLE),
            cuts=array(np.uint8, cuts, *joints.vit.image_size, 3),
            places=array(np.float32, cuts, joints.maps, 2),
            labelled=array(np.bool_, cuts, joints.maps),
            tolerances=array(np.float32, cuts, joints.maps),
            somebody=array(np.bool_, cuts),
        )
    slots, side, words = model.max_subjects, model.image_encoder.image_size, model.phrase_length
    text, pooled = array(np.int32, model.text_length), array(np.int32, model.clip_text.length)
    portraits, phrases = array(np.uint8, slots, side, side, 3), array(np.int32, slots, words)
    if data.embeddings:
        text, pooled = array(np.float16, model.text_length, model.t5.width), array(np.float16, model.clip_text.width)
        portraits = array(np.float16, slots, model.image_encoder.tokens, model.image_encoder.width)
        phrases = array(np.float16, slots, words, model.t5.width)
    inputs = Inputs(
        text_tokens=text,
        pooled_tokens=pooled,
        guidance=array(np.float32),
        pose=pictures(data.height, data.width),
        has_pose=array(np.bool_),
        references=pictures(data.reference_size, data.reference_size, slots),
        has_reference=array(np.bool_, slots),
        portraits=portraits,
        phrase_tokens=phrases,
        placement=array(np.int32, slots, words),
        has_identity=array(np.bool_, slots),
    )
    return Batch(target=pictures(data.height, data.width), inputs=inputs)
