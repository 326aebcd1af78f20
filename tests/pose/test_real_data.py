"""The bank on COCO val2017's people and captions."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from astra_jax.pose.action_text import action_text
from astra_jax.pose.caption_vectors import caption_vectors
from astra_jax.pose.coco import read_keypoints
from astra_jax.pose.complexity import STANDING, STANDING_ASPECT
from astra_jax.pose.curation import curate
from astra_jax.pose.database import PoseBank
from astra_jax.pose.drawing import COLOURS, draw
from astra_jax.pose.embedding import TfidfEmbedder
from astra_jax.pose.exact_index import ExactIndex
from astra_jax.pose.index import scann_available
from astra_jax.pose.people_words import count_people
from astra_jax.pose.pose_files import load_people
from astra_jax.pose.retrieval import Retriever
from astra_jax.pose.scann_index import BRUTE_FORCE_BELOW, ScannIndex
from astra_jax.pose.sources import read_pictures
from astra_jax.pose.vcoco import read_actions

pytestmark = pytest.mark.real_data
needs_scann = pytest.mark.skipif(not scann_available(), reason="ScaNN has wheels for Linux only")


@pytest.fixture(scope="module")
def data():
    return Path(os.environ["ASTRA_DATA_DIR"])


@pytest.fixture(scope="module")
def captions(data):
    tree = json.loads((data / "coco_pose" / "captions_val2017.json").read_text())
    return [annotation["caption"] for annotation in tree["annotations"]]


@pytest.fixture(scope="module")
def bank(data):
    folder = data / "coco_pose"
    files = [folder / "coco_kpts_val2017.npz", folder / "captions_val2017.json", folder / "person_actions_vcoco.jsonl"]
    entries, report = curate(read_pictures(*files), "COCO 2017", "CC BY")
    assert (report.seen, report.kept) == (2346, 860)
    return PoseBank.build(entries)


def test_provenance_of_real_entries(bank):
    assert all("http://images.cocodataset.org/val2017/" in entry.source for entry in bank.entries)
    assert all("; photo: " in entry.licence for entry in bank.entries)
    assert sum(entry.captions[-1].startswith("person ") for entry in bank.entries) > 200  # V-COCO's verbs


def test_standing_is_the_mean_of_those_who_stand(data):
    with np.load(data / "coco_pose" / "coco_kpts_train2017.npz") as arrays:
        image, joints = arrays["image_id"], arrays["keypoints"].astype(float)
    standing = {key for key, actions in read_actions(data / "coco_pose" / "person_actions_vcoco.jsonl").items()
                if ("stand", "", "") in actions}  # fmt: skip
    whole = np.flatnonzero((joints[..., 2] > 0).all(axis=1))
    people = joints[[i for i in whole if (str(image[i]), i) in standing], :, :2]
    low, high = people.min(axis=1, keepdims=True), people.max(axis=1, keepdims=True)
    assert len(people) == 233
    np.testing.assert_allclose(((people - low) / (high - low)).mean(axis=0), STANDING, atol=6e-4)
    assert np.median((high - low)[..., 0] / (high - low)[..., 1]) == pytest.approx(STANDING_ASPECT, abs=6e-4)


def test_train_people_come_by_their_verbs(data):
    folder = data / "coco_pose"
    pictures = read_pictures(folder / "coco_kpts_train2017.npz", actions=folder / "person_actions_vcoco.jsonl")
    entries, report = curate(pictures, "COCO 2017", "CC BY")
    assert (report.seen, report.dropped["has no caption"], report.kept) == (56_599, 47_454, 4103)
    assert all(entry.captions[0].startswith("person ") for entry in entries)


def test_npz_and_json_hold_the_same_people(data):
    folder = data / "coco_pose"
    a = read_keypoints(folder / "coco_kpts_val2017.npz")
    b = read_keypoints(folder / "person_keypoints_val2017.rebuilt.json")
    assert [p.id for p in a] == [p.id for p in b]
    assert sum(len(p.people) for p in a) == 6352
    for p, q in zip(a, b, strict=True):
        order = [np.lexsort(x.people.reshape(len(x.people), -1).T) for x in (p, q)]
        np.testing.assert_array_equal(p.people[order[0]], q.people[order[1]])


def test_everyday_actions_are_found(bank, tmp_path):
    bank.save(tmp_path / "bank")
    retriever = Retriever(PoseBank.load(tmp_path / "bank"))
    words = {
        "a king surfing a wave": "surf",
        "a girl swinging a baseball bat": "ba",
        "a man on a skateboard": "skateboard",
        "a boy on skis": "ski",
        "a woman holding an umbrella": "umbrella",
    }
    found = retriever.retrieve(list(words), [1] * len(words), (128, 128), k=3)
    for word, results in zip(words.values(), found, strict=True):
        assert all(word in result.caption.lower() for result in results)
        assert all(result.people.shape == (1, 17, 3) for result in results)
        assert draw(results[0].people, (128, 128)).any()


def test_number_of_people_always_holds(bank):
    prompts = [caption for entry in bank.entries for caption in entry.captions][::7]
    counts = [count_people(prompt) for prompt in prompts]
    asked = [(p, c) for p, c in zip(prompts, counts, strict=True) if c and c <= bank.max_people]
    found = Retriever(bank).retrieve([p for p, _ in asked], [c for _, c in asked], (128, 128), k=5)
    assert len(asked) > 300
    for (_, count), results in zip(asked, found, strict=True):
        assert results
        assert all(len(result.people) == count for result in results)


@needs_scann
def test_scann_equals_exact_on_the_bank(bank):
    exact = PoseBank.assemble(bank.entries, bank.embedder, bank.vectors(), "exact")
    queries = caption_vectors(bank.embedder, [entry.captions[-1] for entry in bank.entries[:200]])
    for people, partition in bank.partitions.items():
        k = min(10, len(np.unique(partition.entry)))
        for a, b in zip(partition.search(queries, k), exact.partitions[people].search(queries, k), strict=True):
            # Ties may come in any order: the scores tell.
            np.testing.assert_allclose([row[0] for row in a], [row[0] for row in b], atol=1e-5)


@needs_scann
def test_the_tree_recalls_real_captions(captions):
    texts = [action_text(caption) for caption in captions]
    vectors = np.unique(TfidfEmbedder.fit(texts[::8], dim=128)(texts), axis=0)
    assert len(vectors) > BRUTE_FORCE_BELOW
    queries = vectors[:: len(vectors) // 200]
    index = ScannIndex.build(vectors)
    assert index.parameters.leaves > 0
    for k, least in ((10, 0.95), (250, 0.93)):
        _, exact = ExactIndex(vectors).search(queries, k)
        _, rows = index.search(queries, k)
        assert np.mean([len(set(a) & set(b)) / k for a, b in zip(rows, exact, strict=True)]) >= least


def test_colours_are_those_of_the_pose_depot(data):
    folder = data / "pose_depot" / "collections" / "2F_Hand_on_Hip"
    with Image.open(folder / "OpenPose.png") as picture:
        there = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    colours, counts = np.unique(there, axis=0, return_counts=True)
    common = colours[(counts > 60) & (colours.max(axis=1) > 100)].astype(int)
    ours = np.array([*COLOURS, *([int(c * 0.6) for c in colour] for colour in COLOURS)], dtype=int)
    distance = np.abs(common[:, None] - ours[None]).max(axis=-1).min(axis=1)
    assert len(common) > 25
    assert distance.max() <= 4  # the pictures went through a lossy format


def test_a_coco_annotation_is_a_pose_file(data, tmp_path):
    tree = json.loads((data / "coco_pose" / "person_keypoints_val2017.rebuilt.json").read_text())
    image = tree["images"][5]
    people = [a for a in tree["annotations"] if a["image_id"] == image["id"]]
    (tmp_path / "pose.json").write_text(json.dumps({"images": [image], "annotations": people}))
    assert len(load_people(tmp_path / "pose.json", (256, 256))) == len(people)
