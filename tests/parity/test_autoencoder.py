"""The autoencoder against diffusers' AutoencoderKL, with random weights under both published namings."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import AutoencoderConfig
from astra_jax.models.autoencoder import Autoencoder, denormalise, normalise, sample_moments
from astra_jax.weights.autoencoder import bfl_autoencoder_naming, diffusers_autoencoder_naming
from tests.parity.published import assert_close, assert_full_size, read, spread, tensors

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

SIZES = {
    "flux_form": AutoencoderConfig(
        channels=16, channel_mult=(1, 2, 4, 4), res_blocks=2, latent_channels=16, norm_groups=8
    ),
    "two_levels": AutoencoderConfig(channels=8, channel_mult=(1, 2), res_blocks=1, latent_channels=4, norm_groups=4),
    # Levels that narrow again, so that a shortcut stands where the channels change and nowhere else.
    "uneven": AutoencoderConfig(channels=12, channel_mult=(1, 3, 2), res_blocks=3, latent_channels=3, norm_groups=6),
}


@functools.cache
def reference(size):
    config = SIZES[size]
    levels = len(config.channel_mult)
    model = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=tuple(config.channels * mult for mult in config.channel_mult),
        layers_per_block=config.res_blocks,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
        scaling_factor=config.scale,
        shift_factor=config.shift,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    return spread(model, 7)


def bfl_from_diffusers(published, config):
    """diffusers' tensors under black-forest-labs' names, written out independently of the tables."""
    out = {}
    for name, tensor in published.items():
        parts = name.split(".")
        half, rest = parts[0], parts[1:]
        if rest[0] in ("down_blocks", "up_blocks"):
            level = int(rest[1]) if rest[0] == "down_blocks" else len(config.channel_mult) - 1 - int(rest[1])
            start = [half, rest[0].split("_")[0], str(level)]
            if rest[2] == "resnets":
                start += ["block", rest[3], "nin_shortcut" if rest[4] == "conv_shortcut" else rest[4]]
            else:
                start += [rest[2].removesuffix("rs"), "conv"]
        elif rest[0] == "mid_block" and rest[1] == "resnets":
            start = [half, "mid", f"block_{int(rest[2]) + 1}", rest[3]]
        elif rest[0] == "mid_block":
            layer = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"}[rest[3]]
            start = [half, "mid", "attn_1", layer]
            tensor = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        else:
            start = [half, "norm_out" if rest[0] == "conv_norm_out" else rest[0]]
        out[".".join([*start, parts[-1]])] = tensor
    assert len(out) == len(published)
    return out


def ours(size, naming):
    config = SIZES[size]
    published = tensors(reference(size))
    if naming == "bfl":
        tree = read(bfl_autoencoder_naming(config), bfl_from_diffusers(published, config))
    else:
        tree = read(diffusers_autoencoder_naming(config), published)
    return config, {"params": tree}


@functools.partial(jax.jit, static_argnums=0)
def encode(config, params, pictures):
    return Autoencoder(config).apply(params, pictures, method="encode")


@functools.partial(jax.jit, static_argnums=0)
def decode(config, params, latents):
    return Autoencoder(config).apply(params, denormalise(latents, config), method="decode")


def channels_first(x):
    return torch.tensor(np.moveaxis(np.asarray(x), -1, 1))


@pytest.mark.parametrize("naming", ["bfl", "diffusers"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(2, 16, 24), (1, 40, 16)])
def test_moments_and_pictures(size, naming, shape):
    config, params = ours(size, naming)
    rng = np.random.default_rng(8)
    pictures = rng.uniform(-1, 1, (*shape, 3)).astype(np.float32)
    moments = encode(config, params, jnp.asarray(pictures))
    model = reference(size)
    with torch.no_grad():
        distribution = model.encode(channels_first(pictures)).latent_dist
    assert_close(jnp.moveaxis(sample_moments(moments, None), -1, 1), distribution.mean)
    assert_close(jnp.moveaxis(moments, -1, 1)[:, config.latent_channels :].clip(-30, 20), distribution.logvar)

    # FLUX.1's pipelines: (mean - shift) * scale on the way in, latents / scale + shift on the way out.
    latents = np.asarray(normalise(sample_moments(moments, None), config))
    scale, shift = model.config.scaling_factor, model.config.shift_factor
    assert_close(np.moveaxis(latents, -1, 1), (distribution.mean - shift) * scale)
    latents = rng.normal(size=latents.shape).astype(np.float32)
    with torch.no_grad():
        theirs = model.decode(channels_first(latents) / scale + shift).sample
    assert_close(jnp.moveaxis(decode(config, params, jnp.asarray(latents)), -1, 1), theirs)


def test_flux_quirks():
    assert (AutoencoderConfig().scale, AutoencoderConfig().shift) == (0.3611, 0.1159)


def test_full_size_is_flux():
    """FLUX.1's `vae` and ae.safetensors, 244 tensors each."""
    config = AutoencoderConfig()
    with torch.device("meta"):
        theirs = diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=16,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
    assert len(list(theirs.parameters())) == 244
    example = jnp.zeros((1, 16, 16, 3))
    assert_full_size(Autoencoder(config), example, diffusers_autoencoder_naming(config), theirs)
    names = [name for leaf in bfl_autoencoder_naming(config).values() for layer in leaf.layers for name in layer]
    assert len(names) == len(set(names)) == 244
