"""What each track gives, and what pictures score that show just this."""

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.evaluation.coco_scenes import read_scenes
from astra_jax.evaluation.coco_tracks import JOINT_BOX, Skeletons, around
from astra_jax.inputs.requests import GivenPose
from astra_jax.pose.database import PoseBank, PoseEntry
from astra_jax.pose.oks import image_oks
from astra_jax.pose.retrieval import Retriever
from tests.evaluation.coco_files import joints, write_coco, write_list

CANVAS = (100, 120)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco")
    return read_scenes(write_list(folder / "list", [(11, 111), (12, 121), (13, 130)]), *write_coco(folder))


@pytest.fixture(scope="module")
def bank():
    captions = [
        ("a man waving hello",),
        ("a boy throwing a ball",),
        ("a woman waving at a man",),
        ("two people sitting",),
    ]
    entries = []
    for number, texts in enumerate(captions):
        people = np.stack([joints(20 + 60 * i, 10 * number) for i in range(1 + number // 2)]).astype(np.float32)
        entries.append(PoseEntry(f"entry{number}", people, 200, 300, texts))
    return PoseBank.build(entries, backend="exact")


def test_the_oracle_gives_the_people_of_the_photo_on_the_canvas(scenes):
    skeletons = Skeletons(scenes, CANVAS, "oracle")
    pose = skeletons.pose("12")
    assert isinstance(pose, GivenPose)
    assert pose.people is not None
    # 300 x 200 pixels become 120 x 80, with 10 above and below.
    expected = np.stack([joints(10, 40), joints(150)]) * [0.4, 0.4, 1] + [0, 10, 0]
    np.testing.assert_allclose(pose.people, expected, atol=1e-4)
    given = skeletons.given("12")
    assert given is not None
    np.testing.assert_allclose(given.people, expected)
    np.testing.assert_allclose(given.boxes[:, 2:], [[43.2, 72]] * 2)
    larger = skeletons.given("12", (200, 240))
    assert larger is not None
    np.testing.assert_allclose(larger.people[..., :2], expected[..., :2] * 2)
    np.testing.assert_allclose(larger.areas, given.areas * 4)


def test_no_skeleton(scenes):
    skeletons = Skeletons(scenes, CANVAS, "none")
    assert skeletons.pose("12") == "none"
    assert skeletons.given("12") is None
    assert set(skeletons.bounds(["12"])) == {"blind_oks_abs", "blind_oks_box"}


def test_rag_gives_what_a_pipeline_retrieves_prompt_by_prompt(scenes, bank):
    skeletons = Skeletons(scenes, CANVAS, "rag", bank)
    for scene in scenes:
        assert skeletons.pose(scene.image) == "auto"
        ((best,),) = Retriever(bank).retrieve([scene.prompt], [len(scene.people)], CANVAS)
        given = skeletons.given(scene.image)
        assert given is not None
        np.testing.assert_allclose(given.people, best.people, rtol=1e-6)
    with pytest.raises(ValueError, match="needs a bank"):
        Skeletons(scenes, CANVAS, "rag")


def test_a_bank_with_the_scenes_themselves_is_refused_where_it_is_used(scenes):
    inside = PoseEntry("coco-12", joints(20)[None].astype(np.float32), 200, 300, ("a man",), source="coco 12")
    bank = PoseBank.build([inside], backend="exact")
    with pytest.raises(UserError, match="pictures of the benchmark itself, such as 12"):
        Skeletons(scenes, CANVAS, "rag", bank)
    Skeletons(scenes, CANVAS, "oracle", bank)


def test_bounds_are_scores_of_other_peoples_joints(scenes, bank):
    skeletons = Skeletons(scenes, CANVAS, "rag", bank)
    bounds = skeletons.bounds([scene.image for scene in scenes])
    truths = {scene.image: skeletons.true(scene.image) for scene in scenes}
    blind = [image_oks(truths[a].people, truths[a].areas, truths[b].people) for a in truths for b in truths if a != b]
    assert bounds["blind_oks_abs"].value == pytest.approx(np.concatenate(blind).mean())
    assert bounds["blind_oks_abs"].count == sum(map(len, blind)) == 8
    found = {image: skeletons.given(image) for image in truths}
    retrieved = [image_oks(truths[a].people, truths[a].areas, found[a].people) for a in truths]
    assert bounds["retrieved_oks_abs"].value == pytest.approx(np.concatenate(retrieved).mean())
    assert bounds["retrieved_oks_box"].value > bounds["blind_oks_box"].value


def test_bounds_are_of_the_scenes_that_were_scored(scenes, bank):
    skeletons = Skeletons(scenes, CANVAS, "rag", bank)
    every = [scene.image for scene in scenes]
    one = skeletons.bounds(every[1:2])
    truth, found = skeletons.true(every[1]), skeletons.given(every[1])
    assert found is not None
    mine = image_oks(truth.people, truth.areas, found.people)
    assert one["retrieved_oks_abs"].value == pytest.approx(mine.mean())
    others = [skeletons.true(image) for image in every if image != every[1]]
    blind = [image_oks(truth.people, truth.areas, other.people) for other in others]
    assert one["blind_oks_abs"].value == pytest.approx(np.concatenate(blind).mean())
    assert skeletons.bounds([]) == {}


def test_boxes_of_whole_people_are_larger_than_those_of_their_joints():
    people = joints(20)[None].astype(np.float64)
    ((x, y, width, height),) = around(people)
    low, high = people[0, :, :2].min(axis=0), people[0, :, :2].max(axis=0)
    np.testing.assert_allclose([width, height], (high - low) * JOINT_BOX)
    np.testing.assert_allclose([x + width / 2, y + height / 2], (low + high) / 2)
