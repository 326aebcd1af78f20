import dataclasses
import json
import shutil

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose import bank_files
from astra_jax.pose.caption_vectors import caption_vectors
from astra_jax.pose.database import PoseBank, PoseEntry
from astra_jax.pose.embedding import TfidfEmbedder
from astra_jax.pose.index import default_backend, scann_available


@pytest.fixture
def folder(bank, tmp_path):
    bank.save(tmp_path / "bank")
    return tmp_path / "bank"


def data_of(folder):
    """Where the bank's files are."""
    return folder / json.loads((folder / "bank.json").read_text())["data"]


def reseal(folder):
    """Makes the checksums those of the files, as an attacker would."""
    manifest = json.loads((folder / "bank.json").read_text())
    files = [path for path in data_of(folder).rglob("*") if path.is_file()]
    manifest["files"] = {path.relative_to(data_of(folder)).as_posix(): bank_files._sha256(path) for path in files}
    (folder / "bank.json").write_text(json.dumps(manifest))


def edit(folder, **changes):
    manifest = json.loads((folder / "bank.json").read_text())
    (folder / "bank.json").write_text(json.dumps({**manifest, **changes}))


@pytest.mark.parametrize("backend", [None, "exact"])
def test_round_trip_after_a_move(bank, folder, backend):
    moved = folder.parent / "elsewhere"
    shutil.move(folder, moved)
    loaded = PoseBank.load(moved, backend)
    assert loaded.backend == (backend or default_backend())
    assert loaded.describe().split(", index")[0] == bank.describe().split(", index")[0]
    for a, b in zip(loaded.entries, bank.entries, strict=True):
        np.testing.assert_array_equal(a.people, b.people)
        for name in ("id", "height", "width", "captions", "action", "quality", "complexity", "source", "licence"):
            assert getattr(a, name) == getattr(b, name)
    np.testing.assert_array_equal(loaded.vectors(), bank.vectors())
    query = caption_vectors(bank.embedder, ["two people hugging"])
    for (s, e, c), (s2, e2, c2) in zip(
        loaded.partition(2).search(query, 2)[0], bank.partition(2).search(query, 2)[0], strict=True
    ):
        assert (e, c) == (e2, c2)
        assert s == pytest.approx(s2, abs=1e-6)


@pytest.mark.parametrize("backend", ["exact", default_backend()])
def test_an_extended_bank_finds_old_and_new_entries_and_survives_saving(make_entry, backend, tmp_path):
    entries = [make_entry(action) for action in ("wave", "hug", "sit", "jump", "race")]
    bank = PoseBank.build(entries[:3], backend=backend)
    grown = bank.extended(entries[3:])
    assert len(bank.entries) == 3
    assert bank.added == 0
    grown.save(tmp_path / "grown")
    loaded = PoseBank.load(tmp_path / "grown")
    assert loaded.describe() == grown.describe()
    assert "5 poses, 2 of them added later (people: 1: 3, 2: 1, 3: 1)" in loaded.describe()
    np.testing.assert_array_equal(loaded.vectors()[: len(bank.vectors())], bank.vectors())
    for found in (grown, loaded):
        assert [entry.id for entry in found.entries] == [entry.id for entry in entries]
        for people, text, action in ((1, "waving", "wave"), (2, "hugging", "hug"), (3, "running", "race")):
            (near,) = found.partition(people).search(caption_vectors(bank.embedder, [text]), 1)
            assert [found.entries[entry].action for _, entry, _ in near] == [action]
    assert loaded.extended([make_entry("wave", 1)]).added == 3
    with pytest.raises(UserError, match="is there twice"):
        loaded.extended(entries[:1])


def test_entries_that_are_sound_are_not_checked_one_by_one(folder, bank, monkeypatch):
    def slow(self):
        raise AssertionError(f"{self.id} was checked alone")

    monkeypatch.setattr(PoseEntry, "__post_init__", slow)
    for read, made in zip(PoseBank.load(folder).entries, bank.entries, strict=True):
        for field in dataclasses.fields(PoseEntry):
            np.testing.assert_array_equal(getattr(read, field.name), getattr(made, field.name))


def test_people_out_of_order_are_ordered_when_read(folder, bank):
    data = data_of(folder)
    with np.load(data / "poses.npz") as arrays:
        joints, people = arrays["joints"], arrays["people"]
    start = int(np.cumsum(people)[people == 2][0]) - 2
    joints[[start, start + 1]] = joints[[start + 1, start]]
    rewrite(data, "poses.npz", joints=joints)
    reseal(folder)
    for read, made in zip(PoseBank.load(folder).entries, bank.entries, strict=True):
        np.testing.assert_array_equal(read.people, made.people)


