import json
import shutil

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose import exact_index
from astra_jax.pose import index as index_module
from astra_jax.pose.exact_index import ExactIndex
from astra_jax.pose.index import (
    NeighbourIndex,
    build_index,
    default_backend,
    load_index,
    scann_available,
)
from astra_jax.pose.scann_index import BRUTE_FORCE_BELOW, MAX_GROWTH, ScannIndex, ScannParameters

needs_scann = pytest.mark.skipif(not scann_available(), reason="ScaNN has wheels for Linux only")
BACKENDS = ["exact", pytest.param("scann", marks=needs_scann)]


def clustered(points: int, dim: int = 32, seed: int = 0) -> np.ndarray:
    """Unit vectors in clusters, as embeddings are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(points // 50, 1), dim))
    rows = centres[rng.integers(len(centres), size=points)] + 0.4 * rng.normal(size=(points, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("backend", BACKENDS)
def test_finds_what_numpy_finds(backend):
    vectors, queries = clustered(500), clustered(7, seed=1)
    index = build_index(vectors, backend)
    assert isinstance(index, NeighbourIndex)
    scores, rows = index.search(queries, 10)
    assert scores.shape == rows.shape == (7, 10)
    expected = queries @ vectors.T
    np.testing.assert_array_equal(rows, np.argsort(-expected, axis=1)[:, :10])
    np.testing.assert_allclose(scores, np.sort(expected, axis=1)[:, ::-1][:, :10], atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_more_neighbours_than_points_and_no_queries(backend):
    vectors = clustered(3)
    index = build_index(vectors, backend)
    scores, rows = index.search(vectors[:2], 5)
    assert set(rows[0, :3]) == {0, 1, 2}
    np.testing.assert_array_equal(rows[:, 3:], -1)
    np.testing.assert_array_equal(scores[:, 3:], -np.inf)
    scores, rows = index.search(np.zeros((0, 32), np.float32), 5)
    assert scores.shape == rows.shape == (0, 5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_zero_query_finds_something(backend):
    _, rows = build_index(clustered(20), backend).search(np.zeros((1, 32), np.float32), 4)
    assert (rows >= 0).all()


def test_the_exact_search_goes_in_chunks(monkeypatch):
    vectors, queries = clustered(64), clustered(9, seed=1)
    whole = ExactIndex(vectors).search(queries, 5)
    monkeypatch.setattr(exact_index, "_SCORES_AT_ONCE", 64 * 2)
    scores, rows = ExactIndex(vectors).search(queries, 5)
    np.testing.assert_allclose(scores, whole[0], atol=1e-6)
    np.testing.assert_array_equal(rows, whole[1])


def test_parameters_follow_the_size():
    assert ScannParameters.for_size(BRUTE_FORCE_BELOW - 1) == ScannParameters()
    large = ScannParameters.for_size(1_000_000)
    assert large.leaves == 1000
    assert large.leaves_to_search == 100
    middle = ScannParameters.for_size(BRUTE_FORCE_BELOW)
    assert 100 <= middle.leaves_to_search <= middle.leaves
    assert large.reorder >= 100


@needs_scann
def test_the_tree_finds_nearly_all():
    vectors, queries = clustered(BRUTE_FORCE_BELOW), clustered(100, seed=0)
    index = ScannIndex.build(vectors)
    assert index.parameters.leaves > 0
    _, rows = index.search(queries, 10)
    _, exact = ExactIndex(vectors).search(queries, 10)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, exact, strict=True)])
    assert recall >= 0.95


@needs_scann
@pytest.mark.parametrize("parameters", [ScannParameters(), ScannParameters(20, 10, 100)], ids=["brute", "tree"])
def test_saved_moved_and_loaded(parameters, tmp_path):
    vectors, queries = clustered(2000), clustered(5, seed=1)
    index = ScannIndex.build(vectors, parameters)
    (tmp_path / "a").mkdir()
    index.save(tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    loaded = load_index(tmp_path / "b", vectors, "scann")
    assert isinstance(loaded, ScannIndex)
    assert loaded.parameters == parameters
    for a, b in zip(loaded.search(queries, 10), index.search(queries, 10), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_extended_index_finds_old_and_new_points(backend, tmp_path):
    vectors, queries = clustered(300), clustered(9, seed=1)
    index = build_index(vectors[:200], backend)
    before = index.search(queries, 10)
    grown = index.extended(vectors)
    for now, then in zip(index.search(queries, 10), before, strict=True):
        np.testing.assert_array_equal(now, then)  # the old one stays
    grown.save(tmp_path)
    for found in (grown, load_index(tmp_path, vectors, backend), grown.extended(vectors)):
        scores, rows = found.search(queries, 10)
        np.testing.assert_array_equal(rows, np.argsort(-(queries @ vectors.T), axis=1)[:, :10])
        np.testing.assert_allclose(scores, np.take_along_axis(queries @ vectors.T, rows, axis=1), atol=1e-5)


@needs_scann
def test_an_extended_tree_keeps_its_recall_and_is_trained_again_when_it_has_grown_too_much(monkeypatch, caplog):
    monkeypatch.setattr("astra_jax.pose.scann_index.BRUTE_FORCE_BELOW", 1000)
    vectors = clustered(4200)
    shuffled = np.random.default_rng(0).permutation(vectors)
    exact = ExactIndex(shuffled).search(vectors[:200], 10)[1]
    index = ScannIndex.build(shuffled[:2000])
    for points, trained in ((2200, 2000), (4200, 4200)):
        grown = index.extended(shuffled[:points])
        assert grown.trained == trained
        assert (points > MAX_GROWTH * 2000) == (trained == points) == ("trained again" in caplog.text)
    _, rows = grown.search(vectors[:200], 10)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, exact, strict=True)]) > 0.98
    slow = index.extended(shuffled[:4000])
    assert slow.trained == 2000
    exact = ExactIndex(shuffled[:4000]).search(vectors[:200], 10)[1]
    _, rows = slow.search(vectors[:200], 10)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, exact, strict=True)]) > 0.98


@needs_scann
def test_foreign_scann_folders_are_refused(tmp_path):
    vectors = clustered(50)
    with pytest.raises(UserError, match="holds no ScaNN index"):
        ScannIndex.load(tmp_path, vectors)
    index = ScannIndex.build(vectors)
    index.save(tmp_path)
    with pytest.raises(UserError, match="index of another bank"):
        ScannIndex.load(tmp_path, vectors[:-1])
    (tmp_path / "scann_docids.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserError, match="no part of a ScaNN index"):
        ScannIndex.load(tmp_path, vectors)
    (tmp_path / "scann_docids.pkl").unlink()
    assets = (tmp_path / "scann_assets.pbtxt").read_text()
    (tmp_path / "scann_assets.pbtxt").write_text(assets.replace('"dataset.npy"', '"/etc/dataset.npy"'))
    with pytest.raises(UserError, match="no part of a ScaNN index"):
        ScannIndex.load(tmp_path, vectors)
    (tmp_path / "scann_assets.pbtxt").write_text(assets)
    (tmp_path / "scann_config.pb").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="cannot read"):
        ScannIndex.load(tmp_path, vectors)
    wrong = ({"leaves": 0, "other": 1}, {"leaves": 0}, {"leaves": -1, "trained": 50}, [], {"leaves": "0"})
    for text in (*map(json.dumps, wrong), "[" * 100_000):
        (tmp_path / "parameters.json").write_text(text)
        with pytest.raises(UserError, match="holds no ScaNN index"):
            ScannIndex.load(tmp_path, vectors)


def test_backends(monkeypatch):
    with pytest.raises(UserError, match="no index backend 'faiss': choose one of scann, exact"):
        build_index(clustered(5), "faiss")
    monkeypatch.setattr(index_module, "scann_available", lambda: False)
    assert default_backend() == "exact"
    with pytest.raises(UserError, match="ScaNN is not installed"):
        build_index(clustered(5), "scann")
    monkeypatch.setattr(index_module, "scann_available", lambda: True)
    assert default_backend() == "scann"


@needs_scann
@pytest.mark.parametrize("name", ["dataset.npy", "scann_config.pb", "scann_assets.pbtxt", "parameters.json"])
def test_a_full_disk_is_an_os_error(tmp_path, name):
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"cannot write|No space left"):
        ScannIndex.build(clustered(200)).save(tmp_path)
