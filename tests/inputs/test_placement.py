import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from astra_jax.errors import UserError
from astra_jax.inputs.placement import find_phrases, place
from astra_jax.inputs.tokenizer import PromptTokenizer, train_tokenizer

WORDS = ["man", "woman", "old", "the", "a", "first", "second", "waving", "dog", "naïve", "R2-D2"]


@pytest.fixture(scope="module")
def tokenizer():
    return PromptTokenizer(train_tokenizer(["the first man and the second man", "a woman waving at a dog"], 290))


def words_at(prompt, phrases):
    return [prompt[start:end] for start, end in find_phrases(prompt, phrases)]


def test_whole_words_in_any_case_and_spacing():
    assert words_at("The Man waves; a woman walks.", ["woman", "the man"]) == ["woman", "The Man"]
    assert words_at("The  old\nman", ["the old man"]) == ["The  old\nman"]
    assert find_phrases("a woman and a man", ["man"]) == [(14, 17)]  # not inside "woman"
    assert words_at("a robot R2-D2! waves", ["R2-D2!"]) == ["R2-D2!"]
    assert words_at("(man)", ["man"]) == ["man"]


def test_equal_phrases_take_their_turns():
    assert find_phrases("a man and a man", ["a man", "A  Man"]) == [(0, 5), (10, 15)]


def test_no_two_subjects_share_a_word():
    # "man" comes first among the subjects, yet the first "man" belongs to "old man".
    assert find_phrases("an old man and a man", ["man", "old man"]) == [(17, 20), (3, 10)]
    with pytest.raises(UserError, match=r"'man' occurs too few times in the prompt 'an old man'"):
        find_phrases("an old man", ["old man", "man"])


def test_absent_and_empty_phrases():
    with pytest.raises(UserError, match=r"the phrase 'a cat' is not in the prompt 'a dog sits'"):
        find_phrases("a dog sits", ["a cat"])
    with pytest.raises(UserError, match="'man' is not in the prompt 'a woman'"):
        find_phrases("a woman", ["man"])
    with pytest.raises(UserError, match="subject 2 has an empty phrase"):
        find_phrases("a dog sits", ["a dog", " "])
    with pytest.raises(UserError, match="is not in the prompt ''"):
        find_phrases("", ["a dog"])


def test_placement_by_hand(tokenizer):
    prompt = "The first man and the second man"
    ids = tokenizer.t5(prompt, 32).ids
    phrase_tokens, placement = place(prompt, ["the second man", "the first man"], tokenizer, 32, 12)
    assert phrase_tokens.shape == placement.shape == (2, 12)
    for n, text in enumerate([" the second man", "The first man"]):
        positions = placement[n][placement[n] >= 0]
        np.testing.assert_array_equal(positions, np.arange(positions[0], positions[0] + len(positions)))
        assert tokenizer.decode(ids[positions]) == text
        np.testing.assert_array_equal(phrase_tokens[n, : len(positions)], ids[positions])
        assert not phrase_tokens[n, len(positions) :].any()
        assert (placement[n, len(positions) :] == -1).all()


def test_no_subjects(tokenizer):
    phrase_tokens, placement = place("a landscape", [], tokenizer, 16, 4)
    assert phrase_tokens.shape == placement.shape == (0, 4)


def test_a_phrase_beyond_the_cut_prompt(tokenizer):
    prompt = "a dog " * 20 + "and the woman"
    with pytest.raises(UserError, match=r"'the woman' lies beyond the first 16 tokens .*: shorten the prompt"):
        place(prompt, ["the woman"], tokenizer, 16, 8)
    place(prompt, ["the woman"], tokenizer, 200, 8)
    # The cut may also go through the phrase.
    start = int((tokenizer.phrase(prompt[: prompt.index(" woman")], 512).ids != 0).sum())
    with pytest.raises(UserError, match="lies beyond"):
        place(prompt, ["the woman"], tokenizer, start + 1, 8)


def test_a_phrase_of_too_many_tokens(tokenizer):
    with pytest.raises(UserError, match=r"has \d+ tokens, at most 2 fit"):
        place("the quick brown fox", ["the quick brown fox"], tokenizer, 64, 2)


@given(
    prompt=st.lists(st.sampled_from(WORDS), min_size=1, max_size=12),
    spans=st.lists(st.tuples(st.integers(0, 11), st.integers(1, 3)), min_size=1, max_size=3),
    upper=st.booleans(),
)
def test_found_words_are_the_phrase(tokenizer, prompt, spans, upper):
    text = " ".join(prompt)
    phrases = [" ".join(prompt[start : start + length]) for start, length in spans]
    assume(all(phrases))
    phrases = [phrase.upper() if upper else phrase for phrase in phrases]
    try:
        phrase_tokens, placement = place(text, phrases, tokenizer, 256, 64)
    except UserError as error:
        if "too few times" not in str(error):  # spans that overlap may leave a phrase without words
            raise
        return
    taken = placement[placement >= 0]
    assert len(set(taken.tolist())) == len(taken)
    ids = tokenizer.t5(text, 256).ids
    for n, phrase in enumerate(phrases):
        positions = placement[n][placement[n] >= 0]
        assert tokenizer.decode(ids[positions]).strip().lower() == phrase.lower()
        np.testing.assert_array_equal(phrase_tokens[n][: len(positions)], ids[positions])


@given(prompt=st.text(max_size=40), phrase=st.text(max_size=10))
def test_any_text_is_placed_or_refused(tokenizer, prompt, phrase):
    try:
        _, placement = place(prompt, [phrase], tokenizer, 256, 64)
    except UserError:
        return
    assert (placement[0] >= 0).any()