def test_whole_bodies_are_kept_whole(make_entry, make_whole_people, tmp_path):
    entries = [make_entry("wave"), make_entry("hug", people=make_whole_people(2)), make_entry("jump")]
    PoseBank.build(entries).save(tmp_path / "bank")
    for kept, made in zip(PoseBank.load(tmp_path / "bank").entries, entries, strict=True):
        np.testing.assert_array_equal(kept.people, made.people)


def test_only_data_files(folder):
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".jsonl", ".npz", ".npy", ".pb", ".pbtxt"}
    assert (folder.stat().st_mode & 0o777) == 0o755


@pytest.mark.skipif(not scann_available(), reason="ScaNN has wheels for Linux only")
def test_an_exact_bank_can_be_searched_with_scann(entries, tmp_path):
    PoseBank.build(entries, backend="exact").save(tmp_path / "bank")
    assert PoseBank.load(tmp_path / "bank").backend == "exact"
    assert PoseBank.load(tmp_path / "bank", "scann").backend == "scann"


@pytest.mark.skipif(not scann_available(), reason="the bank must have been made with ScaNN")
def test_without_scann_the_bank_is_searched_exactly_and_says_so(folder, monkeypatch, caplog):
    monkeypatch.setattr("astra_jax.pose.bank_files.scann_available", lambda: False)
    monkeypatch.setattr("astra_jax.pose.index.scann_available", lambda: False)
    messages = []
    monkeypatch.setattr(bank_files.logging, "warning", lambda text, *values: messages.append(text % values))
    assert PoseBank.load(folder).backend == "exact"
    assert "ScaNN is not installed here" in messages[0]
    with pytest.raises(UserError, match="ScaNN is not installed"):
        PoseBank.load(folder, "scann")


def test_saving_replaces_a_bank_and_leaves_nothing_behind(folder, make_entry):
    (folder / "data-killed").mkdir()
    (folder / "bank.json.tmp").write_text("{")
    PoseBank.build([make_entry("wave")]).save(folder)
    assert len(PoseBank.load(folder).entries) == 1
    assert [path.name for path in folder.parent.iterdir()] == ["bank"]
    assert {path.name for path in folder.iterdir()} == {"bank.json", data_of(folder).name}


