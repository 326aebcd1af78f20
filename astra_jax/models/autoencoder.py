"""The convolutional autoencoder between pictures and latents, in the form FLUX.1 ships (after latent diffusion).

Residual blocks of GroupNorm, swish and 3x3 convolutions, one single-head attention in the middle, every level but the
last at half the size. FLUX.1's form has no convolutions between the moments and the latents ("quant convs").
Pictures and features are [batch, height, width, channels].
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from astra_jax.config import AutoencoderConfig
from astra_jax.errors import UserError
from astra_jax.models.attention import attend

_EPS = 1e-6
_LOGVAR_RANGE = (-30.0, 20.0)


def normalise(raw: Float[Array, "*B C"], config: AutoencoderConfig) -> Float[Array, "*B C"]:
    """Latents for the diffusion model from the autoencoder's raw ones: `scale * (raw - shift)` (FLUX.1)."""
    return config.scale * (raw - config.shift)


def denormalise(latents: Float[Array, "*B C"], config: AutoencoderConfig) -> Float[Array, "*B C"]:
    """The inverse of `normalise`: `latents / scale + shift`."""
    return latents / config.scale + config.shift


def split_moments(moments: Float[Array, "*B C2"]) -> tuple[Float[Array, "*B C"], Float[Array, "*B C"]]:
    """Mean and log variance (clipped to [-30, 20] as in latent diffusion) of the raw latents' Gaussian, in float32.

    The last axis holds the means in its first half and the log variances in its second.
    """
    mean, logvar = jnp.split(moments.astype(jnp.float32), 2, axis=-1)
    return mean, jnp.clip(logvar, *_LOGVAR_RANGE)


def sample_moments(moments: Float[Array, "*B C2"], rng: Key[Array, ""] | None) -> Float[Array, "*B C"]:
    """Raw latents, in float32: a draw from the diagonal Gaussian `moments` (mean | logvar); its mean for `rng=None`."""
    mean, logvar = split_moments(moments)
    if rng is None:
        return mean
    return mean + jnp.exp(0.5 * logvar) * jax.random.normal(rng, mean.shape, mean.dtype)


