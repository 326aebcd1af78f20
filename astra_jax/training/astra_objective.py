"""Training the whole model: flow matching on the target's latents under its conditions."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.flow.loss import velocity_loss
from astra_jax.flow.sampler import integrate
from astra_jax.flow.schedule import sample_timesteps, schedule, shift_of
from astra_jax.models.astra import Astra, Batch, Inputs, Pictures, patchify, unpatchify
from astra_jax.params import Params
from astra_jax.training import rules
from astra_jax.training.encoders import absent_parts
from astra_jax.training.mesh import Rules
from astra_jax.training.objective import Metrics, example_normal, rows_to_picture


@dataclasses.dataclass(frozen=True)
class AstraObjective:
    """The velocity loss of rectified flow (arXiv 2209.03003) at random times."""

    config: Config

    @property
    def rules(self) -> Rules:
        """Sharding of every parameter of the tree."""
        return rules.astra(self.config.model)

    @property
    def model(self) -> Astra:
        """The model's pure functions."""
        return Astra(self.config.model)

    def init(self, rng: PRNGKeyArray) -> Params:
        """Random parameters of all parts; of encoders whose outputs the data brings there are none."""
        absent = absent_parts(self.config)
        return {part: tree for part, tree in self.model.init(rng).items() if part not in absent}

    def loss(self, params: Params, batch: Batch, rng: PRNGKeyArray) -> tuple[Float[Array, ""], Metrics]:
        """Mean velocity loss and its halves: times nearer to the picture and nearer to the noise."""
        inputs = _inputs(batch)
        latent_rng, noise_rng, time_rng, condition_rng = jax.random.split(rng, 4)
        # The autoencoder must not learn to make its latents easy to predict.
        latents = jax.lax.stop_gradient(self.model.latents(params, batch.target, latent_rng))
        canvas = (latents.shape[1], latents.shape[2])
        x = patchify(latents)
        noise = example_normal(noise_rng, x.shape)
        t = sample_timesteps(time_rng, x.shape[0], x.shape[1], self.config.train.timesteps)
        conditions = self.model.encode(params, inputs, canvas, condition_rng)
        losses = velocity_loss(lambda x_t, t: self.model.velocity(params, x_t, t, conditions), x, noise, t)
        early = t < 0.5

        def mean_where(chosen: Array) -> Array:
            return jnp.sum(jnp.where(chosen, losses, 0.0)) / jnp.maximum(jnp.sum(chosen), 1)

        metrics = {"loss_low_noise": mean_where(early), "loss_high_noise": mean_where(~early)}
        return jnp.mean(losses), metrics

    def preview(self, params: Params, batch: Batch, rng: PRNGKeyArray) -> UInt8[Array, "H W 3"]:
        """Rows of sampled picture, target, skeleton and references."""
        inputs = _inputs(batch)
        target = self.model.latents(params, batch.target)
        canvas = (target.shape[1], target.shape[2])
        shape = patchify(target).shape
        conditions = self.model.encode(params, inputs, canvas)
        sample = self.config.sample
        times = schedule(sample.steps, shift_of(shape[1], sample.shift))
        x = integrate(
            lambda x_t, t: self.model.velocity(params, x_t, t, conditions),
            example_normal(rng, shape),
            times,
            sample.solver,
        )
        sampled = self.model.decode(params, unpatchify(x, *canvas))
        references = [self._pictures(params, inputs.references[:, i]) for i in range(inputs.has_reference.shape[1])]
        pose = [] if inputs.pose is None else [self._pictures(params, inputs.pose)]
        return rows_to_picture([sampled, self._pictures(params, batch.target), *pose, *references])

    def _pictures(self, params: Params, x: Pictures) -> UInt8[Array, "B H W 3"]:
        return x if x.dtype == jnp.uint8 else self.model.decode(params, self.model.latents(params, x))


def _inputs(batch: Batch) -> Inputs:
    if batch.inputs is None:
        raise UserError("train.objective 'astra' needs data with prompts and poses; this data has pictures alone")
    return batch.inputs
