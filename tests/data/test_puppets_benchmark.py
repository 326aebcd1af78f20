"""The benchmark tells apart what is right in a picture and what is not, one thing at a time.

People are found by an estimator that was told them, so what is tested are the scores and not a network.
"""

import dataclasses
import itertools

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.evaluation.estimators import Estimator
from astra_jax.evaluation.samples import Benchmark, Sample
from astra_jax.evaluation.scoring import figures_of, score_samples
from astra_jax.inputs.requests import GivenPose
from astra_jax.pose.average_precision import FoundPeople
from data.pose_library.scenes import HELD_OUT, held_out
from data.puppets.acting import action_shown, likeness
from data.puppets.backgrounds import BACKGROUNDS
from data.puppets.benchmark import PuppetsBenchmark
from data.puppets.examples import keypoints
from data.puppets.lifting import lift
from data.puppets.stages import make_stage

LEGS = ("bottom_kind", "bottom", "bottom_pattern", "bottom_second", "shoes")


class Told:
    """Finds the people it was told of, by the picture."""

    name = "told"
    most_people = 3

    def __init__(self):
        self.people = {}

    def tell(self, picture, people):
        self.people[picture.tobytes()] = people
        return picture

    def __call__(self, pictures, boxes=None):
        found = [self.people[picture.tobytes()] for picture in pictures]
        return [FoundPeople(people.astype(np.float64), np.ones(len(people))) for people in found]


class Theatre:
    """A benchmark with pictures of its cases that are drawn otherwise, and told to its estimator."""

    def __init__(self, scenes=3, track="oracle"):
        self.told = Told()
        self.benchmark = PuppetsBenchmark(self.told, scenes, track)
        self.cases = self.benchmark.cases()
        self.stages = [self.benchmark.stage(case) for case in self.cases]

    def figures(self, draw, of=None, given=None):
        """Figures of the pictures that `draw` makes of a stage: the picture alone, or with its people."""
        samples = []
        for case, stage in zip(self.cases, self.stages, strict=True):
            if of is not None and len(stage.cast) not in of:
                continue
            drawn = draw(stage)
            picture, people = drawn if isinstance(drawn, tuple) else (drawn, stage.people)
            skeleton = None if given is None else given(stage)
            samples.append(Sample(case, 0, self.told.tell(picture, people), skeleton))
        return {name: figure.value for name, figure in figures_of(list(score_samples(self.benchmark, samples))).items()}


@pytest.fixture(scope="module")
def theatre():
    return Theatre()


def rotated(stage):
    return (*stage.cast[1:], stage.cast[0])


def test_it_is_a_benchmark_and_its_estimator_an_estimator(theatre):
    assert isinstance(theatre.benchmark, Benchmark)
    assert callable(Estimator.__call__)
    assert theatre.benchmark.calibration([]) == {}
    assert any("told" in note for note in theatre.benchmark.notes())


def test_the_true_picture_has_everything_right(theatre):
    controls = theatre.benchmark.controls(theatre.cases)
    for sample, stage in zip(controls["ceiling"], theatre.stages, strict=True):
        np.testing.assert_array_equal(sample.picture, stage.picture)
    figures = theatre.figures(lambda stage: stage.picture)
    for name in ("oks", "oks_box", "people_found", "identity_accuracy", "background_accuracy", "action_accuracy", "ap"):
        assert figures[name] == pytest.approx(1), name
    for name in ("swap_rate", "fusion_rate", "person_count_error"):
        assert figures[name] == 0, name
    assert figures["silhouette_iou"] > 0.85
    assert set(theatre.benchmark.headline) <= set(figures)
    assert {"oks_1p", "oks_2p", "oks_3p", "swap_rate_2p", "swap_rate_3p"} <= set(figures)
    assert "swap_rate_1p" not in figures


