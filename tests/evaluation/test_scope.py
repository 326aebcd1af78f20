"""What a result says of how much was scored, counted by hand."""

from astra_jax.evaluation.samples import Case, Scores
from astra_jax.evaluation.scope import Scope, scope_of
from astra_jax.evaluation.scoring import Scored
from astra_jax.inputs.requests import Request

CASES = [Case(name, Request("a dog", num_images=4)) for name in ("0", "1", "2")]


def scored(*names):
    return [Scored(case, index, Scores({})) for case, index in names]


def test_a_part_is_told_by_its_cases_and_pictures():
    scope = scope_of(scored(("0", 0), ("0", 3), ("2", 1)), CASES)
    assert scope == Scope(cases=2, pictures=3, of_cases=3, of_pictures=12)
    assert scope.note().startswith("partial: 3 of 12 pictures were scored, of 2 of 3 cases")


def test_every_case_without_every_picture_is_a_part():
    assert scope_of(scored(("0", 0), ("1", 0), ("2", 0)), CASES).note().startswith("partial: 3 of 12 pictures")


def test_the_whole_is_no_part():
    scope = scope_of(scored(*((case.id, index) for case in CASES for index in range(4))), CASES)
    assert scope == Scope(3, 12, 3, 12)
    assert scope.note() == "all of it was scored: cases: 3, pictures: 12"
