"""The abstract batch has the shapes and dtypes of what the data pipeline makes of an example."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from astra_jax import config as c
from astra_jax.inputs import transforms
from astra_jax.inputs.example import Example, Subject
from astra_jax.inputs.tokenizer import load_tokenizer
from astra_jax.models.astra import Astra, Batch
from astra_jax.planning.abstract import abstract_batch
from astra_jax.training.mesh import BATCH_AXES, make_mesh
from astra_jax.training.partition import leaves_with_paths


def shapes(tree):
    return {path: (leaf.shape, np.dtype(leaf.dtype)) for path, leaf in leaves_with_paths(tree)}


@pytest.fixture(scope="module")
def run(pretrained):
    config = c.from_config_dict(json.loads((pretrained / "config.json").read_text()))
    data = dataclasses.replace(config.data, tokenizer=str(pretrained.parent / "tokenizer"))
    return dataclasses.replace(config, data=data, train=dataclasses.replace(config.train, batch_size=2))


def test_pictures(run):
    people = np.full((1, 17, 3), 8.0, np.float32)
    photo = np.zeros((20, 30, 3), np.uint8)
    example = Example(
        "a man waving", (Subject("a man", photo, people[0]),), people, (32, 32), np.zeros((32, 32, 3), np.uint8)
    )
    prepared = transforms.prepare(example, run)
    fields, _ = transforms.arrays(prepared, run, load_tokenizer(run.data.tokenizer, run.model), 1.0)
    real = Batch(target=np.stack([prepared.target] * 2), inputs=transforms.stack([fields] * 2))
    mesh = make_mesh(c.MeshConfig(), jax.devices()[:2])
    planned = abstract_batch(run, mesh)
    assert shapes(planned) == shapes(real)
    assert all(leaf.sharding.spec == jax.P(BATCH_AXES) for leaf in jax.tree.leaves(planned))


def test_cached_latents_have_the_shape_of_moments(run):
    cached = dataclasses.replace(run, data=dataclasses.replace(run.data, latents="cache"))
    mesh = make_mesh(c.MeshConfig(), jax.devices()[:1])
    planned, pictures = abstract_batch(cached, mesh), abstract_batch(run, mesh)
    model = Astra(run.model)
    params = jax.eval_shape(model.init, jax.random.key(0))
    for name in ("pose", "references"):
        moments = jax.eval_shape(model.moments, params, getattr(pictures.inputs, name))
        assert getattr(planned.inputs, name).shape == moments.shape
        assert getattr(planned.inputs, name).dtype == np.float16


def test_embeddings_have_the_shape_of_what_the_encoders_make(run):
    data = dataclasses.replace(run.data, latents="cache", embeddings=True)
    mesh = make_mesh(c.MeshConfig(), jax.devices()[:1])
    planned, ids = (abstract_batch(dataclasses.replace(run, data=d), mesh).inputs for d in (data, run.data))
    model = Astra(run.model)
    params = jax.eval_shape(model.init, jax.random.key(0))
    for name, encode in (
        ("text_tokens", model.text_features),
        ("pooled_tokens", model.pooled_features),
        ("phrase_tokens", model.text_features),
        ("portraits", model.image_features),
    ):
        features = jax.eval_shape(encode, params, getattr(ids, name))
        assert getattr(planned, name).shape == features.shape, name
        assert getattr(planned, name).dtype == np.float16


def test_the_autoencoder_sees_crops(run):
    data = dataclasses.replace(run.data, crop=16)
    train = dataclasses.replace(run.train, objective="autoencoder")
    batch = abstract_batch(
        dataclasses.replace(run, data=data, train=train), make_mesh(c.MeshConfig(), jax.devices()[:1])
    )
    assert (batch.target.shape, batch.inputs) == ((2, 16, 16, 3), None)
