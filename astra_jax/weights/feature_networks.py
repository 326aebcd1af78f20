"""The networks whose features pictures are compared by, in the folders transformers writes: sizes and weights.

DINO (`ViTModel`), DINOv2 (`Dinov2Model`) and CLIP (`CLIPModel`): a folder with config.json and model.safetensors, in
one file or in shards.
"""

from __future__ import annotations

import pathlib
from typing import Any

from astra_jax.config import ClipConfig, ClipTextConfig, ClipVisionConfig
from astra_jax.errors import UserError
from astra_jax.params import Params
from astra_jax.vit_config import VitConfig
from astra_jax.weights.encoder_settings import MLP, SIZES, TEXT_SIZES, read_eps, read_settings, read_sizes, require
from astra_jax.weights.encoders import clip_naming, clip_unread
from astra_jax.weights.importing import load_published
from astra_jax.weights.sources import PathLike
from astra_jax.weights.tensors import open_tensors
from astra_jax.weights.vit import resample_positions, vit_naming, vit_prefix, vit_unread

# Where the weights that others' figures are made with are published.
OFFICIAL = {
    "DINO": "facebook/dino-vits16",
    "DINOv2": "facebook/dinov2-small",
    "CLIP": "openai/clip-vit-base-patch32",
}
_PICTURE = {"image_size": "image_size", "patch": "patch_size"}
# What transformers means where a config leaves a size out.
_BASE = {"width": 768, "layers": 12, "heads": 12, "mlp_dim": 3072, "image_size": 224}
_TEXT_BASE = {"width": 512, "layers": 12, "heads": 8, "mlp_dim": 2048, "vocab_size": 49_408, "length": 77}


def read_vit_config(folder: PathLike, name: str) -> VitConfig:
    """The sizes of "DINO" or "DINOv2" in `folder`, with pictures of the size that its positions are learnt for.

    Raises `UserError`, naming the official source, for a folder without the network, for a damaged config.json and for
    a network that computes otherwise than ours.
    """
    second = name == "DINOv2"
    path, tree = _settings(folder, name, "dinov2" if second else "vit")
    require(path, tree, {"hidden_act": "gelu", "num_channels": 3, "qkv_bias": True, "use_swiglu_ffn": False})
    if second:
        fields, defaults = {"mlp_dim": "mlp_ratio"}, {"patch": 14, "mlp_dim": 4}
    else:
        fields, defaults = MLP, {"patch": 16}
    sizes: dict[str, Any] = read_sizes(path, tree, {**SIZES, **_PICTURE, **fields}, {**_BASE, **defaults})
    if second:
        sizes["mlp_dim"] *= sizes["width"]
    side, patch = sizes["image_size"], sizes["patch"]
    if side < patch:
        raise UserError(f"{path} has patches of {patch} pixels in pictures of {side}: copy or download it again")
    side -= side % patch  # what fills no patch is not read
    eps = read_eps(path, tree, 1e-6 if second else 1e-12)
    return VitConfig(**{**sizes, "image_size": (side, side), "eps": eps, "layer_scale": second})


def load_vit(folder: PathLike, config: VitConfig, abstract: Params, image_size: int) -> Params:
    """The parameters of `VisionTransformer` as float32, for square pictures of `image_size` pixels.

    `config` is what `read_vit_config` gives, and `abstract` has the shapes of its tree. Learnt positions of another
    number of patches are resampled (`resample_positions`). Raises `UserError` for pickles, damaged files and weights
    of other sizes, as `find_source` and `load_published` do, and for an `image_size` of no whole patches.
    """
    if image_size % config.patch:
        raise UserError(f"{folder} has patches of {config.patch} pixels, which tile no pictures of {image_size}")
    with open_tensors(pathlib.Path(folder).expanduser()) as tensors:
        prefix = vit_prefix(tensors.entries)
        params = load_published(tensors, vit_naming(config, prefix), abstract, unread=vit_unread(prefix))
    params["positions"] = resample_positions(params["positions"], image_size // config.patch)
    return params


def read_clip_config(folder: PathLike) -> ClipConfig:
    """The sizes of both halves of the CLIP in `folder`; raises `UserError` as `read_vit_config` does."""
    path, tree = _settings(folder, "CLIP", "clip")
    text, vision = tree.get("text_config", {}), tree.get("vision_config", {})
    if not isinstance(text, dict) or not isinstance(vision, dict):
        raise UserError(f"{path} has no proper text_config and vision_config: copy or download it again")
    for half in (text, vision):
        require(path, half, {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5})
    require(path, vision, {"num_channels": 3})
    return ClipConfig(
        ClipTextConfig(**read_sizes(path, text, TEXT_SIZES, _TEXT_BASE)),
        ClipVisionConfig(**read_sizes(path, vision, {**SIZES, **MLP, **_PICTURE}, {**_BASE, "patch": 32})),
        read_sizes(path, tree, {"dim": "projection_dim"}, {"dim": 512})["dim"],
    )


def load_clip(folder: PathLike, config: ClipConfig, abstract: Params) -> Params:
    """The parameters of `ClipFeatures` as float32; `abstract` has the shapes of its tree.

    Raises `UserError` for pickles, damaged files and weights of other sizes.
    """
    with open_tensors(pathlib.Path(folder).expanduser()) as tensors:
        return load_published(tensors, clip_naming(config), abstract, unread=clip_unread())


def _settings(folder: PathLike, name: str, kind: str) -> tuple[pathlib.Path, dict[str, Any]]:
    path = pathlib.Path(folder).expanduser() / "config.json"
    wanted = f"give the folder of {OFFICIAL[name]} with config.json and model.safetensors"
    tree = read_settings(path, f"is no folder of {name} ({{error}}): {wanted}")
    if tree.get("model_type") != kind:
        raise UserError(f"{path} is of a {str(tree.get('model_type'))[:40]!r}, not of {name}: {wanted}")
    return path, tree
