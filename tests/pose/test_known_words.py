import pytest

from astra_jax.pose.known_words import stems, unknown

KNOWN = stems("a man waving hello. two girls hugging in a hand. manning a stand")


@pytest.mark.parametrize("prompt", ["an old king waves", "two men hug on the beach", "somebody hugged", "a girl waved"])
def test_other_forms_and_people_are_known(prompt):
    assert unknown(prompt, KNOWN) == ""


@pytest.mark.parametrize(
    "prompt", ["ein Mann winkt mit der Hand", "deux femmes dansent", "男人在挥手", "мужчина машет", "qwrt zxcv"]
)
def test_other_languages(prompt):
    assert "not in the English" in unknown(prompt, KNOWN)


def test_no_action_and_none_that_is_known():
    assert unknown("two women in red coats", KNOWN) == "names no action"
    assert unknown("", KNOWN) == "names no action"
    assert "shares no action word" in unknown("a man and a woman in the street who skateboard", KNOWN)
