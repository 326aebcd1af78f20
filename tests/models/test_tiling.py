"""Tiled decoding: where tiles lie, what each counts, and that a local decoder gives the same picture as without."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import AutoencoderConfig
from astra_jax.errors import UserError
from astra_jax.models.autoencoder import Autoencoder
from astra_jax.models.tiling import decode_tiled, tile_starts, tile_weights


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "starts"),
    [
        (8, 8, 2, [0]),
        (3, 8, 2, [0]),
        (9, 8, 2, [0, 1]),
        (14, 8, 2, [0, 6]),
        (15, 8, 2, [0, 4, 7]),  # 3.5 rounds to the even number
        (24, 8, 0, [0, 8, 16]),
        (25, 8, 0, [0, 6, 11, 17]),
        (10, 3, 2, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_starts_by_hand(length, tile, overlap, starts):
    np.testing.assert_array_equal(tile_starts(length, tile, overlap), starts)


@pytest.mark.parametrize(("tile", "overlap"), [(8, 0), (8, 3), (8, 7), (5, 4), (16, 4)])
def test_tiles_cover_and_overlap_enough(tile, overlap):
    for length in range(1, 60):
        starts = tile_starts(length, tile, overlap)
        assert starts[0] == 0
        assert starts[-1] == max(0, length - tile)
        assert (np.diff(starts) >= 1).all()
        assert (np.diff(starts) <= tile - overlap).all()
        weights = tile_weights(starts, length, min(tile, length), overlap, 3)
        total = np.zeros(3 * length)
        for start, row in zip(starts, weights, strict=True):
            total[3 * start : 3 * start + len(row)] += row
        np.testing.assert_allclose(total, 1.0, rtol=1e-6)
        assert (weights >= 0).all()


def test_weights_by_hand():
    # Two tiles of 6 over 8 latents, 4 of them in both, two pixels each: an overlap of 8 pixels, of which 2 do not
    # count, 4 ramp and 2 count in full.
    first, second = tile_weights(np.array([0, 2]), 8, 6, 4, 2)
    ramp = [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]
    np.testing.assert_allclose(second, [*ramp, 1, 1, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(first, [1, 1, 1, 1, *ramp[::-1]], rtol=1e-6)


def test_weights_without_overlap_cut():
    np.testing.assert_array_equal(tile_weights(np.array([0, 2]), 4, 2, 0, 2), np.ones((2, 4)))


FACTOR = 2


def local_decoder(reach):
    """Random 3 x 3 convolutions on latents, `reach` of them, then pixels: reads exactly `reach` latents around."""
    rng = np.random.default_rng(0)
    kernels = [jnp.asarray(rng.normal(size=(3, 3, 3, 3)) / 5, jnp.float32) for _ in range(reach)]

    def decode(latents):
        x = latents
        for kernel in kernels:
            # The constant makes the zeros of the border matter, as biases do.
            x = 0.5 + jnp.sin(jax.lax.conv_general_dilated(
                x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            ))  # fmt: skip
        pixels = x.repeat(FACTOR, axis=1).repeat(FACTOR, axis=2)
        return pixels + 0.1 * pixels**2

    return decode


def latents_of(*shape):
    return jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)


def difference(decode, latents, tile, overlap):
    tiled = jax.jit(lambda x: decode_tiled(decode, x, FACTOR, tile, overlap))(latents)
    assert tiled.dtype == jnp.float32
    return np.abs(tiled - jax.jit(decode)(latents)).max()


@pytest.mark.parametrize(
    ("height", "width", "tile", "overlap"), [(30, 21, 12, 8), (16, 40, 16, 8), (23, 23, 20, 11), (40, 9, 13, 12)]
)
def test_a_local_decoder_gives_the_untiled_picture(height, width, tile, overlap):
    assert difference(local_decoder(overlap // 4), latents_of(2, height, width, 3), tile, overlap) < 1e-5


def test_a_decoder_that_reads_further_shows_it():
    assert difference(local_decoder(3), latents_of(1, 30, 30, 3), 12, 8) > 1e-3


def test_the_decoder_never_sees_more_than_a_tile():
    seen = []

    def decode(latents):
        seen.append(latents.shape)
        return latents.repeat(2, axis=1).repeat(2, axis=2)

    latents = latents_of(2, 40, 7, 3)
    np.testing.assert_allclose(decode_tiled(decode, latents, 2, 16, 4), decode(latents), atol=1e-6)
    assert set(seen[:-1]) == {(2, 16, 7, 3)}
    seen.clear()
    decode_tiled(decode, latents_of(2, 16, 16, 3), 2, 16, 4)
    assert seen == [(2, 16, 16, 3)]


CONFIG = AutoencoderConfig(channels=16, channel_mult=(1, 2), res_blocks=1, latent_channels=4, norm_groups=2)


@functools.cache
def temporary_bytes(side, tile):
    """What the compiled decoder needs besides its arguments and its result."""
    model = Autoencoder(CONFIG)
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 4, 4, 3)))

    def run(params, latents):
        def decode(part):
            return model.apply(params, part, method="decode")

        return decode_tiled(decode, latents, model.factor, tile, 8) if tile else decode(latents)

    latents = jax.ShapeDtypeStruct((1, side, side, 4), jnp.float32)
    return jax.jit(run).lower(params, latents).compile().memory_analysis().temp_size_in_bytes


def test_memory_is_the_tiles_and_not_the_pictures():
    whole, small, large = temporary_bytes(64, 0), temporary_bytes(64, 16), temporary_bytes(128, 16)
    print(whole, small, large)
    assert small < whole / 8
    picture = 4 * 3 * (128 * CONFIG.downsampling) ** 2  # the result itself grows with the picture
    assert large < small + 3 * picture


def test_errors():
    for tile, overlap in ((8, 8), (8, -1), (0, 0)):
        with pytest.raises(UserError, match=r"give 0 <= overlap < tile"):
            decode_tiled(local_decoder(0), latents_of(1, 4, 4, 3), 2, tile, overlap)
