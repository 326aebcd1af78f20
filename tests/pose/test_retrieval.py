import math
import time

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose.caption_vectors import caption_vectors
from astra_jax.pose.database import PoseBank
from astra_jax.pose.retrieval import Retriever


@pytest.fixture(scope="module")
def retriever(bank):
    return Retriever(bank)


def test_the_right_action_for_every_prompt_in_one_call(retriever):
    prompts = ["an old king waving hello", "two girls hugging", "a boy who jumps", "a cowboy sits", "three men race"]
    found = retriever.retrieve(prompts, [1, 2, 1, 1, 3], (128, 128))
    assert [results[0].action for results in found] == ["wave", "hug", "jump", "sit", "race"]
    assert all(len(results) == 1 for results in found)


def test_number_of_people_is_a_hard_filter(retriever):
    for people, actions in {1: {"wave", "jump", "sit"}, 2: {"hug", "dance"}, 3: {"race"}}.items():
        (found,) = retriever.retrieve(["two people hugging"], [people], (64, 64), k=50)
        assert {result.action for result in found} == actions
        assert all(result.people.shape == (people, 17, 3) for result in found)


def test_nobody_asked_for_nobody_found(retriever):
    assert retriever.retrieve(["a backpack"], [0], (64, 64)) == [[]]
    assert retriever.retrieve([], [], (64, 64)) == []


def test_result_does_not_depend_on_the_batch(retriever):
    prompts, people = ["a man waving", "a man sitting on a bench", "two people dancing"] * 3, [1, 1, 2] * 3
    for seed in (None, 3):
        together = retriever.retrieve(prompts, people, (64, 64), k=3, seed=seed)
        for prompt, count, results in zip(prompts, people, together, strict=True):
            (alone,) = retriever.retrieve([prompt], [count], (64, 64), k=3, seed=seed)
            assert [r.entry for r in alone] == [r.entry for r in results]


def test_people_fit_the_canvas_in_order(retriever):
    (found,) = retriever.retrieve(["three women running"], [3], (200, 300))
    people = found[0].people
    necks = people[:, 5:7, 0].mean(axis=1)
    assert (np.diff(necks) > 0).all()
    # 100 x 100 on 200 high and 300 wide: twice as large, 50 px margin left and right.
    original = retriever.bank.entries[5].people
    np.testing.assert_allclose(people[..., :2], original[..., :2] * 2 + [50, 0], atol=1e-4)


def test_score_by_hand(make_entry):
    entries = [
        make_entry("wave", 1, quality=0.5),
        make_entry("wave", 2, width=200),
        make_entry("sit", 3),
    ]
    retriever = Retriever(PoseBank.build(entries, backend="exact"))
    (found,) = retriever.retrieve(["a man waving hello"], [1], (64, 64), k=3)
    assert [r.entry for r in found] == ["wave-1", "wave-2", "sit-3"]
    assert found[0].cosine == pytest.approx(1, abs=1e-5)
    # The mean of "person waving hello" with itself and with the entry's other caption.
    first, second = caption_vectors(retriever.bank.embedder, ["a man waving hello", "a person waves a hand"])
    similar = 0.3 + 0.7 * (1 + first @ second) / 2
    assert found[0].score == pytest.approx(0.9 * similar + 0.1 * 0.5, abs=1e-5)
    assert found[1].score == pytest.approx(0.9 * similar + 0.1 - 0.2 * math.log(2), abs=1e-5)
    (wide,) = retriever.retrieve(["a man waving hello"], [1], (64, 128), k=3)
    assert [r.entry for r in wide] == ["wave-2", "wave-1", "sit-3"]


def test_equal_scores_go_by_place(make_entry):
    entries = [make_entry("wave", i, people=make_entry("wave").people) for i in range(8)]
    for backend in ("exact", None):
        retriever = Retriever(PoseBank.build(entries, backend=backend))
        (found,) = retriever.retrieve(["waving hello"], [1], (64, 64), k=8)
        assert [r.entry for r in found] == [f"wave-{i}" for i in range(8)]


def test_threshold(retriever):
    (all_,) = retriever.retrieve(["a man waving hello"], [1], (64, 64), k=9)
    (some,) = retriever.retrieve(["a man waving hello"], [1], (64, 64), k=9, threshold=0.9)
    assert len(all_) == 3
    assert [r.action for r in some] == ["wave"]
    assert retriever.retrieve(["a man waving hello"], [1], (64, 64), threshold=1.1) == [[]]


