import numpy as np
import pytest

from astra_jax.pose.average_precision import FoundPeople, TruePeople, keypoint_ap, match_picture, matched_ap
from astra_jax.pose.oks import oks_matrix


def picture(make_people, shifts, scores, count=1, **changes):
    """`count` large people, and for each (person, shift) a guess that lies `shift` pixels beside that person."""
    people = make_people(count).astype(np.float64) * [3, 3, 1]
    guesses = np.stack([people[i] + [shift, 0, 0] for i, shift in shifts]) if shifts else np.zeros((0, 17, 3))
    truth = {"people": people, "areas": np.full(count, 100.0**2), "crowd": np.zeros(count, bool)}
    truth["boxes"] = np.tile([0.0, 0, 300, 300], (count, 1))
    return TruePeople(**truth | changes), FoundPeople(guesses, np.array(scores, np.float64))


def test_perfect_guesses(make_people):
    found = keypoint_ap([picture(make_people, [(0, 0), (1, 0)], [0.5, 0.9], count=2)])
    perfect = ("AP", "AP50", "AP75", "APl", "AR", "AR50", "AR75", "ARl")
    assert found == pytest.approx({**dict.fromkeys(perfect, 1.0), "APm": -1, "ARm": -1})


def test_by_hand(make_people):
    # Best first: a stranger, a hit; the second person is never found. Precision 1/2 up to recall 1/2: 51 of 101 points.
    found = keypoint_ap([picture(make_people, [(0, 500), (0, 0)], [0.9, 0.8], count=2)])
    assert found["AP"] == pytest.approx(0.5 * 51 / 101)
    assert found["AR"] == pytest.approx(0.5)


def test_pictures_that_are_matched_already_give_the_same_precision(make_people):
    pictures = [picture(make_people, [(0, 9)], [1.0]), picture(make_people, [(0, 500), (0, 0)], [0.9, 0.8], count=2)]
    for drawn in ([0, 1], [1, 1, 0], [0]):
        expected = keypoint_ap([pictures[i] for i in drawn])["AP"]
        assert matched_ap([match_picture(*pictures[i]) for i in drawn]) == expected
    assert matched_ap([]) == -1


def test_thresholds(make_people):
    # One guess, somewhat off: it counts for the thresholds that its OKS reaches.
    truth, guess = picture(make_people, [(0, 9)], [1.0])
    oks = oks_matrix(truth.people, truth.areas, guess.people)[0, 0]
    assert 0.55 < oks < 0.95
    reached = sum(oks >= 0.5 + 0.05 * i for i in range(10)) / 10
    found = keypoint_ap([(truth, guess)])
    assert found["AP"] == pytest.approx(reached)
    assert found["AR"] == pytest.approx(reached)
    assert (found["AP50"], found["AP75"]) == pytest.approx((1, float(oks >= 0.75)))


def test_a_second_guess_of_the_same_person_is_wrong_but_not_in_a_crowd(make_people):
    shifts, scores = [(0, 0), (0, 0), (1, 0)], [0.9, 0.8, 0.7]
    twice = keypoint_ap([picture(make_people, shifts, scores, count=2)])
    assert twice["AP"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    crowd = keypoint_ap([picture(make_people, shifts, scores, count=2, crowd=np.array([True, False]))])
    assert crowd["AP"] == pytest.approx(1)


def test_only_the_best_twenty_count(make_people):
    shifts = [(0, 500)] * 20 + [(0, 0)]
    assert keypoint_ap([picture(make_people, shifts, [1.0] * 20 + [0.5])])["AR"] == 0
    assert keypoint_ap([picture(make_people, shifts, [0.5] * 20 + [1.0])])["AR"] == 1


def test_sizes_count_apart(make_people):
    both = np.array([50.0**2, 100.0**2])
    found = keypoint_ap([picture(make_people, [(0, 0), (1, 500)], [0.9, 0.8], count=2, areas=both)])
    assert (found["ARm"], found["ARl"]) == (1, 0)
    assert found["AR"] == 0.5


def test_no_guesses_and_no_people(make_people):
    none = keypoint_ap([picture(make_people, [], [])])
    assert none["AP"] == none["AR"] == 0
    assert set(keypoint_ap([]).values()) == {-1}


def test_only_joints_are_known(make_people, make_whole_people):
    people = make_people(2) * np.float32([3, 3, 1])
    truth = TruePeople.drawn(people)
    np.testing.assert_allclose(truth.areas, 0.53 * truth.boxes[:, 2] * truth.boxes[:, 3], rtol=1e-6)
    assert keypoint_ap([(truth, FoundPeople(people, np.ones(2)))])["AP"] == pytest.approx(1)
    whole = TruePeople.drawn(make_whole_people(2))
    np.testing.assert_array_equal(whole.people, make_people(2))
    np.testing.assert_array_equal(whole.boxes, TruePeople.drawn(make_people(2)).boxes)


def test_guesses_must_be_numbers(make_people):
    with pytest.raises(ValueError, match="finite"):
        FoundPeople(make_people(1) * np.float32(np.nan), np.ones(1))
    with pytest.raises(ValueError, match="finite"):
        FoundPeople(make_people(1), np.array([np.inf]))
