"""The drawn people: identities, words, pictures and masks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data.puppets import palette
from data.puppets.backgrounds import BACKGROUNDS, paint_background
from data.puppets.body import Body
from data.puppets.canvas import SUPERSAMPLING, Canvas, Shape, Texture, hull
from data.puppets.drawing import draw_scene
from data.puppets.examples import draw_portrait, extent, is_child, make_example, solid_joints
from data.puppets.identity import KINDS, PATTERNS, Identity, sample_identity
from data.puppets.prompts import name_people, write_prompt

SIDE = 128
# Somebody of 100 pixels who stands and looks at the viewer: x, y, z (towards the viewer).
STANDING = np.array(
    [
        [64, 24, 7], [66, 22, 5], [62, 22, 5], [69, 23, 0], [59, 23, 0], [75, 36, 0], [53, 36, 0], [77, 54, 0],
        [51, 54, 0], [78, 68, 2],
        [50, 68, 2], [72, 65, 0], [56, 65, 0], [73, 89, 0], [55, 89, 0], [74, 113, 0], [54, 113, 0],
    ],
    dtype=np.float64,
)  # fmt: skip


def plain(colour=(200, 200, 200)) -> Image.Image:
    return Image.new("RGB", (SIDE * SUPERSAMPLING, SIDE * SUPERSAMPLING), colour)


def somebody(**changes: str) -> Identity:
    simple = Identity(
        kind="man", skin="light", hair_style="short", hair="black", top="red", top_pattern="plain", top_second="white",
        sleeves="long", bottom_kind="trousers", bottom="blue", bottom_pattern="plain", bottom_second="white",
        shoes="black", hat="none", hat_colour="green", glasses="none", beard="none", extra="none",
        extra_colour="yellow",
    )  # fmt: skip
    return dataclasses.replace(simple, **changes)


# Identities


@pytest.mark.parametrize("kind", KINDS)
def test_identities_of_the_splits_are_disjoint_and_many(kind):
    rng = np.random.default_rng(1)
    train = {sample_identity(rng, kind, "train") for _ in range(300)}
    test = {sample_identity(rng, kind, "test") for _ in range(100)}
    assert len(train) == 300
    assert not train & test
    assert {who.split for who in train} == {"train"}
    assert {who.split for who in test} == {"test"}


def test_one_identity_in_eight_is_held_out():
    rng = np.random.default_rng(2)
    people = [sample_identity(rng, "woman", split) for split in ("train", "test") for _ in range(2)]
    # The rule looks at attributes alone, so equal attributes are always in one split.
    assert all(Identity.from_dict(who.to_dict()).split == who.split for who in people)
    who, shares = people[0], []
    for shoes in palette.CLOTHES:
        for hat in palette.CLOTHES:
            shares.append(dataclasses.replace(who, shoes=shoes, hat_colour=hat).split == "test")
    assert 0.06 < np.mean(shares) < 0.2  # 289 draws at 1/8: four deviations are 0.078


def test_identities_are_the_same_for_the_same_generator():
    draws = [[sample_identity(np.random.default_rng(3), kind) for kind in KINDS] for _ in range(2)]
    assert draws[0] == draws[1]


@given(st.integers(0, 2**32), st.sampled_from(KINDS))
@settings(max_examples=40, deadline=None)
def test_clothes_differ_from_each_other(seed, kind):
    who = sample_identity(np.random.default_rng(seed), kind)
    clothes = palette.CLOTHES
    assert who.kind == kind
    assert palette.distance(clothes[who.top], clothes[who.top_second]) >= 130
    assert palette.distance(clothes[who.bottom], clothes[who.shoes]) >= 90
    if who.bottom_kind == "dress":
        assert who.bottom == who.top
    else:
        assert palette.distance(clothes[who.top], clothes[who.bottom]) >= 130
    assert who.beard == "none" or kind == "man"
    assert Identity.from_dict(who.to_dict()) == who


def test_identity_refuses_what_it_does_not_know():
    good = somebody().to_dict()
    with pytest.raises(ValueError, match="exactly the attributes"):
        Identity.from_dict({**good, "wings": "two"})
    with pytest.raises(ValueError, match="exactly the attributes"):
        Identity.from_dict({k: v for k, v in good.items() if k != "hat"})
    with pytest.raises(ValueError, match="hat='fez'"):
        Identity.from_dict({**good, "hat": "fez"})
    with pytest.raises(ValueError, match="kind must be one of"):
        sample_identity(np.random.default_rng(0), "cat")
    with pytest.raises(ValueError, match="split must be"):
        sample_identity(np.random.default_rng(0), "man", "validation")


# Words


def test_people_who_share_a_noun_are_counted():
    assert name_people(["man", "woman"]) == ("a man", "a woman")
    assert name_people(["man", "boy", "man"]) == ("the first man", "a boy", "the second man")
    assert name_people(["girl"] * 3) == ("the first girl", "the second girl", "the third girl")


def test_the_templates_by_hand():
    def texts(kinds, clauses, joint):
        rng = np.random.default_rng(0)
        return {write_prompt(rng, kinds, "on the beach", clauses, joint).text for _ in range(200)}

    two = texts(["man", "woman"], ["waving hello", "sitting down"], None)
    assert "a man waving hello and a woman sitting down, on the beach" in two
    assert "on the beach, a man is waving hello while a woman is sitting down" in two
    assert len(two) == 6
    together = texts(["man", "woman"], None, "hugging each other")
    assert "a man and a woman hugging each other on the beach" in together
    assert "on the beach, a man and a woman are hugging each other" in together
    three = texts(["boy", "boy", "girl"], ["a", "b", "c"], None)
    assert "the first boy a, the second boy b and a girl c, on the beach" in three
    assert "on the beach, the first boy is a, the second boy is b while a girl is c" in three


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3), st.integers(0, 99), st.booleans())
@settings(max_examples=60, deadline=None)
def test_each_phrase_stands_once_in_the_prompt_in_order(kinds, seed, joint):
    rng = np.random.default_rng(seed)
    clauses = None if joint else ["waving"] * len(kinds)
    prompt = write_prompt(rng, kinds, "in a park", clauses, "dancing" if joint else None)
    places = [prompt.text.find(phrase) for phrase in prompt.phrases]
    assert [prompt.text.count(phrase) for phrase in prompt.phrases] == [1] * len(kinds)
    assert places == sorted(places)
    assert prompt.text.count("in a park") == 1


@pytest.mark.parametrize(
    ("kinds", "clauses", "joint"),
    [
        (["man"], None, None),
        (["man"], ["a"], "b"),
        (["man"], ["a", "b"], None),
        ([], [], None),
        (["man"] * 4, None, "b"),
    ],
)
def test_prompts_refuse_what_makes_no_sentence(kinds, clauses, joint):
    with pytest.raises(ValueError, match="people|clause"):
        write_prompt(np.random.default_rng(0), kinds, "in a park", clauses, joint)


# Places


def test_backgrounds_differ_and_jitter():
    pictures = {name: np.asarray(paint_background(name, np.random.default_rng(0), 64), float) for name in BACKGROUNDS}
    assert len(pictures) == 16
    names = list(pictures)
    for i, a in enumerate(names):
        again = np.asarray(paint_background(a, np.random.default_rng(0), 64), float)
        other = np.asarray(paint_background(a, np.random.default_rng(1), 64), float)
        np.testing.assert_array_equal(pictures[a], again)
        assert np.abs(pictures[a] - other).mean() > 0.5, a
        for b in names[i + 1 :]:
            assert np.abs(pictures[a] - pictures[b]).mean() > 12, (a, b)
    with pytest.raises(KeyError):
        paint_background("in a volcano", np.random.default_rng(0), 64)


# Bodies


def test_frames_of_somebody_who_looks_at_the_viewer():
    body = Body.from_joints(STANDING)
    np.testing.assert_allclose(body.torso.left, [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(body.torso.up, [0, -1, 0], atol=1e-9)
    np.testing.assert_allclose(body.torso.forward, [0, 0, 1], atol=1e-9)
    assert body.unit == pytest.approx(29)
    assert body.head.forward[2] > 0.95
    for side in (0, 1):  # toes point to the viewer and a little outwards
        toe = body.toe(side)
        assert toe[2] > 0.85
        assert np.sign(toe[0]) == (1 if side == 0 else -1)


def test_frames_turn_with_the_person():
    turned = STANDING.copy()  # a quarter turn to the viewer's right: x becomes -z, z becomes x
    turned[:, 0], turned[:, 2] = 64 + STANDING[:, 2], -(STANDING[:, 0] - 64)
    body = Body.from_joints(turned)
    np.testing.assert_allclose(body.torso.forward, [1, 0, 0], atol=1e-9)
    assert body.head.forward[0] > 0.95


def test_a_person_without_extent_is_drawn_without_fuss():
    picture, owners = draw_scene(np.full((1, 17, 3), 64.0), [somebody()], plain())
    assert picture.shape == (SIDE, SIDE, 3)
    assert owners.sum() <= 9


# Drawing


def test_clothes_have_their_colours():
    picture, owners = draw_scene(STANDING[None], [somebody()], plain())
    colours = palette.CLOTHES
    np.testing.assert_array_equal(picture[52, 64], colours["red"])  # chest
    np.testing.assert_array_equal(picture[98, 73], colours["blue"])  # shin
    np.testing.assert_array_equal(picture[14, 64], palette.HAIR["black"])
    np.testing.assert_array_equal(picture[5, 5], (200, 200, 200))
    assert owners[52, 64] == 1
    assert owners[5, 5] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"skin": "dark"}, {"hair_style": "bald"}, {"hair_style": "long"}, {"hair_style": "curly"}, {"hair": "pink"},
        {"hair_style": "mohawk"}, {"hair_style": "bun"}, {"hair_style": "ponytail"}, {"hair_style": "pigtails"},
        {"hair_style": "bob"}, {"top": "lime"}, {"sleeves": "none"}, {"sleeves": "short"}, {"bottom_kind": "shorts"},
        {"bottom_kind": "skirt"}, {"bottom_kind": "dress"}, {"bottom": "yellow"}, {"shoes": "pink"}, {"hat": "cap"},
        {"hat": "beanie"}, {"hat": "sunhat"}, {"hat": "tophat"}, {"hat": "headband"}, {"hat": "bow"}, {"hat": "crown"},
        {"glasses": "red"}, {"beard": "full"}, {"beard": "moustache"}, {"extra": "scarf"}, {"extra": "tie"},
        {"extra": "belt"}, {"extra": "satchel"}, {"bottom_pattern": "dots"},
        *({"top_pattern": pattern} for pattern in PATTERNS if pattern != "plain"),
    ],
)  # fmt: skip
def test_every_attribute_can_be_seen(change):
    before, _ = draw_scene(STANDING[None], [somebody()], plain())
    after, _ = draw_scene(STANDING[None], [somebody(**change)], plain())
    changed = np.abs(before.astype(int) - after).max(-1) > 40
    assert changed.sum() >= 12


def test_masks_tell_who_painted_a_pixel():
    people = np.stack([STANDING - [24, 0, 0], STANDING, STANDING + [26, 0, 0]])
    identities = [
        somebody(top=top, bottom=bottom) for top, bottom in (("red", "blue"), ("lime", "navy"), ("sky", "pink"))
    ]
    picture, owners = draw_scene(people, identities, plain(), order=(2, 0, 1))
    assert set(np.unique(owners)) == {0, 1, 2, 3}
    for i in range(3):
        other = [dataclasses.replace(who, top="black", bottom="white", skin="dark", hair="white") if k == i else who
                 for k, who in enumerate(identities)]  # fmt: skip
        repainted, same = draw_scene(people, other, plain(), order=(2, 0, 1))
        np.testing.assert_array_equal(owners, same)
        changed = np.any(picture != repainted, axis=-1)
        mine = owners == i + 1
        # A pixel on somebody's edge is shared: it may change though most of it belongs to another.
        padded = np.pad(mine, 1)
        near = np.any([padded[dy : dy + SIDE, dx : dx + SIDE] for dy in range(3) for dx in range(3)], axis=0)
        assert not np.any(changed & ~near)
        assert np.mean(changed[mine]) > 0.75  # shoes and outlines of the face stay


def test_who_is_painted_last_is_in_front():
    people = np.stack([STANDING, STANDING])
    identities = [somebody(top="red"), somebody(top="lime")]
    for order, front in (((0, 1), 2), ((1, 0), 1)):
        _, owners = draw_scene(people, identities, plain(), order)
        assert set(np.unique(owners)) == {0, front}


def test_draw_scene_refuses_a_wrong_order():
    for identities, order in (([somebody()] * 2, None), ([somebody()], (1,)), ([somebody()], (0, 0))):
        with pytest.raises(ValueError, match="an identity each"):
            draw_scene(STANDING[None], identities, plain(), order)


def test_canvas_wants_a_square_of_its_grid():
    with pytest.raises(ValueError, match="a square"):
        Canvas(Image.new("RGB", (64, 60)))
    with pytest.raises(ValueError, match="a square"):
        Canvas(Image.new("RGB", (62, 62)))


def test_a_covered_half_pixel_is_half_painted():
    canvas = Canvas(Image.new("RGB", (16, 16), (0, 0, 0)))
    canvas.paint([Shape(np.array([[0, 0], [5, 0], [5, 15], [0, 15]], float), (200, 100, 0), outlined=False)], 1)
    # PIL fills columns 0 to 5: the first pixel wholly, half of the second.
    np.testing.assert_array_equal(canvas.picture()[1], [[200, 100, 0], [100, 50, 0], [0, 0, 0], [0, 0, 0]])


def test_stripes_repeat_along_the_part():
    canvas = Canvas(Image.new("RGB", (64, 64)))
    square = np.array([[0, 0], [63, 0], [63, 63], [0, 63]], float)
    texture = Texture("stripes", (0, 255, 0), np.zeros(2), np.array([1.0, 0]), np.array([0, 1.0]), 16.0, 64.0)
    canvas.paint([Shape(square, (255, 0, 0), texture, outlined=False)], 1)
    # One repeat is 4 pixels; the second colour is its middle half.
    column = canvas.picture()[:, 8]
    np.testing.assert_array_equal(column[:8, 1], [0, 255, 255, 0, 0, 255, 255, 0])
    with pytest.raises(ValueError, match="unknown pattern"):
        canvas.paint([Shape(square, (255, 0, 0), dataclasses.replace(texture, pattern="tartan"))], 1)


def test_the_hull_of_two_circles_holds_both():
    points = hull((np.array([0.0, 0.0]), 2.0), (np.array([10.0, 0.0]), 1.0))
    assert points[:, 0].min() == pytest.approx(-2)
    assert points[:, 0].max() == pytest.approx(11)
    assert points[:, 1].max() == pytest.approx(2)


# Examples


def test_examples_depend_on_their_numbers_alone():
    alone = make_example(0, "train", 7)
    make_example(0, "train", 3)
    again = make_example(0, "train", 7)
    assert alone.prompt == again.prompt
    np.testing.assert_array_equal(alone.image, again.image)
    for a, b in zip(alone.subjects, again.subjects, strict=True):
        np.testing.assert_array_equal(a.reference, b.reference)
    others = [make_example(1, "train", 7), make_example(0, "test", 7), make_example(0, "train", 8)]
    assert all(np.any(other.image != alone.image) for other in others)


@pytest.mark.parametrize("split", ["train", "test"])
def test_examples_are_consistent(split):
    counts = np.zeros(4, int)
    for index in range(16):
        example = make_example(0, split, index)
        counts[len(example.subjects)] += 1
        assert example.id == f"{split}-{index:06d}"
        assert example.background in example.prompt
        assert example.prompt == example.prompt.lower()
        assert len({subject.phrase for subject in example.subjects}) == len(example.subjects)
        necks = [subject.keypoints[5:7, 0].mean() for subject in example.subjects]
        assert necks == sorted(necks)
        for i, subject in enumerate(example.subjects):
            who = subject.identity
            assert who.split == split
            assert who.kind == subject.kind
            assert example.prompt.count(subject.phrase) == 1
            assert subject.phrase.endswith(subject.kind)
            x, y, v = subject.keypoints.T
            assert set(v) <= {0, 1, 2}
            inside = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)
            assert np.all(inside == (v > 0))
            seen = [(int(a), int(b)) for a, b, c in subject.keypoints if c == 2]
            assert len(seen) >= 3
            for column, row in seen:  # a visible joint has its person's paint in sight
                assert np.any(example.owners[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] == i + 1)
            assert (example.owners == i + 1).sum() > 100
            assert np.any(subject.reference != example.image)
    assert np.all(counts[1:] > 0)


def test_examples_of_an_unknown_split_are_refused():
    with pytest.raises(ValueError, match="split must be"):
        make_example(0, "validation", 0)


def test_a_portrait_is_the_same_person_in_another_pose_on_white():
    who = sample_identity(np.random.default_rng(5), "woman")
    pictures = [draw_portrait(who, np.random.default_rng(seed), SIDE) for seed in range(6)]
    top = np.array(palette.CLOTHES[who.top])
    for i, picture in enumerate(pictures):
        assert np.all(picture[0, 0] == 255)
        painted = np.argwhere(np.any(picture != 255, axis=-1))
        assert np.ptp(painted, axis=0).max() > 0.8 * SIDE  # fills the square
        assert np.sum(np.all(np.abs(picture.astype(int) - top) < 30, axis=-1)) > 150  # the colour of the top
        assert all(np.any(picture != other) for other in pictures[:i])


def test_heads_are_inside_the_canvas():
    from data.pose_library.scenes import sample_scene
    from data.puppets.examples import fit

    for index in range(40):
        scene = fit(sample_scene(np.random.default_rng(index), 1 + index % 3))
        for joints in solid_joints(scene):
            low, high = extent(joints)
            assert np.all(low > -1e-6)
            assert np.all(high < 1 + 1e-6)


def test_proportions_tell_children():
    from data.pose_library.kinematics import CHILD, Pose, forward

    for body, child in ((Pose().body, False), (CHILD, True)):
        joints = forward(Pose(body=body)) * [1, -1, 1]
        assert is_child(joints) == child
