import itertools
import json

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose.index import scann_available
from astra_jax.pose.scann_index import ScannParameters
from benchmarks.pose_index import CUTS, measure, points, recall, run, spread, texts

WHO = ("a man", "two boys", "a woman in red", "an old lady", "children", "a chef", "a girl")
DOES = ("rides a brown horse", "eats a slice of pizza", "throws the ball far", "reads a book on a sofa",
        "cuts vegetables in a kitchen", "waves at the camera", "jumps over a fence")  # fmt: skip
CAPTIONS = {
    picture: [f"{who} {does}", f"{who} who {does}", f"here {who} {does} today"]
    for picture, (who, does) in enumerate(itertools.product(WHO, DOES))
}
needs_scann = pytest.mark.skipif(not scann_available(), reason="ScaNN has wheels for Linux only")


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_points_are_distinct_captions_first_and_queries_are_held_out():
    known, asked = texts(CAPTIONS, 10)
    assert len(asked) == 10
    assert len(set(known)) == len(known)
    assert not set(asked) & set(known)
    captions = {text for rows in CAPTIONS.values() for text in rows}
    plain = len(captions) - len(asked)
    assert set(known[:plain]) == captions - set(asked)
    assert not set(known[plain:]) & captions
    assert texts(CAPTIONS, 10) == (known, asked)


def test_captions_put_together_are_of_one_picture_and_of_no_query():
    rows = {1: ["a b c d e f", "g h i j k l"], 2: ["m n o p q r", "s t u v w x"]}
    known, asked = texts(rows, 1)
    (picture,) = (p for p, captions in rows.items() if asked[0] == captions[0])
    whole = rows[3 - picture]
    a, b = (text.split() for text in whole)
    cuts = [int(len(a) * cut) for cut in CUTS]
    mixed = {" ".join(x[:cut] + y[cut:]) for cut in cuts for x, y in ((a, b), (b, a))}
    assert set(known) == {rows[picture][1], *whole, *mixed}


def test_spread_by_hand():
    # Pairs 0.1 rad apart, the pairs far from each other: the nearest neighbour is a chord of 2 sin(0.05) away.
    angles = np.array([0, 0.1, 1.5, 1.6, 3, 3.1])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert spread(vectors) == pytest.approx(2 * np.sin(0.05), rel=1e-3)


def test_points_are_the_real_ones_then_noisy_ones_of_length_one():
    real = unit(np.random.default_rng(0).normal(size=(50, 400)))
    made = points(real, 120, noise=0.3)
    np.testing.assert_array_equal(made[:50], real)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    away = np.linalg.norm(made[50:100] - real, axis=1)
    # Noise of length n square to a unit vector turns it by atan(n).
    np.testing.assert_allclose(away.mean(), 2 * np.sin(np.arctan(0.3) / 2), rtol=0.05)
    assert not np.array_equal(made[100:], made[50:70])
    np.testing.assert_array_equal(points(real, 20, noise=0.3), real[:20])


def test_recall_by_hand():
    exact = np.array([[0, 1, 2, 3], [4, 5, 6, 7]])
    rows = np.array([[1, 0, 9, 9], [4, 9, 5, -1]])
    assert recall(rows, exact, 2) == pytest.approx(3 / 4)
    assert recall(rows, exact, 4) == pytest.approx(4 / 8)


@needs_scann
def test_figures_of_a_tree(monkeypatch, tmp_path):
    monkeypatch.setattr("astra_jax.pose.scann_index.BRUTE_FORCE_BELOW", 1000)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, 32))
    real = unit(centres[rng.integers(60, size=1500)] + 0.4 * rng.normal(size=(1500, 32)))
    np.savez(tmp_path / "vectors.npz", real=real, queries=unit(real[:40] + 0.05))
    figures = measure(str(tmp_path / "vectors.npz"), 2000, 0.3, 3)
    assert (figures["points"], figures["real"], figures["width"]) == (2000, 1500, 32)
    assert min(figures["recall_at_10"], figures["recall_at_250"], figures["extended"]["recall_at_10"]) > 0.95
    assert all(figures[f"{kind}_{batch}_ms"] > 0 for kind in ("scann", "exact") for batch in ("batch_1", "batch_128"))
    # With one leaf of all searched much is missed: the figures can tell.
    monkeypatch.setattr(ScannParameters, "for_size", classmethod(lambda cls, points: cls(40, 1, 20)))
    assert measure(str(tmp_path / "vectors.npz"), 2000, 0.3, 1)["recall_at_250"] < 0.9


@needs_scann
def test_the_command(tmp_path, capsys):
    rows = [{"image_id": picture, "caption": text} for picture, texts in CAPTIONS.items() for text in texts]
    (tmp_path / "captions_val2017.json").write_text(json.dumps({"annotations": rows}))
    work = tmp_path / "work"
    run(["--data", str(tmp_path), "--points", "600", "--repeats", "1", "--work", str(work)])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["embedder"] == "tfidf"
    assert figures["noise"] > 0
    (size,) = figures["sizes"]
    assert size["points"] == 600
    assert size["recall_at_10"] > 0.99  # so few are scored one by one
    with pytest.raises(UserError, match="--points must be at least 500"):
        run(["--data", str(tmp_path), "--points", "100"])
    with pytest.raises(UserError, match="cannot read"):
        run(["--data", str(tmp_path / "nowhere")])
