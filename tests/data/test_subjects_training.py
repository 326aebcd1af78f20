"""From a manifest to a trained step: drawn pictures always, real photos where they are."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from astra_jax.config import DataConfig, TrainConfig
from astra_jax.errors import UserError
from astra_jax.inputs.pipeline import make_dataset, plan_batches
from astra_jax.inputs.tokenizer import save_tokenizer, train_tokenizer
from astra_jax.training import loop
from astra_jax.training.astra_objective import AstraObjective
from astra_jax.training.loop import train
from astra_jax.training.step import compile_step
from astra_jax.weights.pretrained import load_config
from data.subjects.__main__ import run
from data.subjects.manifest import read_manifest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TFDS's own imports
BUCKETS = ((16, 32), (32, 32), (32, 16))


def train_on(manifest: Path, images: Path, pretrained: Path, tmp_path: Path, steps: int):
    """Builds the data set and trains the tiny model on it; returns the losses and the plan of its batches."""
    out = tmp_path / "tfds"
    run(["--manifest", str(manifest), "--images", str(images), "--out", str(out), "--name", "mine"])
    prompts = [json.loads(line)["prompt"] for line in manifest.read_text().splitlines()]
    config = load_config(pretrained)
    tokenizer = save_tokenizer(train_tokenizer(prompts, 320), tmp_path / "tokenizer")
    data = DataConfig(
        source="subjects/mine", dir=str(out), tokenizer=str(tokenizer.parent), buckets=BUCKETS, reference_size=16,
        threads=1,
    )  # fmt: skip
    settings = TrainConfig(
        steps=steps, batch_size=2, trainable="^(dsm|transformer)/", log_every=1, sample_every=0, checkpoint_every=0
    )
    model = dataclasses.replace(config.model, text_length=96)
    config = dataclasses.replace(config, model=model, data=data, train=settings)
    devices = jax.devices()[:1]
    (tmp_path / "run").mkdir()
    train(config, tmp_path / "run", AstraObjective(config), make_dataset(config, training=True), None, devices)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    return lines, plan_batches(config, training=True)


@pytest.mark.slow
def test_training_on_a_manifest(pretrained, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(loop, "compile_step", lambda *args: compiled.append(compile_step(*args)) or compiled[-1])
    rng = np.random.default_rng(0)
    shapes = ((70, 140), (100, 100), (140, 70))
    lines = []
    for number in range(6):
        height, width = shapes[number % 3]
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(tmp_path / f"{number}.png")
        keypoints = np.concatenate([rng.uniform(0, 70, (1, 17, 2)), np.full((1, 17, 1), 2)], axis=2)
        lines.append(
            {"target": f"{number}.png", "prompt": "a man waving", "references": [f"{(number + 1) % 3}.png"],
             "phrases": ["a man"], "keypoints": keypoints.tolist()}
        )  # fmt: skip
    manifest = tmp_path / "list.jsonl"
    manifest.write_text("\n".join(map(json.dumps, lines)))
    metrics, plan = train_on(manifest, tmp_path, pretrained, tmp_path, steps=4)
    assert [line["step"] for line in metrics] == [1, 2, 3, 4]
    assert all(np.isfinite(line["loss"]) and not line["skipped"] for line in metrics)
    assert all(0 <= line["data_wait"] < 1 for line in metrics[1:])
    assert sorted(plan.bucket(batch) for batch in range(3)) == [0, 1, 2]  # three shapes in the four steps
    (step,) = compiled
    assert step._cache_size() == 3  # a program each, and none twice
    assert "3 canvases, a compiled step each" in plan.describe()


def coco_manifest(root: Path, path: Path) -> None:
    """The redistributable photos as targets with their captions and people, the first photo as reference."""
    photos = [json.loads(line) for line in (root / "coco_photos" / "photos.jsonl").read_text().splitlines()]
    arrays = {split: np.load(root / "coco_pose" / f"coco_kpts_{split}.npz") for split in ("train2017", "val2017")}
    lines = [
        {
            "target": photo["file"],
            "prompt": photo["captions"][0],
            "references": [photos[0]["file"]],
            "keypoints": arrays[photo["split"]]["keypoints"][photo["npz_rows"]].tolist(),
        }
        for photo in photos
    ]
    path.write_text("\n".join(map(json.dumps, lines)))


@pytest.mark.real_data
def test_training_on_real_photos(pretrained, tmp_path, capsys):
    root = Path(os.environ["ASTRA_DATA_DIR"])
    manifest = tmp_path / "coco.jsonl"
    coco_manifest(root, manifest)
    metrics, plan = train_on(manifest, root / "coco_photos", pretrained, tmp_path, steps=8)
    assert "17 examples, 0 bad lines left out" in capsys.readouterr().out
    assert len(metrics) == 8
    assert all(np.isfinite(line["loss"]) for line in metrics)
    assert plan.epoch >= 7
    assert len({plan.bucket(batch) for batch in range(8)}) >= 2


@pytest.mark.real_data
def test_unos_lists_for_evaluation_have_no_targets(tmp_path):
    root = Path(os.environ["ASTRA_DATA_DIR"])
    for name in ("dreambench_multiip", "dreambench_singleip"):
        manifest = root / "uno_dreambench" / "datasets" / f"{name}.json"
        lines = list(read_manifest(manifest, manifest.parent))
        assert len(lines) == 750
        assert all("no 'image_tgt_path'" in str(line) for line in lines)
        with pytest.raises(UserError, match="more than 100 bad lines"):
            run(["--manifest", str(manifest), "--out", str(tmp_path)])


@pytest.mark.real_data
def test_unos_lists_with_targets_read_the_real_photos(tmp_path, capsys):
    """The two-subject list over the real photos; its first reference stands in for the target that it lacks."""
    root = Path(os.environ["ASTRA_DATA_DIR"])
    items = json.loads((root / "uno_dreambench" / "datasets" / "dreambench_multiip.json").read_text())[::25]
    folder = root / "dreambench_512" / "dataset"
    for item in items:
        item["image_paths"] = [path.removeprefix("./dreambooth/dataset/") for path in item["image_paths"]]
        item["image_tgt_path"] = item["image_paths"][0]
    manifest = tmp_path / "uno.json"
    manifest.write_text(json.dumps(items))
    run(["--manifest", str(manifest), "--images", str(folder), "--out", str(tmp_path / "tfds")])
    assert "30 examples, 0 bad lines left out" in capsys.readouterr().out
