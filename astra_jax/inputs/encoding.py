"""The frozen encoders over examples: pictures to moments, words and portraits to features, few compiled programs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float16, Shaped, UInt8

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.inputs import transforms
from astra_jax.inputs.example import Embeddings, Prepared
from astra_jax.inputs.tokenizer import TextTokenizer
from astra_jax.models.astra import Astra

Encoder = Callable[[Sequence[UInt8[np.ndarray, "H W 3"]]], list[Float[np.ndarray, "h w M"]]]
Embedder = Callable[[Sequence[Prepared]], list[Prepared]]
TEXT_ENCODERS = ("t5", "clip_text")


def make_encoder(model: Astra, params: dict[str, Any], batch_size: int) -> Encoder:
    """A function from pictures to their float16 moments, `batch_size` at a time: a compiled program for each size.

    Pictures of several sizes may come together; the moments have their order.
    """
    only = {"autoencoder": params["autoencoder"]}

    def encode(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        moments: list[np.ndarray] = [np.zeros(0)] * len(pictures)
        for shape in sorted({picture.shape for picture in pictures}):
            places = [place for place, picture in enumerate(pictures) if picture.shape == shape]
            made = _in_batches(functools.partial(_moments, model, only), [pictures[p] for p in places], batch_size)
            for place, value in zip(places, made, strict=True):
                moments[place] = value
        return moments

    return encode


def encode_examples(examples: Sequence[Prepared], encode: Encoder) -> list[Prepared]:
    """The examples with all pictures but the portraits replaced by their moments."""
    for example in examples:
        if example.target is None:
            raise ValueError("an example without a target has no place in a cache")
    canvases = encode([p for e in examples for p in (e.target, e.pose) if p is not None])
    references = encode([photo for e in examples for photo in e.references])
    encoded, taken = [], 0
    for n, example in enumerate(examples):
        mine = references[taken : taken + len(example.references)]
        taken += len(mine)
        target = canvases[2 * n]
        side = example.references.shape[1] * target.shape[0] // example.pose.shape[0]  # latents along a photo
        empty = np.zeros((0, side, side, target.shape[-1]), np.float16)
        encoded.append(
            dataclasses.replace(
                example,
                target=target,
                pose=canvases[2 * n + 1],
                references=np.stack(mine) if mine else empty,
            )
        )
    return encoded


def make_embedder(config: Config, params: dict[str, Any], tokenizer: TextTokenizer, batch_size: int) -> Embedder:
    """A function that gives examples their embeddings, and tokens in place of their portraits, all float16.

    `params` has "t5", "clip_text" and the image encoder. Raises `UserError` where a phrase cannot be placed.
    """
    model = Astra(config.model)
    width, encoder = config.model.t5.width, config.model.image_encoder

    def features(function: Callable[..., Any], values: list[np.ndarray]) -> list[np.ndarray]:
        return _in_batches(functools.partial(function, model, params), values, batch_size)

    empty_text = features(_text, [tokenizer.t5("", config.model.text_length).ids])[0]
    empty_pooled = features(_pooled, [tokenizer.clip("", config.model.clip_text.length).ids])[0]

    def embed(examples: Sequence[Prepared]) -> list[Prepared]:
        examples = [transforms.first_subjects(example, config.model.max_subjects) for example in examples]
        fields = []
        for example in examples:
            try:
                fields.append(transforms.arrays(example, config, tokenizer, 1.0)[0])
            except UserError as error:
                raise UserError(f"the example {example.prompt[:80]!r} cannot be used: {error}") from error
        counts = [len(example.phrases) for example in examples]
        text = features(_text, [field["text_tokens"] for field in fields])
        pooled = features(_pooled, [field["pooled_tokens"] for field in fields])
        phrases = features(_text, [p for f, n in zip(fields, counts, strict=True) for p in f["phrase_tokens"][:n]])
        portraits = features(_image, [photo for example in examples for photo in example.portraits])
        made, taken = [], 0
        for n, (example, count) in enumerate(zip(examples, counts, strict=True)):
            mine = slice(taken, taken + count)
            taken += count
            words = Embeddings(
                text=text[n],
                pooled=pooled[n],
                empty_text=empty_text,
                empty_pooled=empty_pooled,
                phrases=_stacked(phrases[mine], (config.model.phrase_length, width)),
                placement=fields[n]["placement"][:count],
            )
            tokens = _stacked(portraits[mine], (encoder.tokens, encoder.width))
            made.append(dataclasses.replace(example, portraits=tokens, embeddings=words))
        return made

    return embed


def _in_batches(
    function: Callable[[Shaped[np.ndarray, "B ..."]], Shaped[Array, "B ..."]], values: Sequence[np.ndarray], size: int
) -> list[Shaped[np.ndarray, "..."]]:
    """`function` of equally shaped values, `size` at a time; the last batch is filled with zeros."""
    made: list[np.ndarray] = []
    for start in range(0, len(values), size):
        some = np.stack(values[start : start + size])
        padding = [(0, size - len(some))] + [(0, 0)] * (some.ndim - 1)
        made.extend(np.asarray(function(np.pad(some, padding)))[: len(some)])
    return made


def _stacked(values: Sequence[np.ndarray], shape: tuple[int, ...]) -> Float16[np.ndarray, "n ..."]:
    return np.stack(values) if values else np.zeros((0, *shape), np.float16)


@functools.partial(jax.jit, static_argnums=0)
def _moments(model: Astra, params: dict[str, Any], pictures: UInt8[Array, "B H W 3"]) -> Float16[Array, "B h w M"]:
    return model.moments(params, pictures).astype(jnp.float16)


@functools.partial(jax.jit, static_argnums=0)
def _text(model: Astra, params: dict[str, Any], ids: Shaped[Array, "B L"]) -> Float16[Array, "B L C"]:
    return model.text_features(params, ids).astype(jnp.float16)


@functools.partial(jax.jit, static_argnums=0)
def _pooled(model: Astra, params: dict[str, Any], ids: Shaped[Array, "B L"]) -> Float16[Array, "B C"]:
    return model.pooled_features(params, ids).astype(jnp.float16)


@functools.partial(jax.jit, static_argnums=0)
def _image(model: Astra, params: dict[str, Any], portraits: UInt8[Array, "B S S 3"]) -> Float16[Array, "B T C"]:
    return model.image_features(params, portraits).astype(jnp.float16)
