import dataclasses
import itertools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from astra_jax.config import LoraConfig, MeshConfig
from astra_jax.errors import UserError
from astra_jax.flow.sampler import initial_noise
from astra_jax.inputs.photos import cover, load_photo
from astra_jax.inputs.requests import Request, SubjectRequest
from astra_jax.inputs.transforms import stack
from astra_jax.models.astra import PATCH, unpatchify
from astra_jax.models.lora import init_lora
from astra_jax.pipeline import AstraPipeline
from astra_jax.pose.database import PoseBank, PoseEntry
from astra_jax.pose.drawing import draw
from astra_jax.training.mesh import make_mesh

BANK = pathlib.Path("data/pose_library/bank")


@pytest.fixture(scope="module")
def pipe(pretrained):
    return AstraPipeline.from_pretrained(pretrained, BANK)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "man.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3)).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def whole_bank(tmp_path_factory):
    """A bank with one scene, a person with hands and a face."""
    points = np.random.default_rng(0).uniform(20, 80, (1, 133, 2))
    people = np.concatenate([points, np.full((1, 133, 1), 2)], axis=-1)
    entry = PoseEntry("whole", people.astype(np.float32), 100, 100, ("a man waving hello",))
    folder = tmp_path_factory.mktemp("whole") / "bank"
    PoseBank.build([entry], backend="exact").save(folder)
    return folder


def request_of(photo, **fields):
    values = {"prompt": "a man waving hello", "subjects": (SubjectRequest("a man", photo),), "seed": 3}
    return Request(**(values | fields))


def drawn(pipe, *requests, batch_size=4, mesh=None, **run):
    """The pictures of requests, in their order."""
    settings = dataclasses.replace(pipe.defaults, **run)
    results = sorted(pipe.draw(requests, settings, batch_size), key=lambda one: (one.number, one.index))
    return [one.picture for one in results]


def apart(one, other):
    """Largest difference of two pictures in grey levels."""
    return np.abs(one.astype(int) - other).max()


def test_five_lines(pipe, photo):
    output = pipe("a man waving hello", subjects={"a man": photo}, seed=3, num_images=2)
    assert [image.size for image in output.images] == [(32, 32), (32, 32)]
    assert "wav" in output.retrieved.action
    assert output.retrieved.people.shape == (1, 17, 3)
    assert output.skeleton.getextrema() != ((0, 0),) * 3
    assert output.notes == ()
    np.testing.assert_array_equal(output.images[0], drawn(pipe, request_of(photo, num_images=2))[0])


def test_photos_and_poses_may_come_from_memory(pipe, photo):
    expected = pipe("a man waving hello", subjects={"a man": photo}).images[0]
    with Image.open(photo) as opened:
        again = pipe("a man waving hello", subjects={"a man": opened}).images[0]
        array = pipe("a man waving hello", subjects={"a man": np.asarray(opened)}).images[0]
    np.testing.assert_array_equal(again, expected)
    np.testing.assert_array_equal(array, expected)
    people = np.stack([np.linspace(4, 28, 17), np.linspace(2, 30, 17), np.full(17, 2)], -1)[None]
    output = pipe("a man waving hello", pose=people)
    np.testing.assert_array_equal(output.skeleton, draw(people.astype(np.float32), (32, 32)))
    assert output.retrieved is None
    np.testing.assert_array_equal(pipe("a man waving hello", pose=output.skeleton).skeleton, output.skeleton)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": " "}, "'prompt' is missing or empty"),
        ({"seed": -1}, "'seed' must be from 0"),
        ({"num_images": 0}, "'num_images' must be from 1"),
        ({"subjects": {"a man": np.zeros((4, 4))}}, "a photo must be uint8"),
        ({"pose": np.zeros((1, 5, 3))}, "the pose: people must have 17 or 133 COCO joints"),
        ({"size": (33, 32)}, "request: height 33"),
        ({"steps": 0}, "request: steps must be at least 1"),
        ({"cfg_scale": np.nan}, "request: cfg_scale must be a positive number"),
        ({"cfg_scale": 0.0}, "request: cfg_scale must be a positive number"),
        ({"guidance": 2.0}, "no guidance input"),
        ({"strength": 0.5}, "'strength' needs 'image'"),
        ({"pose_start": 0.7, "pose_end": 0.3}, "pose_start and pose_end"),
        ({"dsm_scale": -1.0}, "dsm_scale must be 0"),
        ({"solver": "rk4"}, "solver must be"),
        ({"cache_threshold": -1.0}, "cache_threshold must be 0"),
    ],
)
def test_mistakes_of_a_call(pipe, arguments, message):
    with pytest.raises(UserError, match=message):
        pipe(**({"prompt": "a man waving"} | arguments))


