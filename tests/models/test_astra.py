import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import SiglipVisionConfig
from astra_jax.errors import UserError
from astra_jax.models.astra import Astra, patchify, unpatchify
from astra_jax.models.siglip import SiglipVisionEncoder

CANVAS = (4, 4)  # latents: 8 x 8 pixels, 2 x 2 tokens


def run(model, params, inputs, x=None, t=None):
    batch = inputs.text_tokens.shape[0]
    x = jax.random.normal(jax.random.key(9), (batch, 4, 16)) if x is None else x
    t = jnp.full(batch, 0.7) if t is None else t
    conditions = _encode(model, params, inputs)
    return _velocity(model, params, x, t, conditions)


_encode = jax.jit(lambda model, params, inputs: model.encode(params, inputs, CANVAS), static_argnums=0)
_velocity = jax.jit(lambda model, *args: model.velocity(*args), static_argnums=0)


def test_patchify_by_hand():
    latents = jnp.arange(2 * 4 * 3).reshape(1, 2, 4, 3).astype(jnp.float32)
    tokens = patchify(latents)
    # FLUX: (channel, row, column) within a token
    expected = [latents[0, r, c, ch] for ch in range(3) for r in range(2) for c in range(2)]
    np.testing.assert_array_equal(tokens[0, 0], expected)
    np.testing.assert_array_equal(unpatchify(tokens, 2, 4), latents)


def test_parts(params):
    assert set(params) == {"transformer", "dsm", "autoencoder", "t5", "clip_text", "clip_vision"}


@pytest.fixture(scope="module")
def siglip(tiny, random_params):
    """The tiny model with SigLIP's encoder, of other sizes than CLIP's, and its parameters."""
    sizes = SiglipVisionConfig(image_size=9, patch=4, width=12, layers=1, heads=2, mlp_dim=16)
    config = dataclasses.replace(
        tiny.config, siglip_vision=sizes, dsm=dataclasses.replace(tiny.config.dsm, encoder="siglip")
    )
    model = Astra(config)
    return model, random_params(jax.eval_shape(model.init, jax.random.key(0)))


def test_the_image_encoder_is_a_part_of_the_model(tiny, siglip, params):
    model, other = siglip
    assert set(other) == (set(params) - {"clip_vision"}) | {"siglip_vision"}
    assert other["dsm"]["shared"]["image_in"]["kernel"].shape == (12, 8)
    wrong = dataclasses.replace(model.config.siglip_vision, patch=0)
    model = dataclasses.replace(model, config=dataclasses.replace(model.config, siglip_vision=wrong))
    with pytest.raises(UserError, match="siglip_vision needs"):
        jax.eval_shape(model.init, jax.random.key(0))


def test_siglips_tokens_make_the_offsets(siglip, inputs, replace):
    """Photos of SigLIP's size, normalised its way, through the adapter to the text's modulation."""
    model, params = siglip
    inputs = replace(inputs, portraits=np.random.default_rng(0).integers(0, 256, (2, 2, 9, 9, 3)).astype(np.uint8))
    features = jax.jit(model.image_features)(params, inputs.portraits)
    assert features.shape == (2, 2, 4, 12)
    encoder = SiglipVisionEncoder(model.config.siglip_vision)
    flat = inputs.portraits.reshape(4, 9, 9, 3).astype(np.float32) / 127.5 - 1
    expected = jax.jit(encoder.apply)({"params": params["siglip_vision"]}, flat)
    np.testing.assert_allclose(features.reshape(4, 4, 12), expected, rtol=1e-5, atol=1e-5)
    other = replace(inputs, portraits=255 - inputs.portraits)
    here, there = (np.asarray(_encode(model, params, x).offsets) for x in (inputs, other))
    assert np.abs(here - there).max() > 1e-3
    assert np.abs(np.asarray(run(model, params, inputs) - run(model, params, other))).max() > 1e-4


def test_sequence(tiny, params, inputs):
    conditions = _encode(tiny, params, inputs)
    text, canvas, pose, references = 6, 4, 4, 2 * 1
    assert conditions.mask.shape == (2, text + canvas + pose + references)
    assert conditions.images.shape == (2, pose + references, 16)
    # The pose has the canvas's own positions, so the same rows of the tables.
    np.testing.assert_array_equal(conditions.cos[:, 6:10], conditions.cos[:, 10:14])
    assert np.abs(np.asarray(conditions.cos[:, 14] - conditions.cos[:, 15])).max() > 0.1
    assert conditions.offsets.shape == (2, 2, 4, 16)
    assert conditions.place.sum((1, 2)).tolist() == [3, 3]


def test_moments_stand_for_pictures(tiny, params, inputs, replace):
    cached = replace(inputs, pose=tiny.moments(params, inputs.pose), references=tiny.moments(params, inputs.references))
    assert cached.references.shape == (2, 2, 2, 2, 8)
    np.testing.assert_allclose(_encode(tiny, params, cached).images, _encode(tiny, params, inputs).images, atol=1e-5)


@pytest.mark.parametrize(
    ("switch", "content"),
    [("has_pose", "pose"), ("has_reference", "references"), ("has_identity", "portraits")],
)
def test_what_is_switched_off_is_not_read(tiny, params, inputs, replace, switch, content):
    off = replace(inputs, **{switch: np.zeros_like(getattr(inputs, switch))})
    other = replace(off, **{content: 255 - getattr(inputs, content)})
    without = run(tiny, params, off)
    np.testing.assert_allclose(run(tiny, params, other), without, atol=1e-6)
    assert np.abs(np.asarray(run(tiny, params, inputs) - without)).max() > 1e-4
    assert np.abs(np.asarray(run(tiny, params, replace(inputs, **{content: 255 - getattr(inputs, content)})) -
                             run(tiny, params, inputs))).max() > 1e-4  # fmt: skip


