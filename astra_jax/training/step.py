"""One training step: loss, gradients of the trainable part, AdamW, the moving average."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from astra_jax.config import OptimizerConfig
from astra_jax.params import Params
from astra_jax.training.mesh import batch_sharding, replicated
from astra_jax.training.objective import Metrics, Objective
from astra_jax.training.optimizer import ema_decay, make_schedule
from astra_jax.training.partition import merge
from astra_jax.training.state import TrainState

StepFunction = Callable[[TrainState, Params, Any], tuple[TrainState, Metrics]]


def make_step(
    objective: Objective, optimizer: optax.GradientTransformation, config: OptimizerConfig, steps: int
) -> StepFunction:
    """step(state, frozen, batch) -> (state, metrics), pure and not yet compiled.

    A step whose loss or gradient norm is not finite leaves parameters, average and moments as they were and sets the
    metric "skipped" to 1; its random key and its batch are used up all the same.
    """
    schedule = make_schedule(config, steps)

    def step(state: TrainState, frozen: Params, batch: Any) -> tuple[TrainState, Metrics]:
        def loss_of(params: Params) -> tuple[jax.Array, Metrics]:
            loss, metrics = objective.loss(merge(params, frozen), batch, jax.random.fold_in(state.rng, state.step))
            return loss.astype(jnp.float32), metrics

        (loss, metrics), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        norm = optax.tree.norm(gradients)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        decay = ema_decay(config, state.step)
        ema = jax.tree.map(lambda mean, new: decay * mean + (1 - decay) * new, state.ema, params)

        finite = jnp.isfinite(loss) & jnp.isfinite(norm)
        old, new = (state.params, state.ema, state.opt_state), (params, ema, opt_state)
        params, ema, opt_state = jax.tree.map(lambda a, b: jnp.where(finite, b, a), old, new)
        metrics = metrics | {
            "loss": loss,
            "grad_norm": norm,
            "learning_rate": jnp.asarray(schedule(state.step), jnp.float32),
            "skipped": 1.0 - finite.astype(jnp.float32),
        }
        return dataclasses.replace(state, step=state.step + 1, params=params, ema=ema, opt_state=opt_state), metrics

    return step


def compile_step(step: StepFunction, state: TrainState, frozen: Params, mesh: Mesh) -> StepFunction:
    """Jits `step` with the shardings of `state` and `frozen` (arrays or abstract); the old state's memory is reused."""

    def placed(tree: Any) -> Any:
        return jax.tree.map(lambda x: x.sharding, tree)

    return jax.jit(
        step,
        in_shardings=(placed(state), placed(frozen), batch_sharding(mesh)),
        out_shardings=(placed(state), replicated(mesh)),
        donate_argnums=0,
    )
