import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.flow.sampler import initial_noise
from astra_jax.inputs.requests import Request, SubjectRequest
from astra_jax.inputs.transforms import stack
from astra_jax.models.astra import PATCH, unpatchify
from astra_jax.pipeline import AstraPipeline, people_asked_for
from astra_jax.pose.database import PoseBank, PoseEntry
from astra_jax.pose.drawing import draw

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


def test_retrieves_encodes_draws(pipe, photo):
    (result,) = pipe([request_of(photo)])
    assert result.picture.shape == (32, 32, 3)
    assert result.picture.dtype == np.uint8
    assert result.picture.std() > 0
    assert "wav" in result.ready.retrieved.action
    assert result.ready.retrieved.people.shape == (1, 17, 3)
    assert result.ready.skeleton.any()


def test_a_picture_does_not_depend_on_its_batch(pipe, photo):
    asked = [request_of(photo), request_of(photo, prompt="a man sitting", seed=9, num_images=2)]
    asked.append(request_of(photo, seed=4))
    together = list(pipe.draw([pipe.prepare(one) for one in asked], batch_size=3))
    again = list(pipe.draw([pipe.prepare(one) for one in reversed(asked)], batch_size=3))
    again = [again[0 + 3], again[1], again[2], again[0]]
    for one, other in zip(together, again, strict=True):
        assert one.ready.request == other.ready.request
        assert one.index == other.index
        np.testing.assert_array_equal(one.picture, other.picture)
    alone = list(pipe.draw([pipe.prepare(asked[0])]))[0]
    assert np.abs(alone.picture.astype(int) - together[0].picture).max() <= 1
    assert np.abs(together[1].picture.astype(int) - together[2].picture).max() > 1


def test_classifier_free_guidance_goes_away_from_the_empty_request(pipe, photo):
    asked = request_of(photo)
    ready, empty = pipe.prepare(asked), pipe.prepare(Request("", pose="none", seed=asked.seed))
    height, width = (side // pipe.model.downsampling for side in ready.fields["pose"].shape[:2])
    tokens = height * width // PATCH**2
    noise = initial_noise(jnp.array([asked.seed]), jnp.array([0]), tokens, pipe.config.model.transformer.latent_dim)

    def one_step(ready):
        inputs = jax.tree.map(jnp.asarray, stack([ready.fields]))
        conditions = pipe.model.encode(pipe.params, inputs, (height, width))
        return noise - pipe.model.velocity(pipe.params, noise, jnp.ones(1), conditions)

    x = 3 * one_step(ready) - 2 * one_step(empty)
    expected = pipe.model.decode(pipe.params, unpatchify(x, height, width))[0]
    (guided,) = pipe([asked], steps=1, cfg_scale=3.0)
    assert np.abs(guided.picture.astype(int) - expected).max() <= 1
    assert np.abs(guided.picture.astype(int) - pipe([asked], steps=1)[0].picture).max() > 1


def test_the_config_can_switch_guidance_on(pipe, photo):
    asked = [request_of(photo), request_of(photo, prompt="a man sitting", seed=9)]
    sample = dataclasses.replace(pipe.config.sample, cfg_scale=2.0)
    config = dataclasses.replace(pipe.config, sample=sample)
    guided = AstraPipeline(config, pipe.params, pipe.tokenizer, pipe.bank)(asked)
    for one, other, plain in zip(guided, pipe(asked, cfg_scale=2.0), pipe(asked), strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)
        assert np.abs(one.picture.astype(int) - plain.picture).max() > 1


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan])
def test_guidance_must_be_a_positive_number(pipe, photo, scale):
    with pytest.raises(UserError, match="cfg_scale must be a positive number"):
        pipe([request_of(photo)], cfg_scale=scale)