def test_the_callback_hears_of_every_step(pipe, photo):
    heard = []
    output = pipe("a man waving", steps=3, callback=lambda step, steps, x: heard.append((step, steps, x.shape)))
    assert heard == [(step, 3, (1, 64, 16)) for step in range(3)]
    np.testing.assert_array_equal(output.images[0], pipe("a man waving", steps=3).images[0])


def test_a_picture_does_not_depend_on_its_batch(pipe, photo):
    asked = [request_of(photo), request_of(photo, prompt="a man sitting", seed=9, num_images=2)]
    asked.append(request_of(photo, seed=4))
    together = drawn(pipe, *asked, batch_size=4)
    again = drawn(pipe, *reversed(asked), batch_size=4)
    for one, other in zip(together, [again[3], again[1], again[2], again[0]], strict=True):
        np.testing.assert_array_equal(one, other)
    assert apart(drawn(pipe, asked[0])[0], together[0]) <= 1
    assert apart(together[1], together[2]) > 1


def test_a_picture_does_not_depend_on_the_shape_it_is_drawn_in(pipe, photo):
    """Requests with a pose, with two subjects and with neither share a program here; alone each has its own."""
    two = (SubjectRequest("a man", photo), SubjectRequest("a woman", photo))
    both = Request("a man and a woman waving", two, seed=1)
    asked = [both, request_of(photo), Request("a man waving", pose="none", seed=2), request_of(photo, pose="none")]
    together = list(pipe.draw(asked))
    assert {len(one.ready.fields["has_reference"]) for one in together} == {2}
    assert all("pose" in one.ready.fields for one in together)
    for result in together:
        (alone,) = pipe.draw([asked[result.number]])
        assert apart(alone.picture, result.picture) <= 1
    assert "pose" not in alone.ready.fields or alone.number == 0


def test_devices_share_a_batch(pretrained, pipe, photo):
    asked = [request_of(photo, seed=seed, cfg_scale=2.0) for seed in range(3)]
    mesh = make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
    meshed = AstraPipeline.from_pretrained(pretrained, BANK, mesh=mesh)
    for one, other in zip(drawn(meshed, *asked), drawn(pipe, *asked), strict=True):
        assert apart(one, other) <= 1


