"""AstraPipeline: prompts and photos in, pictures out.

pipe = AstraPipeline.from_pretrained("pretrained/puppets", pose_bank="data/pose_library/bank")
for result in pipe([Request("a man waving, on the beach", subjects=(SubjectRequest("a man", path),))]):
    result.picture
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, UInt8

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.flow.guidance import classifier_free
from astra_jax.flow.sampler import euler, initial_noise
from astra_jax.flow.schedule import schedule, shift_of
from astra_jax.inputs.example import Example, Subject
from astra_jax.inputs.photos import load_photo, square
from astra_jax.inputs.published_tokenizer import CLIP_FOLDER, T5_FOLDER, load_published_tokenizer
from astra_jax.inputs.requests import Request
from astra_jax.inputs.tokenizer import TextTokenizer, load_tokenizer
from astra_jax.inputs.transforms import DROP_ALL, arrays, check_sizes, prepare, stack
from astra_jax.models.astra import PATCH, Astra, Inputs, unpatchify
from astra_jax.params import Params
from astra_jax.pose.database import PoseBank
from astra_jax.pose.embedders import BUILT_IN, open_embedder
from astra_jax.pose.people_words import count_people, is_person
from astra_jax.pose.pose_files import SUFFIXES, letterbox, load_people
from astra_jax.pose.retrieval import Retrieved, Retriever
from astra_jax.weights.adapters import refuse_adapters
from astra_jax.weights.pretrained import check_tree, find_pretrained, fingerprint, load_pretrained
from astra_jax.weights.published_folder import check_folder, load_folder

BATCH_SIZE = 4  # pictures drawn together


@dataclasses.dataclass(frozen=True, eq=False)
class Ready:
    """A request with its files read, its pose found and everything drawn: all that can go wrong has gone right."""

    request: Request
    fields: dict[str, np.ndarray]
    photos: tuple[UInt8[np.ndarray, "_ _ 3"], ...]  # small, for the contact sheet
    skeleton: UInt8[np.ndarray, "_ _ 3"] | None  # as large as the canvas
    retrieved: Retrieved | None
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Pose:
    """Where a request's pose comes from: people to draw, a finished skeleton picture, or neither."""

    people: Float[np.ndarray, "P J 3"] | None = None  # in pixels of the canvas
    picture: UInt8[np.ndarray, "H W 3"] | None = None
    retrieved: Retrieved | None = None
    note: str = ""  # what the user should know


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """One picture and where it comes from. `index` counts the pictures of one request."""

    picture: UInt8[np.ndarray, "H W 3"]
    ready: Ready
    index: int


def people_asked_for(request: Request) -> int | None:
    """How many people a retrieved pose must have: what the request says, else the prompt or the subjects' phrases.

    None: there are people ("a crowd"), but nobody says how many.

    A subject that is no person (a backpack) takes no skeleton; where prompt and subjects disagree, the larger number
    counts, for a prompt may name people who have no photo.
    """
    if request.people is not None:
        return request.people
    counted, subjects = count_people(request.prompt), sum(is_person(subject.phrase) for subject in request.subjects)
    return subjects or None if counted is None else max(counted, subjects)


