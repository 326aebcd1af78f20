"""Both objectives on tiny real models: gradients, previews, and the same losses on one device and on eight."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax import config as c
from astra_jax.errors import UserError
from astra_jax.models.astra import Batch, Inputs
from astra_jax.params import flatten
from astra_jax.training.astra_objective import AstraObjective
from astra_jax.training.autoencoder_objective import AutoencoderObjective, gaussian_kl
from astra_jax.training.mesh import make_mesh, replicated, shard_batch, shardings
from astra_jax.training.objective import example_normal, rows_to_picture, to_uint8, to_unit
from astra_jax.training.objectives import make_objective
from astra_jax.training.partition import merge, partition

MODEL = c.ModelConfig(
    transformer=c.TransformerConfig(
        width=16,
        heads=2,
        axes_dim=(2, 2, 4),
        double_blocks=2,
        single_blocks=2,
        latent_dim=16,
        context_dim=8,
        pooled_dim=8,
    ),
    autoencoder=c.AutoencoderConfig(
        channels=8, channel_mult=(1, 1, 2), res_blocks=1, latent_channels=4, norm_groups=4, scale=1.0, shift=0.0
    ),
    t5=c.T5Config(vocab_size=32, width=8, layers=1, heads=2, head_dim=4, mlp_dim=16),
    clip_text=c.ClipTextConfig(vocab_size=32, width=8, layers=1, heads=2, mlp_dim=16, length=8),
    clip_vision=c.ClipVisionConfig(image_size=16, patch=8, width=8, layers=2, heads=2, mlp_dim=16),
    dsm=c.DsmConfig(width=8, layers=1, heads=2),
    text_length=8,
    phrase_length=2,
    max_subjects=2,
    dtype="float32",
)
CONFIG = c.Config(model=MODEL, train=c.TrainConfig(trainable="^(transformer|dsm)/"), sample=c.SampleConfig(steps=2))
SIDE = 16


def make_batch(size=8, seed=0):
    rng = np.random.default_rng(seed)

    def pictures(*shape):
        return jnp.asarray(rng.integers(0, 256, (size, *shape, 3), dtype=np.uint8))

    def ids(*shape, high=31):
        return jnp.asarray(rng.integers(0, high, (size, *shape)), jnp.int32)

    def some(*shape):
        return jnp.asarray(rng.random((size, *shape)) < 0.7)

    inputs = Inputs(
        text_tokens=ids(8),
        pooled_tokens=ids(8),
        guidance=jnp.ones(size),
        pose=pictures(SIDE, SIDE),
        has_pose=some(),
        references=pictures(2, SIDE, SIDE),
        has_reference=some(2),
        portraits=pictures(2, SIDE, SIDE),
        phrase_tokens=ids(2, 2),
        placement=ids(2, 2, high=7),
        has_identity=some(2),
    )
    return Batch(target=pictures(SIDE, SIDE), inputs=inputs)


def make_moments(batch, seed=1):
    """The batch with random latent moments in the place of pictures."""
    rng = np.random.default_rng(seed)

    def moments(x):
        shape = (*x.shape[:-3], SIDE // 4, SIDE // 4, 2 * MODEL.autoencoder.latent_channels)
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    inputs = dataclasses.replace(
        batch.inputs, pose=moments(batch.inputs.pose), references=moments(batch.inputs.references)
    )
    return Batch(target=moments(batch.target), inputs=inputs)


def quick_jit(function, **options):
    """Jit for programs that run once: compiling takes longer than running."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0}, **options)