def test_classifier_free_guidance_goes_away_from_the_empty_request(pipe, photo):
    asked = request_of(photo)
    ready, empty = pipe.prepare(asked), pipe.prepare(Request("", pose="none", seed=asked.seed))
    height, width = (side // pipe.model.downsampling for side in ready.settings.size)
    tokens = height * width // PATCH**2
    noise = initial_noise(jnp.array([asked.seed]), jnp.array([0]), tokens, pipe.config.model.transformer.latent_dim)

    def one_step(ready):
        inputs = jax.tree.map(jnp.asarray, stack([ready.fields]))
        conditions = pipe.model.encode(pipe.params, inputs, (height, width))
        return noise - pipe.model.velocity(pipe.params, noise, jnp.ones(1), conditions)

    x = 3 * one_step(ready) - 2 * one_step(empty)
    expected = pipe.model.decode(pipe.params, unpatchify(x, height, width))[0]
    (guided,) = drawn(pipe, asked, steps=1, cfg_scale=3.0)
    assert apart(guided, expected) <= 1
    assert apart(guided, drawn(pipe, asked, steps=1)[0]) > 1


def test_the_config_can_switch_guidance_on(pipe, photo):
    asked = [request_of(photo), request_of(photo, prompt="a man sitting", seed=9)]
    sample = dataclasses.replace(pipe.config.sample, cfg_scale=2.0)
    config = dataclasses.replace(pipe.config, sample=sample)
    guided = drawn(AstraPipeline(config, pipe.params, pipe.tokenizer, pipe.bank), *asked)
    for one, other, plain in zip(guided, drawn(pipe, *asked, cfg_scale=2.0), drawn(pipe, *asked), strict=True):
        np.testing.assert_array_equal(one, other)
        assert apart(one, plain) > 1


def test_every_input_changes_the_picture(pipe, photo):
    (plain,) = drawn(pipe, request_of(photo))
    changes = [
        {"seed": 4},
        {"prompt": "a man reading a book"},
        {"pose": "none"},
        {"subjects": ()},
        {"dsm_scale": 0.0},
        {"pose_end": 0.5},
        {"image": photo, "strength": 0.3},
        {"steps": 3},
    ]
    same = [change for change in changes if (drawn(pipe, request_of(photo, **change))[0] == plain).all()]
    assert same == []
    assert (drawn(pipe, request_of(photo), solver="heun")[0] != plain).any()


def test_the_first_block_cache_reuses_steps(pipe, photo):
    asked = [request_of(photo), request_of(photo, cfg_scale=2.0)]
    plain = drawn(pipe, *asked, steps=6)
    for one, other in zip(drawn(pipe, *asked, steps=6, cache_threshold=1e-9), plain, strict=True):
        assert apart(one, other) <= 1
    # Everything behind the first step is reused.
    for one, other in zip(drawn(pipe, *asked, steps=6, cache_threshold=1e9), plain, strict=True):
        assert apart(one, other) > 1


@pytest.mark.slow
def test_weights_whose_conditions_are_cached(pipe, photo):
    model = dataclasses.replace(pipe.config.model, condition_attention="cached")
    config = dataclasses.replace(pipe.config, model=model)
    cached = AstraPipeline(config, pipe.params, pipe.tokenizer, pipe.bank)
    two = (SubjectRequest("a man", photo), SubjectRequest("a woman", photo))
    asked = [Request("a man and a woman waving", two, seed=1), request_of(photo, pose="none")]
    together = drawn(cached, *asked, cfg_scale=2.0)
    for one, request in zip(together, asked, strict=True):
        assert apart(one, drawn(cached, request, cfg_scale=2.0)[0]) <= 1
    assert apart(together[0], drawn(pipe, asked[0], cfg_scale=2.0)[0]) > 1
    (unseen,) = drawn(cached, request_of(photo, subjects=(), pose_start=1.0))
    assert apart(unseen, drawn(cached, request_of(photo, subjects=(), pose="none"))[0]) <= 1


def test_a_pose_that_is_never_seen_is_none(pipe, photo):
    (unseen,) = drawn(pipe, request_of(photo, pose_start=1.0))
    assert apart(unseen, drawn(pipe, request_of(photo, pose="none"))[0]) <= 1


def test_little_strength_stays_near_the_start_picture(pipe, photo):
    start = cover(load_photo(photo), (32, 32))
    inputs = jnp.asarray(start[None])
    there_and_back = pipe.model.decode(pipe.params, pipe.model.latents(pipe.params, inputs))[0].astype(int)

    def distance(strength):
        (picture,) = drawn(pipe, request_of(photo, image=photo, strength=strength, steps=50))
        return np.abs(picture - there_and_back).mean()

    assert distance(0.02) < 0.75 * distance(1.0)


def test_requests_have_settings_of_their_own(pipe, photo):
    asked = [request_of(photo, height=16, width=48), request_of(photo, steps=5), request_of(photo)]
    wide, longer, plain = drawn(pipe, *asked)
    assert wide.shape == (16, 48, 3)
    np.testing.assert_array_equal(longer, drawn(pipe, request_of(photo), steps=5)[0])
    assert apart(longer, plain) > 1


def test_a_wrong_request_costs_no_other(pipe, photo):
    missing = (SubjectRequest("a man", pathlib.Path("none.png")),)
    asked = [request_of(photo), request_of(photo, subjects=missing), request_of(photo, steps=0), request_of(photo)]
    refused = {}
    results = list(pipe.draw(asked, refused=lambda number, error: refused.update({number: str(error)})))
    assert [one.number for one in results] == [0, 3]
    assert refused == {
        1: "request: none.png: there is no such photo",
        2: "request: steps must be at least 1, not 0",
    }
    with pytest.raises(UserError, match="steps must be at least 1"):
        list(pipe.draw(asked))


def test_the_pictures_asked_for_are_drawn(pipe, photo):
    results = list(pipe.draw([request_of(photo, num_images=3), request_of(photo)], indices=[[2], []]))
    assert [(one.number, one.index) for one in results] == [(0, 2)]


def test_seeds_of_one_call(pipe, photo):
    together = pipe("a man waving", {"a man": photo}, seed=[3, 8], num_images=2).images
    alone = [pipe("a man waving", {"a man": photo}, seed=seed, num_images=2).images for seed in (3, 8)]
    for one, other in zip(together, itertools.chain.from_iterable(alone), strict=True):
        assert apart(np.asarray(one), np.asarray(other)) <= 1
    with pytest.raises(UserError, match="seeds must not be empty"):
        pipe("a man waving", seed=[])


@pytest.mark.parametrize(("scale", "message"), [(0.5, "have none beside them"), (float("nan"), "finite number")])
def test_mistakes_with_the_strength_of_a_lora(pipe, scale, message):
    with pytest.raises(UserError, match=message):
        AstraPipeline(pipe.config, pipe.params, pipe.tokenizer, pipe.bank, "w", lora_scale=scale)


def test_too_many_subjects_cost_no_other_request_its_shape(pipe, photo):
    too_many = request_of(photo, subjects=tuple(SubjectRequest("a man", photo) for _ in range(3)))
    refused = []
    (result,) = pipe.draw([too_many, request_of(photo)], refused=lambda number, error: refused.append(str(error)))
    assert result.number == 1
    assert result.ready.fields["has_reference"].shape == (1,)
    assert "3 subjects are more than the 2" in refused[0]


@pytest.mark.slow
def test_the_strength_of_a_lora(pipe, photo):
    config = dataclasses.replace(
        pipe.config, model=dataclasses.replace(pipe.config.model, lora=LoraConfig(rank=2, scale=0.5))
    )
    zero = init_lora(jax.random.key(0), pipe.params["transformer"], config.model.lora)
    lora = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(jax.random.key(1), leaf.shape), zero)

    def picture(scale):
        params = pipe.params | {"lora": lora}
        strong = AstraPipeline(config, params, pipe.tokenizer, pipe.bank, "w", lora_scale=scale)
        return drawn(strong, request_of(photo))[0], strong.weights

    (plain,) = drawn(pipe, request_of(photo))
    assert apart(picture(0.0)[0], plain) <= 1
    assert apart(picture(1.0)[0], plain) > 1
    assert picture(1.0)[1] == "w"
    assert picture(0.5)[1] != "w"


