"""COCO-ComplexPose end to end on painted people: each figure sees what it is meant to see and nothing else."""

import numpy as np
import pytest
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.evaluation.coco_complex_pose import CocoComplexPose
from astra_jax.evaluation.coco_scenes import read_scenes
from astra_jax.evaluation.portraits import Portraits
from astra_jax.evaluation.real_people import RealPhoto, true_people
from astra_jax.evaluation.samples import Benchmark, Sample
from astra_jax.evaluation.scoring import figures_of, score_samples
from astra_jax.pose.coco import read_keypoints
from astra_jax.pose.database import PoseBank, PoseEntry
from tests.evaluation.coco_files import HEIGHT, PICTURES, WIDTH, joints, write_coco, write_list
from tests.evaluation.colours import BLUE, GREEN, RED, Colours, Words, plain
from tests.evaluation.dots import Dots, paint

CANVAS = (HEIGHT, WIDTH)


@pytest.fixture
def files(tmp_path):
    return write_coco(tmp_path)


@pytest.fixture
def scenes(tmp_path, files):
    return read_scenes(write_list(tmp_path / "list", [(14, 140), (12, 121), (11, 111)]), *files)


def people_of(image):
    places, wrists, _ = PICTURES[image]
    return [joints(*pair) for pair in zip(places, wrists, strict=True)]


def drawn(benchmark, change=lambda people: people, size=CANVAS):
    """Pictures of every case's true people, as `change` leaves them."""
    scale = size[0] / HEIGHT
    return [
        Sample(case, 0, paint([person * [scale, scale, 1] for person in change(people_of(int(case.id)))], size))
        for case in benchmark.cases()
    ]


def figures(benchmark, samples):
    return {name: figure.value for name, figure in figures_of(list(score_samples(benchmark, samples))).items()}


def test_cases_ask_for_the_caption_and_the_people(scenes):
    benchmark = CocoComplexPose(scenes, Dots(), canvas=CANVAS, images=3, seed=5)
    assert isinstance(benchmark, Benchmark)
    case = benchmark.cases()[1]
    assert (case.id, case.request.prompt, case.request.people) == ("12", "A woman waving at a man.", 2)
    assert (case.request.height, case.request.width) == CANVAS
    assert (case.request.num_images, case.request.seed, case.request.subjects) == (3, 5, ())
    assert [case.id for case in benchmark.cases()] == ["14", "12", "11"]


@pytest.mark.parametrize("size", [CANVAS, (2 * HEIGHT, 2 * WIDTH)])
def test_a_perfect_picture_scores_one_whatever_its_size(scenes, size):
    benchmark = CocoComplexPose(scenes, Dots(), canvas=CANVAS)
    found = figures(benchmark, drawn(benchmark, size=size))
    perfect = ("oks_abs", "oks_cond", "oks_box", "people_found", "ap")
    assert {name: found[name] for name in perfect} == pytest.approx(dict.fromkeys(perfect, 1.0))
    assert found["person_count_error"] == 0
    assert found["oks_abs_of_two"] == pytest.approx(1.0)


def test_a_person_who_is_missing_counts_zero_and_is_counted(scenes):
    benchmark = CocoComplexPose(scenes, Dots(), canvas=CANVAS)
    found = figures(benchmark, drawn(benchmark, lambda people: people[:1]))
    assert found["oks_abs"] == found["oks_cond"] == found["people_found"] == pytest.approx(3 / 6)
    assert found["oks_abs_of_two"] == pytest.approx(1 / 2)
    assert found["person_count_error"] == pytest.approx((2 + 1 + 0) / 3)
    empty = figures(benchmark, drawn(benchmark, lambda people: []))
    assert (empty["oks_abs"], empty["oks_box"], empty["ap"], empty["people_found"]) == (0, 0, 0, 0)


def test_the_place_counts_for_all_but_the_shape(scenes):
    benchmark = CocoComplexPose(scenes, Dots(), canvas=CANVAS)
    found = figures(benchmark, drawn(benchmark, lambda people: [person + [12, 0, 0] for person in people]))
    assert 0.1 < found["oks_abs"] < 0.8
    assert found["oks_box"] == pytest.approx(1.0)


