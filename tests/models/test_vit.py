"""The vision transformer: shapes, and what its options add. Parity with PyTorch: tests/parity."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.models.vit import VisionTransformer
from astra_jax.vit_config import VitConfig

SMALL = VitConfig(image_size=(24, 16), patch=8, width=16, layers=2, heads=2, mlp_dim=32)


def made(config):
    rows, columns = config.image_size
    pictures = jax.random.normal(jax.random.key(0), (2, rows, columns, 3))
    model = VisionTransformer(config)
    return model, model.init(jax.random.key(1), pictures), pictures


def test_a_token_for_each_patch_behind_the_class_token():
    model, variables, pictures = made(SMALL)
    tokens = model.apply(variables, pictures)
    assert tokens.shape == (2, 1 + 3 * 2, 16)
    assert variables["params"]["class_token"].shape == (16,)


def test_without_a_class_token_there_are_patches_alone():
    model, variables, pictures = made(dataclasses.replace(SMALL, class_token=False))
    assert model.apply(variables, pictures).shape == (2, 6, 16)
    assert "class_token" not in variables["params"]


def test_padding_moves_what_a_patch_reads():
    config = dataclasses.replace(SMALL, patch_padding=2)
    model, variables, pictures = made(config)
    assert model.apply(variables, pictures).shape == (2, 7, 16)
    # With two pixels of padding the last patch ends two pixels before the picture does.
    changed = pictures.at[:, -2:, -2:].add(1.0)
    np.testing.assert_array_equal(model.apply(variables, pictures), model.apply(variables, changed))


def test_a_layer_scale_of_zero_leaves_embedding_and_norm():
    config = dataclasses.replace(SMALL, layer_scale=True)
    model, variables, pictures = made(config)
    layers = variables["params"]["layers"]
    assert layers["scale1"].shape == layers["scale2"].shape == (2, 16)
    silent = {**layers, "scale1": jnp.zeros((2, 16)), "scale2": jnp.zeros((2, 16))}
    tokens = model.apply({"params": {**variables["params"], "layers": silent}}, pictures)
    embedded = variables["params"]["class_token"] + variables["params"]["positions"][0]
    normed = (embedded - embedded.mean()) / jnp.std(embedded)
    np.testing.assert_allclose(tokens[0, 0], normed, atol=1e-4)


def test_pictures_of_another_size_and_broken_patches_are_refused():
    model, variables, pictures = made(SMALL)
    with pytest.raises(UserError, match="24 x 16 pixels, not 16 x 16"):
        model.apply(variables, pictures[:, :16])
    odd = VisionTransformer(dataclasses.replace(SMALL, image_size=(20, 16)))
    with pytest.raises(UserError, match="whole patches"):
        odd.init(jax.random.key(0), jnp.zeros((1, 20, 16, 3)))
