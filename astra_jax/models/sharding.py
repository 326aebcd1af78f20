"""Where activations lie on the device mesh, told by the meaning of their axes; without a mesh nothing happens.

The mesh is JAX's own ambient one (`jax.set_mesh`), with the axes of `AXES` as far as it has them. Models name what an
axis of an array is; this table alone knows the mesh.
"""

from __future__ import annotations

import math

import jax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Shaped

AXES: dict[str, tuple[str, ...]] = {
    "batch": ("data", "fsdp"),
    "tokens": ("context",),
    "heads": ("tensor",),
    "channels": ("tensor",),
}


def parts(axis: str) -> int:
    """Into how many parts the mesh splits arrays along a "batch", "tokens", "heads" or "channels" axis."""
    shape = jax.sharding.get_abstract_mesh().shape
    return math.prod(shape.get(name, 1) for name in AXES[axis])


def compiler_splits() -> bool:
    """Whether there is more than one device and it is left to the compiler what each of them does."""
    mesh = jax.sharding.get_abstract_mesh()
    return any(mesh.shape[name] > 1 for name in mesh.axis_names if name not in mesh.manual_axes)


def platform() -> str:
    """What the mesh's devices are, or else JAX's default ones: "cpu", "tpu", "nvidia", or "gpu" for others."""
    mesh = jax.sharding.get_abstract_mesh()
    device = mesh.abstract_device if not mesh.empty and mesh.abstract_device else jax.devices()[0]
    return "nvidia" if device.platform == "gpu" and "nvidia" in device.device_kind.lower() else str(device.platform)


def spec(shape: tuple[int, ...], *axes: str | None) -> PartitionSpec:
    """The partition spec of an array whose axes are `axes`; one whose length the mesh does not divide stays whole."""
    present = jax.sharding.get_abstract_mesh().axis_names
    entries: list[tuple[str, ...] | None] = []
    for length, axis in zip(shape, axes, strict=True):
        names = tuple(name for name in AXES[axis] if name in present) if axis else ()
        entries.append(names if names and length % parts(axis or "") == 0 else None)
    return PartitionSpec(*entries)


def constrain(x: Shaped[Array, "..."], *axes: str | None) -> Shaped[Array, "..."]:
    """Holds x to the layout that its axes ask for; None stands for an axis that stays whole.

    Nothing happens on one device, inside `jax.shard_map`, and to an array that the mesh cannot split as asked at all.
    """
    if not compiler_splits():
        return x
    wanted = spec(x.shape, *axes)
    return jax.lax.with_sharding_constraint(x, wanted) if any(wanted) else x


def block_border(x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
    """Holds what passes from block to block: batch over data and fsdp, tokens over context, channels whole."""
    return constrain(x, "batch", "tokens", None)
