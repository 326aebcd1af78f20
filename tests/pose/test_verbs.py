import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_jax.pose.verbs import VERBS, action_caption, verbs_of


@pytest.mark.parametrize(
    ("text", "verbs"),
    [
        ("A man riding a wave on a surfboard", {"ride", "surf"}),
        ("a woman talks on her cell phone while walking", {"talk_on_phone", "walk"}),
        ("a boy using a laptop computer at a table", {"work_on_computer"}),
        ("two people sit on a bench and eat", {"sit", "eat"}),
        ("a man swinging a bat", {"hit"}),
        ("someone skiing", {"ski"}),
        ("a snowboarder leaps", {"snowboard", "jump"}),
        ("a plate of meat beside a skillet", set()),
        ("", set()),
    ],
)
def test_verbs_of(text, verbs):
    assert verbs_of(text) == verbs


def test_there_are_v_cocos_26_verbs():
    assert len(VERBS) == 26


def test_action_caption_by_hand():
    rider = [("look", "obj", "dog"), ("ride", "instr", "bicycle"), ("ride", "", ""), ("stand", "", "")]
    reader = [("sit", "instr", "bench"), ("read", "obj", "book")]
    caption = action_caption([rider, [], reader])
    assert caption == "person riding bicycle, looking at dog, standing and person reading book, sitting on bench"
    assert action_caption([[], []]) == ""
    assert (
        action_caption([[("cut", "instr", "knife"), ("cut", "obj", "cake")]])
        == "person cutting with knife, cutting cake"
    )


def test_a_caption_says_at_most_four_things_of_one_person():
    many = [("hold", "obj", thing) for thing in "abcdef"]
    assert action_caption([many]).count("holding") == 4


@given(st.lists(st.sampled_from(VERBS), min_size=1, max_size=4))
def test_every_verb_is_read_back_from_its_caption(verbs):
    assert set(verbs) <= verbs_of(action_caption([[(verb, "", "") for verb in verbs]]))
