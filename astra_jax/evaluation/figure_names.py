"""What the figures of a network are called."""

from __future__ import annotations

from astra_jax.evaluation.features import ImageFeatures

PUBLISHED = {"CLIP": "clip_i", "DINO": "dino", "DINOv2": "dinov2"}  # the networks of published tables


def figure_name(network: ImageFeatures) -> str:
    """ "clip_i" for CLIP, for others their names in small letters and underscores ("dino", "mobilenetv2")."""
    words = "".join(letter if letter.isalnum() else " " for letter in network.name.lower()).split()
    return PUBLISHED.get(network.name, "_".join(words))
