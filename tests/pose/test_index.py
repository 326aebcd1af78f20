import json
import shutil

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose import index as index_module
from astra_jax.pose.index import (
    BRUTE_FORCE_BELOW,
    ExactIndex,
    NeighbourIndex,
    ScannIndex,
    ScannParameters,
    build_index,
    default_backend,
    load_index,
    scann_available,
)

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
    monkeypatch.setattr(index_module, "_SCORES_AT_ONCE", 64 * 2)
    scores, rows = ExactIndex(vectors).search(queries, 5)
    np.testing.assert_allclose(scores, whole[0], atol=1e-6)
    np.testing.assert_array_equal(rows, whole[1])


def test_parameters_follow_the_size():
    assert ScannParameters.for_size(BRUTE_FORCE_BELOW - 1) == ScannParameters()
    large = ScannParameters.for_size(1_000_000)
    assert large.leaves == 1000
    assert large.leaves_to_search == 200
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
    (tmp_path / "parameters.json").write_text(json.dumps({"leaves": 0, "other": 1}))
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
