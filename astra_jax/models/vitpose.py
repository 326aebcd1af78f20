"""ViTPose (arXiv 2204.12484): a plain vision transformer whose tokens become one heatmap a joint.

The heads are those of the paper's section 3.1: the classic one of deconvolutions, the simple one of one interpolation.
Batch norms of published weights are folded into the deconvolutions they follow (weights/vitpose.py), so a network
trained here has none either and keeps no running statistics.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from astra_jax.models.clip import layer_norm
from astra_jax.models.vit import VisionTransformer
from astra_jax.vit_config import VitPoseConfig

_TAPS = 4  # of a deconvolution along one side; its stride is 2, its padding 1


def double(x: Float[Array, "B H W C"], kernel: Float[Array, "4 4 C D"]) -> Float[Array, "B H2 W2 D"]:
    """The transposed convolution of 4 x 4 taps, stride 2 and padding 1, which doubles height and width.

    Along one side out[2i] = x[i] k[2] + x[i-1] k[0] and out[2i+1] = x[i] k[1] + x[i+1] k[3], with zeros outside. One
    product makes all taps of all places, the sums are shifts: on CPUs XLA's own transposed convolution is eight times
    slower.
    """
    batch, height, width, channels = x.shape
    weights = kernel.transpose(2, 0, 1, 3).reshape(channels, -1).astype(x.dtype)
    taps = (x.reshape(-1, channels) @ weights).reshape(batch, height, width, _TAPS, _TAPS, -1)
    for axis in (1, 2):
        taps = _overlap(taps, axis)
    return taps


def _overlap(taps: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Sums the taps of a side, in axis 3, into twice as many places along `axis`."""
    k0, k1, k2, k3 = (jax.lax.index_in_dim(taps, tap, 3, keepdims=False) for tap in range(_TAPS))
    pads = [(0, 0)] * k0.ndim
    size = k0.shape[axis]
    before = jnp.pad(jax.lax.slice_in_dim(k0, 0, size - 1, axis=axis), pads[:axis] + [(1, 0)] + pads[axis + 1 :])
    after = jnp.pad(jax.lax.slice_in_dim(k3, 1, size, axis=axis), pads[:axis] + [(0, 1)] + pads[axis + 1 :])
    pairs = jnp.stack([k2 + before, k1 + after], axis + 1)
    return pairs.reshape(*pairs.shape[:axis], 2 * size, *pairs.shape[axis + 2 :])


class Deconvolution(nn.Module):
    """`double` with a bias."""

    features: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H2 W2 D"]:
        """Features of twice the height and width."""
        init = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")
        shape = (_TAPS, _TAPS, x.shape[-1], self.features)
        kernel = self.param("kernel", init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return double(x.astype(self.dtype), kernel) + bias.astype(self.dtype)


class ConvBlock(nn.Module):
    """A convolution of 3 x 3, a norm over channels, a ReLU; without `halve` around a residual connection."""

    features: int
    dtype: Any
    halve: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        """Features of the same size, or of half of it."""
        stride = 2 if self.halve else 1
        hidden = nn.Conv(self.features, (3, 3), (stride, stride), ((1, 1), (1, 1)), dtype=self.dtype, name="conv")(x)
        hidden = nn.relu(layer_norm(self.dtype, "norm")(hidden))
        return hidden if self.halve else x + hidden


class VitPose(nn.Module):
    """Heatmaps of pictures. `dtype` is that of the computation; norms and softmax use float32."""

    config: VitPoseConfig
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pictures: Float[Array, "B H W 3"]) -> Float[Array, "B R C K"]:
        """One map a joint, `config.grid` rows and columns, not bounded (float32).

        `pictures` are normalised as the weights want them, `config.vit.image_size` pixels. Raises `UserError` as
        `VisionTransformer` does.
        """
        config, dtype = self.config, self.dtype
        # 1. The stem, where there is one: features at a half, a quarter, ... of the size.
        levels = [pictures.astype(dtype)]
        for index, features in enumerate(config.stem):
            x = ConvBlock(features, dtype, halve=True, name=f"stem_{index}_halve")(levels[-1])
            levels.append(ConvBlock(features, dtype, name=f"stem_{index}")(x) if index else x)
        # 2. The transformer on what is left of the patches.
        scale = 2 ** len(config.stem)
        size = (config.vit.image_size[0] // scale, config.vit.image_size[1] // scale)
        vit = dataclasses.replace(config.vit, image_size=size, patch=config.vit.patch // scale)
        x = VisionTransformer(vit, dtype, name="vit")(levels[-1])
        rows, columns = (side // vit.patch for side in size)
        x = x.reshape(len(x), rows, columns, -1)
        # 3. The head.
        if config.head == "simple":
            x = interpolate(nn.relu(x), config.scale_factor)
            return nn.Conv(config.maps, (3, 3), dtype=dtype, name="maps")(x).astype(jnp.float32)
        for index, features in enumerate(config.channels):
            x = Deconvolution(features, dtype, name=f"deconv_{index}")(x)
            while len(levels) > 1 and levels[-1].shape[1] < x.shape[1]:
                levels.pop()
            if len(levels) > 1 and levels[-1].shape[1:3] == x.shape[1:3]:
                x = nn.relu(x + nn.Dense(features, dtype=dtype, name=f"skip_{index}")(levels.pop()))
                if index + 1 < len(config.channels):  # at the largest size it would cost more than all the rest
                    x = ConvBlock(features, dtype, name=f"mix_{index}")(x)
            else:
                x = nn.relu(x)
        return nn.Dense(config.maps, dtype=dtype, name="maps")(x).astype(jnp.float32)


def interpolate(x: Float[Array, "B H W C"], factor: int) -> Float[Array, "B Hf Wf C"]:
    """Bilinear interpolation to `factor` times the size, pixel centres at halves, edges repeated (PyTorch's upsampling
    with align_corners=False)."""
    for axis in (1, 2):
        size = x.shape[axis]
        weights = jnp.asarray(_interpolation(size, factor), x.dtype)
        x = jnp.moveaxis(jnp.tensordot(weights, x, ((1,), (axis,))), 0, axis)
    return x


def _interpolation(size: int, factor: int) -> Float[np.ndarray, "sizef size"]:
    """The matrix of `interpolate` along one side."""
    places = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(size)[None]))
