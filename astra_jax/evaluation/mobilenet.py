"""A stand-in for the networks that published figures are made with, where their weights are not at hand.

MobileNetV2 (arXiv 1801.04381; 8-bit weights trained on ImageNet, by ai-edge-litert). The mean of its last feature map
tells objects apart; its cosines have another scale than DINO's or CLIP's and compare with no published figure.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from astra_jax.evaluation.features import SHORTER, SIDE
from astra_jax.evaluation.litert import LiteNetwork
from astra_jax.evaluation.preprocessing import middle_square

WIDTH = 1280
# The mean over places, which the classifier reads, in the file published by Coral (mobilenet_v2_1.0_224_quant.tflite).
POOLED = "MobilenetV2/Logits/AvgPool"


class MobileNetFeatures:
    """`ImageFeatures` by MobileNetV2: 1280 features of the middle square that DINO reads; one picture at a time."""

    name = "MobileNetV2 (stand-in)"

    def __init__(self, path: str | os.PathLike[str]):
        """Opens the .tflite file; raises `UserError` as `LiteNetwork` does."""
        self._network = LiteNetwork(path, (1, SIDE, SIDE, 3), [(1, 1, 1, WIDTH)], tensors=(POOLED,))

    def __call__(self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> Float[np.ndarray, "B D"]:
        """A unit row for each picture; raises ValueError without any.

        The features come behind a ReLU, so no cosine is negative. A picture in which the network sees nothing at all
        has equal features.
        """
        if not pictures:
            raise ValueError("features need a picture")
        # Pixels go in as they are: the file's own scale makes them -1 to 1.
        rows = np.stack([self._network(middle_square(picture, SHORTER, SIDE)[None])[0].ravel() for picture in pictures])
        rows[~rows.any(axis=1)] = 1.0
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)
