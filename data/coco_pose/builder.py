"""The TFDS data set `coco_pose`: the entries of a pose bank, record by record, without its vectors and indexes.

Read it with `tfds.data_source("coco_pose/NAME", split="train", data_dir=...)` after importing this module. TensorFlow
is not needed: ArrayRecord holds the records. Record i is entry i of the bank.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from astra_jax.pose.bank_files import load_entries
from astra_jax.pose.database import PoseEntry
from astra_jax.pose.skeleton import BODY_POINTS, WHOLE_BODY_POINTS

_DESCRIPTION = """Curated scenes of one to four people: who stands where with which joints, and what is said of it.

`people` are COCO's 17 joints (x, y, v) in pixels of a picture of `height` x `width`, from left to right; `details` the
116 points of feet, faces and hands, in the order of COCO-WholeBody, where the bank has them, else empty. The pictures
are not there: `source` tells where to find them and `licence` what holds for them."""


@dataclasses.dataclass(eq=False)
class CocoPoseConfig(tfds.core.BuilderConfig):
    """The folder of a bank; the config's name is that of the data set made from it."""

    bank: str = ""


class CocoPose(tfds.core.GeneratorBasedBuilder):
    """Builder of the data set `coco_pose`."""

    builder_config: CocoPoseConfig
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    # Nothing is downloaded; see data/puppets/builder.py.
    url_infos = None

    def __init__(self, *, file_format: str = "array_record", **kwargs: Any):
        super().__init__(file_format=file_format, **kwargs)

    @functools.cached_property
    def entries(self) -> tuple[PoseEntry, ...]:
        """The bank's; raises `UserError` for a folder that is no bank, or a damaged one."""
        return load_entries(Path(self.builder_config.bank))

    def _info(self) -> tfds.core.DatasetInfo:
        details = WHOLE_BODY_POINTS - BODY_POINTS
        features = {
            "id": tfds.features.Text(),
            "height": np.int32,
            "width": np.int32,
            "people": tfds.features.Tensor(shape=(None, BODY_POINTS, 3), dtype=np.float32),
            "details": tfds.features.Tensor(shape=(None, details, 3), dtype=np.float32),
            "captions": tfds.features.Sequence(tfds.features.Text()),
            "action": tfds.features.Text(),
            "quality": np.float32,
            "complexity": np.float32,
            "source": tfds.features.Text(),
            "licence": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[tuple[int, dict]]]:
        del dl_manager
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        return enumerate(map(as_record, self.entries))


def as_record(entry: PoseEntry) -> dict[str, Any]:
    """An entry with bodies and details apart, so that those without details take no room for them."""
    return {
        "id": entry.id,
        "height": entry.height,
        "width": entry.width,
        "people": entry.people[:, :BODY_POINTS],
        "details": entry.people[:, BODY_POINTS:] if entry.people.shape[1] == WHOLE_BODY_POINTS else _NO_DETAILS,
        "captions": list(entry.captions),
        "action": entry.action,
        "quality": entry.quality,
        "complexity": entry.complexity,
        "source": entry.source,
        "licence": entry.licence,
    }


_NO_DETAILS = np.zeros((0, WHOLE_BODY_POINTS - BODY_POINTS, 3), np.float32)