class AstraPipeline:
    """A model with its tokenizer and its pose bank; calls are pure functions of the requests."""

    def __init__(
        self, config: Config, params: Params, tokenizer: TextTokenizer, bank: PoseBank | None = None, weights: str = ""
    ):
        self.config, self.model = config, Astra(config.model)
        self.params = jax.tree.map(jnp.asarray, params)
        self.tokenizer, self.bank, self.weights = tokenizer, bank, weights
        self._retriever = None if bank is None else Retriever(bank)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | os.PathLike[str],
        pose_bank: str | os.PathLike[str] | None = None,
        pose_embedder: str | os.PathLike[str] = BUILT_IN,
    ) -> AstraPipeline:
        """Loads a folder of pretrained weights (or a training run's workdir) and, if named, a pose bank.

        `pose_embedder` is the folder of the text encoder the bank was built with; "tfidf": the bank holds its own.
        Raises `UserError` for folders that are missing, damaged, of another model or of adapters alone.
        """
        found = find_pretrained(pathlib.Path(folder))
        bank = _load_bank(pose_bank, pose_embedder)
        refuse_adapters(found)
        config, params = load_pretrained(found)
        model = Astra(config.model)
        check_tree(params, jax.eval_shape(model.init, jax.random.key(0)), found)
        return cls(config, params, load_tokenizer(found, config.model), bank, fingerprint(found))

    @classmethod
    def from_published(
        cls,
        config: Config,
        folder: str | os.PathLike[str],
        pose_bank: str | os.PathLike[str] | None = None,
        adapters: Mapping[str, str | os.PathLike[str]] = MappingProxyType({}),
        pose_embedder: str | os.PathLike[str] = BUILT_IN,
    ) -> AstraPipeline:
        """Loads a model in its published layout, as FLUX.1-dev's, in `config.model.dtype` onto jax's first device.

        Args:
            config: its `model` must have the sizes of the weights.
            folder: with `transformer`, `vae`, `text_encoder`, `text_encoder_2`, `tokenizer` and `tokenizer_2`, and for
                the adapter "dsm" also `image_encoder` (CLIP's or SigLIP's, as `model.dsm.encoder` says).
            pose_bank, pose_embedder: as in `from_pretrained`.
            adapters: "lora" or "dsm" -> its file in any of `weights.adapters.FORMS`; one that is not there costs
                nothing and changes nothing.

        Raises `UserError` for folders and files that are missing, damaged, pickled or of another model.
        """
        check_folder(folder, config.model, adapters, (CLIP_FOLDER, T5_FOLDER))
        tokenizer, bank = load_published_tokenizer(folder, config.model), _load_bank(pose_bank, pose_embedder)
        abstract = jax.eval_shape(Astra(config.model).init, jax.random.key(0))
        params, weights = load_folder(folder, config.model, abstract, adapters, jnp.dtype(config.model.dtype))
        return cls(config, params, tokenizer, bank, weights)

    def prepare(self, request: Request, size: tuple[int, int] | None = None, guidance: float | None = None) -> Ready:
        """Reads a request's files and finds its pose; `size` is (height, width) in pixels.

        Raises `UserError`, naming the request, for anything wrong with it.
        """
        size = size or (self.config.sample.height, self.config.sample.width)
        guidance = self.config.sample.guidance if guidance is None else guidance
        try:
            check_sizes(self.config, size)
            photos = tuple(load_photo(subject.image) for subject in request.subjects)
            pose = self._pose(request, size)
            subjects = tuple(Subject(s.phrase, photo) for s, photo in zip(request.subjects, photos, strict=True))
            prepared = prepare(Example(request.prompt, subjects, pose.people, size), self.config, size)
            if pose.picture is not None:
                prepared = dataclasses.replace(prepared, pose=pose.picture, has_pose=True)
            fields, truncated = arrays(prepared, self.config, self.tokenizer, guidance)
        except UserError as error:
            raise UserError(f"{request.name}: {error}") from error
        notes = [pose.note] if pose.note else []
        if truncated:
            notes.append(f"the prompt is longer than {self.config.model.text_length} tokens; its end is not read")
        if request.subjects and "dsm" not in self.params:
            notes.append("no identity adapter is loaded: identity goes through the reference tokens alone")
        skeleton = prepared.pose if prepared.has_pose else None
        small = tuple(square(photo, min(size)) for photo in photos)
        return Ready(request, fields, small, skeleton, pose.retrieved, tuple(notes))

    def _pose(self, request: Request, size: tuple[int, int]) -> Pose:
        if request.pose == "none":
            return Pose()
        if request.pose != "auto":
            path = pathlib.Path(request.pose)
            if path.suffix.lower() in SUFFIXES:
                return Pose(people=load_people(path, size))
            return Pose(picture=letterbox(load_photo(path), size))
        count = people_asked_for(request)
        if count is None:
            return Pose(note="no pose: the prompt does not say how many people; say it, or set 'people'")
        if count == 0:
            return Pose(
                note="no pose: neither prompt nor subjects name people in English words; set 'people' if there are some"
            )
        if self._retriever is None:
            raise UserError("pose 'auto' needs a pose bank: give one with --pose_bank, or set the pose to 'none'")
        found = self._retriever.retrieve([request.prompt], [count], size)[0]
        return Pose(people=found[0].people, retrieved=found[0])

    def _without_conditions(self, size: tuple[int, int], batch_size: int) -> Inputs:
        """What any batch becomes in training when its examples lose all their conditions; without guidance input."""
        nothing = prepare(Example("", (), None, size), self.config, size)
        fields, _ = arrays(nothing, self.config, self.tokenizer, 0.0, DROP_ALL)
        return stack([fields] * batch_size)

    def draw(
        self,
        ready: Sequence[Ready],
        steps: int | None = None,
        batch_size: int = BATCH_SIZE,
        cfg_scale: float | None = None,
    ) -> Iterator[Result]:
        """Draws all pictures of prepared requests of one size, in order, `batch_size` at a time.

        A picture depends on its request, seed and index; other pictures of the batch do not change it (beyond the last
        bit of a float where batch sizes differ). A last batch that is not full is padded, so that it needs no program
        of its own. With a `cfg_scale` other than 1 (default: the config's) every step runs the model twice, the second
        time without prompt, pose and subjects, and goes further away from that. Raises `UserError` for fewer than one
        step and a scale that is no positive number.
        """
        steps = self.config.sample.steps if steps is None else steps
        if steps < 1:
            raise UserError(f"at least one step is needed, not {steps}")
        cfg_scale = self.config.sample.cfg_scale if cfg_scale is None else cfg_scale
        if not 0 < cfg_scale < math.inf:
            raise UserError(f"cfg_scale must be a positive number (1: no classifier-free guidance), not {cfg_scale}")
        if batch_size < 1:
            raise UserError(f"a batch holds at least one picture, not {batch_size}")
        jobs = [(one, index) for one in ready for index in range(one.request.num_images)]
        if not jobs:
            return
        batch_size = min(batch_size, len(jobs))
        height, width = jobs[0][0].fields["pose"].shape[:2]
        tokens = height * width // (self.model.downsampling * PATCH) ** 2
        times = schedule(steps, shift_of(tokens, self.config.sample.shift))
        nothing = None if cfg_scale == 1 else self._without_conditions((height, width), batch_size)
        for start in range(0, len(jobs), batch_size):
            batch = jobs[start : start + batch_size]
            padded = batch + [batch[-1]] * (batch_size - len(batch))
            inputs = stack([one.fields for one, _ in padded])
            without = None if nothing is None else dataclasses.replace(nothing, guidance=inputs.guidance)
            seeds = np.array([one.request.seed for one, _ in padded], np.uint32)
            indices = np.array([index for _, index in padded], np.uint32)
            pictures = np.asarray(_draw(self.model, self.params, inputs, times, seeds, indices, without, cfg_scale))
            for picture, (one, index) in zip(pictures, batch, strict=False):
                yield Result(picture, one, index)

    def __call__(
        self,
        requests: Iterable[Request],
        steps: int | None = None,
        size: tuple[int, int] | None = None,
        guidance: float | None = None,
        cfg_scale: float | None = None,
    ) -> list[Result]:
        """Prepares and draws requests; raises `UserError` for the first that is wrong."""
        ready = [self.prepare(request, size, guidance) for request in requests]
        return list(self.draw(ready, steps, cfg_scale=cfg_scale))


