"""Sizes of vision transformers that pictures are looked at with, and that read people's joints out of them."""

from __future__ import annotations

import dataclasses

from astra_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class VitConfig:
    """A vision transformer of DINO's, DINOv2's or ViTPose's form (the defaults: DINO's ViT-S/16)."""

    image_size: tuple[int, int] = (224, 224)  # height, width
    patch: int = 16
    patch_padding: int = 0  # pixels around the picture before it is cut; ViTPose has 2
    width: int = 384
    layers: int = 12
    heads: int = 6
    mlp_dim: int = 1536
    eps: float = 1e-12  # of the layer norms
    class_token: bool = True
    layer_scale: bool = False  # DINOv2's learnt factor of each residual


# DINOv2's ViT-S/14 on pictures of 224 pixels.
DINO_V2 = VitConfig(patch=14, eps=1e-6, layer_scale=True)

# The vision transformer of ViTPose-B.
VITPOSE_B = VitConfig(
    image_size=(256, 192), patch_padding=2, width=768, layers=12, heads=12, mlp_dim=3072, class_token=False
)


@dataclasses.dataclass(frozen=True)
class VitPoseConfig:
    """ViTPose (arXiv 2204.12484): a vision transformer and a head that draws one map a joint (defaults: ViTPose-B).

    With a `stem` of convolutions in front of the transformer, each of which halves the size, a network learns from
    little data; the deconvolutions read its features, too, where their sizes meet.
    """

    vit: VitConfig = VITPOSE_B
    head: str = "classic"  # deconvolutions, each of which doubles the size; or "simple", one interpolation
    channels: tuple[int, ...] = (256, 256)  # of each deconvolution of the classic head
    scale_factor: int = 4  # of the simple head's interpolation
    maps: int = 17
    stem: tuple[int, ...] = ()  # channels of each level; 2 to the number of levels divides vit.patch

    def __post_init__(self):
        if self.head not in ("classic", "simple"):
            raise UserError(f"a pose network's head must be 'classic' or 'simple', not {self.head!r}")
        if self.vit.class_token:
            raise UserError("a pose network's vit has no class token: set class_token to False")
        if self.vit.patch % 2 ** len(self.stem) or (self.stem and self.vit.patch_padding):
            raise UserError(
                f"a pose network's stem of {len(self.stem)} levels needs patches of a multiple of"
                f" {2 ** len(self.stem)} pixels, not {self.vit.patch}, without padding"
            )
        if self.scale_factor < 1 or self.maps < 1 or min((1, *self.channels, *self.stem)) < 1:
            raise UserError("a pose network's channels, scale_factor and maps must be 1 or more")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the maps."""
        scale = 2 ** len(self.channels) if self.head == "classic" else self.scale_factor
        rows, columns = self.vit.image_size
        return rows // self.vit.patch * scale, columns // self.vit.patch * scale


@dataclasses.dataclass(frozen=True)
class KeypointsConfig:
    """The two networks that read people's joints out of pictures; no part of the model that draws."""

    joints: VitPoseConfig = VitPoseConfig()  # of one person, in a crop around them
    people: VitPoseConfig = VitPoseConfig(maps=5)  # where people are, in the whole picture (models/people_maps.py)
    crops: int = 2  # training: people a picture
    place_weight: float = 0.05  # training: of the expected places' error, beside the maps' cross-entropy
