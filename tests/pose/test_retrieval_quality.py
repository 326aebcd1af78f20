import json

import numpy as np
import pytest

from astra_jax.errors import UserError
from benchmarks.retrieval_quality import run

CAPTIONS = {
    1: ["a man riding a horse", "a person rides a brown horse", "someone on a horse riding"],
    2: ["a woman riding a horse fast", "a lady on her galloping horse", "a galloping horse and its lady"],
    3: ["two boys eating pizza", "two kids eat a pizza slice", "children eating slices of pizza"],
    4: ["a man reading a book on a sofa", "a person reads his book", "a reader with a book on a couch"],
}
PEOPLE = {1: 1, 2: 1, 3: 2, 4: 1}
VERBS = {1: "ride", 2: "ride", 3: "eat", 4: "read"}


@pytest.fixture
def data(tmp_path, make_people):
    rows = [image for image, count in PEOPLE.items() for _ in range(count)]
    joints = np.concatenate([make_people(count, image) for image, count in PEOPLE.items()])
    np.savez(
        tmp_path / "coco_kpts_val2017.npz",
        image_id=np.array(rows),
        image_wh=np.full((len(rows), 2), 100),
        bbox_xywh=np.tile([0, 0, 50, 90], (len(rows), 1)).astype(np.float32),
        keypoints=joints.round().astype(np.int16),
    )
    annotations = [{"image_id": image, "caption": text} for image, texts in CAPTIONS.items() for text in texts]
    (tmp_path / "captions_val2017.json").write_text(json.dumps({"annotations": annotations}))
    lines = [
        {"image_id": image, "row": row, "actions": [[VERBS[image], "obj", "x"]], "plain": ["stand"]}
        for row, image in enumerate(rows)
    ]
    (tmp_path / "person_actions_vcoco.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def test_figures_of_a_miniature(data, capsys):
    cache = data / "vectors.npz"
    for _ in range(2):
        run(["--data", str(data), "--cache", str(cache)])
        figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert cache.exists()
    assert (figures["pictures"], figures["captions"], figures["queries"]) == (4, 12, 6)
    assert figures["recall"]["at_5"] == 1  # of four pictures
    assert 0.5 <= figures["recall"]["at_1"] <= 1
    assert figures["recall_chance"] == {"at_1": 0.25, "at_5": 1, "at_10": 1}
    assert figures["verb_pictures"] == 4
    # Pictures 1 and 2 share a verb: 2 of the 12 ordered pairs; of three other pictures one or none is right.
    assert figures["verb_share_chance"] == pytest.approx(2 / 12, abs=1e-4)
    assert 0 <= figures["verb_share_top_5"] <= 1 / 3
    assert figures["number_annotated"] == 1
    assert figures["people_right"] == 1


def test_arguments(data):
    with pytest.raises(UserError, match="--queries must be at least 1"):
        run(["--data", str(data), "--queries", "0"])
    with pytest.raises(UserError, match="cannot read"):
        run(["--data", str(data / "none")])
