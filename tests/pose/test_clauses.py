import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_jax.pose.clauses import Clause, clauses
from astra_jax.pose.people_words import count_people


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a man riding a bike and a woman walking a dog", ["a man riding a bike", "a woman walking a dog"]),
        ("A man waving, a woman sitting and a boy jumping.", ["a man waving", "a woman sitting", "a boy jumping"]),
        ("a man rides a bike while a woman walks a dog", ["a man rides a bike", "a woman walks a dog"]),
        ("a person doing yoga next to a person reading", ["a person doing yoga", "a person reading"]),
        ("two kids running and a man sleeping", ["two kids running", "a man sleeping"]),
        ("a man riding a bike and his son riding a scooter", ["a man riding a bike", "his son riding a scooter"]),
        ("a woman feeding a baby and a man reading", ["a woman feeding a baby", "a man reading"]),
        ("a smiling boy and a girl jumping", ["a smiling boy", "a girl jumping"]),
        ("two people, one kneeling and one dancing", ["one person kneeling", "one person dancing"]),
        ("two men, the first man waving, the second man sitting", ["the first man waving", "the second man sitting"]),
        ("a boy and a girl, the boy waving and the girl sitting", ["the boy waving", "the girl sitting"]),
        ("three people: a man waving, a woman sitting, a boy jumping",
         ["a man waving", "a woman sitting", "a boy jumping"]),
        ("two men hugging each other and a boy waving", ["two men hugging each other", "a boy waving"]),
        ("two boys wrestle while a girl is asleep", ["two boys wrestle", "a girl is asleep"]),
        ("a photo of a man cooking and a woman painting", ["a man cooking", "a woman painting"]),
    ],
)  # fmt: skip
def test_people_who_act_by_themselves(prompt, parts):
    assert [clause.text for clause in clauses(prompt)] == parts
    assert sum(clause.people for clause in clauses(prompt)) == count_people(prompt)


@pytest.mark.parametrize(
    ("prompt", "people"),
    [
        ("a man waving", 1),
        ("a man riding a bike and holding a phone", 1),
        ("a man and a woman dancing", 2),
        ("a man, a woman and a child are walking", 3),
        ("two people hugging", 2),
        ("a man hugs a woman", 2),
        ("a man throwing a frisbee to a boy", 2),
        ("a man talking to a woman riding a horse", 2),
        ("a man hugging a woman and a child", 3),
        ("two people, one kneeling, one holding the other's hand", 2),
        ("a man kneeling and a woman looking at him", 2),
        ("a man and a woman in the park", 2),
        ("a man dancing with a woman", 2),
        ("a man sitting and a woman standing together", 2),
        ("a woman sitting next to a man near a cake", 2),
        ("a toddler, a dog and an adult doing dishes", 2),
    ],
)
def test_one_action_that_is_shared_or_done_to_each_other(prompt, people):
    (clause,) = clauses(prompt)
    assert clause.people == people


@pytest.mark.parametrize("prompt", ["", "a red backpack", "people dancing", "a crowd watching kids"])
def test_nobody_or_nobody_knows_how_many(prompt):
    assert clauses(prompt) == ()


def test_numbers_of_people_of_each_part():
    assert clauses("two girls dancing and a man clapping") == (
        Clause(2, "two girls dancing"), Clause(1, "a man clapping"),
    )  # fmt: skip


WORDS = (
    "a the two no one his first another of and with wearing in , : . man men people couple other together riding hugs "
    "dress next to while kneeling person woman"
)


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join)))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_and_nobody_is_lost(text):
    parts = clauses(text)
    assert sum(part.people for part in parts) == (count_people(text) or 0)
    assert all(part.people > 0 and part.text for part in parts)