def random_params(objective):
    """Small random numbers in the shapes of the objective's parameters, without compiling its initialisers."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(objective.init, jax.random.key(0))
    return jax.tree.map(lambda x: (0.2 * rng.normal(size=x.shape)).astype(x.dtype), shapes)


@pytest.fixture(scope="module")
def astra_params():
    return random_params(AstraObjective(CONFIG))


def gradients_on(objective, params, mesh_config, devices, batch):
    """Loss and gradients of the trained part on a mesh, fetched to the host."""
    mesh = make_mesh(mesh_config, jax.devices()[:devices])
    trainable, frozen = partition(params, objective.config.train.trainable)

    def loss(trainable, frozen, batch):
        return objective.loss(merge(trainable, frozen), batch, jax.random.key(1))[0]

    with jax.set_mesh(mesh):
        trainable, frozen = (jax.device_put(x, shardings(x, objective.rules, mesh)) for x in (trainable, frozen))
        run = quick_jit(
            jax.value_and_grad(loss), out_shardings=(replicated(mesh), shardings(trainable, objective.rules, mesh))
        )
        return jax.device_get(run(trainable, frozen, shard_batch(batch, mesh)))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_astra_gradients_do_not_depend_on_the_devices(astra_params):
    objective, batch = AstraObjective(CONFIG), make_moments(make_batch())
    one, gradients = gradients_on(objective, astra_params, c.MeshConfig(), 1, batch)
    assert np.isfinite(one)
    for name in ("transformer", "dsm"):  # the adapter learns through the placed offsets
        assert max(float(np.abs(x).max()) for x in jax.tree.leaves(gradients[name])) > 0
    for sizes in ({"data": 2, "fsdp": 4}, {"data": 2, "fsdp": 2, "context": 2}, {"data": 1, "fsdp": 4, "tensor": 2}):
        eight, sharded = gradients_on(objective, astra_params, c.MeshConfig(**sizes), 8, batch)
        np.testing.assert_allclose(eight, one, rtol=1e-5)
        for path, gradient in flatten(gradients).items():
            atol = 1e-5 * np.abs(gradient).max() + 1e-7
            np.testing.assert_allclose(flatten(sharded)[path], gradient, atol=atol, err_msg=f"{sizes} {path}")


def test_astra_pictures_their_moments_and_a_preview(astra_params):
    objective = AstraObjective(CONFIG)
    batch = make_batch(2)

    def everything(params, batch):
        moments = functools.partial(objective.model.moments, params)
        inputs = dataclasses.replace(
            batch.inputs, pose=moments(batch.inputs.pose), references=moments(batch.inputs.references)
        )
        cached = Batch(target=moments(batch.target), inputs=inputs)
        losses = [objective.loss(params, b, jax.random.key(0)) for b in (batch, cached)]
        return losses, [objective.preview(params, b, jax.random.key(0)) for b in (batch, cached)]

    ((first, metrics), (second, _)), (picture, cached) = quick_jit(everything)(astra_params, batch)
    assert first.dtype == jnp.float32
    assert first.shape == ()
    np.testing.assert_allclose(first, second, rtol=1e-5)
    # Of two examples both are in one half, or one in each.
    halves = float(metrics["loss_low_noise"]), float(metrics["loss_high_noise"])
    assert float(first) == pytest.approx(sum(halves) if 0.0 in halves else sum(halves) / 2, rel=1e-5)
    assert picture.dtype == jnp.uint8
    assert picture.shape == (2 * (SIDE + 4), 5 * (SIDE + 4), 3)  # sampled, target, skeleton, two references
    assert cached.shape == picture.shape
    np.testing.assert_array_equal(picture[:SIDE, SIDE + 4 : 2 * SIDE + 4], batch.target[0])
    np.testing.assert_array_equal(picture[:SIDE, 2 * (SIDE + 4) : 3 * SIDE + 8], batch.inputs.pose[0])
    np.testing.assert_allclose(cached[:, : SIDE + 4].astype(int), picture[:, : SIDE + 4].astype(int), atol=1)


AUTOENCODER_CONFIG = dataclasses.replace(CONFIG, train=c.TrainConfig(objective="autoencoder", kl_weight=0.5))


def test_autoencoder_losses_do_not_depend_on_the_devices():
    objective = AutoencoderObjective(AUTOENCODER_CONFIG)
    params = random_params(objective)
    batch = Batch(target=make_batch().target, inputs=None)
    losses = []
    for mesh in (make_mesh(c.MeshConfig(), jax.devices()[:1]), make_mesh(c.MeshConfig(data=2, fsdp=4))):
        with jax.set_mesh(mesh):
            placed = jax.device_put(params, shardings(params, objective.rules, mesh))
            losses.append(quick_jit(objective.loss)(placed, shard_batch(batch, mesh), jax.random.key(1))[0])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_autoencoder_loss_by_hand():
    objective = AutoencoderObjective(AUTOENCODER_CONFIG)
    params = jax.eval_shape(objective.init, jax.random.key(0))
    # With all kernels zero the moments are conv_out's bias and the reconstruction is zero: grey.
    params = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), params)
    params["autoencoder"]["encoder"]["conv_out"]["bias"] = jnp.array([1.0] * 4 + [float(np.log(4.0))] * 4)
    target = np.full((2, SIDE, SIDE, 3), 255, np.uint8)
    target[1] = 0
    loss, metrics = quick_jit(objective.loss)(params, Batch(target=jnp.asarray(target), inputs=None), jax.random.key(0))
    np.testing.assert_allclose(metrics["l1"], 1.0)
    kl = 0.5 * (1 + 4 - 1 - np.log(4.0)) * 4 / (16 * 3)  # 4 channels of latents for 4 x 4 pixels of 3 channels
    np.testing.assert_allclose(metrics["kl"], kl, rtol=1e-5)
    np.testing.assert_allclose(loss, 1.0 + 1.0 + 0.5 * kl, rtol=1e-5)
    np.testing.assert_allclose(metrics["psnr"], 10 * np.log10(4.0), rtol=1e-5)  # peak 2, mean squared error 1
    np.testing.assert_allclose(metrics["latent_std"], 2.0, rtol=0.2)
    picture = quick_jit(objective.preview)(params, Batch(target=jnp.asarray(target), inputs=None), jax.random.key(0))
    assert picture.shape == (2 * (SIDE + 4), 2 * (SIDE + 4), 3)
    assert picture[0, 0, 0] == 255
    assert picture[0, SIDE + 4, 0] == 128


def test_objectives_refuse_the_other_ones_data():
    with pytest.raises(UserError, match="needs pictures: leave data.latents empty"):
        AutoencoderObjective(CONFIG).loss({}, Batch(target=jnp.zeros((1, 4, 4, 8)), inputs=None), jax.random.key(0))
    with pytest.raises(UserError, match="this data has pictures alone"):
        AstraObjective(CONFIG).loss({}, Batch(target=jnp.zeros((1, 4, 4, 8)), inputs=None), jax.random.key(0))
    assert isinstance(make_objective(CONFIG), AstraObjective)
    with pytest.raises(UserError, match="train.objective must be astra or autoencoder or keypoints, not 'gan'"):
        make_objective(dataclasses.replace(CONFIG, train=c.TrainConfig(objective="gan")))


def test_helpers():
    assert float(gaussian_kl(jnp.zeros(1), jnp.zeros(1))[0]) == 0.0
    noise = example_normal(jax.random.key(0), (4, 1000))
    np.testing.assert_array_equal(example_normal(jax.random.key(0), (2, 1000)), noise[:2])
    assert abs(float(noise.mean())) < 0.1
    assert abs(float(noise.std()) - 1) < 0.1
    levels = jnp.arange(256, dtype=jnp.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
    np.testing.assert_array_equal(to_uint8(to_unit(levels)), levels)
    np.testing.assert_array_equal(to_uint8(jnp.full((1, 1, 1, 3), 7.0)), 255)
    small = jnp.zeros((2, 2, 3, 3), jnp.uint8)
    picture = rows_to_picture([levels.repeat(2, 0), small])
    assert picture.shape == (2 * 20, 16 + 4 + 3 + 4, 3)
    np.testing.assert_array_equal(picture[2:16, 20:23], 255)
