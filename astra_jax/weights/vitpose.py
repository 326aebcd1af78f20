"""ViTPose's weights under transformers' names (`VitPoseForPoseEstimation`), and its published folder.

Published networks have two things that are sums or products with what is beside them: a position of a class token that
is not there, added to every patch, and batch norms, which at run time scale and shift a deconvolution's channels. Both
are folded into their neighbours here, so the model knows neither.
"""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import numpy as np

from astra_jax.errors import UserError
from astra_jax.params import Params, flatten, unflatten
from astra_jax.vit_config import VitConfig, VitPoseConfig
from astra_jax.weights.encoder_settings import SIZES, read_eps, read_settings, read_sizes, require
from astra_jax.weights.encoders import affine, affine_layers
from astra_jax.weights.importing import load_published
from astra_jax.weights.mapping import CONV, POINTWISE, UNBATCHED, Layout, Naming, one, under
from astra_jax.weights.sources import PathLike
from astra_jax.weights.tensors import open_tensors
from astra_jax.weights.vit import ATTENTION, MLP, NORMS

OFFICIAL = "usyd-community/vitpose-base-simple"
_JOINTS = 17  # COCO's
_NORM_EPS = 1e-5  # of PyTorch's batch norm
_CHANNELS = (256, 256)  # of the classic decoder
# PyTorch counts a deconvolution's taps from the other end, and keeps [in, out, height, width].
_DECONV = Layout(lambda x: x.transpose(2, 3, 0, 1)[::-1, ::-1], lambda x: x[::-1, ::-1].transpose(2, 3, 0, 1))
_NORM = {"scale": "weight", "bias": "bias", "mean": "running_mean", "variance": "running_var"}
_BASE = {"width": 768, "layers": 12, "heads": 12, "ratio": 4}


def vitpose_naming(config: VitPoseConfig) -> Naming:
    """Names of `VitPoseForPoseEstimation`, by path in the tree that `fold` takes."""
    naming = {
        "vit/positions": one("backbone.embeddings.position_embeddings", layout=UNBATCHED),
        **affine("vit/patches", "backbone.embeddings.patch_embeddings.projection", "kernel", CONV),
        **under("vit", affine_layers((*ATTENTION, *NORMS, *MLP), "backbone.encoder.layer.{}", config.vit.layers)),
        **affine("vit/norm_out", "backbone.layernorm"),
        **affine("maps", "head.conv", "kernel", POINTWISE if config.head == "classic" else CONV),
    }
    if config.head == "classic":
        for index in range(len(config.channels)):
            naming[f"deconv_{index}/kernel"] = one(f"head.deconv{index + 1}.weight", layout=_DECONV)
            for ours, theirs in _NORM.items():
                naming[f"deconv_{index}/norm/{ours}"] = one(f"head.batchnorm{index + 1}.{theirs}")
    return naming


def vitpose_unread() -> str:
    """How many batches the norms have seen."""
    return r"head\.batchnorm[12]\.num_batches_tracked"


def unfolded(config: VitPoseConfig, abstract: Params) -> Params:
    """The tree that `fold` takes, as shapes, for a model of the shapes `abstract`."""
    flat = {path: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for path, leaf in flatten(abstract).items()}
    tokens, width = flat["vit/positions"].shape
    flat["vit/positions"] = jax.ShapeDtypeStruct((tokens + 1, width), np.float32)
    if config.head == "classic":
        for index in range(len(config.channels)):
            bias = flat.pop(f"deconv_{index}/bias")
            flat |= {f"deconv_{index}/norm/{name}": bias for name in _NORM}
    return unflatten(flat)


def fold(published: Params) -> Params:
    """`VitPose`'s parameters from published ones.

    Every patch gets the class token's position. A deconvolution y without bias and its batch norm,
    scale (y - mean) / sqrt(variance + 1e-5) + bias (arXiv 1502.03167, with running statistics), become a deconvolution.
    """
    params = {part: dict(leaves) for part, leaves in published.items()}
    positions = params["vit"]["positions"]
    params["vit"]["positions"] = positions[1:] + positions[:1]
    for part in [part for part in params if "norm" in params[part]]:
        norm = params[part].pop("norm")
        gain = norm["scale"] / np.sqrt(norm["variance"] + _NORM_EPS)
        params[part] = {"kernel": params[part]["kernel"] * gain, "bias": norm["bias"] - norm["mean"] * gain}
    return params


def read_vitpose_config(folder: PathLike) -> VitPoseConfig:
    """Sizes of the network in a published folder (config.json, model.safetensors).

    Raises `UserError`, naming the official source, for a folder without the network, and for one that computes
    otherwise than ours (the mixtures of experts of ViTPose+).
    """
    path = pathlib.Path(folder).expanduser() / "config.json"
    tree = read_settings(
        path, f"is no folder of ViTPose ({{error}}): give that of {OFFICIAL} with config.json and model.safetensors"
    )
    return _config(path, tree)


def load_vitpose(folder: PathLike, config: VitPoseConfig, abstract: Params) -> Params:
    """The network's float32 parameters, in the shapes `abstract`; raises `UserError` as `load_published` does."""
    with open_tensors(pathlib.Path(folder).expanduser()) as tensors:
        published = load_published(tensors, vitpose_naming(config), unfolded(config, abstract), unread=vitpose_unread())
    return fold(published)


def _config(path: pathlib.Path, tree: dict[str, Any]) -> VitPoseConfig:
    backbone = tree.get("backbone_config")
    if not isinstance(backbone, dict):
        raise UserError(f"{path} has no proper backbone_config: copy or download it again")
    require(path, tree, {"model_type": "vitpose"})
    require(path, backbone, {"hidden_act": "gelu", "num_channels": 3, "num_experts": 1, "qkv_bias": True})
    fields = SIZES | {"ratio": "mlp_ratio"}
    sizes = read_sizes(path, backbone, fields, _BASE)
    rows, columns = _pair(path, backbone, "image_size", [256, 192])
    patch, other = _pair(path, backbone, "patch_size", [16, 16])
    if patch != other or rows % patch or columns % patch:
        raise UserError(
            f"{path}: only square patches that tile the picture are computed here, not patches of {patch} x {other} in"
            f" {rows} x {columns} pixels"
        )
    labels = tree.get("id2label")
    if not isinstance(labels, dict) or len(labels) != _JOINTS:
        raise UserError(f"{path} has no id2label of COCO's {_JOINTS} joints: only these are read here")
    simple = tree.get("use_simple_decoder", True)
    scale = tree.get("scale_factor", 4)
    if not isinstance(simple, bool) or type(scale) is not int or not 1 <= scale <= 16:
        raise UserError(f"{path} has no proper use_simple_decoder and scale_factor: copy or download it again")
    vit = VitConfig(
        image_size=(rows, columns),
        patch=patch,
        patch_padding=2,
        width=sizes["width"],
        layers=sizes["layers"],
        heads=sizes["heads"],
        mlp_dim=sizes["ratio"] * sizes["width"],
        eps=read_eps(path, backbone, 1e-12),
        class_token=False,
    )
    return VitPoseConfig(vit, "simple" if simple else "classic", _CHANNELS, scale)


def _pair(path: pathlib.Path, tree: dict[str, Any], name: str, default: list[int]) -> tuple[int, int]:
    """A size as one whole number or as two."""
    value = tree.get(name, default)
    pair = [value, value] if type(value) is int else value
    if (
        not isinstance(pair, list)
        or len(pair) != 2
        or any(type(side) is not int or not 0 < side < 4096 for side in pair)
    ):
        raise UserError(f"{path} has no proper {name}: copy or download it again")
    return pair[0], pair[1]