@pytest.fixture
def bank():
    people = [joints(20, 70), joints(170)]
    entries = [
        PoseEntry(f"entry{count}", np.stack((people * 2)[:count]).astype(np.float32), HEIGHT, WIDTH, ("people waving",))
        for count in (1, 2, 3)
    ]
    return PoseBank.build(entries, backend="exact")


def test_in_the_rag_track_the_skeleton_given_and_the_photo_are_different_truths(scenes, bank):
    benchmark = CocoComplexPose(scenes[1:], Dots(), "rag", bank, canvas=CANVAS)
    given = [benchmark.given(case) for case in benchmark.cases()]
    samples = [Sample(c, 0, paint(g.people, CANVAS)) for c, g in zip(benchmark.cases(), given, strict=True)]
    found = figures(benchmark, samples)
    assert found["oks_cond"] == found["ap"] == pytest.approx(1.0)
    calibration = benchmark.calibration(benchmark.cases())
    for name in ("oks_abs", "oks_box"):
        assert found[name] == pytest.approx(calibration[f"retrieved_{name}"].value)
        assert found[name] < 0.99
    # A picture that tells what it was drawn with is held to that.
    other = [joints(60, 30), joints(140)]
    sample = Sample(benchmark.cases()[0], 0, paint(other, CANVAS), np.stack(other).astype(np.float32))
    assert benchmark.score([sample])[0].values["oks_cond"] == pytest.approx([1.0, 1.0])
    assert any("not 1" in note for note in benchmark.notes())


def test_without_a_skeleton_the_estimator_looks_by_itself(scenes):
    estimator = Dots()
    benchmark = CocoComplexPose(scenes, estimator, "none", canvas=CANVAS)
    samples = drawn(benchmark, lambda people: [*people, joints(190)])
    found = figures(benchmark, samples)
    assert estimator.boxes == [None]
    assert found["person_count_error"] == 1
    assert "oks_cond" not in found
    assert benchmark.headline == ("oks_abs_of_two", "oks_abs", "oks_box", "person_count_error")
    assert found["oks_abs"] > 0.8


@pytest.mark.parametrize("most", [20, 3])
def test_people_beyond_those_asked_for_are_counted_by_whom_finds_everybody(scenes, most):
    benchmark = CocoComplexPose(scenes, Dots(most), canvas=CANVAS)
    found = figures(benchmark, drawn(benchmark, lambda people: [*people, joints(120), joints(190)]))
    assert found["people_found"] == 1
    assert found.get("person_count_error") == (2 if most == 20 else None)
    assert ("person_count_error" in benchmark.headline) == (most == 20)
    assert ("there is no person_count_error" in " ".join(benchmark.notes())) == (most == 3)


def test_an_estimator_of_one_person_is_for_scenes_of_one(scenes):
    benchmark = CocoComplexPose(scenes, Dots(1), "none", canvas=CANVAS)
    assert [case.id for case in benchmark.cases()] == ["11"]
    assert benchmark.headline == ("oks_abs", "oks_box")
    found = figures(benchmark, drawn(benchmark))
    assert found["oks_abs"] == pytest.approx(1.0)
    left_out = "scenes of more people than Dots finds by itself are left out"
    assert left_out in benchmark.notes()
    oracle = CocoComplexPose(scenes, Dots(1), canvas=CANVAS)
    assert len(oracle.cases()) == 3
    assert left_out not in oracle.notes()


def test_an_estimator_that_needs_boxes_is_refused_where_there_are_none(scenes):
    CocoComplexPose(scenes, Dots(0), canvas=CANVAS)
    with pytest.raises(UserError, match="Dots finds nobody without boxes: give --movenet in its place, or another"):
        CocoComplexPose(scenes, Dots(0), "none", canvas=CANVAS)


@pytest.mark.parametrize("canvas", [(0, 100), (100, -1), (100, 70_000)])
def test_a_canvas_of_no_size_is_refused(scenes, canvas):
    with pytest.raises(UserError, match=f"--height and --width must be 1 to 65536, not {canvas[0]} and {canvas[1]}"):
        CocoComplexPose(scenes, Dots(), canvas=canvas)


@pytest.fixture
def portraits(tmp_path):
    folder = tmp_path / "portraits"
    folder.mkdir()
    for name, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        Image.fromarray(plain(colour)).save(folder / f"{name}.png")
    (folder / "readme.txt").write_text("no picture")
    return Portraits(folder)


