"""The benchmarks of retrieval: what more poses are worth, and what finding one costs."""

import json
from collections import Counter

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose.database import PoseEntry
from astra_jax.pose.embedding import TfidfEmbedder
from benchmarks import bank_size, retrieval_share

ACTIONS = ("waving hello", "riding a horse", "kicking a ball", "reading a book", "climbing a tree")


def person(seed):
    points = np.random.default_rng(seed).uniform(20, 180, size=(1, 17, 2))
    return np.concatenate([points, np.full((1, 17, 1), 2.0)], axis=-1).astype(np.float32)


def problem():
    """Five actions, each with a pose of its own; a query is an entry's caption and pose, stretched."""
    entries = [
        PoseEntry(f"bank-{i}", person(i), 200, 200, (f"a person {action}", f"somebody {action}"), action)
        for i, action in enumerate(ACTIONS)
    ]
    embedder = TfidfEmbedder.fit_captions([text for entry in entries for text in entry.captions])
    moved = np.array([0.5, 0.25, 1], np.float32)
    queries = [
        bank_size.Query(f"a man {entry.action}", entry.people * moved, Counter([entry.action])) for entry in entries
    ]

    def action(query, results):
        return float(query.actions == Counter([results[0].action]))

    return bank_size.Problem("tiny", entries, embedder, queries, action)


def test_the_whole_bank_has_every_pose_and_a_part_of_it_its_share():
    whole = bank_size.answers(problem(), 1.0, 0)
    assert whole["action"] == [1.0] * 5
    np.testing.assert_allclose(whole["oks_box"], 1.0, atol=1e-6)
    part = bank_size.answers(problem(), 0.4, 0)
    assert sum(part["action"]) == 2.0
    assert [score > 0.999 for score in part["oks_box"]] == [value == 1.0 for value in part["action"]]


def test_the_scene_itself_is_no_answer():
    tiny = problem()
    own = [bank_size.Query(q.text, q.people, q.actions, f"bank-{i}") for i, q in enumerate(tiny.queries)]
    alone = bank_size.Problem("own", tiny.entries, tiny.embedder, own, tiny.action)
    assert bank_size.answers(alone, 1.0, 0)["action"] == [0.0] * 5
    limits = bank_size.limits(alone)
    assert max(limits["best"]) < 0.999
    assert bank_size.limits(tiny)["best"] == pytest.approx([1.0] * 5, abs=1e-6)
    assert all(some <= most for some, most in zip(limits["chance"], limits["best"], strict=True))


def test_people_that_the_bank_does_not_have_count_as_not_found():
    tiny = problem()
    pair = bank_size.Query("two people waving hello", np.concatenate([person(0), person(1)]), Counter(["waving hello"]))
    lonely = bank_size.Problem("pair", tiny.entries, tiny.embedder, [pair], tiny.action)
    assert bank_size.answers(lonely, 1.0, 0) == {"action": [0.0], "oks_box": [0.0]}


def test_the_line_has_figures_with_intervals_and_every_draw(capsys):
    line = bank_size.measure(problem(), (0.4, 1.0), 3)
    assert [row["entries"] for row in line["shares"]] == [2, 5]
    assert line["shares"][0]["action_seeds"] == [0.4, 0.4, 0.4]
    assert line["shares"][1]["action"] == [1.0, 1.0, 1.0]
    assert len(capsys.readouterr().out.splitlines()) == 2
    for wrong in (["--seeds", "0"], ["--shares", "1.5"]):
        with pytest.raises(UserError, match="must be at least 1"):
            bank_size.run(wrong)


def test_built_in_scenes_know_their_actions():
    tiny = bank_size.built_in(3)
    assert [query.actions.total() for query in tiny.queries] == [
        1 if len(query.people) > 1 and query.actions.total() == 1 else len(query.people) for query in tiny.queries
    ]
    values = bank_size.answers(tiny, 1.0, 0)
    assert np.mean(values["action"]) > 0.9


@pytest.mark.slow  # compiles a model
def test_the_share_is_that_of_finding_and_drawing(pretrained, capsys):
    retrieval_share.run(["--checkpoint", str(pretrained), "--limit", "1", "--repeats", "1"])
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    (bank,) = line["banks"]
    assert bank["share"] == pytest.approx((bank["retrieve_ms"] + bank["skeleton_ms"]) / bank["picture_ms"], abs=1e-3)
    assert 0 < bank["share"] < 1
    assert bank["search_ms"] < bank["retrieve_ms"] * 2
    # 25 steps of the 11.9 billion parameters on 3,360 tokens are 2 FLOPs each; attention and encoders add some.
    by_hand = 25 * 2 * 11.0e9 * 0.5 * 3360 / 989.5e12
    assert by_hand < line["flux_seconds_at_least"] < 6 * by_hand
    assert 0 < bank["flux_share_at_most"] < 0.2


@pytest.mark.slow
def test_pictures_drawn_with_a_part_of_the_built_in_bank(capfd):
    bank_size.run(["--pictures=3", "--queries=5", "--seeds=1", "--shares", "0.3"])
    (row,) = json.loads(capfd.readouterr().out.splitlines()[-1])["shares"]
    assert row["entries"] == 180
    assert {"oks", "identity_accuracy", "action_accuracy"} <= row["pictures"].keys()
    value, low, high = row["pictures"]["identity_accuracy"]
    assert 0.3 < value <= 1  # the shipped weights know who is who, whatever the pose
    assert low <= value <= high
    with pytest.raises(UserError, match="no --data"):
        bank_size.run(["--pictures=3", "--data=somewhere"])