def test_poses_from_files(pipe, photo, tmp_path):
    joints = np.stack([np.linspace(4, 28, 17), np.linspace(2, 30, 17), np.full(17, 2)], -1)
    keypoints = tmp_path / "pose.json"
    keypoints.write_text(json.dumps([{"keypoints": joints.ravel().tolist()}]))
    ready = pipe.prepare(request_of(photo, pose=str(keypoints)))
    assert ready.skeleton.any()
    assert ready.retrieved is None
    picture = tmp_path / "pose.png"
    Image.fromarray(ready.skeleton).save(picture)
    np.testing.assert_array_equal(pipe.prepare(request_of(photo, pose=str(picture))).skeleton, ready.skeleton)


def test_hands_of_the_bank_are_drawn(pipe, whole_bank):
    pipe = AstraPipeline(pipe.config, pipe.params, pipe.tokenizer, PoseBank.load(whole_bank))
    ready = pipe.prepare(Request("a man waving hello", height=128, width=128))
    people = ready.retrieved.people
    assert people.shape == (1, 133, 3)
    np.testing.assert_array_equal(ready.skeleton, draw(people, (128, 128)))
    assert (ready.skeleton != draw(people[:, :17], (128, 128))).any()


def test_no_people_no_pose_and_a_note(pipe, photo):
    ready = pipe.prepare(Request("a toy on the beach", (SubjectRequest("a toy", photo),)))
    assert ready.skeleton is None
    assert ready.notes == (
        "no pose: neither prompt nor subjects name people in English words; set 'people' if there are some",
    )


def test_an_unknown_number_of_people_is_said(pipe):
    ready = pipe.prepare(Request("a crowd of people dancing"))
    assert ready.skeleton is None
    assert "does not say how many people" in ready.notes[0]


def test_nothing_asked_nothing_drawn(pipe):
    assert list(pipe.draw([])) == []


def test_long_prompts_are_cut_with_a_note(pipe, photo):
    ready = pipe.prepare(request_of(photo, prompt="a man " + "very " * 200))
    assert any("longer than 80 tokens" in note for note in ready.notes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": "a dog"}, "request: .*'a man'"),
        (
            {"subjects": (SubjectRequest("a man", pathlib.Path("none.png")),)},
            "request: none.png: there is no such photo",
        ),
        ({"people": 9}, "request: .*9"),
        ({"pose": "none.json"}, "request: .*none.json"),
        ({"subjects": 3 * (SubjectRequest("a man", pathlib.Path("p")),)}, "request: .*"),
    ],
)
def test_mistakes_name_the_request(pipe, photo, fields, message):
    with pytest.raises(UserError, match=message):
        pipe.prepare(request_of(photo, **fields))


def test_too_many_subjects(pipe, photo):
    people = [SubjectRequest(f"the {nth} man", photo) for nth in ("first", "second", "third")]
    prompt = "the first man, the second man and the third man waving"
    with pytest.raises(UserError, match="3 subjects are more than the 2"):
        pipe.prepare(request_of(photo, prompt=prompt, subjects=tuple(people)))


def test_auto_needs_a_bank(pipe, photo):
    bare = AstraPipeline(pipe.config, pipe.params, pipe.tokenizer)
    with pytest.raises(UserError, match="needs a pose bank"):
        bare.prepare(request_of(photo))
    assert bare.prepare(request_of(photo, pose="none")).skeleton is None


def test_a_bank_that_is_open_is_not_read_again(pretrained, pipe):
    assert AstraPipeline.from_pretrained(pretrained, pipe.bank).bank is pipe.bank


def test_weights_of_another_model_are_refused(pretrained, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for file in pretrained.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text())
    config["model"]["transformer"]["single_blocks"] = 2
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="does not fit this model"):
        AstraPipeline.from_pretrained(other)


def test_requests_are_values():
    assert dataclasses.replace(Request("x"), seed=1) == Request("x", seed=1)
