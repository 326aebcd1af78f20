"""The compiled programs of sampling: encode once, integrate the flow as one scan, decode.

Each is a pure function of arrays and of a `Kind`; together they are what `Astra` and `flow/` are made for.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer, UInt8

from astra_jax.flow.guidance import classifier_free
from astra_jax.flow.sampler import initial_noise, integrate_with_memory, start_from
from astra_jax.flow.schedule import within
from astra_jax.models.astra import PATCH, Astra, Inputs, patchify, unpatchify
from astra_jax.models.conditions import AnyArray, Conditions, scale_identity, see_pose
from astra_jax.params import Params

Callback = Callable[[int, int, Float[np.ndarray, "B L C"]], object]


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is the same for all programs of one canvas. `height` and `width` count latents."""

    model: Astra
    height: int
    width: int
    solver: str = "euler"
    cache_threshold: float = 0.0

    @property
    def tokens(self) -> int:
        """Of the canvas."""
        return self.height * self.width // PATCH**2


@flax.struct.dataclass
class Guiding:
    """What steers each of B pictures through the steps."""

    cfg_scale: Float[AnyArray, " B"]
    pose_start: Float[AnyArray, " B"]  # fractions of the schedule
    pose_end: Float[AnyArray, " B"]


def encode(
    kind: Kind,
    params: Params,
    inputs: Inputs,
    dsm_scale: Float[Array | np.ndarray, " B"],
    seeds: Integer[Array | np.ndarray, " B"],
    indices: Integer[Array | np.ndarray, " B"],
) -> tuple[Float[Array, "B L C"], dict[str, Any]]:
    """The noise of each picture, and the fields of `Conditions`: everything that does not depend on the step."""
    conditions = kind.model.encode(params, inputs, (kind.height, kind.width))
    channels = kind.model.config.transformer.latent_dim
    noise = initial_noise(jnp.asarray(seeds), jnp.asarray(indices), kind.tokens, channels)
    return noise, vars(scale_identity(conditions, jnp.asarray(dsm_scale)))


def begin(
    kind: Kind,
    params: Params,
    noise: Float[Array, "B L C"],
    start: UInt8[Array | np.ndarray, "B H W 3"],
    times: Float[Array | np.ndarray, " S"],
) -> Float[Array, "B L C"]:
    """Where image-to-image begins: the start pictures as noisy as the first of `times` says."""
    return start_from(patchify(kind.model.latents(params, start)), noise, times)


def integrate(
    kind: Kind,
    params: Params,
    x: Float[Array, "B L C"],
    times: Float[Array | np.ndarray, " S"],
    conditions: Conditions,
    without: Conditions | None,
    guiding: Guiding,
    listener: Int[Array | np.ndarray, ""] | None = None,
) -> Float[Array, "B L C"]:
    """The pictures' tokens at the end of `times`.

    Args:
        kind: of the canvas.
        params: of the transformer, and of a LoRA where there is one.
        x: noise, or what `begin` gives.
        times: of the sampler.
        conditions: of `encode`.
        without: the same without prompt, pose and subjects, for classifier-free guidance; None: there is none.
        guiding: see there.
        listener: the number of a callback, from `listen`.
    """
    model, steps = kind.model, len(times) - 1
    has_pose = conditions.images.shape[1] >= kind.tokens

    def velocity(x: Float[Array, "B L C"], t: Float[Array, " B"], step: Int[Array, ""], memory: Any) -> Any:
        if listener is not None:
            jax.debug.callback(_tell, listener, step, steps, x, ordered=True)
        seen = conditions
        if has_pose:
            inside = within(step, steps, jnp.asarray(guiding.pose_start), jnp.asarray(guiding.pose_end))
            seen = see_pose(conditions, kind.tokens, kind.tokens, inside)
        v = model.velocity(params, x, t, seen)
        if without is not None:
            v = classifier_free(v, model.velocity(params, x, t, without), jnp.asarray(guiding.cfg_scale))
        return v, memory

    return integrate_with_memory(velocity, (), x, times, kind.solver)[0]


def decode(kind: Kind, params: Params, x: Float[Array, "B L C"]) -> UInt8[Array, "B H W 3"]:
    """Pictures of tokens."""
    return kind.model.decode(params, unpatchify(x, kind.height, kind.width))


_listeners: dict[int, Callback] = {}
_numbers = itertools.count()


@dataclasses.dataclass
class listen:
    """While it is entered, the callback hears of every step of the programs that are given its number.

    Programs know callbacks by number, so that one program serves all of them.
    """

    callback: Callback

    def __enter__(self) -> int:
        self.number = next(_numbers)
        _listeners[self.number] = self.callback
        return self.number

    def __exit__(self, *_: object) -> None:
        jax.effects_barrier()
        del _listeners[self.number]


def _tell(listener: Any, step: Any, steps: Any, x: Any) -> None:
    _listeners[int(listener)](int(step), int(steps), np.asarray(x))
