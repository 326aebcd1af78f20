import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose.caption_vectors import caption_vectors
from astra_jax.pose.database import PoseBank
from astra_jax.pose.embedding import TfidfEmbedder
from astra_jax.pose.index import default_backend


def test_entries_are_ordered_and_frozen_in_float32(make_entry, make_people):
    people = make_people(3)
    entry = make_entry("race", people=people[[1, 2, 0]].astype(np.float64), captions=("x y",))
    np.testing.assert_array_equal(entry.people, people)
    assert entry.people.dtype == np.float32
    assert entry.captions == ("x y",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": ""}, "its id must have"),
        ({"height": 0}, "its size 0 x 100"),
        ({"width": -5}, "its size 100 x -5"),
        ({"captions": ()}, "it needs 1 to 64 captions"),
        ({"captions": ("",)}, "it needs 1 to 64 captions"),
        ({"captions": ("x" * 3000,)}, "1 to 2000 characters"),
        ({"captions": ("a \ud800",)}, r"a text with a NUL or a lone surrogate, 'a .ud800'"),
        ({"source": "a\0b"}, "a text with a NUL"),
        ({"id": "a\udfffb"}, "a text with a NUL"),
        ({"quality": 1.5}, "quality 1.5 must be between 0 and 1"),
        ({"quality": float("nan")}, "quality nan must be between 0 and 1"),
        ({"complexity": -0.1}, "complexity -0.1 must be a finite number of at least 0"),
        ({"complexity": float("inf")}, "complexity inf must be a finite number"),
        ({"people": np.full((1, 17, 3), np.nan)}, "not a finite number"),
    ],
)
def test_bad_entries(make_entry, changes, message):
    with pytest.raises(UserError, match=f"pose entry .*{message}"):
        make_entry("wave", **changes)


def test_partitions_by_number_of_people(bank):
    assert sorted(bank.partitions) == [1, 2, 3]
    assert bank.max_people == 3
    for people, partition in bank.partitions.items():
        assert all(len(bank.entries[i].people) == people for i in partition.entry)
    assert bank.backend == default_backend()
    assert bank.describe() == f"6 poses (people: 1: 3, 2: 2, 3: 1), embedder tfidf, index {bank.backend}"


def test_partition_that_is_not_there(make_entry):
    bank = PoseBank.build([make_entry("wave"), make_entry("race")])
    with pytest.raises(UserError, match="no scene with 4 people: 3 is its maximum"):
        bank.partition(4)
    with pytest.raises(UserError, match="no scene with 2 people: it has scenes with 1, 3"):
        bank.partition(2)


@pytest.mark.parametrize("backend", ["exact", default_backend()])
def test_search_gives_every_entry_once_by_its_best_caption(entries, backend):
    bank = PoseBank.build(entries, backend=backend)
    (found,) = bank.partition(1).search(caption_vectors(bank.embedder, ["a man jumps"]), 3)
    assert len(found) == 3
    assert len({entry for _, entry, _ in found}) == 3
    cosine, entry, caption = found[0]
    assert bank.entries[entry].captions[caption] == "somebody jumps"
    assert cosine == max(row[0] for row in found)


def test_an_embedder_of_ones_own(entries):
    class Length:
        kind, dim, raw_share = "length", 2, 0.0

        def __call__(self, texts):
            return np.array([[len(text) % 2, 1 - len(text) % 2] for text in texts], np.float32)

        def save(self, folder):
            pass

        def check(self, folder):
            pass

    bank = PoseBank.build(entries, Length(), "exact")
    assert bank.vectors().shape == (11, 2)


def test_vectors_come_back_in_order(bank):
    captions = [caption for entry in bank.entries for caption in entry.captions]
    np.testing.assert_array_equal(bank.vectors(), caption_vectors(bank.embedder, captions))


def test_mean_cosines_and_a_caption_held_out(bank):
    queries = caption_vectors(bank.embedder, ["a girl jumping high"])
    partition = bank.partition(1)
    rows = {entry: partition.vectors[partition.entry == entry] @ queries[0] for entry in (0, 1, 2)}
    means = partition.mean_cosines(queries[0], np.array([2, 0, 1]))
    np.testing.assert_allclose(means, [rows[2].mean(), rows[0].mean(), rows[1].mean()], atol=1e-6)
    held_out = int(np.flatnonzero(partition.entry == 1)[0])  # the query itself
    (found,) = partition.search(queries, 3, np.array([held_out]))
    (cosine,) = [cosine for cosine, entry, _ in found if entry == 1]
    assert cosine == pytest.approx(rows[1][1], abs=1e-6)
    assert partition.mean_cosines(queries[0], np.array([1]), held_out)[0] == pytest.approx(rows[1][1], abs=1e-6)


def test_building_needs_entries_with_ids_of_their_own(make_entry):
    with pytest.raises(UserError, match="at least one entry"):
        PoseBank.build([])
    with pytest.raises(UserError, match="'wave-0' is there twice"):
        PoseBank.build([make_entry("wave"), make_entry("wave")])
    with pytest.raises(UserError, match="no index backend 'faiss'"):
        PoseBank.build([make_entry("wave")], backend="faiss")


def test_one_entry_is_a_bank(make_entry):
    bank = PoseBank.build([make_entry("wave")], TfidfEmbedder.fit(["person waving", "person sitting"]))
    (found,) = bank.partition(1).search(caption_vectors(bank.embedder, ["a man waving"]), 5)
    assert [entry for _, entry, _ in found] == [0]
