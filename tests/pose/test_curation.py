import dataclasses

import numpy as np
import pytest

from astra_jax.pose.complexity import complexity
from astra_jax.pose.curation import curate, quality
from astra_jax.pose.pictures import Picture
from astra_jax.pose.skeleton import boxes


@pytest.fixture
def make_picture(make_people):
    """A picture of two people that no rule drops, changed."""

    def make(name="7", seed=1, count=2, **changes):
        people = make_people(count, seed)
        x0, y0, x1, y1 = boxes(people).T
        known = {
            "people": people,
            "boxes": np.stack([x0, y0, x1 - x0, y1 - y0], axis=1),
            "crowd": np.zeros(count, bool),
            "numbers": np.arange(count),
            "captions": ("two men waving",),
        }
        told = {"id": name, "height": 120, "width": 100, **known, **changes}
        return Picture(**told, areas=np.zeros(len(told["people"])))

    return make


def turned(people):
    """People with their arms up, so that they are no duplicates of others."""
    people = people.copy()
    people[:, 7:11, 1] -= 50
    return people


def test_provenance_and_scores_are_kept(make_picture):
    first = make_picture(source="http://a/7.jpg", licence="Attribution License", action="wave")
    second = make_picture("9", people=turned(first.people), captions=("a", "b" * 3000))
    entries, report = curate([first, second], "COCO 2017", "CC BY 4.0")
    assert [entry.id for entry in entries] == ["coco-2017-7", "coco-2017-9"]
    assert entries[0].captions == ("two men waving",)
    assert entries[1].captions == ("a",)  # the other is too long
    assert (entries[0].source, entries[0].licence) == (
        "COCO 2017 7 http://a/7.jpg",
        "CC BY 4.0; photo: Attribution License",
    )
    assert (entries[1].source, entries[1].licence) == ("COCO 2017 9", "CC BY 4.0")
    assert (entries[0].action, entries[0].quality) == ("wave", 1)
    assert entries[0].complexity == complexity(first.people, first.boxes)
    assert (report.seen, report.kept, sum(report.dropped.values())) == (2, 2, 0)


def some(picture, rows):
    fields = {name: getattr(picture, name)[rows] for name in ("people", "boxes", "areas", "crowd", "numbers")}
    return dataclasses.replace(picture, **fields)


def hidden(picture, joints):
    people = picture.people.copy()
    people[0, joints, 2] = 0
    return dataclasses.replace(picture, people=people)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda p: dataclasses.replace(p, id="held"), "is held out"),
        (lambda p: dataclasses.replace(p, crowd=np.array([False, True])), "shows a crowd"),
        (lambda p: dataclasses.replace(p, captions=()), "has no caption"),
        (lambda p: some(p, [0, 1, 0, 1, 0]), "does not show 1 to 4 people"),
        (lambda p: some(p, []), "does not show 1 to 4 people"),
        (lambda p: hidden(p, slice(9, 17)), "fewer than 10 labelled joints"),
        (lambda p: hidden(p, slice(0, 17)), "fewer than 10 labelled joints"),
        (lambda p: hidden(p, 5), "lacks a shoulder"),
        (
            lambda p: dataclasses.replace(p, boxes=np.float32([[0, 0, 50, 90], [0, 0, 7, 50]])),
            "below 3% of the picture",
        ),
        (lambda p: dataclasses.replace(p, boxes=np.float32([[0, 0, 50, 90], [0, 0, 47, 47]])), "below 48 pixels"),
        (lambda p: dataclasses.replace(p, people=p.people * 1e6), "outside of any picture"),
    ],
)
def test_every_rule_drops_and_is_counted(make_picture, change, rule):
    kept = make_picture("9", seed=2)
    entries, report = curate([change(make_picture()), kept], "COCO 2017", "CC BY 4.0", held_out={"held"})
    assert [entry.id for entry in entries] == ["coco-2017-9"]
    (dropped,) = [name for name, count in report.dropped.items() if count]
    assert rule in dropped
    assert report.dropped[dropped] == 1
    assert f"{1:8d} dropped: {dropped}" in str(report)


def test_of_near_duplicates_the_better_one_stays(make_picture):
    first, second = make_picture("1"), make_picture("2", width=200)
    poor = dataclasses.replace(first, people=first.people.copy())
    poor.people[0, 0, 2] = 1
    entries, report = curate([poor, second], "set", "x")
    assert [entry.id for entry in entries] == ["set-2"]
    assert report.dropped["shows the poses of a better one"] == 1
    known, _ = curate([first], "set", "x")
    more, report = curate([second, make_picture("3", people=turned(first.people))], "set", "x", known=known)
    assert [entry.id for entry in more] == ["set-3"]
    assert report.kept == 1


def test_verbs_are_the_last_caption_and_counted(make_picture):
    many = tuple(f"caption {i}" for i in range(100))
    pictures = [
        make_picture("1", captions=(), verbs="person riding horse"),
        make_picture("2", seed=2, count=1, captions=many, verbs="person riding horse"),
        make_picture("3", seed=3, count=3),
    ]
    (first, second, third), report = curate(pictures, "set", "x")
    assert first.captions == ("person riding horse",)
    assert second.captions == (*many[:63], "person riding horse")
    assert third.captions == ("two men waving",)
    assert report.verbs == 2
    assert f"{2:8d} of them with verbs" in str(report)


def test_ids_that_hold_out_nothing_are_counted(make_picture):
    _, report = curate([make_picture("1"), make_picture("2")], "set", "x", held_out={"2", "8", "9"})
    assert (report.dropped["is held out"], report.unknown) == (1, 2)
    assert f"{2:8d} ids to be held out are of no picture" in str(report)
    _, report = curate([make_picture("1")], "set", "x")
    assert "held out are of" not in str(report)


def test_whole_bodies_stay_whole(make_picture, make_whole_people):
    (entry,), _ = curate([make_picture(people=make_whole_people(2))], "set", "x")
    assert entry.people.shape == (2, 133, 3)


def test_quality_counts_hidden_joints_half(make_picture):
    picture = make_picture()
    picture.people[..., 2] = 2
    picture.people[0, :, 2] = 1
    picture.people[0, 0, 2] = 0
    assert quality(picture) == pytest.approx((16 * 0.5 + 17) / 34)
