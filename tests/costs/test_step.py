"""FLOPs of a step: by hand, and against the multiplications that JAX itself traces."""

import dataclasses
import math

import jax
import pytest

from astra_jax import config as c
from astra_jax.costs.products import totals
from astra_jax.costs.sampling import sampling_products
from astra_jax.costs.step import condition_pictures, step_flops, step_products
from astra_jax.models import attention_xla, gradients
from astra_jax.models.astra import Astra
from astra_jax.params import flatten
from astra_jax.planning.abstract import abstract_batch
from astra_jax.training.mesh import make_mesh
from astra_jax.training.objectives import make_objective
from astra_jax.training.partition import merge, partition
from astra_jax.vit_config import KeypointsConfig, VitConfig, VitPoseConfig

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
CACHED = {"condition_attention": "cached"}
DATA = c.DataConfig(height=8, width=12, reference_size=4)


VIT = VitConfig(image_size=(8, 12), patch=4, width=8, layers=2, heads=2, mlp_dim=20, class_token=False)
KEYPOINTS = KeypointsConfig(
    joints=VitPoseConfig(VIT, channels=(6, 4)), people=VitPoseConfig(VIT, "simple", scale_factor=2, maps=5)
)
STEMMED = KeypointsConfig(
    joints=VitPoseConfig(dataclasses.replace(VIT, image_size=(16, 24), patch=8), stem=(3, 5), channels=(6, 4, 7)),
    people=VitPoseConfig(VIT, stem=(3,), channels=(6,), maps=5),
)


def config(trainable, objective="astra", model=None, data=None, keypoints=KEYPOINTS):
    return c.Config(
        keypoints=keypoints,
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
        config(".*", "keypoints"),
        config("^people/", "keypoints"),
        config(".*", "keypoints", keypoints=STEMMED),
        config("skip_0|maps", "keypoints", keypoints=STEMMED),
        config(".*", model={**CACHED, "condition_scope": "image"}),
        config("^single_blocks|lora/single_blocks/linear2|txt_proj", model={**CACHED, "condition_scope": "image"}),
        config("^autoencoder/encoder", model=CACHED),
    ],
    ids=[
        *("lora", "transformer", "all", "single", "cached_siglip", "embeddings", "autoencoder"),
        *("keypoints", "people", "stems", "skip"),
        *(f"conditions_cached_{name}" for name in ("all", "single", "latents")),
    ],
)
def test_the_count_by_hand_is_what_the_gradient_multiplies(run, monkeypatch):
    # By JAX's own rules: ours compute scores again, which is no needed work, and gradients that the compiler drops.
    monkeypatch.setattr(attention_xla, "_attention", attention_xla._attention.fun)
    monkeypatch.setattr(gradients, "_product", gradients._product.fun)
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
    assert condition_pictures(here, (16, 4)) == condition_pictures(there) == [(1, 4), (2, 1)]
    assert step_products(here, ["dsm"], (16, 4)) == step_products(there, ["dsm"])


def test_blocks_by_hand():
    run = config("^(lora|dsm)/", data={"latents": "cache"})
    # 2 pixels a latent and 2 latents a token: 2 x 3 tokens of the canvas, as many of the pose, 1 of each reference.
    assert condition_pictures(run) == [(1, 6), (2, 1)]
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


@pytest.mark.parametrize(
    ("model", "pose", "subjects"),
    [({}, True, 2), (CACHED, True, 1), ({**CACHED, "condition_scope": "image"}, True, 2), (CACHED, False, 0)],
    ids=["full", "all", "image", "nothing"],
)
def test_the_count_of_sampling_is_what_is_multiplied(model, pose, subjects):
    run = config("", model=model)
    astra = Astra(run.model)
    params = jax.eval_shape(astra.init, jax.random.key(0))
    batch = abstract_batch(run, make_mesh(c.MeshConfig(), jax.devices()[:1])).inputs
    assert batch is not None
    names = ("references", "has_reference", "portraits", "phrase_tokens", "placement", "has_identity")
    slots = {name: getattr(batch, name) for name in names}
    slots = {name: jax.ShapeDtypeStruct((2, subjects, *x.shape[2:]), x.dtype) for name, x in slots.items()}
    inputs = dataclasses.replace(batch, **slots, **({} if pose else {"pose": None, "has_pose": None}))
    x, t = jax.ShapeDtypeStruct((2, 6, 16), "float32"), jax.ShapeDtypeStruct((2,), "float32")
    counted = sampling_products(run, (8, 12), pose, subjects)
    encode = jax.make_jaxpr(lambda p, i: astra.encode(p, i, (4, 6)), return_shape=True)
    encoded, conditions = encode(params, inputs)
    latents = jax.ShapeDtypeStruct((2, 4, 6, 4), "float32")
    for products, traced in (
        (counted.encode, encoded),
        (counted.step, jax.make_jaxpr(astra.velocity)(params, x, t, conditions)),
        (counted.decode, jax.make_jaxpr(astra.decode)(params, latents)),
    ):
        assert 2 * sum(p.forward for p in products) == traced_flops(traced.jaxpr)


def test_cached_conditions_at_the_true_size():
    """FLUX.1 at 512 pixels with a pose and two references of 320: a step costs little more than plain text-to-image."""

    def step(attention, pose, subjects):
        run = c.Config(model=c.ModelConfig(condition_attention=attention))
        return sum(p.forward for p in sampling_products(run, (512, 512), pose, subjects).step)

    plain = step("full", False, 0)
    # 1,536 tokens through 6.46 B weights are 19.8 TFLOP; attention is 57 x 4 x 1536^2 x 3072 = 1.7 TFLOP, and with
    # 1,824 more keys 2.0 TFLOP more. Modulation of the phrases' 32 tokens: 19 x 2 x 32 x 3072 x 18432 = 0.07 TFLOP.
    assert plain == pytest.approx(21.5e12, rel=0.02)
    assert step("cached", True, 2) - plain == pytest.approx(2.0e12, rel=0.1)
    assert step("full", True, 2) / plain > 2.2
