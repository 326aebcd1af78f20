"""The matrix products of one training step, counted by hand from the sizes in the config."""

from __future__ import annotations

from collections.abc import Iterable

from astra_jax.config import Config, ModelConfig
from astra_jax.costs import autoencoder, encoders, keypoints
from astra_jax.costs.products import Product
from astra_jax.costs.tally import Tally
from astra_jax.costs.transformer import transformer

_PATCH = 2  # latents along a side of a token


def step_products(config: Config, trained: Iterable[str], canvas: tuple[int, int] | None = None) -> list[Product]:
    """Every product that a step needs for one example, for the objective that the config names.

    `trained` are the paths of the trained parameters, `canvas` the picture's height and width in pixels where it is not
    the config's. Encoders whose outputs the data brings (`data.embeddings`) do not run. Only what the loss and the
    wanted gradients need is counted: nothing twice for recomputation, no gradient of a frozen weight, no norm,
    activation or optimizer.
    """
    tally = Tally(trained)
    model, data = config.model, config.data
    canvas, reference = canvas or (data.height, data.width), (data.reference_size, data.reference_size)
    if config.train.objective == "autoencoder":
        size = (data.crop, data.crop) if data.crop else canvas
        flows = autoencoder.encoder(tally, model.autoencoder, size, 1)
        factor = model.autoencoder.downsampling
        autoencoder.decoder(tally, model.autoencoder, (size[0] // factor, size[1] // factor), flows)
        return tally.products
    if config.train.objective == "keypoints":
        keypoints.networks(tally, config.keypoints)
        return tally.products
    trained_latents = False
    if not data.latents:
        target = Tally(())  # its latents are fixed, whatever is trained
        autoencoder.encoder(target, model.autoencoder, canvas, 1)
        tally.products += target.products
        for size, count in ((canvas, 1), (reference, model.max_subjects)):
            trained_latents |= autoencoder.encoder(tally, model.autoencoder, size, count)
    if not data.embeddings:
        encoders.t5(tally, model)
        encoders.clip_text(tally, model)
        encoders.image_encoder(tally, model)
    encoders.dsm(tally, model)
    transformer(tally, model, tokens(model, canvas), condition_pictures(config, canvas), trained_latents)
    return tally.products


def tokens(model: ModelConfig, size: tuple[int, int]) -> int:
    """Tokens of a picture of `size` in pixels."""
    side = model.autoencoder.downsampling * _PATCH
    return (size[0] // side) * (size[1] // side)


def condition_pictures(config: Config, canvas: tuple[int, int] | None = None) -> list[tuple[int, int]]:
    """The condition pictures of a training example, present or masked: how many, and tokens of each of them.

    First the pose, which has the canvas's size (of these pixels where it is not the config's), then the references.
    """
    model, data = config.model, config.data
    reference = tokens(model, (data.reference_size, data.reference_size))
    return [(1, tokens(model, canvas or (data.height, data.width))), (model.max_subjects, reference)]


def step_flops(config: Config, trained: Iterable[str], canvas: tuple[int, int] | None = None) -> float:
    """FLOPs that one example needs in a step, forward and backward (see `step_products`)."""
    return sum(product.forward + product.backward for product in step_products(config, trained, canvas))