def test_an_interrupted_save_leaves_the_old_bank(folder, make_entry, monkeypatch):
    def stop(self, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(TfidfEmbedder, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        PoseBank.build([make_entry("wave")]).save(folder)
    assert len(PoseBank.load(folder).entries) == 6
    assert {path.name for path in folder.iterdir()} == {"bank.json", data_of(folder).name}
    with pytest.raises(KeyboardInterrupt):
        PoseBank.build([make_entry("wave")]).save(folder.parent / "new")
    assert [path.name for path in folder.parent.iterdir()] == ["bank"]


def test_other_people_s_folders_are_not_replaced(bank, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match="exists and is no pose bank"):
        bank.save(tmp_path / "photos")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UserError, match="exists and is no pose bank"):
        bank.save(tmp_path / "file")
    with pytest.raises(UserError, match="cannot write"):
        bank.save(tmp_path / "file" / "bank")
    (tmp_path / "empty").mkdir()
    bank.save(tmp_path / "empty")
    assert bank_files.is_bank(tmp_path / "empty")
    (tmp_path / "killed" / "data-x").mkdir(parents=True)
    bank.save(tmp_path / "killed")
    assert len(PoseBank.load(tmp_path / "killed").entries) == 6


def test_an_older_bank_is_replaced(folder, bank):
    edit(folder, version=1)
    bank.save(folder)
    assert len(PoseBank.load(folder).entries) == 6


def test_no_bank(tmp_path):
    with pytest.raises(UserError, match="is no pose bank .*build one with"):
        PoseBank.load(tmp_path)
    (tmp_path / "bank.json").write_text('{"format": "something else"}')
    with pytest.raises(UserError, match="is no pose bank of astra_jax"):
        PoseBank.load(tmp_path)
    (tmp_path / "bank.json").write_text("{")
    with pytest.raises(UserError, match="is no JSON"):
        PoseBank.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 99}, "has version 99, this program reads 2: update"),
        ({"version": 1}, "has version 1, this program reads 2: build it again"),
        ({"version": "1"}, "has version 1, this program"),
        ({"files": []}, "is damaged"),
        ({"data": 3}, "is damaged"),
        ({"data": "data-elsewhere"}, "is damaged: embedder/tfidf.json is missing"),
        ({"data": "data-/../../x"}, "is no name of its data"),
        ({"data": ".."}, "is no name of its data"),
        ({"entries": 5}, "its entries are incomplete"),
        ({"embedder": "minilm"}, "made with the embedder 'minilm': give the folder"),
        ({"backend": "faiss"}, "no index backend 'faiss'"),
        ({"files": {"../secret": "0"}}, "is damaged"),
    ],
)
def test_bad_manifests(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(UserError, match=message):
        PoseBank.load(folder)


def test_every_file_is_checked(folder):
    data = data_of(folder)
    for name in json.loads((folder / "bank.json").read_text())["files"]:
        content = (data / name).read_bytes()
        (data / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(UserError, match="does not match its checksum"):
            PoseBank.load(folder)
        (data / name).unlink()
        with pytest.raises(UserError, match="is missing"):
            PoseBank.load(folder)
        (data / name).write_bytes(content)
    (data / "more.txt").write_text("x")
    with pytest.raises(UserError, match=r"more.txt is extra"):
        PoseBank.load(folder)


def test_links_are_refused(folder, tmp_path):
    poses = data_of(folder) / "poses.npz"
    (tmp_path / "outside.npz").write_bytes(poses.read_bytes())
    poses.unlink()
    poses.symlink_to(tmp_path / "outside.npz")
    with pytest.raises(UserError, match=r"poses.npz lies outside"):
        PoseBank.load(folder)


def rewrite(folder, name, **arrays):
    with np.load(folder / name) as old:
        np.savez(folder / name, **{**old, **arrays})


def retext(folder, **changes):
    lines = [json.loads(line) for line in (folder / "entries.jsonl").read_text().splitlines()]
    lines[0] |= changes
    (folder / "entries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: rewrite(f, "poses.npz", joints=np.zeros((10, 16, 3), np.float32)), "is damaged"),
        (lambda f: rewrite(f, "poses.npz", joints=np.full((10, 17, 3), np.nan, np.float32)), "not a finite number"),
        (lambda f: rewrite(f, "poses.npz", people=np.ones(6, np.int32)), "is damaged"),
        (lambda f: rewrite(f, "poses.npz", people=np.array([-1, 1, 1, 2, 2, 5], np.int32)), "is damaged"),
        (lambda f: rewrite(f, "poses.npz", size=np.zeros((6, 2), np.int32)), "its size 0 x 0"),
        (lambda f: rewrite(f, "poses.npz", size=np.ones((5, 2), np.int32)), "is damaged"),
        (lambda f: rewrite(f, "vectors.npz", vectors=np.zeros((3, 2), np.float32)), "are not of its embedder"),
        (lambda f: np.savez(f / "vectors.npz", other=np.zeros(3)), "no array 'vectors'"),
        (lambda f: np.savez(f / "vectors.npz", vectors=np.array([{}], dtype=object)), "no readable npz"),
        (lambda f: (f / "poses.npz").write_bytes(b"PK"), "no readable npz"),
        (lambda f: (f / "entries.jsonl").write_text("{}\n" * 6), "is damaged"),
        (lambda f: (f / "entries.jsonl").write_text("[]\n" * 6), "is damaged"),
        (lambda f: (f / "entries.jsonl").write_text(("[" * 100_000 + "\n") * 6), "is damaged"),
        (lambda f: retext(f, people="x"), "an entry has the texts id, action, source, licence, people"),
        (lambda f: retext(f, id=""), "its id must have 1 to"),
        (lambda f: retext(f, captions=[]), "it needs 1 to 64 captions"),
        (lambda f: (f / "entries.jsonl").write_text(""), "is damaged"),
        (lambda f: rewrite(f, "poses.npz", whole=np.ones(6, bool)), "10 whole bodies and details of shape"),
        (lambda f: rewrite(f, "poses.npz", whole=np.ones(6)), "is damaged"),
        (lambda f: rewrite(f, "poses.npz", complexity=np.full(6, np.nan, np.float32)), "complexity nan must be"),
    ],
)
def test_files_that_do_not_fit_are_refused_even_with_right_checksums(folder, spoil, message):
    spoil(data_of(folder))
    reseal(folder)
    with pytest.raises(UserError, match=message):
        PoseBank.load(folder)


def test_line_separators_inside_of_texts(make_entry, tmp_path):
    odd = "a\u2028b\x85c\x1cd\ne\r\nf"
    first = dataclasses.replace(make_entry("wave"), captions=(odd,), action=odd, source=odd)
    PoseBank.build([first, make_entry("jump")], backend="exact").save(tmp_path / "bank")
    first, second = PoseBank.load(tmp_path / "bank").entries
    assert (first.captions, first.action, first.source) == ((odd,), odd, odd)
    assert second.id == "jump-0"
