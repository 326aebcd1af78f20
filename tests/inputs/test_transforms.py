import dataclasses

import numpy as np
import pytest

from astra_jax.config import DsmConfig, SiglipVisionConfig
from astra_jax.errors import UserError
from astra_jax.inputs.example import Example, Prepared, Subject
from astra_jax.inputs.transforms import (
    KEEP_ALL,
    Dropout,
    arrays,
    check_sizes,
    draw_dropout,
    first_subjects,
    prepare,
    stack,
)
from astra_jax.pose.drawing import draw


def prepare_inputs(example, config, tokenizer, *, canvas, guidance):
    """What sampling does with one example: nothing dropped, a batch of one, and whether the prompt was cut."""
    check_sizes(config, canvas)
    fields, truncated = arrays(prepare(example, config, canvas), config, tokenizer, guidance)
    return stack([fields]), truncated


def test_prepare(config, source):
    example = source[4]  # two people
    prepared = prepare(example, config)
    np.testing.assert_array_equal(prepared.target, example.target)
    np.testing.assert_array_equal(prepared.pose, draw(example.people, (64, 64)))
    assert prepared.pose.any()
    assert prepared.references.shape == (2, 32, 32, 3)
    assert prepared.portraits.shape == (2, 16, 16, 3)
    # A 20 x 30 photo of grey 40 in a square of 32: rows 0-4 and 26-31 are white.
    assert prepared.references[0, :, 0, 0].tolist() == [255] * 5 + [40] * 21 + [255] * 6


def test_portraits_have_the_chosen_encoders_size(config, source, change):
    siglip = {"dsm": DsmConfig(encoder="siglip"), "siglip_vision": SiglipVisionConfig(image_size=24)}
    prepared = prepare(source[4], change(config, model=siglip))
    assert prepared.portraits.shape == (2, 24, 24, 3)
    assert prepared.portraits[0, :, 0, 0].tolist() == [255] * 4 + [40] * 16 + [255] * 4  # 20 x 30 in 24 x 24


def test_target_and_joints_move_together(config):
    picture = np.zeros((64, 128, 3), np.uint8)
    people = np.full((1, 17, 3), 2, np.float32)
    people[0, :, 0], people[0, :, 1] = np.linspace(40, 90, 17), np.linspace(10, 50, 17)
    prepared = prepare(Example("", (), people, (64, 128), picture), config)
    assert prepared.target is not None
    assert prepared.target.shape == (64, 64, 3)
    moved = people - np.array([32, 0, 0], np.float32)  # the middle 64 of 128 columns
    np.testing.assert_array_equal(prepared.pose, draw(moved, (64, 64)))


def test_without_people_or_subjects(config, tokenizer):
    for people in (None, np.zeros((0, 17, 3), np.float32)):
        inputs, _ = prepare_inputs(
            Example("a hill", (), people, (64, 64)), config, tokenizer, canvas=(64, 64), guidance=4.0
        )
        assert not inputs.has_pose.any()
        assert not inputs.pose.any()
        assert not inputs.has_reference.any()
        assert not inputs.has_identity.any()
        assert inputs.references.shape == (1, 3, 32, 32, 3)
        assert (inputs.placement == -1).all()


def test_fields_by_hand(config, source, tokenizer):
    fields, truncated = arrays(prepare(source[4], config), config, tokenizer, 3.5)
    assert not truncated
    assert fields["guidance"] == np.float32(3.5)
    assert fields["guidance"].dtype == np.float32
    np.testing.assert_array_equal(fields["has_reference"], [True, True, False])
    np.testing.assert_array_equal(fields["has_identity"], [True, True, False])
    assert fields["has_pose"]
    assert not fields["references"][2].any()
    assert tokenizer.decode(fields["text_tokens"]) == "the man and the woman number 4"
    assert tokenizer.decode(fields["pooled_tokens"]) == "the man and the woman number 4"
    for n, words in enumerate(["the man", " the woman"]):
        positions = fields["placement"][n][fields["placement"][n] >= 0]
        assert tokenizer.decode(fields["text_tokens"][positions]) == words
        np.testing.assert_array_equal(fields["phrase_tokens"][n][: len(positions)], fields["text_tokens"][positions])


