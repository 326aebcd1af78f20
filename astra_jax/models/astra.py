"""ASTRA as pure functions: `encode` makes the conditions once, `velocity` is all that flow matching knows."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8

from astra_jax.config import ModelConfig
from astra_jax.models import autoencoder, lora
from astra_jax.models.clip import ClipTextEncoder
from astra_jax.models.conditions import AnyArray, CachedPictures, Conditions
from astra_jax.models.dsm import Dsm, place_offsets
from astra_jax.models.europe import positions, rotary_tables
from astra_jax.models.first_block_cache import FirstBlockCache, empty_cache, reusing_velocity
from astra_jax.models.image_encoder import image_encoder
from astra_jax.models.t5 import T5Encoder
from astra_jax.models.tiling import decode_tiled
from astra_jax.models.transformer import Transformer
from astra_jax.params import Params

PATCH = 2  # one token is 2 x 2 latents

Pictures = UInt8[AnyArray, "... _ _ 3"] | Float[AnyArray, "... _ _ _"]


@flax.struct.dataclass
class Inputs:
    """What a batch of B pictures is asked to be, as arrays; N slots for subjects.

    A uint8 array holds pictures; a float array in its place holds their latent moments (mean | log-variance), made
    beforehand. In place of ids and of portraits, float arrays hold what the frozen encoders make of them.

    A condition that some pictures of the batch lack is masked for these and costs them its tokens. What no picture has
    costs nothing: `pose` and `has_pose` are None without any pose, and N is 0 without any subject.
    """

    text_tokens: Int[AnyArray, "B Lt"] | Float[AnyArray, "B Lt Ct"]  # T5 ids of the prompt
    pooled_tokens: Int[AnyArray, "B Lk"] | Float[AnyArray, "B Cp"]  # CLIP ids of the prompt
    guidance: Float[AnyArray, " B"]
    references: Pictures  # [B N ...] photos of the subjects, white-padded squares
    has_reference: Bool[AnyArray, "B N"]
    portraits: UInt8[AnyArray, "B N S S 3"] | Float[AnyArray, "B N T C"]  # the same photos at the image encoder's size
    phrase_tokens: Int[AnyArray, "B N Lp"] | Float[AnyArray, "B N Lp Ct"]  # T5 ids of each subject's words
    placement: Int[AnyArray, "B N Lp"]  # where they stand in text_tokens; -1: padding
    has_identity: Bool[AnyArray, "B N"]
    pose: Pictures | None = None  # the skeleton picture on the canvas
    has_pose: Bool[AnyArray, " B"] | None = None


@flax.struct.dataclass
class Batch:
    """Training examples: the picture to make and what it is made from (None where only the picture counts)."""

    target: Pictures
    inputs: Inputs | None


def patchify(latents: Float[Array, "*B h w C"]) -> Float[Array, "*B L P"]:
    """Latents to tokens of 2 x 2 latents, channels first within a token (FLUX.1)."""
    return rearrange(latents, "... (h p) (w q) c -> ... (h w) (c p q)", p=PATCH, q=PATCH)


def unpatchify(tokens: Float[Array, "*B L P"], height: int, width: int) -> Float[Array, "*B h w C"]:
    """The inverse of `patchify`; `height` and `width` count latents."""
    rows, columns = height // PATCH, width // PATCH
    return rearrange(tokens, "... (h w) (c p q) -> ... (h p) (w q) c", h=rows, w=columns, p=PATCH, q=PATCH)


def _grid(latents: Float[Array, "*B h w C"]) -> tuple[int, int]:
    """Rows and columns of the tokens of latents."""
    return latents.shape[-3] // PATCH, latents.shape[-2] // PATCH


class _Pictures(NamedTuple):
    """n condition pictures of each example, all of one size."""

    tokens: Float[Array, "B n L C"]
    exist: Bool[Array, "B n L"]
    ids: Float[np.ndarray, "n L 3"]


def _together(pictures: list[_Pictures]) -> _Pictures:
    """All tokens of an example as those of one picture."""
    batch = len(pictures[0].tokens)
    return _Pictures(
        jnp.concatenate([one.tokens.reshape(batch, 1, -1, one.tokens.shape[-1]) for one in pictures], 2),
        jnp.concatenate([one.exist.reshape(batch, 1, -1) for one in pictures], 2),
        np.concatenate([one.ids.reshape(1, -1, 3) for one in pictures], 1),
    )


@dataclasses.dataclass(frozen=True)
class Astra:
    """The model: holds only its config, every method is a pure function of parameters and arrays."""

    config: ModelConfig

    @property
    def dtype(self) -> Any:
        """The dtype of the computation; parameters have their own."""
        return jnp.dtype(self.config.dtype)

    @property
    def downsampling(self) -> int:
        """Pixels a latent, along one axis."""
        return self.config.autoencoder.downsampling

    @property
    def _modules(self) -> dict[str, Any]:
        config = self.config
        return {
            "transformer": Transformer(config.transformer, self.dtype, config.attention),
            "dsm": Dsm(config.dsm, config.transformer.width, config.transformer.double_blocks, self.dtype),
            "autoencoder": autoencoder.Autoencoder(config.autoencoder, self.dtype),
            "t5": T5Encoder(config.t5, self.dtype),
            "clip_text": ClipTextEncoder(config.clip_text, self.dtype),
            config.image_encoder_part: image_encoder(config, self.dtype).module,
        }

    def _apply(self, params: Params, name: str, *args: Any, **kwargs: Any) -> Any:
        return self._modules[name].apply({"params": params[name]}, *args, **kwargs)

    def init(self, rng: PRNGKeyArray) -> Params:
        """Random float32 parameters of all parts, one subtree each; "lora" is one where its rank is not 0."""
        config, modules = self.config, self._modules
        side = self.downsampling * PATCH
        text = jnp.zeros((1, config.text_length), jnp.int32)
        vision = config.image_encoder
        features = jnp.zeros((1, 1, 1, vision.width))  # no parameter depends on the number of tokens
        canvas = (1, 1, config.transformer.latent_dim)
        arguments = {
            "transformer": (jnp.zeros(canvas), jnp.zeros(1), self._empty_conditions()),
            "dsm": (jnp.zeros((1, 1, config.phrase_length, config.t5.width)), features),
            "autoencoder": (jnp.zeros((1, side, side, 3)),),
            "t5": (text,),
            "clip_text": (jnp.zeros((1, config.clip_text.length), jnp.int32),),
            config.image_encoder_part: (jnp.zeros((1, vision.image_size, vision.image_size, 3)),),
        }
        keys = dict(zip(sorted(modules), jax.random.split(rng, len(modules)), strict=True))
        params = {name: module.init(keys[name], *arguments[name])["params"] for name, module in modules.items()}
        if config.lora.rank:
            # A key of its own, so that the other parts start the same with and without it.
            key = jax.random.fold_in(rng, len(modules))
            params["lora"] = lora.init_lora(key, params["transformer"], config.lora)
        return params

    def _empty_conditions(self) -> Conditions:
        """Conditions of one canvas token and no text, for shapes alone."""
        config = self.config.transformer
        tables = jnp.zeros((1, 2, sum(config.axes_dim) // 2))
        return Conditions(
            text=jnp.zeros((1, 1, config.context_dim)),
            pooled=jnp.zeros((1, config.pooled_dim)),
            guidance=jnp.zeros(1),
            images=jnp.zeros((1, 0, config.latent_dim)),
            cos=tables,
            sin=tables,
            mask=jnp.ones((1, 2), bool),
            offsets=jnp.zeros((config.double_blocks, 1, 1, config.width)),
            place=jnp.zeros((1, 1, 1)),
        )

    def moments(self, params: Params, pictures: UInt8[AnyArray, "*B H W 3"]) -> Float[Array, "*B h w M"]:
        """Raw mean and log-variance of the pictures' latents, side by side in the last axis."""
        flat = jnp.asarray(pictures, jnp.float32).reshape(-1, *pictures.shape[-3:]) / 127.5 - 1
        moments = self._apply(params, "autoencoder", flat, method="encode")
        return moments.astype(jnp.float32).reshape(*pictures.shape[:-3], *moments.shape[1:])

    def latents(self, params: Params, x: Pictures, rng: PRNGKeyArray | None = None) -> Float[Array, "*B h w C"]:
        """Normalised latents of pictures, or of moments made beforehand; without `rng` the mean, with it a sample."""
        moments = self.moments(params, x) if x.dtype == jnp.uint8 else jnp.asarray(x, jnp.float32)
        raw = autoencoder.sample_moments(moments, rng)
        return autoencoder.normalise(raw, self.config.autoencoder)

    def decode(self, params: Params, latents: Float[Array, "B h w C"]) -> UInt8[Array, "B H W 3"]:
        """Pictures of normalised latents; large ones are decoded in tiles."""
        raw = autoencoder.denormalise(latents, self.config.autoencoder)
        decode = functools.partial(self._apply, params, "autoencoder", method="decode")
        pictures = decode_tiled(decode, raw, self.downsampling)
        return jnp.round(jnp.clip((pictures + 1) * 127.5, 0, 255)).astype(jnp.uint8)

    def encode(
        self, params: Params, inputs: Inputs, canvas: tuple[int, int], rng: PRNGKeyArray | None = None
    ) -> Conditions:
        """Everything that does not depend on x_t and t.

        Args:
            params: of all parts; those of the identity path, "dsm" and the image encoder, may be absent.
            inputs: what the pictures are asked to be.
            canvas: (height, width) of the canvas in latents.
            rng: draws the condition pictures' latents from their distribution; their means without it.
        """
        config = self.config
        batch = inputs.has_reference.shape[0]
        ids, pictures = self._condition_pictures(params, inputs, canvas, rng)
        pooled = self.pooled_features(params, inputs.pooled_tokens)
        cached: tuple[CachedPictures, ...] = ()
        if config.condition_attention == "cached" and pictures:
            groups = [_together(pictures)] if config.condition_scope == "all" else pictures
            cached = tuple(self._cache(params, one, inputs.guidance, pooled) for one in groups)
            pictures = []
        nothing = jnp.zeros((batch, 1, 0, config.transformer.latent_dim)), jnp.zeros((batch, 1, 0), bool)
        sequence = _together(pictures or [_Pictures(*nothing, ids[None, :0])])
        cos, sin = self._rotary(np.concatenate([ids, sequence.ids[0]]), batch)
        offsets, place = self._identity(params, inputs)
        return Conditions(
            text=self.text_features(params, inputs.text_tokens),
            pooled=pooled,
            guidance=inputs.guidance,
            images=sequence.tokens[:, 0],
            cos=cos,
            sin=sin,
            mask=jnp.concatenate([jnp.ones((batch, len(ids)), bool), sequence.exist[:, 0]], 1),
            offsets=offsets,
            place=place,
            cached=cached,
        )

    def _condition_pictures(
        self, params: Params, inputs: Inputs, canvas: tuple[int, int], rng: PRNGKeyArray | None
    ) -> tuple[Float[np.ndarray, "L 3"], list[_Pictures]]:
        """Positions of text and canvas; the pose and the references, as far as the batch has them.

        What a batch lacks moves nothing: references keep the positions that they have beside a pose.
        """
        pose_rng, reference_rng = (None, None) if rng is None else jax.random.split(rng)
        pose = None if inputs.pose is None else self.latents(params, inputs.pose, pose_rng)
        count = inputs.has_reference.shape[1]
        references = self.latents(params, inputs.references, reference_rng) if count else None
        canvas_grid = (canvas[0] // PATCH, canvas[1] // PATCH)
        pose_grid = canvas_grid if pose is None else _grid(pose)
        reference_grids = [] if references is None else [_grid(references)] * count
        length = self.config.text_length
        ids = positions(length, canvas_grid, pose_grid, reference_grids, self.config.positions)
        start = length + math.prod(canvas_grid)
        shared, pose_ids, reference_ids = np.split(ids, [start, start + math.prod(pose_grid)])
        pictures = []
        for latents, exist, ids in (
            (None if pose is None else pose[:, None], inputs.has_pose, pose_ids),
            (references, inputs.has_reference, reference_ids),
        ):
            if latents is not None and exist is not None:
                tokens = patchify(latents)
                shape = tokens.shape[:3]
                exist = jnp.broadcast_to(jnp.reshape(exist, (*shape[:2], 1)), shape)
                pictures.append(_Pictures(tokens, exist, ids.reshape(*shape[1:], 3)))
        return shared, pictures

    def _cache(
        self, params: Params, pictures: _Pictures, guidance: Float[AnyArray, " B"], pooled: Float[Array, "B Cp"]
    ) -> CachedPictures:
        tables = self._rotary(pictures.ids, len(pictures.tokens))
        arguments = (pictures.tokens, *tables, pictures.exist, guidance, pooled)
        return self._transform(params, *arguments, method="cache")

    def _rotary(self, ids: Float[np.ndarray, "*L 3"], batch: int) -> tuple[Float[Array, "B *L P"], ...]:
        sizes = self.config.transformer
        return rotary_tables(jnp.broadcast_to(ids, (batch, *ids.shape)), sizes.axes_dim, sizes.theta)

    def text_features(
        self, params: Params, ids: Int[AnyArray, "*B L"] | Float[AnyArray, "*B L Ct"]
    ) -> Float[Array, "*B L Ct"]:
        """T5's features of ids; features made beforehand stay what they are."""
        if jnp.issubdtype(ids.dtype, jnp.floating):
            return jnp.asarray(ids, self.dtype)
        features = self._apply(params, "t5", ids.reshape(-1, ids.shape[-1]))
        return features.reshape(*ids.shape, features.shape[-1])

    def pooled_features(
        self, params: Params, ids: Int[AnyArray, "B L"] | Float[AnyArray, "B Cp"]
    ) -> Float[Array, "B Cp"]:
        """CLIP's feature of ids; features made beforehand stay what they are."""
        if jnp.issubdtype(ids.dtype, jnp.floating):
            return jnp.asarray(ids, self.dtype)
        return self._apply(params, "clip_text", ids)

    def image_features(
        self, params: Params, portraits: UInt8[AnyArray, "*B S S 3"] | Float[AnyArray, "*B T C"]
    ) -> Float[Array, "*B T C"]:
        """The image encoder's tokens of photos of its size, normalised as it was trained (CLIP's or SigLIP's).

        Tokens made beforehand stay what they are.
        """
        if jnp.issubdtype(portraits.dtype, jnp.floating):
            return jnp.asarray(portraits, self.dtype)
        normalise = image_encoder(self.config, self.dtype).normalise
        pictures = normalise(portraits.reshape(-1, *portraits.shape[-3:]))
        features = self._apply(params, self.config.image_encoder_part, pictures)
        return features.reshape(*portraits.shape[:-3], *features.shape[1:])

    def _identity(self, params: Params, inputs: Inputs) -> tuple[Float[Array, "K B S D"], Float[Array, "B S Lt"]]:
        """Identity offsets and their places.

        Without subjects or without a part "dsm" there are none, S = 0, and no encoder runs.
        """
        config = self.config
        batch, subjects = inputs.has_identity.shape
        if "dsm" not in params or not subjects:
            none = jnp.zeros((config.transformer.double_blocks, batch, 0, config.transformer.width))
            return none, jnp.zeros((batch, 0, config.text_length))
        phrases = self.text_features(params, inputs.phrase_tokens)
        offsets = self._apply(params, "dsm", phrases, self.image_features(params, inputs.portraits))
        return offsets, place_offsets(inputs.placement, inputs.has_identity, config.text_length)

    def velocity(
        self, params: Params, x_t: Float[Array, "B L C"], t: Float[Array, " B"], conditions: Conditions
    ) -> Float[Array, "B L C"]:
        """The flow's velocity (noise - picture) at the canvas tokens x_t and times t; a part "lora" is applied."""
        return self._transform(params, x_t, t, conditions)

    def first_block_cache(self, batch: int, canvas_tokens: int) -> FirstBlockCache:
        """What `reusing_velocity` remembers, before the first evaluation."""
        return empty_cache(self._modules["transformer"], batch, canvas_tokens)

    def reusing_velocity(
        self,
        params: Params,
        x_t: Float[Array, "B L C"],
        t: Float[Array, " B"],
        conditions: Conditions,
        cache: FirstBlockCache,
        threshold: Float[Array, ""] | Float[Array, " B"] | float,
    ) -> tuple[Float[Array, "B L C"], FirstBlockCache]:
        """`velocity`, but where little has changed since the last full one from the first block alone."""
        with self._adapted(params) as variables:
            return reusing_velocity(self._modules["transformer"], variables, x_t, t, conditions, cache, threshold)

    def _transform(self, params: Params, *args: Any, **kwargs: Any) -> Any:
        """A method of the transformer with its LoRA, if it has one."""
        with self._adapted(params) as variables:
            return self._modules["transformer"].apply(variables, *args, **kwargs)

    @contextlib.contextmanager
    def _adapted(self, params: Params) -> Iterator[dict[str, Params]]:
        """The transformer's variables, and within, its LoRA is applied if it has one."""
        if "lora" not in params:
            yield {"params": params["transformer"]}
            return
        with nn.intercept_methods(lora.interceptor(self.config.lora.scale)):
            yield lora.collections(params["transformer"], params["lora"])