def test_portraits_are_drawn_by_seed_and_bound_to_words(scenes, portraits):
    first, again, other = (
        [case.request.subjects for case in CocoComplexPose(scenes, Dots(), seed=seed, portraits=portraits).cases()]
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert [subject.phrase for subject in first[0]] == ["a man", "a woman", "a girl"]
    assert len({subject.image for subject in first[0]}) == 3


def coloured(benchmark, case):
    """A picture with the portraits' colours, in another order, where people ought to be: nobody is there."""
    colours = [np.asarray(Image.open(subject.image))[0, 0] for subject in case.request.subjects]
    picture = np.zeros((*CANVAS, 3), np.uint8)
    for box, colour in zip(benchmark.given(case).boxes, colours[::-1], strict=True):
        x, y, width, height = np.round(box).astype(int)
        picture[max(y - 20, 0) : y + height + 20, max(x - 15, 0) : x + width + 15] = colour // 2  # blue is no dot
    return picture


def peopled(picture, people):
    dots = paint(people, CANVAS)
    return np.where(dots.any(axis=-1, keepdims=True), dots, picture)


def test_people_are_compared_with_the_portraits_they_look_most_like(scenes, portraits):
    benchmark = CocoComplexPose(scenes[1:2], Dots(), canvas=CANVAS, portraits=portraits, networks=[Colours()])
    (case,) = benchmark.cases()
    picture = peopled(coloured(benchmark, case), people_of(12))
    (scores,) = benchmark.score([Sample(case, 0, picture)])
    assert scores.values["colours_people"] == pytest.approx([1.0, 1.0], abs=1e-3)
    assert scores.values["colours_image"] == pytest.approx([0.5**0.5] * 2, abs=0.05)
    assert set(scores.pictures) == {"given", "found", "1: a woman", "2: a man"}


@pytest.mark.parametrize("track", ["oracle", "none"])
def test_nobody_found_looks_like_nobody_whatever_the_picture_shows(scenes, portraits, track):
    oracle = CocoComplexPose(scenes[1:2], Dots(), canvas=CANVAS)
    benchmark = CocoComplexPose(scenes[1:2], Dots(), track, canvas=CANVAS, portraits=portraits, networks=[Colours()])
    (case,) = benchmark.cases()
    empty = coloured(oracle, case)
    first = peopled(empty, people_of(12)[:1])
    nobody, one = benchmark.score([Sample(case, 0, empty), Sample(case, 1, first)])
    assert nobody.values["colours_people"] == [0.0, 0.0]
    assert sorted(one.values["colours_people"]) == pytest.approx([0.0, 1.0], abs=1e-3)


def test_people_whom_nobody_asked_for_are_nobodys_likeness(scenes, portraits):
    """Somebody else, off the place, has the portrait's colour; the person who was asked for is black."""
    benchmark = CocoComplexPose(scenes[2:], Dots(), "none", canvas=CANVAS, portraits=portraits, networks=[Colours()])
    (case,) = benchmark.cases()
    picture = np.zeros((*CANVAS, 3), np.uint8)
    picture[:, 150:] = np.asarray(Image.open(case.request.subjects[0].image))[0, 0] // 2
    (scores,) = benchmark.score([Sample(case, 0, peopled(picture, [*people_of(11), joints(180)]))])
    (alike,) = scores.values["colours_people"]
    assert alike < 0.9


def test_clip_compares_with_the_prompt(scenes):
    class Said(Words):
        def __call__(self, texts):
            assert texts == ["A woman waving at a man."]
            return super().__call__(["something green"])

    benchmark = CocoComplexPose(scenes, Dots(), canvas=CANVAS, clip=(Colours("CLIP"), Said()))
    (scores,) = benchmark.score([Sample(benchmark.cases()[1], 0, plain(GREEN, CANVAS))])
    assert scores.values["clip_t"] == pytest.approx([1.0], abs=1e-3)
    assert "clip_i_people" not in scores.values  # no portraits


@pytest.fixture
def photos(tmp_path):
    """The photos of two of the three scenes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for image in (12, 11):
        path = folder / f"{image:012d}.png"
        Image.fromarray(paint(people_of(image), CANVAS)).save(path)
        path.rename(path.with_suffix(".jpg"))
    return folder


def test_photos_are_the_ceiling_and_strangers_photos_the_floor(scenes, photos, tmp_path):
    benchmark = CocoComplexPose(scenes, Dots(), canvas=CANVAS, photos=photos)
    controls = benchmark.controls(benchmark.cases())
    assert [[sample.case.id for sample in rows] for rows in controls.values()] == [["12", "11"], ["12", "11"]]
    ceiling, floor = (figures(benchmark, controls[name]) for name in ("ceiling", "floor"))
    assert ceiling["oks_abs"] == pytest.approx(1.0)
    assert floor["oks_abs"] < 0.7
    assert set(benchmark.controls(benchmark.cases()[2:])) == {"ceiling"}
    assert CocoComplexPose(scenes, Dots(), photos=tmp_path).controls(benchmark.cases()) == {}
    without = CocoComplexPose(scenes, Dots())
    assert without.controls(without.cases()) == {}
    missing = "no photos were given (--photos): there is no ceiling and no floor"
    assert missing in without.notes()
    assert missing not in benchmark.notes()


def test_no_photo_shows_a_retrieved_skeleton(scenes, bank, photos):
    benchmark = CocoComplexPose(scenes, Dots(), "rag", bank, canvas=CANVAS, photos=photos)
    controls = benchmark.controls(benchmark.cases())
    assert set(controls) == {"floor"}
    assert figures(benchmark, controls["floor"])["oks_cond"] < 0.9
    assert any("there is no ceiling; a perfect generator" in note for note in benchmark.notes())
    assert any(f"the bank {bank.fingerprint()[:12]} holds" in note for note in benchmark.notes())


def test_photos_show_nobody_of_the_portraits(scenes, portraits, photos):
    networks = [Colours()]
    benchmark = CocoComplexPose(
        scenes,
        Dots(),
        canvas=CANVAS,
        portraits=portraits,
        photos=photos,
        networks=networks,
        clip=(Colours("CLIP"), Words()),
    )
    controls = benchmark.controls(benchmark.cases())
    ceiling, floor = (figures(benchmark, controls[name]) for name in ("ceiling", "floor"))
    alike = {"colours_people", "colours_image", "clip_i_people", "clip_i_image"}
    assert alike & set(ceiling) == set()
    assert alike <= set(floor)
    assert "clip_t" in ceiling


def test_calibration_and_notes(scenes, files):
    truth = true_people(next(p for p in read_keypoints(files[0]) if p.id == "11"))
    path = files[0].parent / "11.png"
    Image.fromarray(paint(people_of(11), CANVAS)).save(path)
    real = RealPhoto("11", path, CANVAS, truth)
    calibrated = CocoComplexPose(scenes, Dots(), canvas=CANVAS, real=[real])
    assert calibrated.calibration([])["real_photos_oks"].value == pytest.approx(1.0)
    plain_notes = " ".join(CocoComplexPose(scenes, Dots(), canvas=CANVAS).notes())
    assert "on a canvas of 300 x 200 pixels" in plain_notes
    counts = plain_notes.replace("val2017", "").replace("300 x 200", "")
    assert not any(letter.isdigit() for letter in counts)  # how many were scored is the run's to tell
    assert "no portraits" in plain_notes
    assert "not calibrated" in plain_notes
    assert "not calibrated" not in " ".join(calibrated.notes())


def test_folders_without_portraits_are_told_where_the_protocols_are(tmp_path):
    source = (
        r"; the protocol's are the 20 people of XVerseBench \(see the folder assets of github.com/bytedance/XVerse\)"
    )
    with pytest.raises(UserError, match=rf"is no folder: give one with portraits \(.*\){source}"):
        Portraits(tmp_path / "none")
    with pytest.raises(UserError, match=f"has 0 pictures .*{source}"):
        Portraits(tmp_path)


def test_another_pool_than_the_protocols_is_noted(scenes, portraits):
    another = "the pool has 3 portraits, the protocol's 20"
    assert another in CocoComplexPose(scenes, Dots(), portraits=portraits).notes()
    folder = portraits.paths[0].parent
    for number in range(17):
        Image.fromarray(plain(RED)).save(folder / f"more{number}.png")
    assert not any(
        "portraits, the" in note for note in CocoComplexPose(scenes, Dots(), portraits=Portraits(folder)).notes()
    )
