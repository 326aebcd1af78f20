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
    """One ViTPose on `count` pictures; the steps follow models/vitpose.py."""
    vit = config.vit
    rows, columns = (side // vit.patch for side in vit.image_size)
    tokens, width = rows * columns, vit.width

    def conv(name: str, places: int, channels: int, features: int, flows: bool) -> None:
        """A ConvBlock's convolution of 3 x 3."""
        tally.dense(f"{part}/{name}/conv", places, 9 * channels, features, flows, count, window=9)

    # A gradient is wanted of what a product reads where something before it is trained.
    flows, channels, scale = False, 3, 1
    levels: list[tuple[int, int]] = []  # (places, channels) of the stem's features
    for index, features in enumerate(config.stem):
        scale *= 2
        places = vit.image_size[0] // scale * (vit.image_size[1] // scale)
        conv(f"stem_{index}_halve", places, channels, features, flows)
        flows = flows or tally.trains(f"{part}/stem_{index}_halve")
        if index:
            conv(f"stem_{index}", places, features, features, flows)
            flows = flows or tally.trains(f"{part}/stem_{index}")
        channels = features
        levels.append((places, channels))
    skips = flows
    tally.dense(f"{part}/vit/patches", tokens, channels * (vit.patch // scale) ** 2, width, flows, count)
    clip_blocks(tally, f"{part}/vit", tokens, width, vit.mlp_dim, vit.heads, vit.layers, count, flows)
    flows = flows or tally.trains(f"{part}/vit")
    if config.head == "simple":
        # The interpolation: rows first, then columns.
        grid_rows, grid_columns = config.grid
        tally.scatter(f"{part}/interpolation", grid_rows, rows, columns * width, flows, count)
        tally.scatter(f"{part}/interpolation", grid_columns, columns, grid_rows * width, flows, count)
        tally.dense(f"{part}/maps", grid_rows * grid_columns, 9 * width, config.maps, flows, count, window=9)
        return
    for index, features in enumerate(config.channels):
        name = f"{part}/deconv_{index}"
        tally.dense(name, tokens, width, _TAPS * features, flows, count)
        flows = flows or tally.trains(name)
        tokens, width = 4 * tokens, features
        while levels and levels[-1][0] < tokens:
            levels.pop()
        if levels and levels[-1][0] == tokens:
            tally.dense(f"{part}/skip_{index}", tokens, levels.pop()[1], features, skips, count)
            flows = flows or skips or tally.trains(f"{part}/skip_{index}")
            if index + 1 < len(config.channels):
                conv(f"mix_{index}", tokens, features, features, flows)
                flows = flows or tally.trains(f"{part}/mix_{index}")
    tally.dense(f"{part}/maps", tokens, width, config.maps, flows, count)
