import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.models.vit import imagenet_normalise
from astra_jax.models.vitpose import VitPose, double, interpolate
from astra_jax.vit_config import VitConfig, VitPoseConfig

VIT = VitConfig((12, 8), patch=4, width=8, layers=1, heads=2, mlp_dim=12, class_token=False)


def test_double_is_the_transposed_convolution_of_stride_2_and_padding_1():
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 3, 5, 4), np.float32), rng.standard_normal((4, 4, 4, 6), np.float32)
    theirs = jax.lax.conv_transpose(x, kernel, (2, 2), ((2, 2), (2, 2)), dimension_numbers=("NHWC", "HWIO", "NHWC"))
    ours = double(jnp.asarray(x), jnp.asarray(kernel))
    assert ours.shape == (2, 6, 10, 6)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_interpolate_is_bilinear_with_edges_repeated(factor):
    x = np.random.default_rng(1).standard_normal((2, 3, 4, 5), np.float32)
    wanted = jax.image.resize(x, (2, 3 * factor, 4 * factor, 5), "bilinear")
    np.testing.assert_allclose(interpolate(jnp.asarray(x), factor), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("head", "channels", "scale", "grid"),
    [("classic", (6, 4), 1, (12, 8)), ("classic", (), 1, (3, 2)), ("simple", (), 2, (6, 4))],
)
def test_maps_have_the_grid_of_the_config(head, channels, scale, grid):
    config = VitPoseConfig(VIT, head, channels, scale, maps=3)
    assert config.grid == grid
    model, pictures = VitPose(config), jnp.zeros((2, 12, 8, 3))
    maps, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), pictures)
    assert maps.shape == (2, *grid, 3)
    assert maps.dtype == jnp.float32


def test_channels_are_normalised_as_imagenet_is():
    picture = np.array([[[0, 255, 124]]], np.uint8)
    red, green, blue = (0 - 0.485) / 0.229, (1 - 0.456) / 0.224, (124 / 255 - 0.406) / 0.225
    np.testing.assert_allclose(imagenet_normalise(jnp.asarray(picture))[0, 0], [red, green, blue], rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "deep"}, "'classic' or 'simple', not 'deep'"),
        ({"vit": dataclasses.replace(VIT, class_token=True)}, "no class token"),
        ({"scale_factor": 0}, "1 or more"),
        ({"channels": (8, 0)}, "1 or more"),
    ],
)
def test_a_config_that_is_no_network_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        VitPoseConfig(**{"vit": VIT, **changes})
