import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from astra_jax.config import ClipTextConfig, ModelConfig, T5Config
from astra_jax.errors import UserError
from astra_jax.inputs.tokenizer import PromptTokenizer, clean, load_tokenizer, save_tokenizer, train_tokenizer

TEXTS = ["the first man waving hello", "the second man sitting on a chair", "a woman and a man hugging each other"]
SIZE = 300


@pytest.fixture(scope="module")
def tokenizer():
    return PromptTokenizer(train_tokenizer(TEXTS, SIZE))


def test_special_ids(tokenizer):
    assert tokenizer.vocab_size == SIZE
    np.testing.assert_array_equal(tokenizer.t5("", 4).ids, [1, 0, 0, 0])
    np.testing.assert_array_equal(tokenizer.clip("", 4).ids, [SIZE - 2, SIZE - 1, SIZE - 1, SIZE - 1])
    np.testing.assert_array_equal(tokenizer.phrase("", 4).ids, [0, 0, 0, 0])


def test_the_same_tokens_in_all_three_forms(tokenizer):
    phrase, t5, clip = (f("a man", 8) for f in (tokenizer.phrase, tokenizer.t5, tokenizer.clip))
    count = int((phrase.ids != 0).sum())
    np.testing.assert_array_equal(t5.ids, [*phrase.ids[:count], 1, *[0] * (7 - count)])
    np.testing.assert_array_equal(clip.ids, [SIZE - 2, *phrase.ids[:count], *[SIZE - 1] * (7 - count)])
    assert clip.spans[0].tolist() == [0, 0]
    assert clip.spans[1].tolist() == [0, 1]


def test_common_words_become_one_token(tokenizer):
    assert (tokenizer.phrase(" man", 8).ids != 0).sum() == 1


@given(text=st.text(max_size=60))
@example(text="</s><pad><|endoftext|><|unused290|>")
@example(text="naïve 👋🏽 你好\x00\r\n")
def test_any_text_survives_the_round_trip(tokenizer, text):
    tokens = tokenizer.t5(text, 512)
    assert not tokens.truncated
    assert tokenizer.decode(tokens.ids) == clean(text)
    # Only the one end token is special, and each token's span is inside the text.
    inner = tokens.ids[: np.flatnonzero(tokens.ids == 1)[0]]
    assert ((inner > 1) & (inner < SIZE - 2)).all()
    assert not tokens.ids[len(inner) + 1 :].any()
    assert (tokens.spans <= len(text)).all()
    # CLIP pools at the first end-of-text: it must come right after the text.
    clip = tokenizer.clip(text, 512).ids
    assert int(np.argmax(clip == SIZE - 1)) == len(inner) + 1


def test_lone_surrogates_are_replaced(tokenizer):
    assert tokenizer.decode(tokenizer.t5("a\udcffb", 16).ids) == "a\ufffdb"


def test_a_long_text_is_cut_and_that_is_reported(tokenizer):
    text = "a man " * 100
    for function in (tokenizer.t5, tokenizer.clip, tokenizer.phrase):
        assert function(text, 16).truncated
        assert not function("a man", 16).truncated
    assert tokenizer.t5(text, 16).ids[-1] == 1
    assert tokenizer.clip(text, 16).ids[-1] == SIZE - 1
    exact = int((tokenizer.phrase("a woman", 64).ids != 0).sum())
    assert not tokenizer.phrase("a woman", exact).truncated
    assert tokenizer.t5("a woman", exact).truncated


def test_a_huge_text_does_not_hang(tokenizer):
    assert tokenizer.t5("x" * 5_000_000, 16).truncated


def test_vocabulary_is_filled_up_to_its_size():
    few = PromptTokenizer(train_tokenizer(["ab"], 400))
    assert few.vocab_size == 400
    assert few.t5("ab", 3).ids.tolist()[1:] == [1, 0]


def test_bad_training_input():
    with pytest.raises(UserError, match="vocab_size 100 is too small: .* need 260"):
        train_tokenizer(TEXTS, 100)
    with pytest.raises(UserError, match="no text to learn"):
        train_tokenizer(["", "  "], 300)


def test_training_is_deterministic():
    assert train_tokenizer(TEXTS, SIZE).to_str() == train_tokenizer(TEXTS, SIZE).to_str()


def test_saved_and_loaded(tokenizer, tmp_path):
    save_tokenizer(tokenizer.tokenizer, tmp_path / "new" / "folder")
    again = load_tokenizer(tmp_path / "new" / "folder")
    np.testing.assert_array_equal(again.t5(TEXTS[0], 32).ids, tokenizer.t5(TEXTS[0], 32).ids)
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["tokenizer.json"]


def test_the_encoders_must_have_its_vocabulary(tokenizer, tmp_path):
    save_tokenizer(tokenizer.tokenizer, tmp_path)
    fitting = ModelConfig(t5=T5Config(vocab_size=SIZE), clip_text=ClipTextConfig(vocab_size=SIZE))
    assert load_tokenizer(tmp_path, fitting).vocab_size == SIZE
    with pytest.raises(UserError, match="300 tokens but config.model.t5.vocab_size is 32128"):
        load_tokenizer(tmp_path, ModelConfig())


def test_bad_files(tokenizer, tmp_path):
    with pytest.raises(UserError, match="data.tokenizer is not set"):
        load_tokenizer("")
    with pytest.raises(UserError, match=r"No such file.*make one with"):
        load_tokenizer(tmp_path)
    good = json.loads(tokenizer.tokenizer.to_str())
    bad = {
        "not json": "{",
        "no model": "{}",
        "a list": "[]",
        "deep": "[" * 100_000,
        "another model": json.dumps({"model": {"type": "Unigram"}}),
        "a hole in the ids": json.dumps({"model": {**good["model"], "vocab": {"a": 0, "b": 7}}}),
        "no specials": json.dumps({"model": {**good["model"], "vocab": _shuffled(good["model"]["vocab"])}}),
        "a wild merge": json.dumps({"model": {**good["model"], "merges": [["a", "nowhere"]]}}),
    }
    for reason, text in bad.items():
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(UserError, match="make it again|train it again"):
            print(reason, load_tokenizer(tmp_path))


def _shuffled(vocab):
    return {token: (index + 5) % len(vocab) for token, index in vocab.items()}


def test_a_wrapped_tokenizer_needs_the_specials():
    from tokenizers import Tokenizer, models

    with pytest.raises(UserError, match="lacks the tokens"):
        PromptTokenizer(Tokenizer(models.BPE()))


def test_no_room():
    tokenizer = PromptTokenizer(train_tokenizer(TEXTS, SIZE))
    with pytest.raises(ValueError, match="no room"):
        tokenizer.clip("a", 1)


def test_command_line(tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    command = [sys.executable, "-m", "astra_jax.inputs.tokenizer", "--vocab_size=300", f"--out={tmp_path}"]
    done = subprocess.run([*command, f"--texts={tmp_path}/texts.txt"], capture_output=True, text=True, check=True)
    assert "300 tokens from 3 texts" in done.stdout
    assert load_tokenizer(tmp_path).vocab_size == 300
    failed = subprocess.run([*command, f"--texts={tmp_path}/none.txt"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "none.txt: No such file" in failed.stderr
