"""FLOPs of a step: by hand, and against the multiplications that JAX itself traces."""

import dataclasses
import math

import jax
import pytest

from astra_jax import config as c
from astra_jax.costs.products import totals
from astra_jax.costs.step import step_flops, step_products, token_counts
from astra_jax.params import flatten
from astra_jax.planning.abstract import abstract_batch
from astra_jax.training.mesh import make_mesh
from astra_jax.training.objectives import make_objective
from astra_jax.training.partition import merge, partition

MODEL = c.ModelConfig(
    transformer=c.TransformerConfig(
        width=16, heads=2, axes_dim=(2, 2, 4), double_blocks=2, single_blocks=3, latent_dim=16, context_dim=12,
        pooled_dim=10, remat="none",
    ),
    autoencoder=c.AutoencoderConfig(channels=4, channel_mult=(1, 2), res_blocks=1, latent_channels=4, norm_groups=2),
    t5=c.T5Config(vocab_size=32, width=12, layers=2, heads=2, head_dim=4, mlp_dim=20),
    clip_text=c.ClipTextConfig(vocab_size=32, width=10, layers=2, heads=2, mlp_dim=14, length=6),
    clip_vision=c.ClipVisionConfig(image_size=8, patch=4, width=8, layers=3, heads=2, mlp_dim=18),
    siglip_vision=c.SiglipVisionConfig(image_size=8, patch=4, width=6, layers=2, heads=2, mlp_dim=22),
    dsm=c.DsmConfig(width=8, layers=2, heads=2),
    lora=c.LoraConfig(rank=3),
    text_length=7, phrase_length=2, max_subjects=2, dtype="float32",
)  # fmt: skip
DATA = c.DataConfig(height=8, width=12, reference_size=4)


def config(trainable, objective="astra", model=None, data=None):
    return c.Config(
        model=dataclasses.replace(MODEL, **model or {}),
        data=dataclasses.replace(DATA, **data or {}),
        train=c.TrainConfig(trainable=trainable, batch_size=2, objective=objective),
    )


def traced_flops(jaxpr, times=1):
    """FLOPs of all products and convolutions of a jaxpr; of a convolution with a dilated input, without its zeros."""
    total = 0
    for equation in jaxpr.eqns:
        params, out = equation.params, [v.aval for v in equation.outvars]
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = params["dimension_numbers"]
            inner = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
            total += times * 2 * math.prod(out[0].shape) * inner
        elif equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            inner = math.prod(kernel) // kernel[params["dimension_numbers"].rhs_spec[0]]
            total += times * 2 * math.prod(out[0].shape) * inner // math.prod(params["lhs_dilation"])
        inside = times * (params["length"] if equation.primitive.name == "scan" else 1)
        for value in params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                if hasattr(inner, "jaxpr"):
                    total += traced_flops(inner.jaxpr, inside)
                elif hasattr(inner, "eqns"):
                    total += traced_flops(inner, inside)
    return total


@pytest.mark.parametrize(
    "run",
    [
        config("^(lora|dsm)/"),
        config("^transformer/", model={"lora": c.LoraConfig()}),
        config(".*"),
        config("^single_blocks|lora/single_blocks/linear2"),
        config(
            "^(lora|dsm)/",
            model={"dsm": c.DsmConfig(width=8, layers=1, heads=2, encoder="siglip")},
            data={"latents": "cache"},
        ),
        config("^(lora|dsm)/", data={"latents": "cache", "embeddings": True}),
        config("^autoencoder/", "autoencoder", data={"crop": 4}),
    ],
    ids=["lora", "transformer", "all", "single", "cached_siglip", "embeddings", "autoencoder"],
)
def test_the_count_by_hand_is_what_the_gradient_multiplies(run):
    objective = make_objective(run)
    params = jax.eval_shape(objective.init, jax.random.key(0))
    trained, frozen = partition(params, run.train.trainable)
    batch = abstract_batch(run, make_mesh(c.MeshConfig(), jax.devices()[:1]))

    def gradient(trained, frozen, batch):
        return jax.grad(lambda p: objective.loss(merge(p, frozen), batch, jax.random.key(0))[0])(trained)

    traced = traced_flops(jax.make_jaxpr(gradient)(trained, frozen, batch).jaxpr)
    assert run.train.batch_size * step_flops(run, flatten(trained)) == traced


def test_a_canvas_of_another_size_counts_as_a_config_of_it():
    here, there = config("^(lora|dsm)/"), config("^(lora|dsm)/", data={"height": 16, "width": 4})
    assert token_counts(here, (16, 4)) == token_counts(there) == (4, 6)
    assert step_products(here, ["dsm"], (16, 4)) == step_products(there, ["dsm"])


def test_blocks_by_hand():
    run = config("^(lora|dsm)/", data={"latents": "cache"})
    # 2 pixels a latent and 2 latents a token: 2 x 3 tokens of the canvas, as many of the pose, 1 of each reference.
    assert token_counts(run) == (6, 8)
    products = {p.name: p for p in step_products(run, ["lora/double_blocks/img_qkv/a"])}
    assert products["transformer/double_blocks/img_qkv"].forward == 2 * (14 * 16 * 48) * 2  # two blocks
    assert products["transformer/single_blocks/attention"].forward == 2 * 2 * (21 * 21 * 16) * 3
    assert products["transformer/single_blocks/linear2"].forward == 2 * (21 * (16 + 64) * 16) * 3
    # The canvas tokens do not depend on what is trained before the first block.
    assert products["transformer/img_in"].backward == 0
    assert (
        products["transformer/single_blocks/linear2"].backward == products["transformer/single_blocks/linear2"].forward
    )


def test_flux_needs_the_known_number_of_flops():
    run = c.Config(data=c.DataConfig(height=1024, width=1024, reference_size=0), model=c.ModelConfig(max_subjects=0))
    sums = totals([p for p in step_products(run, ()) if p.name.startswith("transformer")])
    # 11.9 B parameters, of which 5.4 B are modulation and read one token. Pose tokens double those of the canvas:
    # 8,704 tokens through 6.46 B weights are 112 TFLOP; attention is 57 x 4 x 8704^2 x 3072 = 53 TFLOP.
    assert sums["transformer"][0] == pytest.approx(166e12, rel=0.02)
