"""The pose library: a body that keeps its bones, named actions that differ, entries and the built bank."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_jax.errors import UserError
from astra_jax.pose.action_text import action_text
from astra_jax.pose.database import PoseBank
from astra_jax.pose.index import scann_available
from astra_jax.pose.people_words import count_people
from data.pose_library.__main__ import BANK, run
from data.pose_library.actions import ACTIONS, GROUPS, SOLOS
from data.pose_library.embedder import word_start_embedder
from data.pose_library.figures import figures
from data.pose_library.kinematics import (
    ADULT,
    CHILD,
    JOINTS,
    MIRROR,
    Aim,
    Pose,
    Reach,
    direction,
    forward,
    jitter,
    mirror,
    project,
    reach,
    two_bone,
    visibility,
)
from data.pose_library.library import entries

BONES = {
    "upper_arm": ((5, 7), (6, 8)),
    "forearm": ((7, 9), (8, 10)),
    "thigh": ((11, 13), (12, 14)),
    "shin": ((13, 15), (14, 16)),
}
angle = st.floats(-360, 360, allow_nan=False)
aim = st.builds(Aim, st.tuples(angle, angle), st.tuples(angle, angle), st.booleans())
small = st.floats(-0.5, 0.5)
arm = aim | st.builds(
    Reach,
    st.sampled_from(("chest", "same_hip", "other_shoulder", "nose", "left_ankle", "other_wrist")),
    st.tuples(small, small, small),
    st.tuples(angle, angle),
)
turns = dict.fromkeys(("yaw", "lean", "side", "twist", "hip_roll", "nod", "tilt", "turn"), angle)
poses = st.builds(
    Pose, arm, arm, aim, aim, body=st.sampled_from((ADULT, CHILD)), air=st.sampled_from((0.0, 0.3)), **turns
)


def lengths(joints):
    return {name: [float(np.linalg.norm(joints[a] - joints[b])) for a, b in pairs] for name, pairs in BONES.items()}


# --- kinematics


def test_standing_adult_by_hand():
    joints = forward(Pose(left_arm=Aim((0, 0), (0, 0)), left_leg=Aim((0, 0), (0, 0)), right_leg=Aim((0, 0), (0, 0))))
    index = {name: i for i, name in enumerate(JOINTS)}
    np.testing.assert_allclose(joints[index["left_ankle"]], [0.078, 0.04, 0], atol=1e-12)
    np.testing.assert_allclose(joints[index["left_knee"]], [0.078, 0.04 + 0.246, 0], atol=1e-12)
    np.testing.assert_allclose(joints[index["left_hip"]], [0.078, 0.04 + 0.246 + 0.245, 0], atol=1e-12)
    shoulder = 0.04 + 0.246 + 0.245 + 0.288
    np.testing.assert_allclose(joints[index["left_shoulder"]], [0.108, shoulder, 0], atol=1e-12)
    np.testing.assert_allclose(joints[index["left_wrist"]], [0.108, shoulder - 0.175 - 0.146, 0], atol=1e-12)
    np.testing.assert_allclose(joints[index["nose"]], [0, shoulder + 0.045 + 0.055, 0.065], atol=1e-12)


@pytest.mark.parametrize(
    ("angles", "side", "expected"),
    [((0, 0), 1, (0, -1, 0)), ((90, 0), 1, (1, 0, 0)), ((90, 0), -1, (-1, 0, 0)), ((90, 90), 1, (0, 0, 1)),
     ((180, 45), -1, (0, 1, 0)), ((90, 180), 1, (-1, 0, 0)), ((90, -90), -1, (0, 0, -1))],
)  # fmt: skip
def test_directions(angles, side, expected):
    np.testing.assert_allclose(direction(angles, side), expected, atol=1e-12)


def test_two_bone_right_angle():
    middle, end = two_bone(np.zeros(3), np.array([0.0, -5.0, 0]), np.array([1.0, 0, 0]), 3.0, 4.0)
    np.testing.assert_allclose(end, [0, -5, 0], atol=1e-9)
    np.testing.assert_allclose(middle, [2.4, -1.8, 0], atol=1e-9)  # the altitude of the 3-4-5 triangle


def test_two_bone_out_of_reach_points_at_the_target():
    middle, end = two_bone(np.zeros(3), np.array([0.0, 0, 100.0]), np.array([0, 1.0, 0]), 1.0, 1.0)
    assert end[2] == pytest.approx(2, abs=0.01)
    assert np.linalg.norm(middle) == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(poses)
def test_bones_keep_their_lengths(pose):
    joints = forward(pose)
    assert np.isfinite(joints).all()
    for name, values in lengths(joints).items():
        np.testing.assert_allclose(values, getattr(pose.body, name) * pose.body.height, rtol=1e-6)
    assert np.linalg.norm(joints[5] - joints[6]) == pytest.approx(2 * pose.body.shoulder * pose.body.height)
    assert np.linalg.norm(joints[11] - joints[12]) == pytest.approx(2 * pose.body.hip * pose.body.height)
    assert joints[:, 1].min() >= pose.air * pose.body.height - 1e-9


@settings(max_examples=30, deadline=None)
@given(poses, st.tuples(small, small, small), st.sampled_from(("left_arm", "right_arm", "left_leg", "right_leg")))
def test_reaching_keeps_bones(pose, target, limb):
    joints = forward(pose)
    moved = reach(joints, limb, np.array(target))
    for name, values in lengths(moved).items():
        np.testing.assert_allclose(values, lengths(joints)[name], rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(poses)
def test_mirror_swaps_sides(pose):
    seen = forward(pose)[MIRROR] * np.array([-1, 1, 1])
    # Two hands that reach for each other are solved left first: only they are no exact mirror images.
    if not all(isinstance(limb, Reach) and "wrist" in limb.anchor for limb in (pose.left_arm, pose.right_arm)):
        np.testing.assert_allclose(forward(mirror(pose)), seen, atol=1e-9)
    assert mirror(mirror(pose)) == pose


def test_left_is_at_larger_x_when_frontal_and_smaller_from_behind():
    for yaw, sign in ((0, 1), (30, 1), (-30, 1), (180, -1)):
        xy, _ = project(forward(Pose(yaw=yaw)))
        for left, right in ((1, 2), (3, 4), (5, 6), (11, 12)):
            assert np.sign(xy[left, 0] - xy[right, 0]) == sign


@pytest.mark.parametrize(
    ("yaw", "hidden"),
    # Who looks to the viewer's right shows the right side of the face.
    [(0, []), (80, ["left_eye", "left_ear"]), (-80, ["right_eye", "right_ear"]),
     (180, ["nose", "left_eye", "right_eye"])],
)  # fmt: skip
def test_visibility_of_the_face(yaw, hidden):
    pose = Pose(yaw=yaw)
    xy, depth = project(forward(pose))
    v = dict(zip(JOINTS, visibility(pose, xy, depth), strict=True))
    assert [name for name in JOINTS[:3] if v[name] == 1] == [name for name in hidden if "ear" not in name]
    assert all(v[name] == 1 for name in hidden)


def test_a_hand_behind_the_back_is_hidden():
    pose = Pose(right_arm=Reach("chest", (-0.02, -0.05, -0.14), (60, -60)))
    xy, depth = project(forward(pose))
    assert visibility(pose, xy, depth)[10] == 1
    assert visibility(pose, xy, depth)[9] == 2


def test_elevation_lowers_what_is_near():
    joints = np.zeros((17, 3))
    joints[0] = [0, 1, 0]
    joints[1] = [0, 0, 1]
    xy, depth = project(joints, 30)
    np.testing.assert_allclose(xy[0], [0, -np.cos(np.pi / 6)])
    np.testing.assert_allclose(xy[1], [0, 0.5])
    np.testing.assert_allclose(depth[:2], [0.5, np.cos(np.pi / 6)])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_jitter_is_small_and_deterministic(seed):
    pose = ACTIONS["kick_ball"].pose
    first, second = (jitter(pose, np.random.default_rng(seed)) for _ in range(2))
    assert first == second
    assert np.linalg.norm(forward(first) - forward(pose), axis=1).max() < 0.25


# --- actions


def test_there_are_enough_actions():
    by_people = {n: [a for a in ACTIONS.values() if a.people == n] for n in (1, 2, 3)}
    assert len(ACTIONS) == len(SOLOS) + len(GROUPS) >= 150  # names are unique
    assert len(by_people[1]) >= 95
    assert len(by_people[2]) >= 40
    assert len(by_people[3]) >= 20


def test_captions_are_many_unique_and_clean():
    captions = [caption for action in ACTIONS.values() for caption in action.captions]
    assert len(set(captions)) == len(captions)
    clauses = [clause for action in ACTIONS.values() for clause in action.clauses]
    assert len(set(clauses)) == len(clauses)
    assert all(len(action.captions) >= 3 and len(action.clauses) >= 2 for action in ACTIONS.values())
    identity = re.compile(
        r"\b(man|woman|men|women|boy|girl|his|her|he|she|child|children|kid|adult|old|young|red|blue|green|black|white|"
        r"shirt|dress|beach|street|room|park|background)\b"
    )
    for caption in captions:
        assert not identity.search(caption), caption
        assert caption == caption.strip()
        assert "  " not in caption
        assert caption[0].islower()
        assert caption[-1].isalpha()
        assert caption.isascii()
        assert 3 <= len(caption.split()) <= 24, caption


def test_clauses_start_with_a_participle_and_name_nobody_else():
    subject = {1: "a person", 2: "two people", 3: "three people"}
    for action in ACTIONS.values():
        for clause in action.clauses:
            assert re.match(r"(\w+ly )?\w+ing\b|\w+ \w+ing\b", clause), clause
            assert count_people(f"{subject[action.people]} {clause}") == action.people, clause


def test_mirrored_actions_name_no_side():
    for action in ACTIONS.values():
        if action.mirror:
            assert not re.search(r"\b(left|right)\b", " ".join(action.captions).replace("right angles", "")), (
                action.name
            )


def normalised(people):
    xy = people[..., :2]
    low, high = xy.reshape(-1, 2).min(0), xy.reshape(-1, 2).max(0)
    return (xy - (low + high) / 2) / np.linalg.norm(high - low)


@pytest.mark.parametrize("name", ["handshake", "high_five", "hold_hands", "toast", "arm_wrestle", "swing_dance"])
def test_joined_hands_meet(name):
    people = figures(ACTIONS[name]).people
    gaps = [np.linalg.norm(people[0, a, :2] - people[1, b, :2]) for a in (9, 10) for b in (9, 10)]
    assert min(gaps) < 0.06


def test_a_carried_person_is_above_the_carrier():
    for name in ("tower", "shoulder_ride", "ballet_lift"):
        people = figures(ACTIONS[name]).people
        hips = np.sort(people[:, 11:13, 1].mean(1))
        assert hips[1] - hips[0] > 0.2  # y points down: someone's hips are well above the other's


# --- entries


@pytest.fixture(scope="module")
def library():
    return entries()


def test_entries_cover_every_action_in_two_views(library):
    assert 450 <= len(library) <= 700
    assert len({entry.id for entry in library}) == len(library)
    views = {name: [e for e in library if e.action == name] for name in ACTIONS}
    for name, found in views.items():
        assert len(found) >= 2
        assert sorted(c for e in found for c in e.captions) == sorted(ACTIONS[name].captions)
        assert not np.allclose(found[0].people[..., :2], found[1].people[..., :2], atol=3)
    assert all(entry.licence == "Apache-2.0" and entry.source == "astra_jax pose library" for entry in library)


def test_entries_lie_inside_their_canvas(library):
    for entry in library:
        xy = entry.people[..., :2]
        assert (xy >= 0).all()
        assert (xy <= [entry.width, entry.height]).all()
        assert entry.width / entry.height + 0.01 >= 3 / 4
        assert entry.width / entry.height <= 4 / 3 + 0.01
        assert set(np.unique(entry.people[..., 2])) <= {1, 2}
        neck = entry.people[:, 5:7, 0].mean(1)
        assert (np.diff(neck) >= 0).all()


def in_a_mirror(people):
    # People in the order of their necks stay in it: the first from the left becomes the last.
    return people[::-1, MIRROR] * np.array([-1, 1, 1])


@pytest.mark.parametrize("people", [1, 2, 3])
def test_actions_have_distinct_skeletons(people, library):
    """Mean poses, also mirrored, differ by box-aligned OKS and in at least one joint (by 6 % of the box's diagonal)."""
    sigma = np.array([0.026, *[0.025] * 2, *[0.035] * 2, *np.repeat([0.079, 0.072, 0.062, 0.107, 0.087, 0.089], 2)])
    actions = [action for action in ACTIONS.values() if action.people == people]
    views = {entry.id: entry.people for entry in library}
    plain = np.stack([normalised(views[f"{action.name}-0"]) for action in actions])  # the plain view
    flipped = np.stack([normalised(in_a_mirror(views[f"{action.name}-0"])) for action in actions])
    for i, action in enumerate(actions):
        others = np.arange(len(actions)) > i
        mirrored = others & (action.mirror & np.array([a.mirror for a in actions]))
        for shapes, kept in ((plain, others), (flipped, mirrored)):
            squared = ((plain[i] - shapes[kept]) ** 2).sum(-1)
            oks = np.exp(-squared / (2 * 0.25 * (2 * sigma) ** 2)).mean((1, 2))
            assert oks.max(initial=0) < 0.9, (action.name, oks)
            assert np.sqrt(squared.max((1, 2)).min(initial=1)) > 0.06, action.name


# --- the built bank


@pytest.fixture(scope="module")
def bank():
    return PoseBank.load(BANK, backend="exact")


def test_the_bank_is_small_and_holds_no_pickles():
    files = [path for path in BANK.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_500_000
    assert {path.suffix for path in files} <= {".json", ".jsonl", ".npz", ".npy", ".pb", ".pbtxt"}
    for path in files:
        if path.suffix in (".npz", ".npy"):
            np.load(path, allow_pickle=False)


def test_the_bank_is_what_the_code_builds(library, bank):
    assert [e.id for e in bank.entries] == [e.id for e in library], "run python -m data.pose_library"
    for kept, made in zip(bank.entries, library, strict=True):
        assert (kept.captions, kept.action, kept.width, kept.height) == (
            made.captions, made.action, made.width, made.height
        )  # fmt: skip
        np.testing.assert_allclose(kept.people, made.people, atol=0.11)  # a tenth of a pixel may round the other way


@pytest.mark.parametrize(
    ("prompt", "people", "action"),
    [
        ("an old man riding a bicycle", 1, "ride_bike"),
        ("an old man riding a horse", 1, "ride_horse"),
        ("A man in a red shirt waving hello on the beach", 1, "wave"),
        ("a young girl doing a handstand", 1, "handstand"),
        ("an old woman playing the violin", 1, "violin"),
        ("a man and a woman hugging each other", 2, "hug"),
        ("two boys playing leapfrog in a park", 2, "leapfrog"),
        ("three women dancing in a conga line", 3, "conga"),
    ],
)
def test_the_bank_finds_actions(bank, prompt, people, action):
    vector = bank.embedder([action_text(prompt)])
    (found,) = bank.partition(people).search(vector, 1)
    assert {action} == {bank.entries[entry].action for _, entry, _ in found}


def test_no_caption_is_nearer_to_another_action(bank):
    vectors = bank.vectors()
    rows = [(entry.action, len(entry.people)) for entry in bank.entries for _ in entry.captions]
    names, people = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    others = (names[:, None] != names[None]) & (people[:, None] == people[None])
    assert np.where(others, vectors @ vectors.T, -1).max() < 0.97


def test_an_embedder_of_few_words_is_not_projected():
    embedder = word_start_embedder(["person waving", "person jumping"])
    assert embedder.directions is None
    np.testing.assert_allclose(embedder(["waves"]) @ embedder(["jumps"]).T, 0, atol=1e-6)
    assert (embedder(["wave"]) @ embedder(["waving"]).T)[0, 0] == 0  # "wavi" and "wave" differ in the fourth letter


def test_the_command_writes_a_bank_and_refuses_another_folder(tmp_path, monkeypatch, library):
    monkeypatch.setattr("data.pose_library.__main__.entries", lambda: library[:40])
    out = tmp_path / "bank"
    run(["--out", str(out), "--backend", "exact"])
    assert len(PoseBank.load(out).entries) == 40
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="no pose bank"):
        run(["--out", str(tmp_path), "--backend", "exact"])


@pytest.mark.skipif(not scann_available(), reason="ScaNN has no wheel for this platform")
def test_scann_finds_what_the_exact_search_finds_in_the_built_in_bank():
    """Recall@10 of ScaNN is 1.0, every row of the bank being a query: equal scores, for ties may come in any order."""
    scann = PoseBank.load(BANK, backend="scann")
    exact = PoseBank.load(BANK, backend="exact")
    for people in (1, 2, 3):
        queries = exact.partition(people).vectors
        found, _ = scann.partition(people).index.search(queries, 10)
        wanted, _ = exact.partition(people).index.search(queries, 10)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
