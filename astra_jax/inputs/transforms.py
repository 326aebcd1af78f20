"""From an example to the arrays of `models.astra.Inputs`: the one path that training and sampling share.

`prepare` does what involves no chance (fit, draw, resize), `draw_dropout` decides which conditions an example loses,
`arrays` tokenises, places and pads. A cache of latents stores what `prepare` makes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from astra_jax.config import Config, DataConfig
from astra_jax.errors import UserError
from astra_jax.inputs.example import Embeddings, Example, Prepared
from astra_jax.inputs.photos import cover, cover_points, square
from astra_jax.inputs.placement import place
from astra_jax.inputs.tokenizer import TextTokenizer
from astra_jax.models.astra import PATCH, Inputs
from astra_jax.pose.drawing import draw


class Dropout(NamedTuple):
    """Which conditions an example loses."""

    text: bool = False  # the prompt becomes empty; identities go too, for they live on the prompt's words
    pose: bool = False
    references: bool = False  # reference tokens
    identity: bool = False  # the adapter's offsets


KEEP_ALL, DROP_ALL = Dropout(), Dropout(text=True, pose=True, references=True, identity=True)
MAX_SIDE = 4096  # pixels of a canvas


def draw_dropout(rng: np.random.Generator, data: DataConfig) -> Dropout:
    """Draws one example's dropout.

    Text and pose are lost independently with `drop_text` and `drop_pose`. One draw decides on the two identity paths,
    so that the three chances are exact and exclude each other: both are lost (`drop_references`), the adapter alone
    (`drop_identity`), the reference tokens alone (`drop_reference_tokens`).
    """
    text, pose, paths = rng.random(3)
    both, adapter = data.drop_references, data.drop_references + data.drop_identity
    tokens = adapter + data.drop_reference_tokens
    return Dropout(
        text=text < data.drop_text,
        pose=pose < data.drop_pose,
        references=paths < both or adapter <= paths < tokens,
        identity=paths < adapter,
    )


def prepare(example: Example, config: Config, canvas: tuple[int, int] | None = None) -> Prepared:
    """Fits an example to `canvas` (height, width; default: data.height, data.width), draws its skeletons and squares
    its photos at `data.reference_size` and at the image encoder's size.

    A target of another shape covers the canvas and is cut in the middle, its joints with it.
    """
    canvas = canvas or (config.data.height, config.data.width)
    reference, portrait = config.data.reference_size, config.model.image_encoder.image_size
    photos = [subject.photo for subject in example.subjects]
    return Prepared(
        prompt=example.prompt,
        phrases=tuple(subject.phrase for subject in example.subjects),
        target=None if example.target is None else cover(example.target, canvas),
        pose=skeletons(example, canvas),
        has_pose=example.people is not None and len(example.people) > 0,
        references=_stack([square(photo, reference) for photo in photos], (reference, reference, 3)),
        portraits=_stack([square(photo, portrait) for photo in photos], (portrait, portrait, 3)),
    )


def first_subjects(prepared: Prepared, count: int) -> Prepared:
    """The example with references of its first `count` subjects only; target, pose and prompt stay as they are."""
    if len(prepared.phrases) <= count:
        return prepared
    words = prepared.embeddings
    return dataclasses.replace(
        prepared,
        phrases=prepared.phrases[:count],
        references=prepared.references[:count],
        portraits=prepared.portraits[:count],
        embeddings=words
        and dataclasses.replace(words, phrases=words.phrases[:count], placement=words.placement[:count]),
    )


def skeletons(example: Example, canvas: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """The example's people drawn on the canvas; black without people."""
    if example.people is None or len(example.people) == 0:
        return np.zeros((*canvas, 3), np.uint8)
    return draw(cover_points(example.people, example.size, canvas), canvas)


def arrays(
    prepared: Prepared, config: Config, tokenizer: TextTokenizer | None, guidance: float, dropout: Dropout = KEEP_ALL,
    slots: int | None = None, pose: bool = True,
) -> tuple[dict[str, np.ndarray], bool]:  # fmt: skip
    """One example's fields of `Inputs`, without the batch axis, and whether the prompt was too long and was cut.

    Args:
        prepared: the example; one with embeddings needs no tokenizer.
        config: its `model` and sizes.
        tokenizer: of both text encoders.
        guidance: value of the model's guidance input.
        dropout: what the example loses.
        slots: for subjects, as many as the batch's examples have at most; `model.max_subjects` where not given.
        pose: False leaves the pose's fields out, for a batch in which nobody has one.

    Raises `UserError` for more subjects than `model.max_subjects` and for phrases that cannot be placed, ValueError for
    a pose or subjects that would have to be left out.
    """
    most, subjects = config.model.max_subjects, len(prepared.phrases)
    check_subjects(subjects, config)
    slots = most if slots is None else slots
    has_pose = prepared.has_pose and not dropout.pose
    if subjects > slots or (has_pose and not pose):
        raise ValueError(f"the example has {subjects} subjects for {slots} slots, and {has_pose=} with {pose=}")
    named = np.array([bool(phrase) for phrase in prepared.phrases] + [False] * (slots - subjects), bool)
    if prepared.embeddings is not None:
        words, truncated = _embedded_words(prepared.embeddings, slots, bool(dropout.text)), False
    elif tokenizer is not None:
        words, truncated = _tokens(prepared, named, config, tokenizer, bool(dropout.text))
    else:
        raise ValueError("an example without embeddings needs a tokenizer")
    present = np.arange(slots) < subjects
    fields = {
        **words,
        "guidance": np.float32(guidance),
        "references": _pad(prepared.references, slots),
        "has_reference": present & (not dropout.references),
        "portraits": _pad(prepared.portraits, slots),
        "has_identity": named & (not dropout.text and not dropout.identity),
    }
    if pose:
        fields["pose"] = prepared.pose if has_pose else np.zeros_like(prepared.pose)
        fields["has_pose"] = np.bool_(has_pose)
    return fields, truncated