def test_every_input_changes_the_picture(pipe, photo, tmp_path):
    plain = pipe([request_of(photo)])[0].picture
    for changed in (
        request_of(photo, seed=4),
        request_of(photo, prompt="a man reading a book"),
        request_of(photo, pose="none"),
        request_of(photo, subjects=()),
    ):
        assert (pipe([changed])[0].picture != plain).any()


def test_poses_from_files(pipe, photo, tmp_path):
    joints = np.stack([np.linspace(4, 28, 17), np.linspace(2, 30, 17), np.full(17, 2)], -1)
    keypoints = tmp_path / "pose.json"
    keypoints.write_text(json.dumps([{"keypoints": joints.ravel().tolist()}]))
    drawn = pipe.prepare(request_of(photo, pose=str(keypoints)))
    assert drawn.skeleton.any()
    assert drawn.retrieved is None
    picture = tmp_path / "pose.png"
    Image.fromarray(drawn.skeleton).save(picture)
    np.testing.assert_array_equal(pipe.prepare(request_of(photo, pose=str(picture))).skeleton, drawn.skeleton)


@pytest.mark.parametrize(
    ("prompt", "phrases", "people", "expected"),
    [
        ("a man waving", ["a man"], None, 1),
        ("a man and a woman dancing", ["a man"], None, 2),
        ("three people in a ring", [], None, 3),
        ("a backpack and a toy in the jungle", ["a backpack", "a toy"], None, 0),
        ("a backpack and a toy in the jungle", ["a backpack", "a toy"], 2, 2),
        ("a man waving", ["a man"], 0, 0),
        ("people dancing", [], None, None),
        ("people dancing", ["people"], None, 1),
    ],
)
def test_number_of_people(prompt, phrases, people, expected):
    subjects = tuple(SubjectRequest(phrase, pathlib.Path("x.png")) for phrase in phrases)
    assert people_asked_for(Request(prompt, subjects, people=people)) == expected


def test_hands_of_the_bank_are_drawn(pipe, whole_bank):
    pipe = AstraPipeline(pipe.config, pipe.params, pipe.tokenizer, PoseBank.load(whole_bank))
    ready = pipe.prepare(Request("a man waving hello"), (128, 128))
    people = ready.retrieved.people
    assert people.shape == (1, 133, 3)
    np.testing.assert_array_equal(ready.skeleton, draw(people, (128, 128)))
    assert (ready.skeleton != draw(people[:, :17], (128, 128))).any()


def test_no_people_no_pose_and_a_note(pipe, photo):
    ready = pipe.prepare(Request("a toy on the beach", (SubjectRequest("a toy", photo),)))
    assert ready.skeleton is None
    assert ready.notes == ("no pose: neither prompt nor subjects name people",)


def test_an_unknown_number_of_people_is_said(pipe):
    ready = pipe.prepare(Request("a crowd of people dancing"))
    assert ready.skeleton is None
    assert "does not say how many people" in ready.notes[0]


def test_nothing_asked_nothing_drawn(pipe):
    assert pipe([]) == []


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


def test_sizes_and_steps(pipe, photo):
    with pytest.raises(UserError, match="height 33"):
        pipe([request_of(photo)], size=(33, 32))
    with pytest.raises(UserError, match="at least one step"):
        pipe([request_of(photo)], steps=0)
    wide = pipe([request_of(photo)], size=(16, 48))[0]
    assert wide.picture.shape == (16, 48, 3)


def test_auto_needs_a_bank(pipe, photo):
    bare = AstraPipeline(pipe.config, pipe.params, pipe.tokenizer)
    with pytest.raises(UserError, match="needs a pose bank"):
        bare.prepare(request_of(photo))
    assert bare.prepare(request_of(photo, pose="none")).skeleton is None


def test_weights_of_another_model_are_refused(pretrained, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for file in pretrained.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text())
    config["model"]["transformer"]["single_blocks"] = 2
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="do not fit this model"):
        AstraPipeline.from_pretrained(other)


def test_requests_are_values():
    assert dataclasses.replace(Request("x"), seed=1) == Request("x", seed=1)