def test_another_scene_has_it_wrong(theatre):
    floor = {sample.case.id: sample.picture for sample in theatre.benchmark.controls(theatre.cases)["floor"]}
    pictures = iter([floor[case.id] for case in theatre.cases])
    figures = theatre.figures(lambda stage: (next(pictures), stage.people))
    assert figures["oks"] == pytest.approx(1)  # the estimator was told lies
    assert figures["background_accuracy"] < 0.5  # a scene may have the same place by chance
    assert figures["identity_accuracy"] < 0.4
    assert figures["silhouette_iou"] < 0.5


def test_exchanged_identities_are_swaps_and_no_fusion(theatre):
    figures = theatre.figures(lambda stage: stage.drawing(cast=rotated(stage))[0], of=(2,))
    assert (figures["swap_rate"], figures["identity_accuracy"], figures["fusion_rate"]) == (1, 0, 0)
    assert (figures["oks"], figures["background_accuracy"]) == (1, 1)


def test_one_identity_for_all_is_fusion(theatre):
    figures = theatre.figures(lambda stage: stage.drawing(cast=stage.cast[:1] * len(stage.cast))[0], of=(2,))
    assert (figures["swap_rate"], figures["fusion_rate"], figures["identity_accuracy"]) == (0.5, 0.5, 0.5)


def test_blended_people_are_fused(theatre):
    def blend(stage):
        both = np.stack([stage.picture, stage.drawing(cast=rotated(stage))[0]])
        return both.mean(axis=0).astype(np.uint8)

    assert theatre.figures(blend, of=(2,))["fusion_rate"] == 1


def test_the_legs_of_another_are_fusion(theatre):
    def mixed(stage):
        cast = [
            dataclasses.replace(one, **{name: getattr(other, name) for name in LEGS})
            for one, other in zip(stage.cast, rotated(stage), strict=True)
        ]
        return stage.drawing(cast=tuple(cast))[0]

    figures = theatre.figures(mixed, of=(2,))
    assert (figures["fusion_rate"], figures["swap_rate"]) == (1, 0)


def test_another_place_is_the_wrong_place_and_nothing_else(theatre):
    def elsewhere(stage):
        names = list(BACKGROUNDS)
        return stage.drawing(background=names[(names.index(stage.background) + 5) % len(names)])[0]

    figures = theatre.figures(elsewhere, of=(2,))
    assert figures["background_accuracy"] == 0
    assert (figures["identity_accuracy"], figures["swap_rate"], figures["oks"]) == (1, 0, 1)


@pytest.mark.parametrize("track", ["none", "rag"])
def test_identities_are_recognised_in_whatever_pose(track):
    theatre = Theatre(2, track)
    drawn = {}
    for stage in theatre.stages:  # in the poses of another scene
        scene = make_stage(5, len(stage.cast), 0).scene
        picture, owners = stage.drawing(scene=scene)
        drawn[id(stage)] = picture, np.stack([keypoints(person, owners, i) for i, person in enumerate(scene.people)])
    figures = theatre.figures(
        lambda stage: drawn[id(stage)],
        of=(2,),
        given=lambda stage: drawn[id(stage)][1] if track == "rag" else None,
    )
    assert figures["oks"] < 0.3
    assert (figures["identity_accuracy"], figures["swap_rate"]) == (1, 0)
    assert figures["action_accuracy"] < 0.5
    assert "silhouette_iou" not in figures
    assert figures.get("oks_given") == (pytest.approx(1) if track == "rag" else None)


@pytest.mark.parametrize("track", ["oracle", "none"])
def test_a_missing_person_scores_nothing_and_takes_nobody_elses_place(track, theatre):
    theatre = theatre if track == "oracle" else Theatre(3, track)
    figures = theatre.figures(lambda stage: (stage.picture, stage.people[1:]), of=(3,))
    for name in ("oks", "people_found", "identity_accuracy"):
        assert figures[name] == pytest.approx(2 / 3, abs=1e-3), name
    assert (figures["person_count_error"], figures["swap_rate"]) == (1, 0)


