"""A model in its published layout, a folder of folders ("transformer", "vae", ...), straight onto a device."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterable, Mapping

import jax
from tqdm import tqdm

from astra_jax.config import ModelConfig
from astra_jax.errors import UserError
from astra_jax.params import Params
from astra_jax.weights.adapters import load_adapter
from astra_jax.weights.importing import check_published, load_published, total_bytes
from astra_jax.weights.pretrained import fingerprint_files
from astra_jax.weights.published import FOLDERS, IMAGE_ENCODERS, find_table
from astra_jax.weights.sources import PathLike, find_source
from astra_jax.weights.tensors import Tensors

ALWAYS = ("transformer", "autoencoder", "clip_text", "t5")  # the parts without which nothing can be drawn


def parts_of(config: ModelConfig, adapters: Mapping[str, PathLike]) -> tuple[str, ...]:
    """The parts that are read of a folder: the image encoder serves the adapter "dsm" alone."""
    return (*ALWAYS, config.image_encoder_part) if "dsm" in adapters else ALWAYS


def check_folder(
    folder: PathLike, config: ModelConfig, adapters: Mapping[str, PathLike], others: Iterable[str] = ()
) -> None:
    """Raises `UserError`, naming them all, unless `folder` has the subfolders of its parts and `others`."""
    folder, encoder = pathlib.Path(folder), config.image_encoder_part
    wanted = [*(FOLDERS[part] for part in parts_of(config, adapters)), *others]
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the one with FLUX.1's published {', '.join(wanted)}")
    if missing := [name for name in wanted if not (folder / name).is_dir()]:
        hint = "copy or download the rest of it"
        if missing == [FOLDERS[encoder]]:
            whose = IMAGE_ENCODERS[encoder]
            hint = f"the identity adapter reads photos through {whose}'s image encoder: put its published folder there"
        raise UserError(f"{folder} lacks {', '.join(missing)}: {hint}")


def load_folder(
    folder: PathLike,
    config: ModelConfig,
    abstract: Params,
    adapters: Mapping[str, PathLike],
) -> tuple[Params, str]:
    """Parameters of a published folder with adapters from files of their own, and a hash that tells them apart.

    An adapter without a file has no part in the result, which the model takes as one that changes nothing. The
    folder's parts are held to the model by their headers before the first tensor is read.

    Args:
        folder: one that `check_folder` lets pass.
        config: of the model.
        abstract: part -> its tree of `jax.ShapeDtypeStruct` with the dtype and the sharding that parameters get.
        adapters: part -> file, folder or hub id, as `adapters.load_adapter` reads them.

    Raises `UserError` as `find_source`, `check_published`, `load_published` and `load_adapter` do.
    """
    parts = parts_of(config, adapters)

    def placed(tree: Params) -> Params:
        return jax.tree.map(lambda leaf: leaf.sharding, tree)

    dtype = jax.tree.leaves(abstract)[0].dtype
    params: Params = {}
    with contextlib.ExitStack() as stack:
        sources = [find_source(folder, FOLDERS[part]) for part in parts]
        opened = {part: stack.enter_context(Tensors(source)) for part, source in zip(parts, sources, strict=True)}
        tables = {part: find_table(part, config, tensors) for part, tensors in opened.items()}
        for part, table in tables.items():
            check_published(opened[part], table.naming, abstract[part], table.unread)
        for part, source in adapters.items():
            sources.append(find_source(source))
            tree = abstract.get(part, {})
            params[part] = load_adapter(source, part, config, tree, dtype, placed(tree))
        size = sum(total_bytes(opened[part], table.naming) for part, table in tables.items())
        with tqdm(total=size, desc="weights", unit="B", unit_scale=True, disable=None) as bar:
            for part, table in tables.items():
                where = placed(abstract[part])
                params[part] = load_published(
                    opened[part], table.naming, abstract[part], dtype, where, bar.update, table.unread
                )
    return params, fingerprint_files(file for source in sources for file in source.files)
