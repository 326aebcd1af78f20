"""AstraPipeline: a prompt and photos in, pictures out.

pipe = AstraPipeline.from_pretrained("pretrained/puppets", pose_bank="data/pose_library/bank")
output = pipe("a man waving, on the beach", subjects={"a man": "bob.jpg"}, seed=7)
output.images[0]
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import pathlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, SingleDeviceSharding
from jaxtyping import Shaped, UInt8
from PIL import Image

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.inputs.published_tokenizer import load_published_tokenizer, open_tokenizer
from astra_jax.inputs.requests import GivenPose, Photo, Request, SubjectRequest, check_request
from astra_jax.inputs.tokenizer import TextTokenizer
from astra_jax.models.astra import Astra
from astra_jax.models.lora import strengthen
from astra_jax.params import Params
from astra_jax.pose.database import PoseBank
from astra_jax.pose.embedders import BUILT_IN, open_embedder
from astra_jax.pose.retrieval import Retrieved, Retriever
from astra_jax.sampling.engine import Engine
from astra_jax.sampling.executables import Executables, parameter_shapes
from astra_jax.sampling.preparation import Preparer, Ready
from astra_jax.sampling.programs import Callback, listen
from astra_jax.sampling.queue import Asked, Batch, batches
from astra_jax.sampling.settings import Settings, defaults, settings_of
from astra_jax.sampling.shapes import Shape, shape_of
from astra_jax.training import rules
from astra_jax.training.mesh import shardings
from astra_jax.weights.adapters import refuse_adapters
from astra_jax.weights.importing import place_pretrained
from astra_jax.weights.pretrained import check_tree, find_pretrained, fingerprint, load_config
from astra_jax.weights.published_folder import check_folder, load_folder
from astra_jax.weights.tokenizer_folder import CLIP_FOLDER, T5_FOLDER

BATCH_SIZE = 4  # pictures drawn together

AnyPhoto = Photo | str | os.PathLike[str] | Shaped[np.ndarray, "..."]


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """One picture and where it comes from. `index` counts the pictures of one request, `number` the requests."""

    picture: UInt8[np.ndarray, "H W 3"]
    ready: Ready
    index: int
    number: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Output:
    """The pictures of one call and what they were drawn from."""

    images: list[Image.Image]
    ready: Ready

    @property
    def retrieved(self) -> Retrieved | None:
        """The pose that was found for the prompt: its entry, action, caption, score and people."""
        return self.ready.retrieved

    @property
    def skeleton(self) -> Image.Image | None:
        """The pose as the model saw it."""
        return None if self.ready.skeleton is None else Image.fromarray(self.ready.skeleton)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        return self.ready.notes


class AstraPipeline:
    """A model with its tokenizer and its pose bank; calls are pure functions of what is asked."""

    def __init__(
        self,
        config: Config,
        params: Params,
        tokenizer: TextTokenizer,
        bank: PoseBank | None = None,
        weights: str = "",
        mesh: Mesh | None = None,
        lora_scale: float = 1.0,
        programs: pathlib.Path | None = None,
    ):
        """A pipeline of parts that are there.

        Args:
            config: the model's.
            params: of all parts; those of the identity path, "dsm" and the image encoder, may be absent.
            tokenizer: of both text encoders.
            bank: where poses are retrieved from; None: no pose can be "auto".
            weights: a fingerprint that tells the weights apart.
            mesh: of devices that batches are split over; None: jax's first device.
            lora_scale: strength of a LoRA that stands beside the weights.
            programs: a folder that keeps traced programs for the next start; None: none are kept.

        Raises `UserError` for a `lora_scale` that is no number, or that has no LoRA to scale.
        """
        params = jax.tree.map(jnp.asarray, params)
        if not math.isfinite(lora_scale):
            raise UserError(f"lora_scale must be a finite number, not {lora_scale}")
        if lora_scale != 1:
            if "lora" not in params:
                raise UserError(
                    "lora_scale is the strength of a LoRA, but these weights have none beside them: leave it out"
                )
            params = params | {"lora": strengthen(params["lora"], lora_scale)}
            weights = f"{weights} lora_scale={lora_scale}"
        self.config, self.params = config, params
        self.tokenizer, self.bank, self.weights = tokenizer, bank, weights
        self.executables = Executables(programs)
        self._engine = Engine(config, params, tokenizer, mesh, self.executables)
        retriever = None if bank is None else Retriever(bank)
        self._preparer = Preparer(config, tokenizer, retriever, has_dsm="dsm" in params)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | os.PathLike[str],
        pose_bank: str | os.PathLike[str] | PoseBank | None = None,
        pose_embedder: str | os.PathLike[str] = BUILT_IN,
        mesh: Mesh | None = None,
        programs: pathlib.Path | None = None,
        lora_scale: float = 1.0,
    ) -> AstraPipeline:
        """Loads a folder of pretrained weights (or a training run's workdir) and, if named, a pose bank.

        Args:
            folder: with config.json, model.safetensors and a tokenizer.
            pose_bank: a folder made by `python -m astra_jax.pose build`, or a bank that is open already.
            pose_embedder: the folder of the text encoder the bank was built with; "tfidf": the bank holds its own.
            mesh: devices to split batches and weights over; None: jax's first device.
            programs, lora_scale: as in the constructor.

        Weights are in the model's own dtype, each read straight onto its devices. Raises `UserError` for folders that
        are missing, damaged, of another model or of adapters alone.
        """
        found = find_pretrained(pathlib.Path(folder))
        bank = _load_bank(pose_bank, pose_embedder)
        refuse_adapters(found)
        config = load_config(found)
        abstract = _shapes(config, mesh, programs)
        params = place_pretrained(found, abstract)
        check_tree(params, abstract, found)
        tokenizer = open_tokenizer(found, config.model)
        return cls(config, params, tokenizer, bank, fingerprint(found), mesh, lora_scale, programs)

    @classmethod
    def from_published(
        cls,
        config: Config,
        folder: str | os.PathLike[str],
        pose_bank: str | os.PathLike[str] | PoseBank | None = None,
        adapters: Mapping[str, str | os.PathLike[str]] = MappingProxyType({}),
        pose_embedder: str | os.PathLike[str] = BUILT_IN,
        mesh: Mesh | None = None,
        programs: pathlib.Path | None = None,
        lora_scale: float = 1.0,
    ) -> AstraPipeline:
        """Loads a model in its published layout, as FLUX.1-dev's, in `config.model.dtype`.

        Args:
            config: its `model` must have the sizes of the weights.
            folder: with `transformer`, `vae`, `text_encoder`, `text_encoder_2`, `tokenizer` and `tokenizer_2`, and for
                the adapter "dsm" also `image_encoder` (CLIP's or SigLIP's, as `model.dsm.encoder` says).
            pose_bank, pose_embedder, mesh: as in `from_pretrained`.
            adapters: "lora" or "dsm" -> its file in any of `weights.adapters.FORMS`; one that is not there costs
                nothing and changes nothing.
            programs, lora_scale: as in the constructor.

        Raises `UserError` for folders and files that are missing, damaged, pickled or of another model.
        """
        check_folder(folder, config.model, adapters, (CLIP_FOLDER, T5_FOLDER))
        tokenizer, bank = load_published_tokenizer(folder, config.model), _load_bank(pose_bank, pose_embedder)
        params, weights = load_folder(folder, config.model, _shapes(config, mesh, programs), adapters)
        return cls(config, params, tokenizer, bank, weights, mesh, lora_scale, programs)

    def __call__(
        self,
        prompt: str,
        subjects: Mapping[str, AnyPhoto] = MappingProxyType({}),
        pose: str | os.PathLike[str] | Image.Image | Shaped[np.ndarray, "..."] = "auto",
        size: tuple[int, int] | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        seed: int | Sequence[int] = 0,
        num_images: int = 1,
        callback: Callback | None = None,
        *,
        people: int | None = None,
        cfg_scale: float | None = None,
        image: AnyPhoto | None = None,
        strength: float | None = None,
        pose_start: float | None = None,
        pose_end: float | None = None,
        dsm_scale: float | None = None,
        **run: Any,
    ) -> Output:
        """Draws `num_images` pictures of a prompt.

        Args:
            prompt: what is to be seen.
            subjects: words of the prompt -> a photo of that subject (a path, a PIL image or a uint8 RGB array).
            pose: "auto" (retrieved by the prompt), "none", a keypoint file, a skeleton picture (file or PIL image), or
                people [P, 17 or 133, (x, y, v)] in pixels of the canvas.
            size: (height, width) of the pictures, in pixels.
            steps: of the sampler.
            guidance: input of a guidance-distilled model such as FLUX.1-dev.
            seed: the same seed gives the same pictures; of several seeds, each gives what it gives alone.
            num_images: of each seed; picture i is made of noise from `fold_in(key(seed), i)`.
            callback: called after each step begins with (step, steps, latents [B, L, C] float32).
            people: how many a retrieved pose must have; by default what the prompt says.
            cfg_scale: classifier-free guidance; 1: off.
            image, strength: a picture to start from, and how much of the schedule it goes through.
            pose_start, pose_end: the part of the schedule in which the pose is seen, as fractions of it.
            dsm_scale: strength of the identity offsets.
            run: `solver` ("euler", "heun", "dpmpp") and `cache_threshold`.

        What is not given is as the model's config says. Raises `UserError` for anything wrong with it.
        """
        request = Request(
            prompt=prompt,
            subjects=tuple(SubjectRequest(phrase.strip(), _photo(photo)) for phrase, photo in subjects.items()),
            pose=_pose(pose),
            people=people,
            num_images=num_images,
            image=None if image is None else _photo(image),
            height=size[0] if size else None,
            width=size[1] if size else None,
            steps=steps,
            guidance=guidance,
            cfg_scale=cfg_scale,
            pose_start=pose_start,
            pose_end=pose_end,
            dsm_scale=dsm_scale,
            strength=strength,
        )
        seeds = list(seed) if isinstance(seed, Sequence) else [seed]
        if not seeds:
            raise UserError("seed: a list of seeds must not be empty")
        requests = [dataclasses.replace(request, seed=int(one)) for one in seeds]
        for one in requests:
            check_request(one)
        results = list(self.draw(requests, dataclasses.replace(self.defaults, **run), callback=callback))
        return Output([Image.fromarray(one.picture) for one in results], results[0].ready)

    @property
    def model(self) -> Astra:
        """The model's pure functions."""
        return self._engine.model

    @functools.cached_property
    def bank_fingerprint(self) -> str:
        """Tells the pose bank apart from others."""
        return "" if self.bank is None else self.bank.fingerprint()

    @property
    def defaults(self) -> Settings:
        """The settings of pictures that say nothing else."""
        return defaults(self.config)

    def prepare(self, request: Request, run: Settings | None = None, shape: Shape | None = None) -> Ready:
        """Reads a request's files and finds its pose, and draws nothing but the skeleton.

        `shape` is a larger one than the request needs, for a batch with others. Raises `UserError`, naming the request,
        for anything wrong with it.
        """
        settings = settings_of(request, run or self.defaults, self.config)
        return self._preparer(request, settings, shape or shape_of(request, settings))

    def draw(
        self,
        requests: Sequence[Request],
        run: Settings | None = None,
        batch_size: int = BATCH_SIZE,
        indices: Sequence[Sequence[int]] | None = None,
        refused: Callable[[int, UserError], None] | None = None,
        callback: Callback | None = None,
    ) -> Iterator[Result]:
        """Draws the pictures of many requests, grouped into full batches of one shape.

        Files are read and poses found by threads while the device draws. A picture depends on its request, seed and
        index; grouping, batch size and the number of devices do not change it (beyond the last bits of a float). A
        last batch that is not full is padded, so that it needs no program of its own.

        Args:
            requests: what is to be drawn; `Result.number` counts them.
            run: settings for requests that have none of their own; the config's by default.
            batch_size: pictures drawn together, rounded up to what divides over the mesh.
            indices: which pictures of each request; all by default.
            refused: told of a request (by number) that is wrong, and the others go on; without it the error is raised.
            callback: as in `__call__`; it hears of every batch.

        Raises `UserError` for a request that is wrong and a batch size below 1.
        """
        if batch_size < 1:
            raise UserError(f"a batch holds at least one picture, not {batch_size}")

        def refuse(number: int, error: UserError) -> None:
            if refused is None:
                raise error
            refused(number, error)

        asked = []
        for number, request in enumerate(requests):
            pictures = tuple(range(request.num_images)) if indices is None else tuple(indices[number])
            try:
                settings = settings_of(request, run or self.defaults, self.config)
            except UserError as error:
                refuse(number, error)
                continue
            if pictures:
                asked.append(Asked(number, request, settings, pictures))

        def rows(pictures: int) -> int:
            return self._engine.rows(pictures, batch_size)

        # Two batches at a time: the device draws one while the pictures of the other are taken away.
        begun: deque[tuple[Any, Batch]] = deque()
        for batch in batches(asked, self._preparer, rows, batch_size, refuse):
            begun.append((self._begin(batch, callback), batch))
            if len(begun) > 1:
                yield from _taken(*begun.popleft())
        while begun:
            yield from _taken(*begun.popleft())

    def _begin(self, batch: Batch, callback: Callback | None) -> Any:
        jobs = [(ready, index) for _, ready, index in batch.jobs]
        if callback is None:
            return self._engine.draw(jobs, batch.shape, batch.rows)
        with listen(callback) as listener:
            return self._engine.draw(jobs, batch.shape, batch.rows, listener).block_until_ready()


def _taken(pictures: Any, batch: Batch) -> Iterator[Result]:
    for picture, (number, ready, index) in zip(np.asarray(pictures), batch.jobs, strict=False):
        yield Result(picture, ready, index, number)


def _photo(photo: AnyPhoto) -> Photo:
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
            raise UserError(f"a photo must be uint8 of height x width x 3, not {photo.dtype} of {photo.shape}")
        return Image.fromarray(photo)
    return photo if isinstance(photo, Image.Image) else pathlib.Path(photo)


def _pose(pose: Any) -> str | GivenPose:
    if isinstance(pose, Image.Image):
        return GivenPose(picture=pose)
    return GivenPose(people=np.asarray(pose)) if isinstance(pose, (np.ndarray, list, tuple)) else os.fspath(pose)


def _shapes(config: Config, mesh: Mesh | None, programs: pathlib.Path | None) -> Params:
    """Shapes of all parts of a model, with the dtype and the place that each parameter is to have."""
    shapes, dtype = parameter_shapes(Astra(config.model), programs), jnp.dtype(config.model.dtype)
    if mesh is None:
        homes = jax.tree.map(lambda _: SingleDeviceSharding(jax.local_devices()[0]), shapes)
    else:
        homes = shardings(shapes, rules.astra(config.model), mesh)
    return jax.tree.map(lambda leaf, home: jax.ShapeDtypeStruct(leaf.shape, dtype, sharding=home), shapes, homes)


def _load_bank(bank: str | os.PathLike[str] | PoseBank | None, embedder: str | os.PathLike[str]) -> PoseBank | None:
    if isinstance(bank, PoseBank):
        return bank
    return PoseBank.load(pathlib.Path(bank), embedder=open_embedder(os.fspath(embedder))) if bank else None