def test_seeds_draw_among_the_best(make_entry):
    entries = [make_entry("wave", i, quality=1 - i / 100) for i in range(8)]
    retriever = Retriever(PoseBank.build(entries))
    best = [retriever.retrieve(["waving hello"], [1], (64, 64))[0][0].entry for _ in range(2)]
    assert best == ["wave-0"] * 2
    drawn = {retriever.retrieve(["waving hello"], [1], (64, 64), seed=s)[0][0].entry for s in range(40)}
    assert drawn == {f"wave-{i}" for i in range(5)}
    again = [retriever.retrieve(["waving hello"], [1], (64, 64), k=8, seed=4)[0] for _ in range(2)]
    assert [r.entry for r in again[0]] == [r.entry for r in again[1]]
    assert sorted(r.entry for r in again[0]) == [f"wave-{i}" for i in range(8)]


def test_a_prompt_nobody_knows_is_answered_and_told(retriever, monkeypatch):
    messages = []
    monkeypatch.setattr(
        "astra_jax.pose.retrieval.logging.warning", lambda text, *values: messages.append(text % values)
    )
    (found,) = retriever.retrieve(["жжж"], [1], (64, 64))
    assert found[0].cosine == 0
    assert "shares a word with 'жжж'" in messages[0]
    assert retriever.retrieve(["жжж"], [1], (64, 64), threshold=0.01) == [[]]


def test_each_their_own_action_is_composed(retriever):
    (found,) = retriever.retrieve(["a man waving hello and a boy sitting on a bench"], [2], (128, 128), k=2)
    assert found[0].parts == ("wave-0", "sit-0")
    assert found[0].entry == "wave-0 + sit-0"
    assert found[0].action == "wave + sit"
    assert found[0].people.shape == (2, 17, 3)
    # In the order of the words, feet on one line.
    assert found[0].people[0, :, 0].max() < found[0].people[1, :, 0].min()
    np.testing.assert_allclose(*found[0].people[:, 15:, 1].max(axis=1), atol=0.5)
    (turned,) = retriever.retrieve(["a boy sitting on a bench and a man waving hello"], [2], (128, 128))
    assert turned[0].parts == ("sit-0", "wave-0")


def test_more_people_than_any_scene_has_can_be_composed(retriever):
    prompt = "three women running a race, a man waving hello and two men hugging each other"
    (found,) = retriever.retrieve([prompt], [6], (128, 256))
    assert found[0].parts == ("race-0", "wave-0", "hug-0")
    assert found[0].people.shape == (6, 17, 3)
    assert (np.diff(found[0].people[:, 5:7, 0].mean(axis=1)) > 0).all()


def test_hands_of_the_bank_are_retrieved(make_entry, make_whole_people):
    whole = make_entry("hug", people=make_whole_people(2))
    retriever = Retriever(PoseBank.build([make_entry("wave"), make_entry("sit", people=make_whole_people(1)), whole]))
    (scene, composed) = retriever.retrieve(
        ["two men hugging each other", "a man waving hello and a boy sitting on a bench"], [2, 2], (50, 50)
    )
    np.testing.assert_allclose(scene[0].people[..., :2], whole.people[..., :2] / 2, rtol=1e-5)
    assert composed[0].parts == ("wave-0", "sit-0")
    assert composed[0].people.shape == (2, 133, 3)
    np.testing.assert_array_equal((composed[0].people[:, 17:, 2] > 0).all(axis=1), [False, True])


def test_a_whole_scene_that_fits_is_not_composed(make_entry):
    pair = make_entry("hug", captions=("a man waving hello and a boy sitting on a bench",), id="pair")
    retriever = Retriever(PoseBank.build([make_entry("wave"), make_entry("sit"), pair]))
    (found,) = retriever.retrieve(["a man waving hello and a boy sitting on a bench"], [2], (128, 128))
    assert found[0].parts == ("pair",)


def test_one_shared_action_is_not_composed(retriever):
    prompts = ["a man and a woman dancing", "two men hugging", "a man hugs a boy"]
    found = retriever.retrieve(prompts, [2] * 3, (128, 128))
    assert [results[0].parts for results in found] == [("dance-0",), ("hug-0",), ("hug-0",)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["x"], [4], (64, 64)), "no scene with 4 people: 3 is its maximum"),
        ((["x"], [1, 2], (64, 64)), "1 prompts need as many numbers of people, not 2"),
        ((["x"], [-1], (64, 64)), "no number of people negative"),
        ((["x"], [1], (0, 64)), "must be positive"),
        ((["x"], [1], (64, 64), 0), "must be positive"),
    ],
)
def test_bad_questions(retriever, arguments, message):
    with pytest.raises(UserError, match=message):
        retriever.retrieve(*arguments)


def test_hundreds_of_prompts_are_served_at_once(retriever):
    start = time.perf_counter()
    found = retriever.retrieve(["a man waving"] * 300, [1] * 300, (128, 128))
    assert len(found) == 300
    assert time.perf_counter() - start < 5