def test_each_dropout_takes_only_its_own(config, source, tokenizer):
    prepared = prepare(source[4], config)
    full, _ = arrays(prepared, config, tokenizer, 1.0)

    def changed(**dropout):
        fields, _ = arrays(prepared, config, tokenizer, 1.0, Dropout(**dropout))
        return {name for name in fields if not np.array_equal(fields[name], full[name])}, fields

    assert changed()[0] == set()
    names, fields = changed(pose=True)
    assert names == {"pose", "has_pose"}
    assert not fields["pose"].any()
    names, fields = changed(references=True)
    assert names == {"has_reference"}
    assert not fields["has_reference"].any()
    names, fields = changed(identity=True)
    assert names == {"has_identity"}
    assert not fields["has_identity"].any()
    names, fields = changed(text=True)
    assert names == {"text_tokens", "pooled_tokens", "phrase_tokens", "placement", "has_identity"}
    np.testing.assert_array_equal(fields["text_tokens"], tokenizer.t5("", 48).ids)
    np.testing.assert_array_equal(fields["pooled_tokens"], tokenizer.clip("", 24).ids)
    assert (fields["placement"] == -1).all()
    assert not fields["has_identity"].any()


def test_dropout_comes_as_often_as_the_config_says(config, change):
    data = change(
        config,
        data={
            "drop_text": 0.1, "drop_pose": 0.15, "drop_references": 0.05, "drop_identity": 0.2,
            "drop_reference_tokens": 0.3,
        },
    ).data  # fmt: skip
    rng = np.random.default_rng(0)
    draws = np.array([draw_dropout(rng, data) for _ in range(10_000)])
    text, pose, references, identity = draws.T
    error = 4 * np.sqrt(0.25 / len(draws))
    np.testing.assert_allclose(text.mean(), 0.1, atol=error)
    np.testing.assert_allclose(pose.mean(), 0.15, atol=error)
    np.testing.assert_allclose((references & identity).mean(), 0.05, atol=error)
    np.testing.assert_allclose((~references & identity).mean(), 0.2, atol=error)
    np.testing.assert_allclose((references & ~identity).mean(), 0.3, atol=error)
    np.testing.assert_allclose((text & pose).mean(), 0.015, atol=error)


def test_no_dropout_and_certain_dropout(config, change):
    names = ("drop_text", "drop_pose", "drop_references", "drop_identity", "drop_reference_tokens")
    never = change(config, data=dict.fromkeys(names, 0.0)).data
    rng = np.random.default_rng(0)
    assert all(draw_dropout(rng, never) == KEEP_ALL for _ in range(200))
    always = change(config, data={**dict.fromkeys(names, 0.0), "drop_text": 1.0, "drop_references": 1.0}).data
    assert all(draw_dropout(rng, always) == (True, False, True, True) for _ in range(200))


def test_sampling_and_training_make_the_same_arrays(config, source, tokenizer):
    sampled, _ = prepare_inputs(
        dataclasses.replace(source[5], target=None), config, tokenizer, canvas=(64, 64), guidance=1.0
    )
    trained, _ = arrays(prepare(source[5], config), config, tokenizer, 1.0)
    for name, value in trained.items():
        np.testing.assert_array_equal(getattr(sampled, name)[0], value)


def test_a_cut_prompt_is_reported(config, tokenizer):
    long = Example("a dog " * 100, (), None, (64, 64))
    assert prepare_inputs(long, config, tokenizer, canvas=(64, 64), guidance=1.0)[1]


