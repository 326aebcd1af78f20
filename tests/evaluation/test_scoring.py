"""From scores of pictures to figures with intervals."""

import numpy as np
import pytest

from astra_jax.evaluation.samples import Case, Sample, Scores
from astra_jax.evaluation.scoring import figures_of, score_samples
from astra_jax.inputs.requests import Request
from astra_jax.pose.average_precision import FoundPeople, TruePeople

GREY = np.full((4, 4, 3), 128, np.uint8)
JOINTS = np.concatenate([np.random.default_rng(0).uniform(10, 90, (1, 17, 2)), np.full((1, 17, 1), 2.0)], axis=-1)


class Brightness:
    """A benchmark of how bright pictures are; it keeps how many pictures came at a time."""

    name, headline = "brightness", ("brightness",)

    def __init__(self):
        self.batches = []

    def cases(self):
        return []

    def controls(self, cases):
        return {}

    def calibration(self, cases):
        return {}

    def notes(self):
        return []

    def score(self, samples):
        self.batches.append(len(samples))
        return [Scores({"brightness": [float(sample.picture.mean())], "even": [1.0] * (1 - sample.index % 2)})
                for sample in samples]  # fmt: skip


def test_samples_are_scored_in_batches_and_in_order():
    cases = [Case(str(number), Request("a dog", num_images=2)) for number in range(3)]
    samples = (Sample(case, index, GREY + index) for case in cases for index in range(2))
    benchmark = Brightness()
    scored = list(score_samples(benchmark, samples, batch=4))
    assert benchmark.batches == [4, 2]
    assert [(one.case, one.index) for one in scored] == [(str(n), i) for n in range(3) for i in range(2)]
    figures = figures_of(scored)
    assert figures["brightness"].value == pytest.approx(128.5)
    assert (figures["brightness"].low, figures["brightness"].high) == pytest.approx((128.5, 128.5))  # cases are alike
    assert (figures["brightness"].count, figures["even"].count) == (6, 3)
    assert "ap" not in figures


def people(found):
    guesses = FoundPeople(JOINTS if found else JOINTS[:0], np.ones(int(found)))
    return Scores({}, people=(TruePeople.drawn(JOINTS), guesses))


@pytest.mark.parametrize(("found", "ap"), [((True, True), 1.0), ((False, False), 0.0)])
def test_average_precision_is_that_of_all_pictures(found, ap):
    cases = [Case(str(number), Request("a man")) for number in range(2)]
    results = iter([people(one) for one in found])

    class Given(Brightness):
        def score(self, samples):
            return [next(results) for _ in samples]

    figures = figures_of(list(score_samples(Given(), [Sample(case, 0, GREY) for case in cases])))
    assert figures["ap"].value == pytest.approx(ap)
    assert figures["ap"].count == 2
