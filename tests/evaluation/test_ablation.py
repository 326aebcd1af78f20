"""Ablations: figures over seeds, paired differences, the table and the plot."""

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_jax.evaluation.ablation import cells, difference, panels, summary
from astra_jax.evaluation.dot_plot import Mark, Panel, Row, axis, dot_plot
from astra_jax.evaluation.figures import Figure
from astra_jax.evaluation.result import Result, SampleRecord


def result(values, figures=None):
    """A result of one picture a case; `values`: case -> its values of "oks"."""
    samples = tuple(SampleRecord(case, 0, "", "", {"oks": tuple(some)}) for case, some in values.items())
    return Result("puppets", ("oks", "ap"), "", {}, figures or {}, {}, (), samples)


def made():
    ceiling = {"ceiling": {"oks": Figure(0.97, 0.96, 0.98, 3)}}
    return {
        ("europe", 0, "oracle"): result({"a": [1.0, 0.5], "b": [], "c": [0.75]}, ceiling),
        ("rope", 0, "oracle"): result({"a": [0.5, 0.25], "b": [0.25], "c": [0.5]}),
        ("europe", 1, "oracle"): result({"a": [0.5, 0.5], "b": [0.5], "c": [0.75]}),
        ("rope", 1, "oracle"): result({"a": [], "b": [], "c": []}),
        ("rope", 0, "none"): result({"a": [0.0], "b": [0.0], "c": [0.0]}),
        ("rope", 1, "none"): result({"a": [0.5], "b": [0.5], "c": [0.5]}),
    }


def test_figures_are_means_over_seeds_and_pictures():
    found = {(cell.variant, cell.track): cell for cell in cells(made(), "europe")}
    assert list(found) == [("europe", "oracle"), ("rope", "oracle"), ("rope", "none")]
    europe, rope, none = found.values()
    assert europe.figures["oks"].value == pytest.approx(4.5 / 7)
    assert europe.figures["oks"].count == 7
    assert europe.seeds["oks"] == (pytest.approx(0.75), pytest.approx(2.25 / 4))
    assert rope.seeds["oks"] == (pytest.approx(0.375), None)
    assert (none.figures["oks"].value, none.seeds["oks"]) == (0.25, (0.0, 0.5))
    # Every case has the same values of both seeds, so drawing cases changes nothing: seeds are no cases.
    assert (none.figures["oks"].low, none.figures["oks"].high) == (0.25, 0.25)


def test_differences_are_to_the_reference_on_the_same_track():
    europe, rope, none = cells(made(), "europe")
    assert not europe.differences
    assert rope.differences["oks"].value == pytest.approx(0.375 - 4.5 / 7)
    assert not none.differences  # the reference has no such track


def test_a_paired_difference_is_sharper_than_the_values():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=100)
    ones, others = [[value + 0.5] for value in hard], [[value + 0.1 * rng.normal()] for value in hard]
    figure = difference(ones, others)
    shifts = np.array(ones)[:, 0] - np.array(others)[:, 0]
    half = 1.96 * shifts.std() / math.sqrt(100)
    assert figure.value == pytest.approx(shifts.mean())
    assert (figure.low, figure.high) == pytest.approx((figure.value - half, figure.value + half), abs=0.005)
    assert figure.count == 100
    with pytest.raises(ValueError, match="paired"):
        difference(ones, others[:-1])
    with pytest.raises(ValueError, match="both sides"):
        difference(ones, [[]] * 100)


def test_other_cases_cannot_be_compared():
    results = made()
    results["rope", 0, "oracle"] = result({"a": [0.5]})
    results["rope", 1, "oracle"] = result({"a": [0.5]})
    with pytest.raises(ValueError, match="same cases"):
        cells(results, "europe")


def test_the_table_has_figures_seeds_ceiling_and_differences():
    results = made()
    text = summary(cells(results, "europe"), results, {"europe": "the method", "rope": "a|b"}, {"seeds": "0, 1"})
    lines = text.splitlines()
    assert "* seeds: 0, 1" in lines
    assert "| rope | a\\|b |" in lines
    (rope,) = [line for line in lines if line.startswith("| rope | oracle | 0.375 (")]
    assert rope.endswith("[0.375, none] |  |")
    assert "| ceiling | oracle | 0.970 |  |" in lines
    (change,) = [line for line in lines if line.startswith("| rope | oracle | -0.268 (")]
    assert change.count("|") == 5


def test_the_plot_is_svg_with_a_dot_for_every_figure():
    found = cells(made(), "europe")
    svg = ElementTree.fromstring(dot_plot(panels(found, ("oks", "ap")), ("oracle", "none")))
    space = "{http://www.w3.org/2000/svg}"
    assert len(svg.findall(f"{space}circle")) == 2 + 3  # the key, the cells
    words = [element.text for element in svg.iter(f"{space}text")]
    assert {"oks", "ap", "europe", "rope", "oracle", "none"} <= set(words)


def test_marks_stand_where_the_axis_says():
    drawn = dot_plot([Panel("x", [Row("<&>", [Mark(0, 0.5, 0.0, 1.0, (0.25, None))])])], ("a",))
    svg = ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    *_, dot = svg.findall(f"{space}circle")
    ends = {element.text: float(element.get("x")) for element in svg.iter(f"{space}text") if element.text in ("0", "1")}
    assert float(dot.get("cx")) == pytest.approx((ends["0"] + ends["1"]) / 2, abs=0.1)


def test_an_axis_of_one_value_begins_at_0():
    assert axis([1.0, 1.0]) == (0.0, pytest.approx(1.0), 0.2)
    assert axis([-3.0]) == (pytest.approx(-3.0), 0.0, 1.0)
    assert axis([0.0, 0.0]) == axis([]) == (0.0, 1.0, 0.2)


@given(st.lists(st.floats(-1e6, 1e6, allow_nan=False), max_size=6))
def test_an_axis_has_round_ends_around_all_values(values):
    low, high, step = axis(values)
    assert low < high
    assert 1 <= round((high - low) / step) <= 8
    for value in values:
        assert low - 1e-6 * step <= value <= high + 1e-6 * step
    assert f"{step:.0e}"[0] in "125"
