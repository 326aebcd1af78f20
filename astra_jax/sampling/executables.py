"""Programs that are traced once: their lowered form is kept on disk, so that a second start only loads it.

jax's own persistent cache keeps what the compiler makes of a lowered program. What is kept here, beside it, is the
lowered program (`jax.export`), which spares the tracing of the model in Python. A file is named by all that it depends
on: this package's sources, jax, the device, flags, and the shapes of all arguments. The folder is the user's own cache;
a file that is not whole is made again.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
from absl import logging
from jax import export

import astra_jax
from astra_jax.models.astra import Astra
from astra_jax.models.sharding import compiler_splits
from astra_jax.params import Params, flatten, unflatten
from astra_jax.whole_files import write_whole

_DIGEST_BYTES = 32


class Executables:
    """Compiled programs by name and shape. `folder` keeps their lowered forms; None: nothing is kept.

    `count` is how many different programs there were, `loaded` how many of them came from the folder.
    """

    def __init__(self, folder: pathlib.Path | None):
        self.folder = folder
        self._programs: dict[Hashable, Callable[..., Any]] = {}
        self.loaded = 0

    @property
    def count(self) -> int:
        """How many different programs were asked for."""
        return len(self._programs)

    def call(self, function: Callable[..., Any], kind: Hashable, *arguments: Any, keep: bool = True) -> Any:
        """`function(kind, *arguments)` as a compiled program.

        `kind` is hashable and its `repr` tells all of it; arguments are trees of arrays; what comes back is made of
        arrays, tuples, lists and dicts alone. With `keep` False, as for a program that calls back into Python, nothing
        is kept on disk.
        """
        leaves, tree = jax.tree.flatten(arguments)
        shapes = tuple((jnp.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves)
        signature = (function.__name__, kind, tree, shapes)
        if signature not in self._programs:

            def flat(*leaves: Any) -> Any:
                return function(kind, *jax.tree.unflatten(tree, leaves))

            kept = keep and self.folder is not None and not compiler_splits()
            self._programs[signature] = self._kept(jax.jit(flat), signature, leaves) if kept else jax.jit(flat)
        return self._programs[signature](*leaves)

    def _kept(self, jitted: Any, signature: Hashable, leaves: list[Any]) -> Callable[..., Any]:
        assert self.folder is not None
        path = self.folder / f"{_name(signature)}.jax"
        blob = _read(path)
        if blob is None:
            blob = bytes(export.export(jitted)(*leaves).serialize())
            _write(path, blob)
        else:
            self.loaded += 1
        return jax.jit(export.deserialize(bytearray(blob)).call)


def parameter_shapes(model: Astra, folder: pathlib.Path | None) -> Params:
    """The shapes of all parts of a model, as float32 `jax.ShapeDtypeStruct`; `folder` as in `Executables`.

    They come from tracing `Astra.init`, which takes longer than reading the weights of a small model.
    """
    if folder is None:
        return jax.eval_shape(model.init, jax.random.key(0))
    path = folder / f"{_name(model)}.json"
    blob = _read(path)
    if blob is None:
        shapes = {name: leaf.shape for name, leaf in flatten(jax.eval_shape(model.init, jax.random.key(0))).items()}
        _write(path, json.dumps(shapes).encode())
    else:
        shapes = json.loads(blob)
    return unflatten({name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()})


def _name(signature: Hashable) -> str:
    """Of a file, by all that its content depends on."""
    return hashlib.sha256(f"{_circumstances()} {signature!r}".encode()).hexdigest()


@functools.cache
def _circumstances() -> str:
    """All that a lowered program depends on beside its signature."""
    sources = hashlib.sha256()
    root = pathlib.Path(astra_jax.__file__).parent
    for folder in ("models", "flow", "sampling"):
        for path in sorted((root / folder).glob("*.py")):
            sources.update(path.read_bytes())
    device = jax.devices()[0]
    versions = jax.__version__, jaxlib.__version__, device.client.platform_version, device.device_kind
    flags = os.environ.get("XLA_FLAGS", ""), sorted(jax.config.values.items(), key=str)
    return repr((sources.hexdigest(), versions, flags))


def _read(path: pathlib.Path) -> bytes | None:
    try:
        whole = path.read_bytes()
    except OSError:  # most of all, that there is none
        return None
    digest, blob = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    return blob if hashlib.sha256(blob).digest() == digest else None


def _write(path: pathlib.Path, blob: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, hashlib.sha256(blob).digest() + blob)
    except OSError as error:  # a start without a cache is slow, not wrong
        logging.log_first_n(
            logging.WARNING, "%s: programs are not kept for the next start: %s", 1, path.parent, error.strerror
        )
