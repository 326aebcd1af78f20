"""The matrix products of drawing one picture, by how often they are computed."""

from __future__ import annotations

import dataclasses

from astra_jax.config import Config
from astra_jax.costs import autoencoder, encoders
from astra_jax.costs.products import Product
from astra_jax.costs.step import tokens
from astra_jax.costs.tally import Tally
from astra_jax.costs.transformer import cache, velocity


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Products of one picture: of `Astra.encode`, of one velocity, and of `Astra.decode`."""

    encode: list[Product]
    step: list[Product]
    decode: list[Product]

    def flops(self, steps: int) -> float:
        """FLOPs of a picture in so many steps, each of one velocity."""
        once, step = (sum(p.forward for p in part) for part in (self.encode + self.decode, self.step))
        return once + steps * step


def sampling_products(config: Config, size: tuple[int, int], pose: bool, subjects: int) -> Sampling:
    """Products of a picture of `size` (pixels) with or without a pose, with so many subjects and no slots beyond them.

    References have `data.reference_size`. Large pictures, which are decoded in overlapping tiles, cost more than this.
    """
    model = dataclasses.replace(config.model, max_subjects=subjects)
    reference = (config.data.reference_size, config.data.reference_size)
    encode, step, decode = Tally(()), Tally(()), Tally(())
    for shape, count in ((size, int(pose)), (reference, subjects)):
        if count:
            autoencoder.encoder(encode, model.autoencoder, shape, count)
    encoders.t5(encode, model)
    encoders.clip_text(encode, model)
    if subjects:
        encoders.image_encoder(encode, model)
        encoders.dsm(encode, model)
    canvas = tokens(model, size)
    pictures = [(int(pose), canvas), (subjects, tokens(model, reference))]
    conditions = sum(count * length for count, length in pictures)
    if model.condition_attention == "cached":
        cache(encode, model, pictures, False)
        velocity(step, model, canvas, 0, conditions, False)
    else:
        velocity(step, model, canvas, conditions, 0, False)
    factor = model.autoencoder.downsampling
    autoencoder.decoder(decode, model.autoencoder, (size[0] // factor, size[1] // factor), False)
    return Sampling(encode.products, step.products, decode.products)
