"""DINO's and DINOv2's weights under transformers' names, and positions for pictures of another size."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from astra_jax.vit_config import VitConfig
from astra_jax.weights.encoders import affine, affine_layers, has_prefix, stacked
from astra_jax.weights.mapping import CONV, LINEAR, SAME, UNBATCHED, Layout, Naming, one

# A class token is a batch of one token.
_TOKEN = Layout(lambda x: x[0, 0], lambda x: x[None, None])
# Our modules in a block -> theirs, of which DINO, DINOv2 and ViTPose have different ones but for the attention.
ATTENTION = (
    ("q", "attention.attention.query", "kernel", LINEAR),
    ("k", "attention.attention.key", "kernel", LINEAR),
    ("v", "attention.attention.value", "kernel", LINEAR),
    ("out", "attention.output.dense", "kernel", LINEAR),
)
NORMS = (("norm1", "layernorm_before", "scale", SAME), ("norm2", "layernorm_after", "scale", SAME))
MLP = (("fc1", "mlp.fc1", "kernel", LINEAR), ("fc2", "mlp.fc2", "kernel", LINEAR))
_DINO = (*NORMS, ("fc1", "intermediate.dense", "kernel", LINEAR), ("fc2", "output.dense", "kernel", LINEAR))
_DINO_V2 = (("norm1", "norm1", "scale", SAME), ("norm2", "norm2", "scale", SAME), *MLP)


def vit_naming(config: VitConfig, prefix: str = "") -> Naming:
    """Names of `ViTModel` (DINO), with `config.layer_scale` of `Dinov2Model`, by path in `VisionTransformer`'s tree."""
    block = f"{prefix}encoder.layer.{{}}"
    naming = {
        "class_token": one(f"{prefix}embeddings.cls_token", layout=_TOKEN),
        "positions": one(f"{prefix}embeddings.position_embeddings", layout=UNBATCHED),
        **affine("patches", f"{prefix}embeddings.patch_embeddings.projection", "kernel", CONV),
        **affine_layers((*ATTENTION, *(_DINO_V2 if config.layer_scale else _DINO)), block, config.layers),
        **affine("norm_out", f"{prefix}layernorm"),
    }
    if config.layer_scale:
        for number in (1, 2):
            naming[f"layers/scale{number}"] = stacked(f"{block}.layer_scale{number}.lambda1", config.layers)
    return naming


def vit_prefix(names: Iterable[str]) -> str:
    """What a file's names start with: a classifier keeps its network under "vit." or "dinov2."."""
    names = list(names)
    return has_prefix(names, "vit.") or has_prefix(names, "dinov2.")


def vit_unread(prefix: str = "") -> str:
    """The pooling layer, the token that stands for hidden patches in DINOv2's training, and a classifier on top."""
    start = re.escape(prefix)
    return rf"{start}pooler\.dense\.(weight|bias)|{start}embeddings\.mask_token|classifier\.(weight|bias)"


def resample_positions(positions: Float[np.ndarray, "T C"], side: int) -> Float[np.ndarray, "U C"]:
    """Learnt positions of a square of patches, for `side` x `side` patches; the class token's, the first, stays.

    transformers' `interpolate_pos_encoding` (Dinov2, DINO): bicubic with a = -0.75 (Keys 1981, as PyTorch has it),
    samples at the patches' centres, nothing averaged where it shrinks, edges repeated. Raises ValueError where the
    patches make no square.
    """
    first, patches = positions[:1], positions[1:]
    old = round(len(patches) ** 0.5)
    if old * old != len(patches):
        raise ValueError(f"{len(patches)} positions make no square")
    if old == side:
        return positions
    weights = _bicubic(old, side)
    square = patches.reshape(old, old, -1).astype(np.float64)
    resampled = np.einsum("ri,cj,ijk->rck", weights, weights, square, optimize=True)
    return np.concatenate([first, resampled.reshape(side * side, -1).astype(positions.dtype)])


def _bicubic(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """The matrix that resamples a line of `old` values to `new`."""
    a = -0.75
    weights = np.zeros((new, old))
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    for row, centre in enumerate(centres):
        for tap in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
            d = abs(centre - tap)
            near = (a + 2) * d**3 - (a + 3) * d**2 + 1
            far = a * (d**3 - 5 * d**2 + 8 * d - 4)
            weights[row, min(max(tap, 0), old - 1)] += near if d <= 1 else far
    return weights
