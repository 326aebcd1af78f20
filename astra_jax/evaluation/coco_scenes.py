"""The scenes of COCO-ComplexPose: what a frozen list of ids names, read from COCO's annotation files."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from jaxtyping import Float
from numpy import ndarray

from astra_jax.errors import UserError
from astra_jax.evaluation.real_people import true_people
from astra_jax.inputs.placement import find_phrases
from astra_jax.pose.average_precision import TruePeople
from astra_jax.pose.coco import read_captions, read_keypoints
from astra_jax.pose.database import PoseEntry
from astra_jax.pose.mentions import mentions, tokenise
from astra_jax.pose.pictures import labelled
from astra_jax.pose.sources import read_ids

SOURCE = "annotations_trainval2017.zip of cocodataset.org has person_keypoints_val2017.json and captions_val2017.json"
_NUMBER = re.compile(r"[0-9]{1,12}")
_FILE = re.compile(r"(?<!\d)(\d{12})(?!\d)")  # COCO's names of files: 000000000785.jpg


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """A picture of COCO as somebody would ask for it; coordinates in pixels of the photo."""

    image: str
    prompt: str
    phrases: tuple[str, ...]  # of people with words of their own in the prompt; at most as many as there are people
    truth: TruePeople
    size: tuple[int, int]  # height, width

    @property
    def people(self) -> Float[ndarray, "P 17 3"]:
        """Everybody's joints."""
        return self.truth.people


def read_scenes(listed: Path, keypoints: Path, captions: Path) -> list[Scene]:
    """The scenes of a frozen list, in its order.

    Args:
      listed: the folder with images.txt and captions.txt (`python -m data.coco_complex_pose`).
      keypoints: COCO's person_keypoints_val2017.json, or an npz (`pose.coco`); crowds and people without a labelled
        joint are left out.
      captions: COCO's captions_val2017.json.

    Raises `UserError` for files that are missing, damaged or of other pictures, naming the source.
    """
    for path in (keypoints, captions):
        if not path.is_file():
            raise UserError(f"{path} is not there: {SOURCE}")
    images, numbers = _numbers(listed / "images.txt"), _numbers(listed / "captions.txt")
    if len(images) != len(numbers):
        raise UserError(f"{listed} is damaged: its lists have {len(images)} images and {len(numbers)} captions")
    pictures = {picture.id: labelled(picture) for picture in read_keypoints(keypoints)}
    said = read_captions(captions)
    scenes = []
    for image, number in zip(images, numbers, strict=True):
        picture, (of, text) = pictures.get(image), said.get(int(number), ("", ""))
        if picture is None or not len(picture.people):
            raise UserError(f"{keypoints} has nobody in picture {image}: give the annotations of val2017; {SOURCE}")
        if of != image:
            raise UserError(f"{captions} has no caption {number} of picture {image}: give those of val2017; {SOURCE}")
        phrases = subject_phrases(text)[: len(picture.people)]
        scenes.append(Scene(image, text, phrases, true_people(picture), (picture.height, picture.width)))
    return scenes


def subject_phrases(prompt: str) -> tuple[str, ...]:
    """The noun phrases of the people whom a prompt names one by one, in its words ("a man", "a small boy").

    Phrases that `find_phrases` cannot place beside those before them are left out.
    """
    tokens, phrases = tokenise(prompt), []
    for mention in mentions(tokens):
        if mention.count != 1 or mention.plural:
            continue
        phrase = " ".join(tokens[mention.start : mention.end])
        try:
            find_phrases(prompt, [*phrases, phrase])
        except UserError:  # a possessive or a comma stands between the words
            continue
        phrases.append(phrase)
    return tuple(phrases)


def check_held_out(entries: Iterable[PoseEntry], images: Collection[str]) -> None:
    """Raises `UserError` where an entry of a bank is one of these pictures of COCO, by its id or its provenance."""
    held_out = {int(image) for image in images}
    inside = [number for entry in entries for number in _coco_images(entry) if number in held_out]
    if inside:
        raise UserError(
            f"the pose bank holds {len(set(inside))} pictures of the benchmark itself, such as {inside[0]}: build it"
            " without them (python -m astra_jax.pose build --exclude data/coco_complex_pose/images.txt)"
        )


def _coco_images(entry: PoseEntry) -> set[int]:
    """What `curate` writes: an id that ends in the picture's, which the source names, too; or a file's name."""
    numbers = {int(name) for name in _FILE.findall(f"{entry.id} {entry.source}")}
    last = entry.id.rpartition("-")[2]
    if last.isdecimal() and last in entry.source.split():
        numbers.add(int(last))
    return numbers


def _numbers(path: Path) -> list[str]:
    """A file of numbers, one a line, in its order."""
    unordered = read_ids(path)
    lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    if len(lines) != len(unordered) or not all(_NUMBER.fullmatch(line) for line in lines):
        raise UserError(f"{path} is damaged: it must be numbers, one a line, each once")
    return lines
