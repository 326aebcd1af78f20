"""Products of the convolutional autoencoder, for one picture; the layers follow models/autoencoder.py."""

from __future__ import annotations

from astra_jax.config import AutoencoderConfig
from astra_jax.costs.tally import Tally


class Layers:
    """Walks through one half of the autoencoder; `flows` says whether a gradient is wanted where it stands."""

    def __init__(self, tally: Tally, part: str, size: tuple[int, int], count: int) -> None:
        self.tally, self.part, self.count = tally, f"autoencoder/{part}", count
        self.height, self.width = size
        self.flows = False
        self.channels = 0

    def _trains(self, *names: str) -> bool:
        return self.tally.trains(*(f"{self.part}/{name}" for name in names))

    def conv(self, name: str, features: int, kernel: int = 3, flows: bool | None = None) -> None:
        """A convolution at the size and with the channels of this place."""
        path = f"{self.part}/{name}"
        flows = self.flows if flows is None else flows
        rows, inner = self.height * self.width, kernel**2 * self.channels
        self.tally.dense(path, rows, inner, features, flows, self.count, window=kernel**2)
        self.flows = self.flows or self._trains(name)
        self.channels = features

    def residual(self, name: str, features: int) -> None:
        """Two convolutions, and a third of one pixel where the channels change."""
        outer, before = self.flows, self.channels
        self.flows = self.flows or self._trains(f"{name}/norm1")
        self.conv(f"{name}/conv1", features)
        self.flows = self.flows or self._trains(f"{name}/norm2")
        self.conv(f"{name}/conv2", features)
        if before != features:
            self.channels = before
            self.conv(f"{name}/shortcut", features, 1, outer)

    def middle(self) -> None:
        """Residual block, single-head attention, residual block."""
        self.residual("middle/block_0", self.channels)
        self.flows = self.flows or self._trains("middle/attention")
        places, flows = self.height * self.width, self.flows
        for name in ("q", "k", "v", "proj"):
            self.conv(f"middle/attention/{name}", self.channels, 1, flows)
        path = f"{self.part}/middle"
        self.tally.attention(path, places, places, 1, self.channels, flows, self.count)
        self.residual("middle/block_1", self.channels)


def encoder(tally: Tally, config: AutoencoderConfig, size: tuple[int, int], count: int) -> bool:
    """Pictures of `size` to moments, `count` of them; returns whether a gradient is wanted of the moments."""
    layers = Layers(tally, "encoder", size, count)
    layers.channels = 3
    layers.conv("conv_in", config.channels)
    last = len(config.channel_mult) - 1
    for level, mult in enumerate(config.channel_mult):
        for index in range(config.res_blocks):
            layers.residual(f"down_{level}/block_{index}", config.channels * mult)
        if level != last:
            layers.height, layers.width = layers.height // 2, layers.width // 2
            layers.conv(f"down_{level}/downsample", layers.channels)
    layers.middle()
    layers.conv("conv_out", 2 * config.latent_channels)
    return layers.flows


def decoder(tally: Tally, config: AutoencoderConfig, size: tuple[int, int], flows: bool) -> None:
    """Latents of `size` to a picture; `flows`: whether a gradient is wanted of the latents."""
    layers = Layers(tally, "decoder", size, 1)
    layers.channels, layers.flows = config.latent_channels, flows
    layers.conv("conv_in", config.channels * config.channel_mult[-1])
    layers.middle()
    for level, mult in reversed(tuple(enumerate(config.channel_mult))):
        for index in range(config.res_blocks + 1):
            layers.residual(f"up_{level}/block_{index}", config.channels * mult)
        if level:
            layers.height, layers.width = 2 * layers.height, 2 * layers.width
            layers.conv(f"up_{level}/upsample", layers.channels)
    layers.conv("conv_out", 3)
