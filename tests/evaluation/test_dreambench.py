"""DreamBench's figures on pictures of plain colours, whose likeness is known by hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from astra_jax.evaluation.dreambench import PROTOCOLS, DreamBench
from astra_jax.evaluation.dreambench_data import dreambooth_entries, read_subjects, uno_entries
from astra_jax.evaluation.samples import Benchmark, Case, Sample
from astra_jax.evaluation.scoring import figures_of, score_samples
from astra_jax.inputs.requests import Request
from tests.evaluation.colours import BLUE, GREEN, RED, Colours, Words, plain
from tests.evaluation.test_dreambench_data import folder, write

__all__ = ["folder"]
GREENS = (GREEN, (0, 255, 128), (0, 255, 64))


def cosine(one, other):
    return float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.fixture
def single(folder):
    subjects = read_subjects(folder)
    return DreamBench("dreambench_single", subjects, dreambooth_entries(folder, subjects), [Colours()], canvas=(64, 96))


@pytest.fixture
def multi(folder):
    subjects = read_subjects(folder)
    items = [
        {
            "prompt": "a cat wearing a red hat, next to it is a coffee mug",
            "image_paths": ["cat2/00.png", "red_mug/00.png"],
        },
        {"prompt": "a green cat and a coffee mug", "image_paths": ["cat2/00.png", "red_mug/00.png"]},
        {"prompt": "a boot and a boot", "image_paths": ["boot/00.png", "boot/00.png"]},
    ]
    clip = Colours("CLIP"), Words()
    return DreamBench("dreambench_multi", subjects, uno_entries(write(folder, items), subjects, 2), [], clip)


def score(benchmark, number, picture):
    (scores,) = benchmark.score([Sample(benchmark.cases()[number], 0, picture)])
    return scores


def test_cases_are_the_entries_by_their_numbers(single):
    assert isinstance(single, Benchmark)
    cases = single.cases()
    assert [case.id for case in cases] == ["0", "1", "2", "3", "4"]
    request = cases[1].request
    assert (request.prompt, request.pose, request.num_images) == ("a coffee mug in the jungle", "none", 4)
    assert (request.height, request.width) == (64, 96)
    assert [(subject.phrase, subject.image.parent.name) for subject in request.subjects] == [
        ("a coffee mug", "red_mug")
    ]
    assert single.headline == ("colours",)


def test_a_picture_is_compared_with_all_photos_and_with_the_given_one(single):
    scores = score(single, 1, plain((0, 200, 200), (5, 9)))
    expected = [cosine((0, 200, 200), green) for green in GREENS]
    assert scores.values["colours"] == pytest.approx([np.mean(expected)], abs=1e-4)
    assert scores.values["colours_given"] == pytest.approx([expected[0]], abs=1e-4)
    assert scores.people is None
    assert list(scores.pictures) == ["1: a coffee mug"]


def test_a_real_photo_is_not_compared_with_itself(single):
    scores = score(single, 1, plain(GREEN))
    assert scores.values["colours"] == pytest.approx(
        [np.mean([cosine(GREEN, green) for green in GREENS[1:]])], abs=1e-4
    )
    assert scores.values["colours_given"] == []
    # One of the same colour and another size is a picture like any other.
    assert score(single, 1, plain(GREEN, (9, 9))).values["colours_given"] == pytest.approx([1.0])


def test_two_subjects_are_averaged_and_clip_reads_the_prompt(multi):
    assert multi.headline == ("clip_i", "clip_t")
    scores = score(multi, 1, plain((200, 100, 0)))
    reds = [cosine((200, 100, 0), red) for red in (RED, (255, 128, 0))]
    greens = [cosine((200, 100, 0), green) for green in GREENS]
    assert scores.values["clip_i"] == pytest.approx([(np.mean(reds) + np.mean(greens)) / 2], abs=1e-3)
    assert scores.values["clip_i_given"] == pytest.approx([(reds[0] + greens[0]) / 2], abs=1e-3)
    assert scores.values["clip_t"] == pytest.approx([cosine((200, 100, 0), GREEN)], abs=1e-2)
    assert [case.request.num_images for case in multi.cases()] == [6, 6, 6]


def test_pictures_of_a_batch_do_not_touch_one_another(multi):
    pictures = [plain(RED), plain(GREEN, (3, 3)), plain(BLUE)]
    samples = [Sample(case, 0, picture) for case, picture in zip(multi.cases(), pictures, strict=True)]
    together = [scores.values for scores in multi.score(samples)]
    alone = [multi.score([sample])[0].values for sample in samples]
    assert together == alone
    assert multi.score([]) == []


def test_controls_of_one_subject(single):
    controls = single.controls(single.cases())
    rows = [(sample.case.id, sample.index) for sample in controls["ceiling"]]
    assert rows == [("0", 0), ("1", 0), ("1", 1), ("3", 0)]  # the first case of each subject, without the given photo
    np.testing.assert_array_equal(controls["ceiling"][1].picture, plain(GREENS[1]))
    assert [sample.case.id for sample in controls["floor"]] == ["0", "0", "0", "1", "1", "3", "3"]
    np.testing.assert_array_equal(controls["floor"][0].picture, plain(GREEN))
    ceiling, floor = (figures_of(list(score_samples(single, controls[name]))) for name in ("ceiling", "floor"))
    assert ceiling["colours"].value > 0.85
    assert floor["colours"].value < 0.4
    assert [sample.case.id for sample in single.controls(single.cases()[2:4])["ceiling"]] == ["2", "2", "3"]


def test_controls_of_two_subjects_are_side_by_side(multi):
    controls = multi.controls(multi.cases())
    first = controls["ceiling"][0].picture
    assert first.shape[0] == first.shape[1]
    np.testing.assert_array_equal(first[0, [0, -1]], [(255, 128, 0), (0, 255, 128)])
    assert [sample.case.id for sample in controls["floor"]] == ["0", "0", "2", "2"]


def test_no_stranger_no_floor(folder):
    subjects = read_subjects(folder)
    entries = [entry for entry in dreambooth_entries(folder, subjects) if entry.subjects == ("boot",)]
    benchmark = DreamBench("dreambench_single", subjects, entries, [Colours()])
    assert set(benchmark.controls(benchmark.cases())) == {"ceiling"}


def test_notes_name_stand_ins_and_what_is_missing(single, multi):
    assert any(
        "by Colours cannot be compared with published ones, by CLIP, DINO, DINOv2" in note for note in single.notes()
    )
    assert any("there is no CLIP" in note for note in single.notes())
    assert not any("cannot be compared" in note or "no CLIP" in note for note in multi.notes())
    assert any("two photos side by side" in note for note in multi.notes())
    assert single.calibration(single.cases()) == {}


def test_another_number_of_pictures_than_the_protocols_is_told(folder, single):
    subjects = read_subjects(folder)
    one = DreamBench("dreambench_single", subjects, dreambooth_entries(folder, subjects), [Colours()], images=1)
    assert "pictures of a prompt: 1; published figures are of 4" in one.notes()
    assert not any("published figures are of" in note for note in single.notes())


def test_a_case_of_another_benchmark_is_a_bug(single):
    with pytest.raises(KeyError):
        single.score([Sample(Case("99", Request("a dog")), 0, plain(RED))])


@pytest.mark.real_data
def test_real_photos_scored_as_if_they_were_drawn():
    """What is measured with MobileNetV2: 0.68 against 0.35 (single), 0.61 against 0.37 (multi)."""
    from astra_jax.evaluation.mobilenet import MobileNetFeatures

    root = Path(os.environ["ASTRA_DATA_DIR"])
    subjects = read_subjects(root / "dreambench_512" / "dataset")
    network = MobileNetFeatures(root / "weights" / "coral" / "mobilenet_v2_1.0_224_quant.tflite")
    for name, pictures in (("single", 128), ("multi", 119)):
        listed = root / "uno_dreambench" / "datasets" / f"dreambench_{name}ip.json"
        entries = uno_entries(listed, subjects, PROTOCOLS[f"dreambench_{name}"].subjects)
        benchmark = DreamBench(f"dreambench_{name}", subjects, entries, [network])
        controls = benchmark.controls(benchmark.cases())
        ceiling, floor = (
            figures_of(list(score_samples(benchmark, controls[c])))[benchmark.headline[0]] for c in ("ceiling", "floor")
        )
        print(f"{name}: ceiling {ceiling}, floor {floor}")
        assert ceiling.count == pictures
        assert floor.high < ceiling.low
