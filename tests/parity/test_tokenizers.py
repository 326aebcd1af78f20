"""The tokenizers of a published folder against SentencePiece, a byte-pair encoder written here, and transformers' own
call as FLUX.1's pipelines make it.

A small SentencePiece model, learnt here, stands in for T5's; CLIP's vocabulary is the one that open-clip-torch ships.
"""

import functools
import gzip
import importlib.util
import json
import pathlib

import numpy as np
import pytest

from astra_jax.config import ClipTextConfig, ModelConfig, T5Config
from astra_jax.inputs.placement import place
from astra_jax.inputs.published_tokenizer import load_published_tokenizer

sentencepiece = pytest.importorskip("sentencepiece")
regex = pytest.importorskip("regex")
transformers = pytest.importorskip("transformers")

PROMPTS = [
    "The first man waves at the second man.",
    "a  woman\tand\n an old man hugging each other",
    "naïve façade, ½ ﬁne ligature: 123,456 C3PO's R2-D2!",
    "İstanbul STRASSE ẞ, 日本語 and 👋🏽 emoji",
    "",
    "   ",
    "it's we'll they've I'm he'd don't",
    "<weird> & &amp; {json: [1, 2]} #hash @at ~tilde",
    "word " * 120,
]


def open_clip_vocabulary():
    """The path of CLIP's merges in open-clip-torch, which need not be importable for it."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs open-clip-torch")
    return pathlib.Path(spec.submodule_search_locations[0]) / "bpe_simple_vocab_16e6.txt.gz"


def byte_marks():
    """CLIP's (GPT-2's) printable mark of every byte, in the order of CLIP's ids."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


@functools.cache
def clip_files():
    """The merges and ids of CLIP's vocabulary, put together as OpenAI's code does."""
    lines = gzip.decompress(open_clip_vocabulary().read_bytes()).decode().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49_152 - 256 - 2 + 1]]
    marks = list(byte_marks().values())
    words = [*marks, *(f"{mark}</w>" for mark in marks), *("".join(pair) for pair in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return merges, {word: index for index, word in enumerate(words)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flux")
    merges, vocab = clip_files()
    clip, t5 = folder / "tokenizer", folder / "tokenizer_2"
    clip.mkdir()
    (clip / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (clip / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    (clip / "special_tokens_map.json").write_text(json.dumps(marks | {"unk_token": "<|endoftext|>"}))
    settings = {"do_lower_case": True, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    (clip / "tokenizer_config.json").write_text(json.dumps(settings))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text for text in PROMPTS if text.strip()] * 3),
        model_prefix=str(folder / "spiece"),
        vocab_size=200,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (folder / "learnt").mkdir()
    (folder / "spiece.model").rename(folder / "learnt/spiece.model")
    transformers.T5Tokenizer.from_pretrained(str(folder / "learnt"), model_max_length=512).save_pretrained(t5)
    (folder / "learnt/spiece.model").rename(t5 / "spiece.model")
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder):
    config = ModelConfig(clip_text=ClipTextConfig(), t5=T5Config())
    return load_published_tokenizer(folder, config)


def fixed(ids, length, pad):
    return [*ids, *[pad] * (length - len(ids))]


@pytest.mark.parametrize("text", PROMPTS)
def test_t5_equals_sentencepiece(folder, tokenizer, text):
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer_2/spiece.model"))
    expected = model.encode(text)
    for length in (32, 512):
        tokens = tokenizer.t5(text, length)
        np.testing.assert_array_equal(tokens.ids, fixed([*expected[: length - 1], 1], length, 0))
        assert tokens.truncated == (len(expected) > length - 1)


def byte_pairs(text):
    """CLIP's ids by the rule of byte-pair encoding: merge the pair learnt first, wherever it stands, until none is."""
    merges, vocab = clip_files()
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    pattern = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+")
    marks, ids = byte_marks(), []
    for word in pattern.findall(text.lower()):
        parts = [marks[byte] for byte in word.encode()]
        parts[-1] += "</w>"
        while len(parts) > 1:
            first = min(zip(parts, parts[1:], strict=False), key=lambda pair: ranks.get(pair, len(ranks)))
            if first not in ranks:
                break
            merged = []
            for part in parts:
                if merged and (merged[-1], part) == first:
                    merged[-1] = merged[-1] + part
                else:
                    merged.append(part)
            parts = merged
        ids += [vocab[part] for part in parts]
    return ids


@pytest.mark.parametrize("text", PROMPTS)
def test_clip_equals_byte_pairs(tokenizer, text):
    expected = byte_pairs(text)
    tokens = tokenizer.clip(text, 77)
    np.testing.assert_array_equal(tokens.ids, fixed([49_406, *expected[:75], 49_407], 77, 49_407))
    assert tokens.truncated == (len(expected) > 75)


@pytest.mark.parametrize("text", [*PROMPTS, "a </s> <pad> <extra_id_3> <|endoftext|> b"])
def test_both_equal_the_pipelines_call(folder, tokenizer, text):
    """diffusers' FluxPipeline: CLIPTokenizer and T5TokenizerFast, padded to their length and cut there."""
    for ours, name, length in ((tokenizer.clip, "tokenizer", 77), (tokenizer.t5, "tokenizer_2", 512)):
        theirs = transformers.AutoTokenizer.from_pretrained(str(folder / name))
        ids = theirs(text, padding="max_length", max_length=length, truncation=True, return_tensors="np").input_ids[0]
        np.testing.assert_array_equal(ours(text, length).ids, ids)


def test_known_ids(tokenizer):
    """From CLIP's published examples: "a photo of a cat"."""
    np.testing.assert_array_equal(
        tokenizer.clip("a photo of a cat", 8).ids[:7], [49406, 320, 1125, 539, 320, 2368, 49407]
    )


@pytest.mark.parametrize("text", PROMPTS)
def test_spans_are_the_texts_own_characters(tokenizer, text):
    for tokens in (tokenizer.t5(text, 512), tokenizer.clip(text, 77)):
        starts, ends = tokens.spans.T
        assert (starts <= ends).all()
        assert (ends <= len(text)).all()
        covered = {place for start, end in tokens.spans for place in range(start, end)}
        if not tokens.truncated:
            assert {place for place, character in enumerate(text) if not character.isspace()} <= covered


def test_phrases_are_placed(tokenizer):
    prompt = "The first man waves at the second man."
    phrases, places = place(prompt, ["the second man", "the first man"], tokenizer, 512, 16)
    tokens = tokenizer.t5(prompt, 512)
    for n, words in enumerate(("the second man", "The first man")):
        found = [tuple(tokens.spans[position]) for position in places[n] if position >= 0]
        assert "".join(prompt[start:end] for start, end in found) == words.replace(" ", "")
        count = len(found)
        np.testing.assert_array_equal(phrases[n, :count], tokens.ids[places[n, :count]])
        assert not phrases[n, count:].any()
