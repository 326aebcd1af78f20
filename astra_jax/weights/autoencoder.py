"""The autoencoder's leaves in its two published namings: black-forest-labs' ae.safetensors and diffusers' `vae` folder.

black-forest-labs keeps latent diffusion's names and writes the attention's projections as 1x1 convolutions; the levels
of its decoder are numbered from the largest picture, as here. diffusers has matrices there and numbers the decoder's
levels in the order they run, from the smallest.
"""

from __future__ import annotations

from astra_jax.config import AutoencoderConfig
from astra_jax.weights.mapping import CONV, LINEAR, POINTWISE, SAME, Layout, Naming, one


def bfl_autoencoder_naming(config: AutoencoderConfig) -> Naming:
    """Names of ae.safetensors, by path in the autoencoder's tree."""
    naming: Naming = {}
    for half, level, blocks, widens, change in _levels(config):
        up = half == "decoder"
        theirs = f"{half}.{'up' if up else 'down'}.{level}"
        ours = f"{half}/{'up' if up else 'down'}_{level}"
        for index in range(blocks):
            shortcut = "nin_shortcut" if widens and index == 0 else None
            naming |= _block(f"{ours}/block_{index}", f"{theirs}.block.{index}", shortcut)
        if change:
            name = "upsample" if up else "downsample"
            naming |= _affine(f"{ours}/{name}", f"{theirs}.{name}.conv", CONV)
    for half in ("encoder", "decoder"):
        naming |= _ends(half, "norm_out")
        naming |= _block(f"{half}/middle/block_0", f"{half}.mid.block_1")
        naming |= _block(f"{half}/middle/block_1", f"{half}.mid.block_2")
        attention = f"{half}.mid.attn_1"
        naming |= _affine(f"{half}/middle/attention/norm", f"{attention}.norm")
        for ours, theirs in (("q", "q"), ("k", "k"), ("v", "v"), ("proj", "proj_out")):
            naming |= _affine(f"{half}/middle/attention/{ours}", f"{attention}.{theirs}", POINTWISE)
    return naming


def diffusers_autoencoder_naming(config: AutoencoderConfig) -> Naming:
    """Names of `AutoencoderKL` without quant convolutions (a FLUX.1 folder's `vae`), by path in the tree."""
    naming: Naming = {}
    for half, level, blocks, widens, change in _levels(config):
        if half == "decoder":
            ours, theirs = f"{half}/up_{level}", f"{half}.up_blocks.{len(config.channel_mult) - 1 - level}"
            sampler = ("upsample", "upsamplers")
        else:
            ours, theirs = f"{half}/down_{level}", f"{half}.down_blocks.{level}"
            sampler = ("downsample", "downsamplers")
        for index in range(blocks):
            shortcut = "conv_shortcut" if widens and index == 0 else None
            naming |= _block(f"{ours}/block_{index}", f"{theirs}.resnets.{index}", shortcut)
        if change:
            naming |= _affine(f"{ours}/{sampler[0]}", f"{theirs}.{sampler[1]}.0.conv", CONV)
    for half in ("encoder", "decoder"):
        naming |= _ends(half, "conv_norm_out")
        for index in range(2):
            naming |= _block(f"{half}/middle/block_{index}", f"{half}.mid_block.resnets.{index}")
        attention = f"{half}.mid_block.attentions.0"
        naming |= _affine(f"{half}/middle/attention/norm", f"{attention}.group_norm")
        for ours, theirs in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj", "to_out.0")):
            naming |= _affine(f"{half}/middle/attention/{ours}", f"{attention}.{theirs}", LINEAR)
    return naming


def _levels(config: AutoencoderConfig) -> list[tuple[str, int, int, bool, bool]]:
    """Half, level, residual blocks, whether the first of them changes the channels, whether the level changes the size.

    Levels count from the largest picture; the decoder comes to a level from the one behind it.
    """
    mults = config.channel_mult
    last = len(mults) - 1
    levels = []
    for level, mult in enumerate(mults):
        before, behind = mults[max(level - 1, 0)], mults[min(level + 1, last)]
        # The encoder's first convolution makes `channels` and not `channels * mult`.
        levels.append(("encoder", level, config.res_blocks, mult != (before if level else 1), level != last))
        levels.append(("decoder", level, config.res_blocks + 1, mult != behind, level != 0))
    return levels


def _ends(half: str, norm: str) -> Naming:
    return {
        **_affine(f"{half}/conv_in", f"{half}.conv_in", CONV),
        **_affine(f"{half}/norm_out", f"{half}.{norm}"),
        **_affine(f"{half}/conv_out", f"{half}.conv_out", CONV),
    }


def _block(ours: str, theirs: str, shortcut: str | None = None) -> Naming:
    naming: Naming = {}
    for name in ("norm1", "norm2"):
        naming |= _affine(f"{ours}/{name}", f"{theirs}.{name}")
    for name in ("conv1", "conv2"):
        naming |= _affine(f"{ours}/{name}", f"{theirs}.{name}", CONV)
    if shortcut:
        naming |= _affine(f"{ours}/shortcut", f"{theirs}.{shortcut}", CONV)
    return naming


def _affine(ours: str, theirs: str, layout: Layout | None = None) -> Naming:
    """Weight and bias of a map with a layout of its own, or scale and bias of a norm without one."""
    leaf = "scale" if layout is None else "kernel"
    return {
        f"{ours}/{leaf}": one(f"{theirs}.weight", layout=layout or SAME),
        f"{ours}/bias": one(f"{theirs}.bias"),
    }
