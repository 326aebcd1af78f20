"""AdamW (arXiv 1711.05101) with linear warm-up, clipping by the global norm and decay of matrices alone."""

from __future__ import annotations

from typing import Any

import jax
import optax
from jaxtyping import Array, Float, Int

from astra_jax.config import OptimizerConfig
from astra_jax.errors import UserError
from astra_jax.params import Params
from astra_jax.training.partition import leaves_with_paths

_NO_DECAY = ("bias", "scale")


def make_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """Learning rate by step: peak (step + 1) / (warmup + 1), then constant, or cosine to a tenth at `steps`.

    No step has rate 0. Raises `UserError` for an unknown `config.schedule`.
    """
    if config.schedule not in ("constant", "cosine"):
        raise UserError(f"train.optimizer.schedule must be 'constant' or 'cosine', not {config.schedule!r}")
    peak, warmup = config.learning_rate, config.warmup_steps
    if config.schedule == "constant":
        after = optax.constant_schedule(peak)
    else:
        after = optax.cosine_decay_schedule(peak, max(steps - warmup, 1), alpha=0.1)
    return optax.join_schedules([optax.linear_schedule(peak / (warmup + 1), peak, max(warmup, 1)), after], [warmup])


def decay_mask(params: Params) -> Any:
    """True for matrices. Scanned blocks stack vectors to two dimensions, so the names bias and scale count as well."""
    flags = [leaf.ndim >= 2 and path.split("/")[-1] not in _NO_DECAY for path, leaf in leaves_with_paths(params)]
    return jax.tree.unflatten(jax.tree.structure(params), flags)


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """The update rule of a run of `steps` steps; `clip_norm` 0 switches clipping off."""
    adamw = optax.adamw(
        make_schedule(config, steps),
        b1=config.b1,
        b2=config.b2,
        eps=config.eps,
        weight_decay=config.weight_decay,
        mask=decay_mask,
    )
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adamw) if config.clip_norm else adamw


def ema_decay(config: OptimizerConfig, step: Int[Array, ""]) -> Float[Array, ""]:
    """min(ema_decay, (1 + step) / (10 + step)): young averages forget the random start (TensorFlow's num_updates)."""
    return jax.numpy.minimum(config.ema_decay, (1.0 + step) / (10.0 + step))
