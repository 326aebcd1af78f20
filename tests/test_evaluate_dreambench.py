"""evaluate.py on DreamBench, from a data set and networks on disk to its files and its last line."""

import json

import numpy as np
import pytest
from PIL import Image

from astra_jax.evaluation.features import open_vit
from astra_jax.evaluation.result import CEILING, FLOOR, MODEL, read_result
from astra_jax.inputs.photos import load_photo
from tests.evaluation.colours import plain
from tests.evaluation.feature_folders import write_clip, write_vit
from tests.evaluation.test_dreambench_data import PHOTOS, folder
from tests.test_evaluate import evaluate

__all__ = ["evaluate", "folder"]


@pytest.fixture
def networks(tmp_path):
    """Flags of a DINO and a CLIP, tiny and random, and DINO's folder."""
    dino, _ = write_vit(tmp_path / "dino", "DINO")
    clip, _ = write_clip(tmp_path / "clip")
    return (f"--dino={dino}", f"--clip={clip}"), dino


def left_behind(process, out):
    """The last line, and the result, of a run that left all its files."""
    assert process.returncode == 0, process.stderr
    assert all((out / file).is_file() for file in ("result.json", "table.md", "report.html"))
    return json.loads(process.stdout.splitlines()[-1]), read_result(out)


def test_pictures_of_the_given_photos_themselves(evaluate, folder, networks, tmp_path):
    flags, dino = networks
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    # Entries 0 and 1 are the cat's only prompt and the mug's first: their photos again, at another size.
    for entry, name in enumerate(("cat2", "red_mug")):
        Image.fromarray(plain(PHOTOS[name][0], (16, 16))).save(pictures / f"{entry}_0.png")
    scored = (f"--images={pictures}", "--partial", "--num_images=1", f"--out={out}")
    process = evaluate("--benchmark=dreambench_single", f"--data={folder}", *flags, *scored)
    line, result = left_behind(process, out)
    assert (line["benchmark"], line["count"]) == ("dreambench_single", 2)
    assert set(line) - {"benchmark", "count"} == {
        f"{name}{suffix}" for name in ("dino", "clip_i", "clip_t") for suffix in ("", "_ceiling", "_floor")
    }
    figures = result.figures
    assert set(figures) == {MODEL, CEILING, FLOOR}
    assert figures[MODEL]["dino_given"].value == pytest.approx(1, abs=1e-5)
    assert figures[MODEL]["clip_i_given"].value == pytest.approx(1, abs=1e-5)
    # Of the photos of a subject one is the picture's own, the others are as far from it as the network says.
    means = []
    for name in ("cat2", "red_mug"):
        vectors = open_vit(dino, "DINO")([plain(colour) for colour in PHOTOS[name]])
        means.append(np.mean(vectors @ vectors[0]))
    assert line["dino"] == pytest.approx(np.mean(means), abs=1e-4)
    assert means[0] < 0.9999  # or nothing would have been told
    assert figures[CEILING]["dino"].count == 3  # photos not given: one of the cat, two of the mug
    assert result.notes[0].startswith("partial: 2 of 5 pictures were scored, of 2 of 5 cases")
    assert "pictures of a prompt: 1; published figures are of 4" in result.notes
    kept = result.settings
    assert (kept["data"], kept["images"], kept["seed"], kept["num_images"]) == ("dataset", "pictures", 0, 1)
    assert {kept[name]["name"] for name in ("dino", "clip")} == {"dino", "clip"}
    assert str(tmp_path) not in json.dumps(dict(kept))
    assert "partial: 2 of 5" in (out / "table.md").read_text()
    assert (out / "report.html").read_text().count("data:image/") >= 4  # two pictures, each beside its photo


@pytest.mark.slow
def test_a_model_draws_what_is_scored(evaluate, folder, networks, pretrained, tmp_path):
    flags, _ = networks
    listed, out = tmp_path / "list.json", tmp_path / "out"
    names = ["a cat and a boot", "a boot and a cat"]
    items = [{"prompt": names[0], "image_paths": ["cat2/00.png", "boot/01.png"]},
             {"prompt": names[1], "image_paths": ["boot/00.png", "cat2/00.png"]}]  # fmt: skip
    listed.write_text(json.dumps(items))
    asked = ("--benchmark=dreambench_multi", f"--data={folder}", f"--list={listed}", *flags)
    drawn = (f"--checkpoint={pretrained}", "--num_images=2", "--limit=1", f"--out={out}")
    line, result = left_behind(evaluate(*asked, *drawn), out)
    assert (line["benchmark"], line["count"]) == ("dreambench_multi", 2)
    assert all(-1 <= line[name] <= 1 for name in ("dino", "clip_i", "clip_t"))
    assert [(one.case, one.index, one.prompt) for one in result.samples] == [("0", 0, names[0]), ("0", 1, names[0])]
    assert all(load_photo(out / one.picture).shape == (32, 32, 3) for one in result.samples)
    assert list(result.samples[0].pictures) == ["1: a cat", "2: a boot"]
    assert result.notes[0].startswith("partial: 2 of 4 pictures were scored, of 1 of 2 cases")
    assert (result.settings["limit"], result.settings["list"]["name"]) == (1, "list.json")
    assert result.weights


def test_a_list_of_pairs_is_refused_for_single_subjects(evaluate, folder, networks, tmp_path):
    listed = tmp_path / "pairs.json"
    listed.write_text(json.dumps([{"prompt": "a cat and a boot", "image_paths": ["cat2/00.png", "boot/00.png"]}]))
    asked = ("--benchmark=dreambench_single", f"--data={folder}", f"--list={listed}", f"--out={tmp_path / 'out'}")
    process = evaluate(*asked, *networks[0])
    assert process.returncode == 2
    assert process.stderr.startswith("error: pairs.json entry 0 has 2 photos in 'image_paths', not 1")
    assert process.stderr.count("\n") == 1