def group_norm(
    x: Float[Array, "B H W C"], scale: Float[Array, "C"], bias: Float[Array, "C"], groups: int, eps: float = _EPS
) -> Float[Array, "B H W C"]:
    """Group normalisation (arXiv 1803.08494) over height, width and the channels of a group; statistics in float32.

    The picture is summed a channel and only the sums are brought together a group: on CPU that is faster than
    reshaping the whole array to groups (`flax.linen.GroupNorm`), whose last axis is only a few channels wide.
    """
    batch, height, width, channels = x.shape
    wide = x.astype(jnp.float32)
    count = height * width * (channels // groups)

    def group_mean(sums: Float[Array, "B C"]) -> Float[Array, "B C"]:
        means = sums.reshape(batch, groups, -1).sum(-1) / count
        return jnp.repeat(means, channels // groups, axis=-1)

    mean = group_mean(wide.sum((1, 2)))
    centred = wide - mean[:, None, None, :]
    variance = group_mean(jnp.square(centred).sum((1, 2)))
    gain = scale * jax.lax.rsqrt(variance + eps)
    return (centred * gain[:, None, None, :] + bias).astype(x.dtype)


class GroupNorm(nn.Module):
    """`group_norm` with a learned scale and bias a channel."""

    groups: int

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Normalises `x`."""
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
        return group_norm(x, scale, bias, self.groups)


def _conv(features: int, dtype: Any, name: str, kernel: int = 3) -> nn.Conv:
    return nn.Conv(features, (kernel, kernel), dtype=dtype, name=name)


class ResBlock(nn.Module):
    """Two norm-swish-convolution steps and a shortcut, which is a 1x1 convolution where the channels change."""

    features: int
    groups: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W D"]:
        """The block's output with `features` channels."""
        hidden = _conv(self.features, self.dtype, "conv1")(nn.swish(GroupNorm(self.groups, name="norm1")(x)))
        hidden = _conv(self.features, self.dtype, "conv2")(nn.swish(GroupNorm(self.groups, name="norm2")(hidden)))
        if x.shape[-1] != self.features:
            x = _conv(self.features, self.dtype, "shortcut", kernel=1)(x)
        return x + hidden


class AttentionBlock(nn.Module):
    """Single-head self-attention over all places, with a residual connection."""

    groups: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """The features with what every place read from all others."""
        batch, height, width, channels = x.shape
        tokens = GroupNorm(self.groups, name="norm")(x).reshape(batch, height * width, 1, channels)
        query, key, value = (nn.Dense(channels, dtype=self.dtype, name=name)(tokens) for name in ("q", "k", "v"))
        mixed = attend(query, key, value, None).reshape(x.shape)
        return x + nn.Dense(channels, dtype=self.dtype, name="proj")(mixed)


class Middle(nn.Module):
    """Residual block, attention, residual block at the smallest size."""

    groups: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Features of the same shape."""
        x = ResBlock(x.shape[-1], self.groups, self.dtype, name="block_0")(x)
        x = AttentionBlock(self.groups, self.dtype, name="attention")(x)
        return ResBlock(x.shape[-1], self.groups, self.dtype, name="block_1")(x)


class DownLevel(nn.Module):
    """Residual blocks, then (unless it is the last level) a convolution of stride 2 that halves the size."""

    features: int
    blocks: int
    groups: int
    halve: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        """Features of the next smaller size."""
        for index in range(self.blocks):
            x = ResBlock(self.features, self.groups, self.dtype, name=f"block_{index}")(x)
        if not self.halve:
            return x
        # Latent diffusion pads on the right and at the bottom only.
        conv = nn.Conv(self.features, (3, 3), 2, padding=((0, 1), (0, 1)), dtype=self.dtype, name="downsample")
        return conv(x)


class UpLevel(nn.Module):
    """Residual blocks, then (unless it is the first level) nearest-neighbour doubling and a convolution."""

    features: int
    blocks: int
    groups: int
    double: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "B h w C"]) -> Float[Array, "B H W D"]:
        """Features of the next larger size."""
        for index in range(self.blocks):
            x = ResBlock(self.features, self.groups, self.dtype, name=f"block_{index}")(x)
        if not self.double:
            return x
        x = x.repeat(2, axis=1).repeat(2, axis=2)
        return _conv(self.features, self.dtype, "upsample")(x)


class Encoder(nn.Module):
    """Pictures to moments."""

    config: AutoencoderConfig
    dtype: Any

    @nn.compact
    def __call__(self, pictures: Float[Array, "B H W 3"]) -> Float[Array, "B h w C2"]:
        """Means and log variances of the raw latents, along the last axis."""
        config = self.config
        x = _conv(config.channels, self.dtype, "conv_in")(pictures.astype(self.dtype))
        last = len(config.channel_mult) - 1
        for level, mult in enumerate(config.channel_mult):
            x = DownLevel(
                config.channels * mult,
                config.res_blocks,
                config.norm_groups,
                level != last,
                self.dtype,
                name=f"down_{level}",
            )(x)
        x = Middle(config.norm_groups, self.dtype, name="middle")(x)
        x = nn.swish(GroupNorm(config.norm_groups, name="norm_out")(x))
        return _conv(2 * config.latent_channels, self.dtype, "conv_out")(x)


class Decoder(nn.Module):
    """Raw latents to pictures; one residual block a level more than the encoder."""

    config: AutoencoderConfig
    dtype: Any

    @nn.compact
    def __call__(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Pictures of about [-1, 1]."""
        config = self.config
        x = _conv(config.channels * config.channel_mult[-1], self.dtype, "conv_in")(latents.astype(self.dtype))
        x = Middle(config.norm_groups, self.dtype, name="middle")(x)
        for level, mult in reversed(tuple(enumerate(config.channel_mult))):
            x = UpLevel(
                config.channels * mult,
                config.res_blocks + 1,
                config.norm_groups,
                level != 0,
                self.dtype,
                name=f"up_{level}",
            )(x)
        x = nn.swish(GroupNorm(config.norm_groups, name="norm_out")(x))
        return _conv(3, self.dtype, "conv_out")(x)


class Autoencoder(nn.Module):
    """FLUX.1's autoencoder; all sizes come from the config. `dtype` is that of the computation, norms use float32.

    Parameters are `encoder/...` and `decoder/...`; `init` through `__call__` (the reconstruction from the mean) makes
    both. Raises `UserError` when `norm_groups` does not divide the channels of a level.
    """

    config: AutoencoderConfig
    dtype: Any = jnp.float32

    def setup(self):
        """Makes both halves."""
        config = self.config
        for mult in config.channel_mult:
            if config.channels * mult % config.norm_groups:
                raise UserError(
                    f"autoencoder.norm_groups {config.norm_groups} does not divide the {config.channels * mult} "
                    f"channels of a level (channels {config.channels} x {mult}): choose a divisor of every level's"
                )
        self.encoder = Encoder(config, self.dtype)
        self.decoder = Decoder(config, self.dtype)

    @property
    def factor(self) -> int:
        """Pixels of a picture along one side of a latent."""
        return self.config.downsampling

    def encode(self, pictures: Float[Array, "B H W 3"]) -> Float[Array, "B h w C2"]:
        """Moments (mean | logvar) of the raw latents for pictures in [-1, 1].

        The sides of the pictures must be multiples of `factor`; raises `UserError` otherwise.
        """
        height, width = pictures.shape[1:3]
        if height % self.factor or width % self.factor:
            raise UserError(
                f"the autoencoder halves pictures {len(self.config.channel_mult) - 1} times: {height} x {width} pixels "
                f"must be multiples of {self.factor}"
            )
        return self.encoder(pictures)

    def decode(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Pictures of about [-1, 1] (not clipped) from raw latents (see `denormalise`)."""
        return self.decoder(latents)

    def __call__(self, pictures: Float[Array, "B H W 3"]) -> Float[Array, "B H W 3"]:
        """The reconstruction of `pictures` from the mean of their latents."""
        return self.decode(sample_moments(self.encode(pictures), None))
