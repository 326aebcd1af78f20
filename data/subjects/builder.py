"""The TFDS data set `subjects`: somebody's own pictures with their references, prompts, phrases and poses.

Read it with `tfds.data_source("subjects/NAME", split="train", data_dir=...)` after importing this module, or name it in
`config.data.source`. TensorFlow is not needed: pictures go in as JPEG files and ArrayRecord holds the records. Records
have the order of the manifest. The metadata list the sizes of all targets, by which training sorts them into buckets.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.inputs.photos import load_photo
from astra_jax.inputs.stored import SIZES
from astra_jax.pose.skeleton import BODY_POINTS, WHOLE_BODY_POINTS
from data.subjects.manifest import Entry, read_manifest

_DESCRIPTION = """Pictures of subjects and what they are made from.

`people` are COCO's 17 joints (x, y, v) in pixels of `image`; `details` the 116 points of feet, faces and hands, in the
order of COCO-WholeBody, where the manifest has them, else empty. A subject's `phrase` stands in the `prompt`; it is
empty where no words are known."""
SMALLEST = 64  # pixels of a picture's shorter side: less is a thumbnail or a mistake
THINNEST = 8  # long side by short side: no canvas is so thin
QUALITY = 95  # of the JPEG files, with colours at full resolution


@dataclasses.dataclass(eq=False)
class SubjectsConfig(tfds.core.BuilderConfig):
    """A manifest, the folder that its paths are relative to, and how it is read; `name` is the data set's."""

    manifest: str = ""
    folder: str = ""
    max_side: int = 1024  # larger pictures are scaled down to it
    min_score: float = -np.inf  # of UNO-1M's pairs
    max_bad: int = 100  # more bad lines stop
    threads: int = 4


class Subjects(tfds.core.GeneratorBasedBuilder):
    """Builder of the data set `subjects`. `bad` are the messages of the lines that were left out, `sizes` the
    targets' heights and widths."""

    builder_config: SubjectsConfig
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    # Nothing is downloaded; see data/puppets/builder.py.
    url_infos = None

    def __init__(self, *, file_format: str = "array_record", **kwargs: Any):
        self.bad: list[str] = []
        self.sizes = np.zeros((0, 2), np.int64)
        super().__init__(file_format=file_format, **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        picture = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
        details = WHOLE_BODY_POINTS - BODY_POINTS
        features = {
            "id": tfds.features.Text(),
            "prompt": tfds.features.Text(),
            "image": picture,
            "people": tfds.features.Tensor(shape=(None, BODY_POINTS, 3), dtype=np.float32),
            "details": tfds.features.Tensor(shape=(None, details, 3), dtype=np.float32),
            "subjects": tfds.features.Sequence({"phrase": tfds.features.Text(), "reference": picture}),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict({}),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[tuple[int, dict]]]:
        del dl_manager
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Raises `UserError` where more than `max_bad` lines are bad, and where none is good."""
        config = self.builder_config
        lines = read_manifest(Path(config.manifest), Path(config.folder), config.min_score)
        sizes: list[tuple[int, int]] = []
        self.bad = []
        with ThreadPool(config.threads) as pool:  # decoding and scaling let other threads run
            for made in pool.imap(lambda line: _made(line, config.max_side), _bounded(lines, config, self.bad)):
                if isinstance(made, UserError):
                    _note(made, config, self.bad)
                    continue
                record, size = made
                yield len(sizes), record
                sizes.append(size)
        if not sizes:
            first = f"; the first: {self.bad[0]}" if self.bad else ""
            raise UserError(f"{config.manifest} has no example that can be used ({len(self.bad)} bad lines{first})")
        metadata = self.info.metadata
        assert isinstance(metadata, dict)  # _info made it
        metadata[SIZES] = {"train": sizes}
        self.sizes = np.asarray(sizes)


def _bounded(lines: Iterator[Entry | UserError], config: SubjectsConfig, bad: list[str]) -> Iterator[Entry | UserError]:
    """The lines, until too many are bad; the pool reads ahead, and need not read on then."""
    for line in lines:
        if len(bad) > config.max_bad:
            return
        yield line


def _note(error: UserError, config: SubjectsConfig, bad: list[str]) -> None:
    bad.append(str(error))
    if len(bad) > config.max_bad:
        raise UserError(
            f"{config.manifest}: more than {config.max_bad} bad lines, the last: {error}: put them right, or allow"
            " more with --max_bad"
        )


def _made(line: Entry | UserError, max_side: int) -> tuple[dict[str, Any], tuple[int, int]] | UserError:
    """A line's record and its target's size; the error that names the line where a picture cannot be used."""
    if isinstance(line, UserError):
        return line
    try:
        return as_record(line, max_side)
    except UserError as error:
        return UserError(f"{line.name}: {error}")


def as_record(entry: Entry, max_side: int) -> tuple[dict[str, Any], tuple[int, int]]:
    """An entry with its pictures as JPEG files of at most `max_side` pixels a side, joints moved along; the target's
    size. Raises `UserError` for pictures that are missing, damaged, too small or too thin.
    """
    target, scale = _picture(entry.target, max_side)
    people = np.zeros((0, BODY_POINTS, 3), np.float32) if entry.people is None else entry.people.copy()
    people[..., :2] *= np.asarray(scale, np.float32)
    record = {
        "id": entry.name,
        "prompt": entry.prompt,
        "image": _jpeg(target),
        "people": people[:, :BODY_POINTS],
        "details": people[:, BODY_POINTS:] if people.shape[1] == WHOLE_BODY_POINTS else _NO_DETAILS,
        "subjects": [
            {"phrase": phrase, "reference": _jpeg(_picture(path, max_side)[0])}
            for phrase, path in zip(entry.phrases, entry.references, strict=True)
        ],
    }
    return record, (target.shape[0], target.shape[1])


_NO_DETAILS = np.zeros((0, WHOLE_BODY_POINTS - BODY_POINTS, 3), np.float32)


def _picture(path: Path, max_side: int) -> tuple[UInt8[np.ndarray, "H W 3"], tuple[float, float]]:
    """A picture scaled down to `max_side` where it is larger, and by how much along x and y."""
    photo = load_photo(path)
    height, width = photo.shape[:2]
    if min(height, width) < SMALLEST or max(height, width) > THINNEST * min(height, width):
        raise UserError(
            f"{path}: a picture of {width} x {height} pixels is too small or too thin: {SMALLEST} pixels and a ratio"
            f" of {THINNEST} are the limits"
        )
    if max(height, width) <= max_side:
        return photo, (1.0, 1.0)
    scale = max_side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))
    return scaled, (size[0] / width, size[1] / height)


def _jpeg(picture: UInt8[np.ndarray, "H W 3"]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY, subsampling=0)
    return file.getvalue()
