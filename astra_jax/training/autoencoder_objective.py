"""Training the autoencoder: reconstruct pictures through a Gaussian bottleneck (latent diffusion, arXiv 2112.10752)."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.models.astra import Batch
from astra_jax.models.autoencoder import Autoencoder, split_moments
from astra_jax.params import Params
from astra_jax.training import rules
from astra_jax.training.mesh import Rules
from astra_jax.training.objective import Metrics, example_normal, rows_to_picture, to_uint8, to_unit


def gaussian_kl(mean: Float[Array, "*B C"], logvar: Float[Array, "*B C"]) -> Float[Array, "*B C"]:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of each latent."""
    return 0.5 * (jnp.square(mean) + jnp.exp(logvar) - 1 - logvar)


@dataclasses.dataclass(frozen=True)
class AutoencoderObjective:
    """L1 + MSE over pixels in [-1, 1] plus `train.kl_weight` times the KL of the latents.

    The KL is summed over a picture's latents and divided by its number of pixel values, so that `kl_weight` has the
    meaning it has in latent diffusion, where both terms are sums. The MSE in place of a perceptual loss is our
    decision: no pretrained network is needed.
    """

    config: Config
    rules: Rules = rules.AUTOENCODER

    @property
    def model(self) -> Autoencoder:
        """The module; its parameters are the tree's "autoencoder" part."""
        return Autoencoder(self.config.model.autoencoder, jnp.dtype(self.config.model.dtype))

    def init(self, rng: PRNGKeyArray) -> Params:
        """Random parameters, {"autoencoder": ...}."""
        side = 2 * self.model.factor
        return {"autoencoder": self.model.init(rng, jnp.zeros((1, side, side, 3)))["params"]}

    def loss(self, params: Params, batch: Batch, rng: PRNGKeyArray) -> tuple[Float[Array, ""], Metrics]:
        """Loss of sampled reconstructions of `batch.target`; raises `UserError` for latents in place of pictures."""
        if batch.target.dtype != jnp.uint8:
            raise UserError("train.objective 'autoencoder' needs pictures: leave data.latents empty")
        pictures = to_unit(batch.target)
        mean, logvar = split_moments(self._apply(params, pictures, "encode"))
        raw = mean + jnp.exp(0.5 * logvar) * example_normal(rng, mean.shape)
        error = self._apply(params, raw, "decode").astype(jnp.float32) - pictures
        l1, mse = jnp.mean(jnp.abs(error)), jnp.mean(jnp.square(error))
        kl = jnp.sum(gaussian_kl(mean, logvar)) / pictures.size
        # normalise() wants latents of mean 0 and deviation 1: these two become autoencoder.shift and 1 / scale.
        metrics = {
            "l1": l1,
            "psnr": -10 * jnp.log10(mse / 4 + 1e-10),
            "kl": kl,
            "latent_mean": jnp.mean(raw),
            "latent_std": jnp.std(raw),
        }
        return l1 + mse + self.config.train.kl_weight * kl, metrics

    def preview(self, params: Params, batch: Batch, rng: PRNGKeyArray) -> UInt8[Array, "H W 3"]:
        """Rows of picture and reconstruction from the mean latent."""
        del rng
        pictures = batch.target
        decoded = self._apply(params, to_unit(pictures), "__call__")
        return rows_to_picture([pictures, to_uint8(decoded)])

    def _apply(self, params: Params, x: Float[Array, "B _ _ _"], method: str) -> Float[Array, "B _ _ _"]:
        return cast(Any, self.model.apply({"params": params["autoencoder"]}, x, method=method))
