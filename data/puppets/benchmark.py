"""The benchmark `puppets`: drawn people whose truth is known, never seen in training, told apart one by one."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.evaluation.estimators import Estimator
from astra_jax.evaluation.figures import Figure
from astra_jax.evaluation.pose_scores import pose_values, silhouette_iou
from astra_jax.evaluation.samples import TRACKS, Case, Sample, Scores
from astra_jax.inputs.requests import GivenPose, Request, SubjectRequest
from astra_jax.pose.average_precision import FoundPeople, TruePeople
from astra_jax.pose.drawing import draw
from astra_jax.pose.oks import areas, assign, oks_matrix
from astra_jax.pose.skeleton import BODY_POINTS, left_to_right, visible
from data.puppets.acting import action_shown
from data.puppets.looks import Looks, compare, dress
from data.puppets.scenery import people_shown, place_shown
from data.puppets.stages import DISTRACTORS, Stage, make_stage

PEOPLE = (1, 2, 3)
SCENES = 120


class PuppetsBenchmark:
    """A `Benchmark`. A track says what is given beside the words and a portrait of each person: "oracle", the scene's
    own skeleton; "rag", what the prompt retrieves; "none", no skeleton.

    Values of a person, who is 0 in all of them if nobody was found for it:

      oks, oks_box, people_found: of the found people against the people of the scene (`pose_scores.pose_values`). Only
        in the track "oracle" does the model know that pose.
      oks_given: against the retrieved skeleton, in the track "rag" where it is known.
      identity_accuracy: whether, of all identities of the scene and `DISTRACTORS` others of the same kind, the found
        person looks most like its own (`looks`). Chance is 1 / (people + `DISTRACTORS`).
      action_accuracy: whether its pose is nearest to its action (`acting`); one value for an action done together.

    Values of somebody who was found, in scenes of two and three:

      swap_rate: whether, among the identities of the scene, the person looks most like another one's.
      fusion_rate: whether head, top or legs of the person are those of another identity of the scene than the rest, or
        a blend (`looks.Looks.fused`), or the person looks most like another one who looks most like itself.

    Values of the picture: person_count_error; background_accuracy, whether the place is the one that was asked for
    (`scenery.place_shown`, chance 1/16); silhouette_iou, of all people's pixels, told by colour, and the true ones
    (track "oracle"). `_1p`, `_2p` and `_3p` after a name: in scenes of as many people.

    Who of the found people is which subject: where a skeleton was given, by the assignment of the largest summed OKS
    with it; where none was, from left to right, as prompts list people. If fewer were found than asked for, those of
    the subjects count as missing that leave the rest most like theirs, the order kept.
    """

    headline = ("oks", "identity_accuracy", "swap_rate", "fusion_rate", "background_accuracy", "action_accuracy")

    def __init__(
        self, estimator: Estimator, scenes: int = SCENES, track: str = "oracle", size: int = 128, seed: int = 0
    ):
        """A benchmark of `scenes` scenes of one, two, three, one, ... people.

        Args:
          estimator: finds the people of a picture by itself.
          size: of the pictures, in pixels a side.
          seed: of the scenes; the same seed gives the same scenes.

        Raises `ValueError` for another track and for less than one scene.
        """
        if track not in TRACKS or scenes < 1:
            raise ValueError(f"a track is one of {TRACKS} and there is a scene, not {track!r} and {scenes}")
        self.name = f"puppets_{track}"
        self._estimator, self._scenes, self._track, self._size, self._seed = estimator, scenes, track, size, seed

    @functools.cached_property
    def _stages(self) -> dict[str, Stage]:
        numbers = [(PEOPLE[i % len(PEOPLE)], i // len(PEOPLE)) for i in range(self._scenes)]
        return {f"{n}p-{index:03d}": make_stage(self._seed, n, index, self._size) for n, index in numbers}

    @functools.cached_property
    def _cases(self) -> list[Case]:
        return [Case(name, self._request(stage, seed)) for seed, (name, stage) in enumerate(self._stages.items())]

    def _request(self, stage: Stage, seed: int) -> Request:
        photos = map(Image.fromarray, stage.portraits)
        pose = {"oracle": GivenPose(people=stage.people), "rag": "auto", "none": "none"}[self._track]
        return Request(
            prompt=stage.prompt.text,
            subjects=tuple(SubjectRequest(*pair) for pair in zip(stage.prompt.phrases, photos, strict=True)),
            pose=pose,
            people=len(stage.cast),
            seed=seed,
            height=self._size,
            width=self._size,
        )

    def cases(self) -> list[Case]:
        """Every case has as many subjects as people; "2p-017" is number 17 of those with two."""
        return list(self._cases)

    def stage(self, case: Case) -> Stage:
        """The truth behind a case."""
        return self._stages[case.id]

    def score(self, samples: Sequence[Sample]) -> list[Scores]:
        """The scores of each picture. Raises `UserError` for a picture of another size than the benchmark's."""
        for sample in samples:
            if sample.picture.shape != (self._size, self._size, 3):
                height, width = sample.picture.shape[:2]
                raise UserError(
                    f"the picture {sample.case.id}_{sample.index} is {width} x {height} pixels, those of this "
                    f"benchmark are {self._size} x {self._size}"
                )
        found = self._estimator([sample.picture for sample in samples])
        return [self._scores(sample, people) for sample, people in zip(samples, found, strict=True)]

    def _scores(self, sample: Sample, found: FoundPeople) -> Scores:
        stage = self.stage(sample.case)
        truth, count = TruePeople.drawn(stage.people), len(stage.cast)
        given = self._given(stage, sample)
        values: dict[str, Sequence[float]] = dict(pose_values(truth, found))
        if self._track == "rag" and given is not None:
            values["oks_given"] = pose_values(TruePeople.drawn(given), found)["oks"]
        who, looks = _recognised(stage, sample.picture, found, given)
        values |= _identity(who, looks)
        values["action_accuracy"] = _actions(stage, found, who)
        values["background_accuracy"] = [float(place_shown(sample.picture) == stage.background)]
        if self._track == "oracle":
            shown = people_shown(sample.picture, stage.background, stage.cast)
            values["silhouette_iou"] = [silhouette_iou(shown, stage.owners > 0)]
        values |= {f"{name}_{count}p": row for name, row in values.items()}
        pair = (truth if given is None else TruePeople.drawn(given)), found
        return Scores(values, pair, self._beside(stage, sample, given, found))

    def _given(self, stage: Stage, sample: Sample) -> Float[np.ndarray, "P 17 3"] | None:
        """The skeleton that the picture was drawn with, its people from left to right, where there are as many."""
        if self._track == "oracle":
            return stage.people
        if self._track == "none" or sample.given is None or len(sample.given) != len(stage.cast):
            return None
        return sample.given[left_to_right(sample.given), :BODY_POINTS]

    def _beside(
        self, stage: Stage, sample: Sample, given: Float[np.ndarray, "P 17 3"] | None, found: FoundPeople
    ) -> dict[str, UInt8[np.ndarray, "S S 3"]]:
        size = sample.picture.shape[:2]
        bones = draw(visible(found.people), size)
        over = np.where(bones.any(axis=-1, keepdims=True), bones, sample.picture // 2)
        shown = {} if given is None else {"skeleton given": draw(given, size)}
        shown |= {"people found": over, "true picture": stage.picture}
        return shown | dict(zip(stage.prompt.phrases, stage.portraits, strict=True))

    def controls(self, cases: Sequence[Case]) -> Mapping[str, Sequence[Sample]]:
        """The true picture of each case, and as the floor that of a scene of its own with as many people."""
        ceiling, floor = [], []
        for case in cases:
            stage = self.stage(case)
            given = None if self._track == "none" else stage.people
            other = make_stage(self._seed + 1, *stage.key[1:], self._size)
            ceiling.append(Sample(case, 0, stage.picture, given))
            floor.append(Sample(case, 0, other.picture, given))
        return {"ceiling": ceiling, "floor": floor}

    def calibration(self, cases: Sequence[Case]) -> Mapping[str, Figure]:
        """Nothing: what the estimator reaches on true pictures is the ceiling's `oks`."""
        del cases
        return {}

    def notes(self) -> list[str]:
        """What the figures are of."""
        notes = [
            "scenes of one, two and three drawn people in turn; identities, poses and combinations of actions are of "
            "the split that nothing is trained on",
            f"people are found by {self._estimator.name}; its own errors are in the ceiling",
            f"chance: identity 1 in {DISTRACTORS} and the people of the scene, background 1 in 16, action 1 in 10; "
            "swap_rate and fusion_rate are of the people who were found, in scenes of two and three: lower is better",
        ]
        if self._track != "oracle":
            notes.append("oks is against poses that the model was not given: that of the words' action at best")
        return notes


def _recognised(
    stage: Stage, picture: UInt8[np.ndarray, "S S 3"], found: FoundPeople, given: Float[np.ndarray, "P 17 3"] | None
) -> tuple[Int[np.ndarray, "P"], list[Looks | None]]:
    """For each subject the number of the person that was found for it (-1: nobody) and that person's looks.

    Candidates of the looks are the identities of the scene in their order, then the distractors.
    """
    count, size = len(stage.cast), len(picture)
    if given is None:
        used = np.sort(np.argsort(-found.scores, kind="stable")[:count])
        used = [int(q) for q in used[left_to_right(found.people[used])]]
    else:
        who = assign(oks_matrix(given, areas(given), found.people))
        used = [int(q) for q in who if q >= 0]
    costumes = {q: [dress(found.people[q], one, size) for one in stage.cast] for q in used}
    bodies = {q: np.all([costume.silhouette for costume in worn], axis=0) for q, worn in costumes.items()}
    others = {q: _union(bodies, q, size) for q in used}
    if given is None:
        distances = [compare(picture, found.people[q], costumes[q], others[q]).distances() for q in used]
        who = _in_order(used, np.array(distances).reshape(len(used), count))
    looks: list[Looks | None] = []
    for q, distractors in zip(who.tolist(), stage.distractors, strict=True):
        if q < 0:
            looks.append(None)
            continue
        dressed = [*costumes[q], *(dress(found.people[q], one, size) for one in distractors)]
        seen = compare(picture, found.people[q], dressed, others[q])
        looks.append(seen if seen.seen else None)
    return who, looks


def _union(bodies: Mapping[int, Bool[np.ndarray, "S S"]], own: int, size: int) -> Bool[np.ndarray, "S S"]:
    return np.any([np.zeros((size, size), bool), *(body for q, body in bodies.items() if q != own)], axis=0)


def _in_order(used: Sequence[int], distances: Float[np.ndarray, "Q P"]) -> Int[np.ndarray, "P"]:
    """People from left to right as subjects in their order, those left out who leave the smallest summed distance."""
    people, subjects = distances.shape
    choices = itertools.combinations(range(subjects), people)
    best = min(choices, key=lambda chosen: distances[np.arange(people), list(chosen)].sum())
    who = np.full(subjects, -1)
    who[list(best)] = used
    return who


def _identity(who: Int[np.ndarray, "P"], looks: Sequence[Looks | None]) -> dict[str, list[float]]:
    count = len(who)
    distances = [None if seen is None else seen.distances() for seen in looks]
    own = [float(row is not None and int(np.argmin(row)) == i) for i, row in enumerate(distances)]
    carried = [None if row is None else int(np.argmin(row[:count])) for row in distances]
    values = {"identity_accuracy": own, "swap_rate": [], "fusion_rate": []}
    if count == 1:
        return values
    for i, (seen, one) in enumerate(zip(looks, carried, strict=True)):
        if seen is None or one is None:
            continue
        values["swap_rate"].append(float(one != i))
        values["fusion_rate"].append(float(seen.fused(one, count) or (one != i and carried[one] == one)))
    return values


def _actions(stage: Stage, found: FoundPeople, who: Int[np.ndarray, "P"]) -> list[float]:
    rng = np.random.default_rng([*stage.key, 2])
    if stage.scene.clauses is None:
        there = bool((who >= 0).all())
        return [float(there and action_shown(stage.scene.name, found.people[who], rng))]
    return [
        float(q >= 0 and action_shown(name, found.people[[q]], rng))
        for name, q in zip(stage.scene.name.split("+"), who, strict=True)
    ]
