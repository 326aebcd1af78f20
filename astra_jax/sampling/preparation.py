"""From a request to the arrays of one picture: files are read, the pose is found, everything is drawn."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
from jaxtyping import Float, UInt8

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.inputs.example import Example, Subject
from astra_jax.inputs.photos import cover, load_photo, square
from astra_jax.inputs.requests import GivenPose, Request, named
from astra_jax.inputs.tokenizer import TextTokenizer
from astra_jax.inputs.transforms import DROP_ALL, arrays, prepare
from astra_jax.pose.pose_files import SUFFIXES, letterbox, load_people
from astra_jax.pose.retrieval import Retrieved, Retriever
from astra_jax.pose.skeleton import BODY_POINTS, WHOLE_BODY_POINTS, check_people
from astra_jax.sampling.settings import Settings
from astra_jax.sampling.shapes import Shape, people_asked_for


@dataclasses.dataclass(frozen=True, eq=False)
class Ready:
    """A request with its files read, its pose found and everything drawn: all that can go wrong has gone right."""

    request: Request
    settings: Settings
    fields: dict[str, np.ndarray]  # of `Inputs`, of its shape
    photos: tuple[UInt8[np.ndarray, "_ _ 3"], ...]  # small, for the contact sheet
    skeleton: UInt8[np.ndarray, "_ _ 3"] | None  # as large as the canvas
    start: UInt8[np.ndarray, "H W 3"] | None  # the picture to start from, on the canvas
    retrieved: Retrieved | None
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class _Pose:
    """Where a request's pose comes from: people to draw, a finished skeleton picture, or neither."""

    people: Float[np.ndarray, "P J 3"] | None = None  # in pixels of the canvas
    picture: UInt8[np.ndarray, "H W 3"] | None = None
    retrieved: Retrieved | None = None
    note: str = ""  # what the user should know


@dataclasses.dataclass(frozen=True)
class Preparer:
    """Prepares requests for one model; `has_dsm` says whether an identity adapter is loaded."""

    config: Config
    tokenizer: TextTokenizer
    retriever: Retriever | None
    has_dsm: bool

    def __call__(self, request: Request, settings: Settings, shape: Shape) -> Ready:
        """Reads a request's files and finds its pose; `shape` is one that holds the request (`shapes.shape_of`).

        Raises `UserError`, naming the request, for anything wrong with it.
        """
        with named(request):
            return self._prepare(request, settings, shape)

    def _prepare(self, request: Request, settings: Settings, shape: Shape) -> Ready:
        size = settings.size
        photos = tuple(load_photo(subject.image) for subject in request.subjects)
        start = None if request.image is None else cover(load_photo(request.image), size)
        pose = self._pose(request, size)
        subjects = tuple(Subject(s.phrase, photo) for s, photo in zip(request.subjects, photos, strict=True))
        prepared = prepare(Example(request.prompt, subjects, pose.people, size), self.config, size)
        if pose.picture is not None:
            prepared = dataclasses.replace(prepared, pose=pose.picture, has_pose=True)
        fields, truncated = arrays(
            prepared, self.config, self.tokenizer, settings.guidance, slots=shape.subjects, pose=shape.pose
        )
        notes = [pose.note] if pose.note else []
        if truncated:
            notes.append(f"the prompt is longer than {self.config.model.text_length} tokens; its end is not read")
        if request.subjects and not self.has_dsm:
            notes.append("no identity adapter is loaded: identity goes through the reference tokens alone")
        skeleton = prepared.pose if prepared.has_pose else None
        small = tuple(square(photo, min(size)) for photo in photos)
        return Ready(request, settings, fields, small, skeleton, start, pose.retrieved, tuple(notes))

    def _pose(self, request: Request, size: tuple[int, int]) -> _Pose:
        if isinstance(request.pose, GivenPose):
            return _given(request.pose, size)
        if request.pose == "none":
            return _Pose()
        if request.pose != "auto":
            path = pathlib.Path(request.pose)
            if path.suffix.lower() in SUFFIXES:
                return _Pose(people=load_people(path, size))
            return _Pose(picture=letterbox(load_photo(path), size))
        count = people_asked_for(request)
        if count is None:
            return _Pose(note="no pose: the prompt does not say how many people; say it, or set 'people'")
        if count == 0:
            return _Pose(
                note="no pose: neither prompt nor subjects name people in English words; set 'people' if there are some"
            )
        if self.retriever is None:
            raise UserError(
                "pose 'auto' needs a pose bank: give one (--pose_bank, in Python pose_bank=), or set the pose to 'none'"
            )
        found = self.retriever.retrieve([request.prompt], [count], size)[0]
        return _Pose(people=found[0].people, retrieved=found[0])


def without_conditions(config: Config, tokenizer: TextTokenizer, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Fields of what any picture of `size` (height, width) becomes in training when it loses all its conditions."""
    nothing = prepare(Example("", (), None, size), config, size)
    return arrays(nothing, config, tokenizer, 0.0, DROP_ALL, slots=0, pose=False)[0]


def _given(pose: GivenPose, size: tuple[int, int]) -> _Pose:
    if pose.picture is not None:
        return _Pose(picture=letterbox(load_photo(pose.picture), size))
    if pose.people is None or len(pose.people) == 0:
        return _Pose()
    return _Pose(people=check_people(pose.people, "the pose", (BODY_POINTS, WHOLE_BODY_POINTS)))
