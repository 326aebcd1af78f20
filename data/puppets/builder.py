"""The TFDS data set `puppets`: scenes of one to three drawn people with words, poses, identities and references.

Read it with `tfds.data_source("puppets/full", split="train", data_dir=...)` after importing this module. TensorFlow
is not needed: pictures go in as PNG files and ArrayRecord holds the records. Record i of a split is scene i.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data.puppets.examples import Example, make_example, png

_DESCRIPTION = """Drawn scenes of one to three people, each with an identity of its own and in a pose of its own.

The prompt tells who (a noun each), what they do and where; looks come only from the references (the same person in
another pose on white), exact poses from the keypoints. Identities, poses and combinations of actions of `test` are
not in `train`."""


@dataclasses.dataclass(eq=False)
class PuppetsConfig(tfds.core.BuilderConfig):
    """How many scenes, how wide in pixels, from which seed, drawn by how many processes."""

    train: int = 10_000
    test: int = 500
    size: int = 128
    seed: int = 0
    processes: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)


class Puppets(tfds.core.GeneratorBasedBuilder):
    """Builder of the data set `puppets`."""

    builder_config: PuppetsConfig
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        PuppetsConfig(name="full", description="10,000 scenes to train on, 500 to test."),
        PuppetsConfig(name="small", description="64 and 16 scenes.", train=64, test=16, processes=1),
    ]
    # Nothing is downloaded. TFDS would look for a file of checksums by way of importlib_resources, which it does not
    # install on new Pythons.
    url_infos = None

    def __init__(self, *, file_format: str = "array_record", **kwargs: Any):
        super().__init__(file_format=file_format, **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.size
        picture = tfds.features.Image(shape=(size, size, 3), encoding_format="png")
        subject = {
            "phrase": tfds.features.Text(),
            "kind": tfds.features.Text(),
            "action": tfds.features.Text(),
            "identity": tfds.features.Text(),
            "keypoints": tfds.features.Tensor(shape=(17, 3), dtype=np.float32),
            "reference": picture,
        }
        features = {
            "id": tfds.features.Text(),
            "prompt": tfds.features.Text(),
            "background": tfds.features.Text(),
            "action": tfds.features.Text(),
            "people": np.int32,
            "image": picture,
            "masks": tfds.features.Image(shape=(size, size, 1), encoding_format="png"),
            "subjects": tfds.features.Sequence(subject),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[tuple[int, dict]]]:
        del dl_manager
        config = self.builder_config
        scenes = {"train": config.train, "test": config.test}
        return {split: self._generate_examples(split, count) for split, count in scenes.items()}

    def _generate_examples(self, split: str, scenes: int) -> Iterator[tuple[int, dict[str, Any]]]:
        config = self.builder_config
        jobs = [(config.seed, split, index, config.size) for index in range(scenes)]
        if config.processes <= 1 or scenes < 500:
            yield from enumerate(map(_record, jobs))
            return
        # Spawned, not forked: the parent has threads (TFDS, grpc) by now.
        with multiprocessing.get_context("spawn").Pool(config.processes) as pool:
            yield from enumerate(pool.imap(_record, jobs, chunksize=32))


def _record(job: tuple[int, str, int, int]) -> dict[str, Any]:
    """Draws one example and packs it as the features want it."""
    return as_record(make_example(*job))


def as_record(example: Example) -> dict[str, Any]:
    """An example with its pictures as PNG files."""
    return {
        "id": example.id,
        "prompt": example.prompt,
        "background": example.background,
        "action": example.action,
        "people": len(example.subjects),
        "image": png(example.image),
        "masks": png(example.owners),
        "subjects": [
            {
                "phrase": subject.phrase,
                "kind": subject.kind,
                "action": subject.action,
                "identity": json.dumps(subject.identity.to_dict(), sort_keys=True),
                "keypoints": subject.keypoints,
                "reference": png(subject.reference),
            }
            for subject in example.subjects
        ],
    }
