"""One velocity to measure: its sizes, random weights and random inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from astra_jax.config import TransformerConfig
from astra_jax.models.conditions import Conditions
from astra_jax.models.europe import positions, rotary_tables
from astra_jax.models.transformer import Transformer
from astra_jax.params import Params, flatten, unflatten


@dataclasses.dataclass(frozen=True)
class Problem:
    """One picture: grids are (rows, columns) of tokens."""

    config: TransformerConfig
    text: int
    canvas: tuple[int, int]
    pose: tuple[int, int] | None = None
    references: tuple[tuple[int, int], ...] = ()

    @property
    def canvas_tokens(self) -> int:
        """Tokens whose velocity is wanted."""
        return self.canvas[0] * self.canvas[1]

    @property
    def image_tokens(self) -> int:
        """Tokens of the canvas, the pose and the references."""
        return sum(rows * columns for rows, columns in (self.canvas, self.pose or (0, 0), *self.references))

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.text + self.image_tokens

    def ids(self) -> np.ndarray:
        """Positions [L 3]."""
        return positions(self.text, self.canvas, self.pose, self.references)


def random_inputs(problem: Problem) -> dict[str, np.ndarray]:
    """Float32 arrays; "x" are the canvas tokens, "images" those of the pose and the references."""
    rng, config = np.random.default_rng(0), problem.config
    shapes = {
        "x": (1, problem.canvas_tokens, config.latent_dim),
        "images": (1, problem.image_tokens - problem.canvas_tokens, config.latent_dim),
        "text": (1, problem.text, config.context_dim),
        "pooled": (1, config.pooled_dim),
        "weights": (1, problem.canvas_tokens, config.latent_dim),  # of the outputs, in the loss
    }
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    # diffusers rounds 1000 t and 1000 guidance to the model's dtype: of these bfloat16 loses nothing. And the angles of
    # the sinusoids, up to as many radians, are small enough that their last bit hardly shows in the cosine.
    return arrays | {"t": np.full(1, 0.5, np.float32), "guidance": np.full(1, 1.0, np.float32)}


def conditions(problem: Problem, inputs: Mapping[str, jax.Array], dtype: Any) -> Conditions:
    """Ours, of arrays of `random_inputs`: every token exists, and no identity offsets."""
    config = problem.config
    ids = jnp.asarray(problem.ids())[None]
    cos, sin = rotary_tables(ids, config.axes_dim, config.theta)
    return Conditions(
        text=inputs["text"].astype(dtype),
        pooled=inputs["pooled"].astype(dtype),
        guidance=inputs["guidance"],
        images=inputs["images"].astype(dtype),
        cos=cos,
        sin=sin,
        mask=jnp.ones(ids.shape[:2], bool),
        offsets=jnp.zeros((config.double_blocks, 1, 0, config.width)),
        place=jnp.zeros((1, 0, problem.text)),
    )


def velocity(config: TransformerConfig, dtype: Any, attention: str) -> Callable[..., jax.Array]:
    """(params, x_t, t, conditions) to the velocity."""
    module = Transformer(config, dtype, attention)
    return lambda params, x_t, t, conditions: module.apply({"params": params}, x_t, t, conditions)


def random_params(config: TransformerConfig, dtype: Any) -> Params:
    """Random weights, made where JAX computes, of the scale that keeps activations' size; the largest leaves first.

    So the memory that making them takes beside them is never more than what computing with them takes.
    """
    tiny = Problem(config, 1, (1, 1))
    inputs = {name: jnp.asarray(array) for name, array in random_inputs(tiny).items()}
    module = Transformer(config)
    shapes = jax.eval_shape(
        lambda: module.init(jax.random.key(0), inputs["x"], inputs["t"], conditions(tiny, inputs, jnp.float32))
    )["params"]

    def draw(key: jax.Array, path: str, shape: tuple[int, ...]) -> jax.Array:
        noise = jax.random.normal(key, shape, dtype)
        if path.endswith("kernel"):
            return noise * shape[-2] ** -0.5
        return 0.3 * noise + (1 if path.endswith("scale") else 0)

    drawn = jax.jit(draw, static_argnums=(1, 2))
    flat = sorted(flatten(shapes).items(), key=lambda item: -item[1].size)
    keys = jax.random.split(jax.random.key(1), len(flat))
    return unflatten({path: drawn(key, path, leaf.shape) for key, (path, leaf) in zip(keys, flat, strict=True)})
