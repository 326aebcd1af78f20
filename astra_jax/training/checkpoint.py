"""Checkpoints: the trained part, the position in the data and the config, saved and restored together (Orbax)."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import orbax.checkpoint as ocp

from astra_jax.config import Config, from_config_dict, to_dict
from astra_jax.errors import UserError
from astra_jax.training.state import TrainState

# A resumed run may change these without becoming another run; every other key must be what it was.
_FREE = (
    "data.dir",
    "data.threads",
    "data.tokenizer",
    "mesh",
    "sample",
    "train.checkpoint_every",
    "train.export_dtype",
    "train.initialize_from",  # compared by content
    "train.keep",
    "train.log_every",
    "train.max_skipped",
    "train.sample_every",
    "train.steps",
)


def differing_keys(stored: Config, current: Config) -> list[str]:
    """Lines "key: stored -> current" for the settings that make `current` another run than `stored`.

    A run may be made longer, except under a cosine schedule, whose learning rates depend on the length. Sizes of an
    image encoder that the run does not have may be anything.
    """
    idle = {"model.clip_vision", "model.siglip_vision"} - {f"model.{current.model.image_encoder_part}"}
    free = tuple(key for key in _FREE if key != "train.steps" or current.train.optimizer.schedule != "cosine")
    free += tuple(idle)
    before, after = _flat(to_dict(stored)), _flat(to_dict(current))
    return [
        f"{key}: {before[key]!r} -> {after[key]!r}"
        for key in after
        if before[key] != after[key] and not any(key == name or key.startswith(name + ".") for name in free)
    ]


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


class Checkpoints:
    """The checkpoints of one workdir; writing happens in the background. Half-written ones are ignored.

    Args:
        workdir: of the run; checkpoints are workdir/checkpoints/<step>.
        config: of this run.
        sources: fingerprints of the pretrained weights that the run starts from; the frozen part is theirs.
        read_only: never write or delete.

    Raises `UserError` when the newest checkpoint was written by another config or with other pretrained weights.
    """

    def __init__(
        self, workdir: str | os.PathLike[str], config: Config, sources: list[str], read_only: bool = False
    ) -> None:
        self.directory = pathlib.Path(workdir).absolute() / "checkpoints"
        self._metadata = {"config": to_dict(config), "sources": list(sources)}
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=config.train.keep,
                create=not read_only,
                read_only=read_only,
                cleanup_tmp_directories=not read_only,
            ),
            item_names=("state", "data", "metadata"),
        )
        if (step := self.latest_step()) is not None:
            self._refuse_others(step, config, list(sources))

    def _refuse_others(self, step: int, config: Config, sources: list[str]) -> None:
        args = ocp.args.Composite(metadata=ocp.args.JsonRestore())
        metadata = self._manager.restore(step, args=args)["metadata"]
        stored = from_config_dict(metadata["config"], path=f"config of the checkpoint {self.directory / str(step)}")
        if differing := differing_keys(stored, config):
            raise UserError(
                f"{self.directory} holds checkpoints of another config ({'; '.join(differing)}): "
                "use another --workdir or the settings of the checkpoint"
            )
        if metadata["sources"] != sources:
            raise UserError(
                f"the weights in train.initialize_from are not those that the run in {self.directory} started from: "
                "put them back or use another --workdir"
            )

    def latest_step(self) -> int | None:
        """The newest complete checkpoint's step, None if there is none."""
        return self._manager.latest_step()

    def save(self, step: int, state: TrainState, data: Any) -> None:
        """Starts writing `state` and the data iterator's JSON-serialisable position `data`; returns after the copy."""
        if step == self.latest_step():
            return
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                data=ocp.args.JsonSave({"iterator": data}),
                metadata=ocp.args.JsonSave(self._metadata),
            ),
        )

    def restore(self, abstract: TrainState) -> tuple[TrainState, Any]:
        """The newest checkpoint with the shapes and shardings of `abstract`, and the data position.

        The devices may differ from those that wrote it. Raises ValueError without a checkpoint, and Orbax's errors.
        """
        step = self.latest_step()
        if step is None:
            raise ValueError(f"{self.directory} holds no checkpoint")
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract), data=ocp.args.JsonRestore()),
        )
        return restored["state"], restored["data"]["iterator"]

    def wait(self) -> None:
        """Returns when what was saved is on disk; raises the errors of the background writes."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits for the background writes; raises their errors."""
        self._manager.wait_until_finished()
        self._manager.close()


def stored_config(workdir: str | os.PathLike[str]) -> Config:
    """The config that the newest checkpoint of `workdir` was written by; raises `UserError` if there is none."""
    directory = pathlib.Path(workdir).absolute() / "checkpoints"
    if not directory.is_dir():
        raise UserError(f"{workdir} holds no checkpoints: give the --workdir of a training run")
    options = ocp.CheckpointManagerOptions(read_only=True, create=False)
    with ocp.CheckpointManager(directory, options=options, item_names=("metadata",)) as manager:
        step = manager.latest_step()
        if step is None:
            raise UserError(f"{directory} holds no complete checkpoint: wait for the run's first one")
        metadata = manager.restore(step, args=ocp.args.Composite(metadata=ocp.args.JsonRestore()))["metadata"]
    return from_config_dict(metadata["config"], path=f"config of the checkpoint {directory / str(step)}")