def test_moments_pass_through(config, tokenizer):
    rng = np.random.default_rng(0)
    prepared = Prepared(
        prompt="the man sits",
        phrases=("the man",),
        target=rng.normal(size=(32, 32, 8)).astype(np.float16),
        pose=rng.normal(size=(32, 32, 8)).astype(np.float16),
        has_pose=True,
        references=rng.normal(size=(1, 16, 16, 8)).astype(np.float16),
        portraits=np.zeros((1, 16, 16, 3), np.uint8),
    )
    fields, _ = arrays(prepared, config, tokenizer, 1.0)
    np.testing.assert_array_equal(fields["references"][0], prepared.references[0])
    assert fields["references"].shape == (3, 16, 16, 8)
    assert fields["references"].dtype == fields["pose"].dtype == np.float16
    fields, _ = arrays(prepared, config, tokenizer, 1.0, Dropout(pose=True))
    assert not fields["pose"].any()


def test_what_a_batch_lacks_is_left_out(config, source, tokenizer):
    full, _ = arrays(prepare(source[4], config), config, tokenizer, 1.0)
    fields, _ = arrays(prepare(source[4], config), config, tokenizer, 1.0, Dropout(pose=True), slots=2, pose=False)
    assert full.keys() - fields.keys() == {"pose", "has_pose"}
    per_subject = {"references", "has_reference", "portraits", "phrase_tokens", "placement", "has_identity"}
    for name, value in fields.items():
        np.testing.assert_array_equal(value, full[name][:2] if name in per_subject else full[name])
    inputs = stack([fields, fields])
    assert inputs.pose is None
    assert inputs.has_pose is None
    assert inputs.references.shape == (2, 2, 32, 32, 3)
    nobody = prepare(Example("a hill", (), None, (64, 64)), config)
    inputs = stack([arrays(nobody, config, tokenizer, 1.0, slots=0, pose=False)[0]])
    assert inputs.references.shape == (1, 0, 32, 32, 3)
    assert inputs.placement.shape == (1, 0, 12)


def test_nothing_that_is_there_is_left_out(config, source, tokenizer):
    prepared = prepare(source[4], config)  # two people and their pose
    with pytest.raises(ValueError, match="2 subjects for 1 slots"):
        arrays(prepared, config, tokenizer, 1.0, slots=1)
    with pytest.raises(ValueError, match="has_pose=True with pose=False"):
        arrays(prepared, config, tokenizer, 1.0, pose=False)
    both = [arrays(prepared, config, tokenizer, 1.0, Dropout(pose=True), pose=pose)[0] for pose in (True, False)]
    with pytest.raises(ValueError, match="cannot be one batch"):
        stack(both)


def test_too_many_subjects(config, source, tokenizer, change):
    two = change(config, model={"max_subjects": 2})
    with pytest.raises(UserError, match="3 subjects are more than the 2 of config.model.max_subjects"):
        prepare_inputs(source[5], two, tokenizer, canvas=(64, 64), guidance=1.0)
    first = first_subjects(prepare(source[5], two), 2)
    assert first.phrases == ("the man", "the woman")
    assert len(first.references) == len(first.portraits) == 2
    assert first_subjects(first, 2) is first


@pytest.mark.parametrize("canvas", [(62, 64), (64, 0), (64, -4)])
def test_sizes_that_are_no_whole_tokens(config, tokenizer, canvas):
    with pytest.raises(UserError, match=r"(height|width) .*no positive multiple of 4 pixels: \d+ is the nearest"):
        prepare_inputs(Example("", (), None, (64, 64)), config, tokenizer, canvas=canvas, guidance=1.0)


def test_a_misplaced_phrase_is_named(config, tokenizer):
    example = Example("a hill", (Subject("the man", np.zeros((4, 4, 3), np.uint8)),), None, (64, 64))
    with pytest.raises(UserError, match="'the man' is not in the prompt 'a hill'"):
        prepare_inputs(example, config, tokenizer, canvas=(64, 64), guidance=1.0)
