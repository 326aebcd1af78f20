"""Products of the keypoint networks, for one picture and the cuts of its people."""

from __future__ import annotations

from astra_jax.costs.encoders import clip_blocks
from astra_jax.costs.tally import Tally
from astra_jax.vit_config import KeypointsConfig, VitPoseConfig

_TAPS = 16  # of a deconvolution


def networks(tally: Tally, config: KeypointsConfig) -> None:
    """The network of joints on every cut, the mean places of its maps, the network of people on the picture."""
    vitpose(tally, "joints", config.joints, config.crops)
    rows, columns = config.joints.grid
    tally.scatter("joints/places", config.joints.maps, rows * columns, 2, tally.trains("joints"), config.crops)
    vitpose(tally, "people", config.people, 1)


def vitpose(tally: Tally, part: str, config: VitPoseConfig, count: int) -> None:
    """One ViTPose on `count` pictures; the gradient flows through all of it, down to its patches."""
    vit = config.vit
    rows, columns = (side // vit.patch for side in vit.image_size)
    tokens, width = rows * columns, vit.width
    tally.dense(f"{part}/vit/patches", tokens, 3 * vit.patch**2, width, False, count)
    clip_blocks(tally, f"{part}/vit", tokens, width, vit.mlp_dim, vit.heads, vit.layers, count)
    flows = tally.trains(f"{part}/vit")
    if config.head == "classic":
        for index, features in enumerate(config.channels):
            name = f"{part}/deconv_{index}"
            tally.dense(name, tokens, width, _TAPS * features, flows, count)
            flows = flows or tally.trains(name)
            tokens, width = 4 * tokens, features
        tally.dense(f"{part}/maps", tokens, width, config.maps, flows, count)
    else:
        # The interpolation: rows first, then columns.
        grid_rows, grid_columns = config.grid
        tally.scatter(f"{part}/interpolation", grid_rows, rows, columns * width, flows, count)
        tally.scatter(f"{part}/interpolation", grid_columns, columns, grid_rows * width, flows, count)
        tally.dense(f"{part}/maps", grid_rows * grid_columns, 9 * width, config.maps, flows, count, window=9)
