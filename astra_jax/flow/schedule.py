"""Timesteps of flow matching: t runs from 1 (noise) to 0 (picture), shifted by the number of canvas tokens (FLUX.1).

A model distilled to a few steps, as FLUX.1-schnell, is sampled at unshifted times. Training always shifts, whatever the
sampler does: the shift stands for how much noise hides a picture of that size (Stable Diffusion 3, arXiv 2403.03206),
which does not depend on how few steps sampling takes.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray


def shift_of(tokens: int, kind: str = "resolution") -> float:
    """The shift mu of a canvas.

    "resolution" is FLUX.1-dev's line through 0.5 at 256 canvas tokens and 1.15 at 4096: more tokens, more time in
    noise. "none" is 0, which moves no time (FLUX.1-schnell; diffusers' use_dynamic_shifting=False with shift=1.0).
    Raises ValueError for another kind.
    """
    if kind not in ("resolution", "none"):
        raise ValueError(f"the shift must be 'resolution' or 'none', not {kind!r}")
    if kind == "none":
        return 0.0
    return 0.5 + (1.15 - 0.5) * (tokens - 256) / (4096 - 256)


def shift(t: Float[Array | np.ndarray, "*B"], mu: float) -> Float[Array | np.ndarray, "*B"]:
    """Moves times in [0, 1] towards noise: FLUX.1's e^mu / (e^mu + 1/t - 1), written without the division by t."""
    factor = float(np.exp(mu))
    return factor * t / (1 + (factor - 1) * t)


def schedule(steps: int, mu: float) -> Float[np.ndarray, " {steps}+1"]:
    """The sampler's times, `steps` + 1 of them from exactly 1 to exactly 0, evenly spaced and then shifted by `mu`.

    float32. Raises ValueError below 1 step.
    """
    if steps < 1:
        raise ValueError(f"a schedule needs at least one step, not {steps}")
    return np.asarray(shift(np.linspace(1, 0, steps + 1), mu), np.float32)


def skipped_steps(steps: int, strength: float) -> int:
    """The steps at the start of a schedule that image-to-image leaves out, all but ceil(strength * steps) of them.

    `strength` is diffusers', in (0, 1]; 1 is the whole schedule, from noise; less keeps more of the start picture.
    Raises ValueError for another one.
    """
    if not 0 < strength <= 1:
        raise ValueError(f"strength must be over 0 and at most 1, not {strength}")
    # As diffusers rounds it, floating point included: the same strength is as many steps here as there.
    return min(int(steps - steps * strength), steps - 1)


def within(step: Int[Array, ""], steps: int, start: Float[Array, " B"], end: Float[Array, " B"]) -> Bool[Array, " B"]:
    """Whether a step lies whole in each picture's part of the schedule, as diffusers' control_guidance_start and _end.

    Step i of `steps` lies from i / steps to (i + 1) / steps; it is in where start <= i / steps and
    (i + 1) / steps <= end. So 0 and 1 are all steps, 0 and 0.5 the first half, the noisier one.
    """
    # Rounded once, on the host: a device's own division could miss a bound by the last bit.
    fractions = jnp.asarray(np.arange(steps + 1, dtype=np.float32) / np.float32(steps))
    return (start <= fractions[step]) & (fractions[step + 1] <= end)


def sample_timesteps(
    rng: PRNGKeyArray, batch: int, tokens: int, distribution: str = "uniform"
) -> Float[Array, " {batch}"]:
    """Training times in (0, 1): "uniform" (UNO) or "logit_normal" (Stable Diffusion 3), shifted by resolution.

    Every example's time comes from a key of its own, so it does not depend on the batch it sits in.
    """
    keys = jax.vmap(lambda i: jax.random.fold_in(rng, i))(jnp.arange(batch))
    if distribution == "uniform":
        t = jax.vmap(lambda key: jax.random.uniform(key, minval=1e-4, maxval=1.0))(keys)
    elif distribution == "logit_normal":
        t = jax.nn.sigmoid(jax.vmap(jax.random.normal)(keys))
    else:
        raise ValueError(f"distribution must be 'uniform' or 'logit_normal', not {distribution!r}")
    return jnp.asarray(shift(t, shift_of(tokens)))