def first_slots(replace, inputs, count):
    names = ("references", "has_reference", "portraits", "phrase_tokens", "placement", "has_identity")
    return replace(inputs, **{name: getattr(inputs, name)[:, :count] for name in names})


def without_pose(replace, inputs):
    return replace(inputs, pose=None, has_pose=None)


@pytest.mark.parametrize(
    ("mode", "pose", "slots"), [("europe", True, 1), ("europe", False, 0), ("unope", False, 2)], ids=str
)
def test_what_a_batch_lacks_has_no_tokens_and_changes_nothing(tiny, params, inputs, replace, mode, pose, slots):
    model = dataclasses.replace(tiny, config=dataclasses.replace(tiny.config, positions=mode))
    present = np.arange(2) < slots
    masked = replace(
        inputs,
        has_pose=inputs.has_pose & pose,
        has_reference=inputs.has_reference & present,
        has_identity=inputs.has_identity & present,
    )
    absent = first_slots(replace, inputs, slots)
    absent = absent if pose else without_pose(replace, absent)
    conditions = _encode(model, params, absent)
    assert conditions.images.shape == (2, 4 * pose + slots, 16)
    assert conditions.mask.shape == conditions.cos.shape[:2] == (2, 6 + 4 + 4 * pose + slots)
    assert conditions.offsets.shape == (2, 2, 2 * slots, 16)
    np.testing.assert_allclose(run(model, params, absent), run(model, params, masked), atol=1e-5)
    assert np.abs(np.asarray(run(model, params, absent) - run(model, params, inputs))).max() > 1e-3


def test_gradients_without_conditions(tiny, params, inputs, replace):
    """A batch that lacks every condition can be trained on: the encoders of what is absent do not run."""
    nothing = without_pose(replace, first_slots(replace, inputs, 0))

    @jax.jit
    def gradient(params):
        return jax.grad(lambda p: jnp.square(run(tiny, p, nothing)).mean())(params)

    gradients = gradient(params)
    assert np.abs(gradients["transformer"]["double_blocks"]["txt_mod"]["kernel"]).max() > 1e-4
    for part in ("dsm", "clip_vision", "autoencoder"):
        assert not any(leaf.any() for leaf in jax.tree.leaves(gradients[part]))


def test_untrained_adapter_leaves_the_model_as_it_is(tiny, params, inputs, replace):
    zero = {name: np.zeros_like(value) for name, value in params["dsm"]["shared"]["out_norm"].items()}
    blocks = {name: np.zeros_like(value) for name, value in params["dsm"]["blocks"]["out_norm"].items()}
    dsm = {
        "shared": params["dsm"]["shared"] | {"out_norm": zero},
        "blocks": params["dsm"]["blocks"] | {"out_norm": blocks},
    }
    params = params | {"dsm": dsm}
    off = replace(inputs, has_identity=np.zeros_like(inputs.has_identity))
    np.testing.assert_array_equal(run(tiny, params, inputs), run(tiny, params, off))


def test_examples_do_not_see_each_other(tiny, params, inputs, replace):
    both = run(tiny, params, inputs)
    changed = jax.tree.map(lambda a: np.concatenate([a[:1], a[:1]]), inputs)
    np.testing.assert_allclose(run(tiny, params, changed)[0], both[0], atol=1e-5)


def test_swapping_pictures_of_two_subjects_is_not_the_same_picture(tiny, params, inputs, replace):
    swapped = replace(inputs, references=inputs.references[:, ::-1], portraits=inputs.portraits[:, ::-1])
    assert np.abs(np.asarray(run(tiny, params, swapped) - run(tiny, params, inputs))).max() > 1e-4


@pytest.mark.parametrize("mode", ["unope", "rope"])
def test_ablations_run_and_differ(tiny, params, inputs, mode):
    other = dataclasses.replace(tiny, config=dataclasses.replace(tiny.config, positions=mode))
    assert np.abs(np.asarray(run(other, params, inputs) - run(tiny, params, inputs))).max() > 1e-5


def test_decode_gives_pictures(tiny, params):
    latents = tiny.latents(params, np.full((1, 8, 8, 3), 200, np.uint8))
    assert latents.shape == (1, 4, 4, 4)
    pictures = tiny.decode(params, latents)
    assert pictures.shape == (1, 8, 8, 3)
    assert pictures.dtype == jnp.uint8


def test_latents_are_normalised_and_drawn_from_their_distribution(tiny, params):
    config = dataclasses.replace(
        tiny.config, autoencoder=dataclasses.replace(tiny.config.autoencoder, scale=2.0, shift=0.5)
    )
    scaled = dataclasses.replace(tiny, config=config)
    moments = np.zeros((1, 2, 2, 8), np.float32)
    moments[..., :4], moments[..., 4:] = 3.0, np.log(0.25)
    np.testing.assert_allclose(scaled.latents(params, moments), 2 * (3.0 - 0.5))
    wide = np.broadcast_to(moments, (2000, 2, 2, 8))
    drawn = np.asarray(scaled.latents(params, wide, jax.random.key(0)))
    assert drawn.std() == pytest.approx(2 * 0.5, rel=0.02)
    assert drawn.mean() == pytest.approx(5.0, abs=0.02)