def _load_bank(folder: str | os.PathLike[str] | None, embedder: str | os.PathLike[str]) -> PoseBank | None:
    return PoseBank.load(pathlib.Path(folder), embedder=open_embedder(os.fspath(embedder))) if folder else None


@functools.partial(jax.jit, static_argnums=0)
def _draw(
    model: Astra,
    params: Params,
    inputs: Inputs,
    times: Float[Array | np.ndarray, " S"],
    seeds: Integer[Array | np.ndarray, " B"],
    indices: Integer[Array | np.ndarray, " B"],
    without: Inputs | None,
    cfg_scale: Float[Array, ""] | float,
) -> UInt8[Array, "B H W 3"]:
    """Encodes once, integrates the flow, decodes: one program for one size, number of steps and batch size.

    `without` holds the same batch without conditions, for classifier-free guidance; None: there is none.
    """
    height, width = (side // model.downsampling for side in inputs.pose.shape[1:3])
    tokens = height * width // PATCH**2
    both = inputs if without is None else jax.tree.map(lambda *halves: jnp.concatenate(halves), inputs, without)
    conditions = model.encode(params, both, (height, width))
    noise = initial_noise(jnp.asarray(seeds), jnp.asarray(indices), tokens, model.config.transformer.latent_dim)

    def velocity(x: Float[Array, "B L C"], t: Float[Array, " B"]) -> Float[Array, "B L C"]:
        return model.velocity(params, x, t, conditions)

    guided = velocity if without is None else classifier_free(velocity, jnp.asarray(cfg_scale))
    x = euler(guided, noise, times)
    return model.decode(params, unpatchify(x, height, width))
