"""Sharding rules of the models: matrices are split over fsdp, vectors and small tables replicated.

Regexes are anchored at the end alone, so one table serves the parameters, their averages and Adam's moments.
"""

from __future__ import annotations

from jax.sharding import Mesh, PartitionSpec

from astra_jax.training.mesh import Rules, fsdp

# Scanned blocks carry a leading layer dimension, which stays whole: the scan slices it.
_SCANNED = r"/(double_blocks|single_blocks|layers)/"

AUTOENCODER: Rules = (
    (r"(^|/)autoencoder/([^/]+/)*kernel$", fsdp()),
    (r"(^|/)autoencoder/([^/]+/)*(bias|scale)$", PartitionSpec()),
)

ASTRA: Rules = (
    *AUTOENCODER,
    (r"(^|/)(transformer|t5|clip_text|clip_vision|siglip_vision)" + _SCANNED + r"([^/]+/)*kernel$", fsdp(first=1)),
    (r"(^|/)(transformer|clip_vision|siglip_vision)/(?!double_blocks/|single_blocks/|layers/)([^/]+/)+kernel$", fsdp()),
    (r"(^|/)dsm/([^/]+/)*kernel$", fsdp()),
    (r"(^|/)(t5|clip_text)/embedding/embedding$", fsdp()),
    (r"(^|/)(transformer|dsm|t5|clip_text|clip_vision|siglip_vision)/([^/]+/)*(bias|scale)$", PartitionSpec()),
    (
        r"(^|/)(t5/relative_bias|clip_text/positions|clip_vision/class_token|(clip|siglip)_vision/positions)$",
        PartitionSpec(),
    ),
)


def _factor(shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    return fsdp(first=len(shape) - 2)(shape, mesh)


# The two matrices of a low-rank product, stacked by layer or not.
LORA: Rules = ((r"(^|/)lora/([^/]+/)+[ab]$", _factor),)
