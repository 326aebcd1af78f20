"""What a training run carries from step to step."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import PRNGKeyArray

from astra_jax.params import Params
from astra_jax.training.mesh import Rules, shardings


@flax.struct.dataclass
class TrainState:
    """Everything a checkpoint holds of the model: the trainable part alone.

    The same structure also carries shapes and shardings in the place of arrays, so fields are not typed by shape.
    """

    step: Any  # Int[Array, ""]: steps done, skipped ones included
    params: Params
    ema: Params  # their exponential moving average
    opt_state: Any
    rng: Any  # PRNGKeyArray: never changes; the key of step k is fold_in(rng, k)


def create_state(params: Params, optimizer: optax.GradientTransformation, rng: PRNGKeyArray) -> TrainState:
    """The state before the first step; the average starts as a copy of the parameters."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        ema=jax.tree.map(jnp.copy, params),
        opt_state=optimizer.init(params),
        rng=rng,
    )


def abstract_state(params: Params, optimizer: optax.GradientTransformation, rules: Rules, mesh: Mesh) -> TrainState:
    """Shapes, dtypes and shardings of `create_state`, without computing anything; `params` may be abstract."""
    shapes = jax.eval_shape(lambda p: create_state(p, optimizer, jax.random.key(0)), params)
    placed = shardings(shapes, rules, mesh)
    return jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, placed)
