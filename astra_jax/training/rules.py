"""Sharding rules of the models: matrices are split over fsdp, vectors replicated.

Regexes are anchored at the end, so one table serves the parameters, their averages and Adam's moments.
"""

from __future__ import annotations

from jax.sharding import PartitionSpec

from astra_jax.training.mesh import Rules, fsdp

# Scanned blocks carry a leading layer dimension, which stays whole: the scan slices it.
_SCANNED = r"transformer/(double_blocks|single_blocks)/"

ASTRA: Rules = (
    (_SCANNED + r"[^/]+/kernel$", fsdp(first=1)),
    (r"transformer/(?!double_blocks|single_blocks)([^/]+/)+kernel$", fsdp()),
    (r"(^|/)(dsm|autoencoder|t5|clip_text|clip_vision)/([^/]+/)*kernel$", fsdp()),
    (r"(^|/)(t5|clip_text|clip_vision)/([^/]+/)*\w*embedding$", fsdp()),
    (r"(^|/)(bias|scale)$", PartitionSpec()),
)

# Both objectives train parts of the same tree.
AUTOENCODER: Rules = (
    (r"(^|/)autoencoder/([^/]+/)*kernel$", fsdp()),
    (r"(^|/)(bias|scale)$", PartitionSpec()),
)
