"""A FLUX.1 folder's pair of tokenizers, at tiny vocabularies that stand here in full."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tokenizers import pre_tokenizers

from astra_jax.config import ClipTextConfig, Config, DataConfig, ModelConfig, T5Config, TransformerConfig
from astra_jax.errors import UserError
from astra_jax.inputs.placement import place
from astra_jax.inputs.published_tokenizer import load_published_tokenizer, open_tokenizer
from astra_jax.inputs.tokenizer import TextTokenizer
from astra_jax.weights.pretrained import save_pretrained

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = [("m", "a"), ("ma", "n</w>"), ("w", "o"), ("wo", "man</w>")]
CLIP_WORDS = [*BYTES, *(f"{byte}</w>" for byte in BYTES), *("".join(pair) for pair in MERGES)]
CLIP_WORDS += ["<|startoftext|>", "<|endoftext|>"]
CLIP_IDS = {word: index for index, word in enumerate(CLIP_WORDS)}
START, STOP = len(CLIP_WORDS) - 2, len(CLIP_WORDS) - 1
# Scores are log probabilities: the likeliest way to cut a text wins.
T5_PIECES = [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["▁", -2.0], ["▁a", -1.0], ["▁the", -1.0], ["man", -1.0]]
T5_PIECES += [["wo", -1.0], ["▁and", -1.0], ["n", -3.0], ["old", -1.0], ["▁wo", -2.5]]
T5_IDS = {piece: index for index, (piece, _) in enumerate(T5_PIECES)}

T5_SIZE = len(T5_PIECES) + 2  # with the two <extra_id_...> that tokenizer_config.json asks for


def config(clip, t5):
    """Of text encoders with these vocabularies."""
    return ModelConfig(
        transformer=TransformerConfig(), clip_text=ClipTextConfig(vocab_size=clip), t5=T5Config(vocab_size=t5)
    )


def write(folder, clip=None, t5=None, pad="<|endoftext|>"):
    """A folder as FLUX.1 is published: vocab.json and merges.txt for CLIP, tokenizer.json for T5."""
    first, second = folder / "tokenizer", folder / "tokenizer_2"
    for path in (first, second):
        path.mkdir(parents=True, exist_ok=True)
    (first / "vocab.json").write_text(json.dumps(CLIP_IDS if clip is None else clip))
    (first / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in MERGES) + "\n")
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    (first / "tokenizer_config.json").write_text(
        json.dumps({**marks, "pad_token": pad, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"})
    )
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    tree = {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 4}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "<pad>"},
        "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, space]},
        "post_processor": None, "decoder": space,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": T5_PIECES if t5 is None else t5, "byte_fallback": False},
    }  # fmt: skip
    (second / "tokenizer.json").write_text(json.dumps(tree))
    (second / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 2}))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("flux"))


@pytest.fixture(scope="module")
def tokenizer(folder):
    return load_published_tokenizer(folder)


def test_it_goes_with_the_weights_that_are_saved(folder, tmp_path):
    model = config(STOP + 1, T5_SIZE)
    whole = Config(model=model, data=DataConfig(tokenizer=str(folder)))
    for _ in range(2):  # the second one takes the first one's place
        save_pretrained(tmp_path / "out", whole, {"lora": {"a": np.ones(2, np.float32)}})
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer", "tokenizer_2"}
    again = open_tokenizer(tmp_path / "out", model)
    np.testing.assert_array_equal(again.t5("the woman", 6).ids, open_tokenizer(folder, model).t5("the woman", 6).ids)


def test_t5_by_hand(tokenizer):
    tokens = tokenizer.t5("the woman", 6)
    np.testing.assert_array_equal(tokens.ids, [T5_IDS[piece] for piece in ("▁the", "▁wo", "man")] + [1, 0, 0])
    np.testing.assert_array_equal(tokens.spans, [[0, 3], [4, 6], [6, 9], [0, 0], [0, 0], [0, 0]])
    assert not tokens.truncated
    np.testing.assert_array_equal(tokenizer.phrase("the woman", 6).ids, [*tokens.ids[:3], 0, 0, 0])
    np.testing.assert_array_equal(tokenizer.t5("", 3).ids, [1, 0, 0])


def test_clip_by_hand(tokenizer):
    woman, letters = CLIP_IDS["woman</w>"], [CLIP_IDS["t"], CLIP_IDS["h"], CLIP_IDS["e</w>"]]
    tokens = tokenizer.clip("The  WOMAN", 8)
    np.testing.assert_array_equal(tokens.ids, [START, *letters, woman, STOP, STOP, STOP])
    np.testing.assert_array_equal(tokens.spans[4], [5, 10])
    np.testing.assert_array_equal(tokenizer.clip("", 4).ids, [START, STOP, STOP, STOP])


def test_clip_pads_with_its_own_id(tmp_path):
    tokenizer = load_published_tokenizer(write(tmp_path, pad="!"))
    np.testing.assert_array_equal(
        tokenizer.clip("man", 5).ids, [START, CLIP_IDS["man</w>"], STOP, *[CLIP_IDS["!"]] * 2]
    )


def test_long_texts_are_cut_before_the_end_token(tokenizer):
    for function, last in ((tokenizer.t5, 1), (tokenizer.clip, STOP), (tokenizer.phrase, T5_IDS["man"])):
        cut = function("man " * 20, 8)
        assert cut.truncated
        assert cut.ids[-1] == last
        # The files ask for four tokens at most, and for padding to four: neither takes effect.
        assert not function("man man", 8).truncated
    assert (tokenizer.t5("man man man", 16).ids != 0).sum() == 7
    assert tokenizer.t5("man " * 1_000_000, 8).truncated
    with pytest.raises(ValueError, match="no room"):
        tokenizer.clip("man", 1)


def test_phrases_are_placed_without_the_space_before_them(tokenizer):
    assert isinstance(tokenizer, TextTokenizer)
    # Tokens: ▁a ▁ man ▁and ▁ old ▁ man </s>.
    phrases, places = place("a man and old man", ["man", "old man"], tokenizer, 12, 4)
    np.testing.assert_array_equal(places, [[2, -1, -1, -1], [5, 7, -1, -1]])
    np.testing.assert_array_equal(phrases, [[T5_IDS["man"], 0, 0, 0], [T5_IDS["old"], T5_IDS["man"], 0, 0]])


def test_bytes_that_no_utf8_has(tokenizer):
    for text in ("a\udcff man", "日本 man", "\x00"):
        assert tokenizer.t5(text, 16).ids[-1] == 0
        assert STOP not in tokenizer.clip(text, 16).ids[1:2]


def test_fits_the_encoders(folder):
    size = T5_SIZE
    assert load_published_tokenizer(folder, config(STOP + 1, size)).t5_vocab_size == size
    load_published_tokenizer(folder, config(STOP + 1, size + 28))
    with pytest.raises(UserError, match=rf"{size} tokens but config.model.t5.vocab_size is {size - 1}"):
        load_published_tokenizer(folder, config(STOP + 1, size - 1))
    with pytest.raises(UserError, match="clip_text.vocab_size is 49408: they must be equal"):
        load_published_tokenizer(folder, config(49408, size))


DAMAGE = {
    "missing vocab": ("tokenizer/vocab.json", None, "has no tokenizer.json or vocab.json and merges.txt"),
    "missing t5": ("tokenizer_2/tokenizer.json", None, "has no tokenizer.json"),
    "cut vocab": ("tokenizer/vocab.json", '{"a": 0,', "vocab.json is damaged"),
    "a list": ("tokenizer/vocab.json", "[]", "must hold a JSON object"),
    "not utf-8": ("tokenizer/merges.txt", b"\xff\xfe", "merges.txt is damaged"),
    "deep": ("tokenizer_2/tokenizer.json", "[" * 100_000, "tokenizer.json is damaged"),
    "wild merges": ("tokenizer/merges.txt", "#version: 0.2\nqq zz\n", "is no CLIPTokenizer"),
    "words for ids": ("tokenizer/vocab.json", '{"a": "b"}', "is no CLIPTokenizer"),
    "no model": ("tokenizer_2/tokenizer.json", "{}", "is no T5Tokenizer"),
    "another model": ("tokenizer_2/tokenizer.json", '{"model": {"type": "BPE", "vocab": {}, "merges": []}}', "T5"),
    "odd settings": ("tokenizer_2/tokenizer_config.json", '{"extra_ids": "many"}', "is no T5Tokenizer"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_folders(tmp_path, case):
    name, content, message = DAMAGE[case]
    path = write(tmp_path) / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as error:
        load_published_tokenizer(tmp_path)
    assert len(str(error.value).splitlines()) == 1


def test_other_vocabularies_are_refused(tmp_path):
    fewer = {word: index for index, word in enumerate(word for word in CLIP_WORDS if word != "q")}
    with pytest.raises(UserError, match="1 single bytes"):
        load_published_tokenizer(write(tmp_path / "byte", clip=fewer))
    turned = {word: STOP - index for word, index in CLIP_IDS.items()}
    with pytest.raises(UserError, match="its end token is not the last"):
        load_published_tokenizer(write(tmp_path / "end", clip=turned))
    pieces = [T5_PIECES[1], T5_PIECES[0], *T5_PIECES[2:]]
    with pytest.raises(UserError, match="must have '<pad>' at 0"):
        load_published_tokenizer(write(tmp_path / "t5", t5=pieces))


def test_a_huge_file_is_not_read(tmp_path):
    path = write(tmp_path) / "tokenizer/vocab.json"
    with path.open("r+b") as file:
        file.truncate(65 << 20)
    with pytest.raises(UserError, match="is larger than"):
        load_published_tokenizer(tmp_path)


def test_a_sentencepiece_model_alone_is_explained(tmp_path):
    folder = write(tmp_path) / "tokenizer_2"
    (folder / "tokenizer.json").rename(folder / "spiece.model")
    with pytest.raises(UserError, match="with sentencepiece installed, transformers' AutoTokenizer makes it"):
        load_published_tokenizer(tmp_path)


def test_neither_torch_nor_tensorflow_nor_sentencepiece_is_imported(folder):
    code = (
        "import sys; from astra_jax.inputs.published_tokenizer import load_published_tokenizer as load;"
        f"print(load({str(folder)!r}).t5('the woman', 4).ids.tolist());"
        "print([name for name in ('torch', 'tensorflow', 'sentencepiece') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str([5, T5_IDS["▁wo"], T5_IDS["man"], 1]), "[]"]