def test_a_picture_without_people_scores_nothing(theatre):
    figures = theatre.figures(lambda stage: (stage.picture, np.zeros((0, 17, 3))))
    for name in ("oks", "oks_box", "people_found", "identity_accuracy", "action_accuracy", "ap"):
        assert figures[name] == 0, name
    assert figures["person_count_error"] == 2  # the mean of 1, 2 and 3
    assert "swap_rate" not in figures  # nobody is there to be mistaken


def test_people_beyond_the_picture_are_no_error(theatre):
    figures = theatre.figures(lambda stage: (stage.picture, stage.people + np.array([500, 0, 0], np.float32)), of=(1,))
    assert (figures["identity_accuracy"], figures["background_accuracy"]) == (0, 1)


def test_pictures_of_another_size_are_refused(theatre):
    with pytest.raises(UserError, match=r"1p-000_0 is 96 x 64 pixels.* 128 x 128"):
        theatre.benchmark.score([Sample(theatre.cases[0], 0, np.zeros((64, 96, 3), np.uint8))])


def test_cases_are_the_same_every_time_and_of_the_test_split(theatre):
    again = PuppetsBenchmark(Told(), 3)
    assert [case.id for case in theatre.cases] == ["1p-000", "2p-000", "3p-000"]
    assert [case.request.prompt for case in again.cases()] == [case.request.prompt for case in theatre.cases]
    assert len({case.request.seed for case in theatre.cases}) == 3
    for case, stage in zip(theatre.cases, theatre.stages, strict=True):
        everybody = [*stage.cast, *itertools.chain(*stage.distractors)]
        assert {who.split for who in everybody} == {"test"}
        assert stage.scene.seed % HELD_OUT == 0
        assert stage.scene.clauses is None or len(stage.cast) == 1 or held_out(stage.scene.name.split("+"))
        assert [subject.phrase for subject in case.request.subjects] == list(stage.prompt.phrases)
        np.testing.assert_array_equal(np.asarray(case.request.subjects[0].image), stage.portraits[0])


def test_a_track_says_what_is_given():
    oracle, rag, none = (PuppetsBenchmark(Told(), 1, track).cases()[0].request for track in ("oracle", "rag", "none"))
    assert isinstance(oracle.pose, GivenPose)
    assert oracle.pose.people.shape == (1, 17, 3)
    assert (rag.pose, none.pose, rag.people) == ("auto", "none", 1)
    with pytest.raises(ValueError, match="track"):
        PuppetsBenchmark(Told(), 1, "given")


def test_a_report_sees_skeleton_people_truth_and_portraits(theatre):
    stage = theatre.stages[1]
    sample = Sample(theatre.cases[1], 0, theatre.told.tell(stage.picture, stage.people))
    shown = theatre.benchmark.score([sample])[0].pictures
    assert list(shown) == ["skeleton given", "people found", "true picture", *stage.prompt.phrases]
    assert {picture.shape for picture in shown.values()} == {(128, 128, 3)}
    np.testing.assert_array_equal(shown["true picture"], stage.picture)


def test_lifted_joints_keep_their_places_and_get_the_depth_of_an_easy_pose():
    stage = make_stage(0, 1, 3)  # somebody who stands and looks at the viewer
    lifted = lift(stage.people[0])
    np.testing.assert_allclose(lifted[:, :2], stage.people[0, :, :2])
    assert lifted[0, 2] > lifted[[3, 4], 2].max()  # the nose is before the ears
    turned = stage.people[0] * np.array([-1, 1, 1], np.float32)  # the same outline from behind
    assert lift(turned)[0, 2] < lift(turned)[[3, 4], 2].min()
    assert np.isfinite(lift(np.zeros((17, 2)))).all()


def test_an_action_is_told_from_others_and_a_mirrored_one_is_the_same(theatre):
    stage = theatre.stages[0]
    mirrored = stage.people * np.array([-1, 1, 1], np.float32)
    mirrored = mirrored[:, [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]]
    name = stage.scene.name
    assert likeness(name, stage.people) > 0.6
    assert action_shown(name, mirrored, np.random.default_rng(0))
    assert not action_shown(theatre.stages[1].scene.name, theatre.stages[2].people[:2], np.random.default_rng(0))
