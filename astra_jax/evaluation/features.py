"""Pictures and texts as unit vectors, by which they are compared: DINO, DINOv2 and CLIP from published folders.

Each reads the middle square of a picture: DINO and DINOv2 of the picture at 256 pixels (shorter side), CLIP at the
network's own size, each by 224 pixels (DINO's and DINOv2's evaluation; OpenAI's preprocessing of CLIP).
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped, UInt8
from tokenizers import Tokenizer

from astra_jax.errors import UserError
from astra_jax.evaluation.preprocessing import imagenet_normalise, middle_square
from astra_jax.inputs.tokenizer import MAX_TEXT, clean
from astra_jax.models.clip import ClipFeatures, clip_normalise
from astra_jax.models.vit import VisionTransformer
from astra_jax.weights.feature_networks import load_clip, load_vit, read_clip_config, read_vit_config
from astra_jax.weights.tokenizer_folder import encoder_tokenizer

BATCH = 32
SIDE, SHORTER = 224, 256  # pixels: what DINO and DINOv2 read, and the shorter side of what it is cut from
Encode = Callable[[Any, Any], Array]  # parameters, a batch -> a row of features for each


@runtime_checkable
class ImageFeatures(Protocol):
    """Pictures of any size to unit vectors; `name` says by what."""

    name: str

    def __call__(self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> Float[np.ndarray, "B D"]:
        """A unit float32 row for each picture, whatever the others are (to the last bits of a float)."""
        ...


@runtime_checkable
class TextFeatures(Protocol):
    """Texts to unit vectors of the space that a network of the same name puts pictures in."""

    name: str

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
        """A unit float32 row for each text."""
        ...


class NetworkImageFeatures:
    """`ImageFeatures` by a Flax network, in batches.

    `shorter` and `side` are those of `middle_square`; `encode` takes parameters and a batch of squares.
    """

    def __init__(self, name: str, params: Any, encode: Encode, shorter: int, side: int):
        self.name, self._params, self._shorter, self._side = name, params, shorter, side
        self._encode = _program(encode)

    def __call__(self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> Float[np.ndarray, "B D"]:
        """A unit row for each picture."""
        return _rows(
            lambda batch: self._encode(self._params, batch),
            lambda chosen: np.stack([middle_square(picture, self._shorter, self._side) for picture in chosen]),
            pictures,
        )


class ClipTextFeatures:
    """`TextFeatures` by CLIP's text encoder. A text is read up to the encoder's length (77 tokens), its end kept."""

    def __init__(self, name: str, params: Any, module: Any, tokenizer: Tokenizer):
        self.name, self._params, self._tokenizer = name, params, tokenizer
        self._length, self._end = module.config.text.length, module.config.text.vocab_size - 1
        self._encode = _program(lambda params, ids: module.apply({"params": params}, ids, method="texts"))

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
        """A unit row for each text."""
        return _rows(lambda batch: self._encode(self._params, batch), self._ids, texts)

    def _ids(self, texts: Sequence[str]) -> Shaped[np.ndarray, "B L"]:
        # The feature is read at the first end token, and no token reads a later one: what pads does not matter.
        ids = np.full((len(texts), self._length), self._end, np.int32)
        encodings = self._tokenizer.encode_batch([clean(text)[:MAX_TEXT] for text in texts])
        for row, encoding in zip(ids, encodings, strict=True):
            row[: len(encoding.ids)] = encoding.ids[: self._length]
        ids[:, -1] = self._end
        return ids


def open_vit(folder: str | os.PathLike[str], name: str) -> NetworkImageFeatures:
    """The class token of "DINO" (ViT-S/16 in published figures) or "DINOv2" from a published folder.

    Raises `UserError` as `read_vit_config` and `load_vit` do.
    """
    published = read_vit_config(folder, name)
    abstract = _abstract(VisionTransformer(published), (1, *published.image_size, 3))
    params = jax.device_put(load_vit(folder, published, abstract, SIDE))
    module: Any = VisionTransformer(dataclasses.replace(published, image_size=(SIDE, SIDE)))

    def encode(params: Any, squares: UInt8[Array, "B S S 3"]) -> Float[Array, "B D"]:
        return module.apply({"params": params}, imagenet_normalise(squares))[:, 0]

    return NetworkImageFeatures(name, params, encode, SHORTER, SIDE)


def open_clip(folder: str | os.PathLike[str]) -> tuple[NetworkImageFeatures, ClipTextFeatures]:
    """CLIP's image_embeds and text_embeds from a published folder with its tokenizer.

    Raises `UserError` as `read_clip_config`, `load_clip` and `encoder_tokenizer` do, and where the tokenizer has other
    ids than the text encoder: it needs a last one that ends a text.
    """
    folder = pathlib.Path(folder).expanduser()
    config = read_clip_config(folder)
    module: Any = ClipFeatures(config)
    side, last = config.vision.image_size, config.text.vocab_size - 1
    abstract = _abstract(module, (1, side, side, 3), (1, 1))
    tokenizer = encoder_tokenizer(folder, "clip")
    ends, most = tokenizer.encode("a").ids[-1:], max(tokenizer.get_vocab().values(), default=0)
    if most != last or ends != [last]:
        raise UserError(
            f"{folder}: its tokenizer ends a text with {ends} and goes up to {most}, its text encoder reads the end at"
            f" {last}: copy the tokenizer of the same CLIP there"
        )
    params = jax.device_put(load_clip(folder, config, abstract))

    def encode(params: Any, squares: UInt8[Array, "B S S 3"]) -> Float[Array, "B D"]:
        return module.apply({"params": params}, clip_normalise(squares), method="images")

    return NetworkImageFeatures("CLIP", params, encode, side, side), ClipTextFeatures("CLIP", params, module, tokenizer)


def _abstract(module: Any, pictures: tuple[int, ...], tokens: tuple[int, ...] = ()) -> Any:
    """The shapes of a network's parameters, from the shapes of what it reads."""
    examples = [jax.ShapeDtypeStruct(pictures, jnp.float32)]
    if tokens:
        examples.append(jax.ShapeDtypeStruct(tokens, jnp.int32))
    return jax.eval_shape(module.init, jax.random.key(0), *examples)["params"]


def _rows(
    encode: Callable[[np.ndarray], Array], prepare: Callable[[Sequence[Any]], np.ndarray], items: Sequence[Any]
) -> Float[np.ndarray, "B D"]:
    """The rows of all items, a batch of a power of two at a time: few programs, whatever is asked for."""

    def batches() -> Iterator[Float[np.ndarray, "b D"]]:
        for start in range(0, len(items), BATCH):
            prepared = prepare(items[start : start + BATCH])
            count = len(prepared)
            padding = (1 << (count - 1).bit_length()) - count
            padded = np.concatenate([prepared, np.repeat(prepared[-1:], padding, axis=0)])
            yield np.asarray(encode(padded), np.float32)[:count]

    if not items:
        raise ValueError("features need a picture or a text")
    return np.concatenate(list(batches()))


def _program(encode: Encode) -> Encode:
    """`encode`, compiled, with its rows scaled to unit length."""

    def run(params: Any, batch: Shaped[Array, "B ..."]) -> Float[Array, "B D"]:
        # Accelerators would take products of fewer bits: a figure must not depend on the machine that took it.
        with jax.default_matmul_precision("float32"):
            rows = encode(params, batch).astype(jnp.float32)
        return rows / jnp.maximum(jnp.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    return jax.jit(run)