def _tokens(
    prepared: Prepared, named: np.ndarray, config: Config, tokenizer: TextTokenizer, dropped: bool
) -> tuple[dict[str, np.ndarray], bool]:
    """The words as ids; CLIP's text encoder reads 77 tokens by design, and only T5's cut counts as one."""
    model = config.model
    prompt = "" if dropped else prepared.prompt
    text = tokenizer.t5(prompt, model.text_length)
    phrase_tokens = np.zeros((len(named), model.phrase_length), np.int32)
    placement = np.full((len(named), model.phrase_length), -1, np.int32)
    if named.any() and not dropped:
        phrases = [phrase for phrase in prepared.phrases if phrase]
        phrase_tokens[named], placement[named] = place(
            prompt, phrases, tokenizer, model.text_length, model.phrase_length
        )
    words = {
        "text_tokens": text.ids,
        "pooled_tokens": tokenizer.clip(prompt, model.clip_text.length).ids,
        "phrase_tokens": phrase_tokens,
        "placement": placement,
    }
    return words, text.truncated


def _embedded_words(words: Embeddings, slots: int, dropped: bool) -> dict[str, np.ndarray]:
    """The same fields from a cache: features in place of ids."""
    placement = np.full((slots, words.placement.shape[1]), -1, np.int32)
    phrases = _pad(words.phrases, slots)
    if dropped:
        phrases = np.zeros_like(phrases)
    else:
        placement[: len(words.placement)] = words.placement
    return {
        "text_tokens": words.empty_text if dropped else words.text,
        "pooled_tokens": words.empty_pooled if dropped else words.pooled,
        "phrase_tokens": phrases,
        "placement": placement,
    }


def stack(examples: Sequence[dict[str, np.ndarray]]) -> Inputs:
    """`Inputs` of B examples from the fields of each; raises ValueError unless all have the same ones."""
    if any(example.keys() != examples[0].keys() for example in examples):
        raise ValueError("examples with and without the fields of a pose cannot be one batch")
    return Inputs(**{name: np.stack([example[name] for example in examples]) for name in examples[0]})


def check_sizes(config: Config, canvas: tuple[int, int]) -> None:
    """Raises `UserError` unless pictures of these sizes divide into whole tokens, naming the nearest size that does."""
    pixels = config.model.autoencoder.downsampling * PATCH
    sizes = {"height": canvas[0], "width": canvas[1], "data.reference_size": config.data.reference_size}
    for name, size in sizes.items():
        if size > MAX_SIDE:
            raise UserError(f"{name} {size} is more than {MAX_SIDE} pixels: no model of this kind draws such pictures")
        if size <= 0 or size % pixels:
            nearest = max(pixels, round(size / pixels) * pixels)
            raise UserError(f"{name} {size} is no positive multiple of {pixels} pixels: {nearest} is the nearest")


def check_subjects(count: int, config: Config) -> None:
    """Raises `UserError` for more subjects of an example than the model takes."""
    most = config.model.max_subjects
    if count > most:
        raise UserError(f"{count} subjects are more than the {most} of config.model.max_subjects: leave some out")


def check_canvases(config: Config) -> None:
    """`check_sizes` of every canvas of a run; two equal buckets are refused, too."""
    data = config.data
    for bucket in data.buckets or ((data.height, data.width),):
        check_sizes(config, bucket)
        if data.buckets.count(bucket) > 1:
            raise UserError(f"config.data.buckets has {bucket[0]} x {bucket[1]} twice: name it once")


def _stack(pictures: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(pictures) if pictures else np.zeros((0, *shape), np.uint8)


def _pad(pictures: np.ndarray, slots: int) -> np.ndarray:
    padded = np.zeros((slots, *pictures.shape[1:]), pictures.dtype)
    padded[: len(pictures)] = pictures
    return padded
