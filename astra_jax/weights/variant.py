"""Which attention to conditions weights were trained with, in the header of a file, so that none are read as others."""

from __future__ import annotations

from astra_jax.config import ModelConfig
from astra_jax.errors import UserError
from astra_jax.weights.tensors import Tensors

_KEY = "condition_attention"
_FULL = "full"


def variant_metadata(config: ModelConfig) -> dict[str, str]:
    """What a header says of weights of `config`; of "full", which all other files are taken for, nothing."""
    variant = _variant(config)
    return {} if variant == _FULL else {_KEY: variant}


def check_variant(tensors: Tensors, config: ModelConfig) -> None:
    """Raises `UserError` unless `config` attends to conditions as the file's weights have learnt to."""
    attention, _, scope = tensors.metadata(_KEY, _FULL).partition(" ")
    if _variant(config) != f"{attention} {scope}".strip():
        flags = f"--config.model.condition_attention={attention}"
        flags += f" --config.model.condition_scope={scope}" if scope else ""
        raise UserError(f"{tensors.name} was trained with another attention to conditions: set {flags}")


def _variant(config: ModelConfig) -> str:
    cached = config.condition_attention == "cached"
    return f"{config.condition_attention} {config.condition_scope}" if cached else config.condition_attention
