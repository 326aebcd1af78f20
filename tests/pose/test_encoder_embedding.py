"""Text encoders from folders: small ones with random weights, written in transformers' layout."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from astra_jax.config import BertConfig, ClipTextConfig, T5Config
from astra_jax.errors import UserError
from astra_jax.inputs.requests import Request
from astra_jax.models.bert import BertEncoder
from astra_jax.models.clip import ClipTextEncoder
from astra_jax.models.t5 import T5Encoder
from astra_jax.params import flatten, unflatten
from astra_jax.pipeline import AstraPipeline
from astra_jax.pose.database import PoseBank
from astra_jax.pose.embedders import open_embedder
from astra_jax.pose.embedding import TextEmbedder
from astra_jax.pose.encoder_embedding import MAX_TOKENS, EncoderEmbedder
from astra_jax.pose.retrieval import Retriever
from astra_jax.weights import encoders
from astra_jax.weights.mapping import save_leaf

WORDS = [
    "[PAD]",
    "[UNK]",
    "person",
    "people",
    "waving",
    "jumping",
    "sitting",
    "hugging",
    "a",
    "man",
    "[START]",
    "[END]",
]
TEXTS = ["person waving", "people hugging people hugging a man", "a man sitting", "a"]
CONFIGS = {
    "bert": {
        "model_type": "bert", "vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 12, "max_position_embeddings": 16,
    },
    "clip": {
        "model_type": "clip_text_model", "vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 16, "hidden_act": "quick_gelu",
    },
    "t5": {
        "model_type": "t5", "vocab_size": 12, "d_model": 8, "num_layers": 2, "num_heads": 2, "d_kv": 4, "d_ff": 12,
        "feed_forward_proj": "gated-gelu",
    },
}  # fmt: skip
ENCODERS = {
    "bert": (BertEncoder(BertConfig(12, 8, 2, 2, 12, 16)), encoders.bert_naming),
    "clip": (ClipTextEncoder(ClipTextConfig(12, 8, 2, 2, 12, 16)), encoders.clip_text_naming),
    "t5": (T5Encoder(T5Config(12, 8, 2, 2, 4, 12)), encoders.t5_naming),
}


def tree_of(kind, seed=0):
    encoder, _ = ENCODERS[kind]
    rng = np.random.default_rng(seed)
    abstract = jax.eval_shape(encoder.init, jax.random.key(0), jnp.zeros((1, 4), jnp.int32))["params"]
    return {path: rng.normal(size=leaf.shape).astype(np.float32) for path, leaf in flatten(abstract).items()}


def write(folder, kind, seed=0):
    """A folder as transformers writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder, naming = ENCODERS[kind]
    tree, tensors = tree_of(kind, seed), {}
    for path, leaf in naming(encoder.config).items():
        tensors |= save_leaf(leaf, tree[path])
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIGS[kind]))
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [END]" if kind == "t5" else "[START] $A [END]", special_tokens=[("[START]", 10), ("[END]", 11)]
    )
    tokenizer.enable_truncation(3)  # what a file asks for does not count
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def by_hand(kind, text):
    """The text by itself, without padding."""
    encoder, _ = ENCODERS[kind]
    ids = [WORDS.index(word) if word in WORDS else 1 for word in text.split()] + [11]
    ids = ids if kind == "t5" else [10, *ids]
    params = jax.tree.map(jnp.asarray, unflatten(tree_of(kind)))
    features = np.asarray(jax.jit(encoder.apply)({"params": params}, jnp.array([ids])))[0]
    mean = features if kind == "clip" else features.mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_the_pipeline_reads_a_bank_of_an_encoder(pretrained, tmp_path, entries):
    folder, bank = write(tmp_path / "encoder", "bert"), tmp_path / "bank"
    PoseBank.build(entries, open_embedder(str(folder)), "exact").save(bank)
    pipe = AstraPipeline.from_pretrained(pretrained, bank, folder)
    ready = pipe.prepare(Request("a man sitting"))
    assert pipe.bank.embedder.kind == "bert"
    assert ready.retrieved.people.shape == (1, 17, 3)
    with pytest.raises(UserError, match="made with the embedder 'bert': give the folder .*--pose_embedder"):
        AstraPipeline.from_pretrained(pretrained, bank)
    with pytest.raises(UserError, match="was built with other weights"):
        AstraPipeline.from_pretrained(pretrained, bank, write(tmp_path / "other", "bert", seed=1))
    PoseBank.build(entries, backend="exact").save(bank)
    with pytest.raises(UserError, match="'tfidf', not 'bert'"):
        AstraPipeline.from_pretrained(pretrained, bank, folder)


@pytest.mark.parametrize("kind", CONFIGS)
def test_texts_are_embedded_as_if_alone(tmp_path, kind):
    embedder = EncoderEmbedder.from_folder(write(tmp_path, kind))
    assert isinstance(embedder, TextEmbedder)
    assert (embedder.kind, embedder.dim) == (kind, 8)
    rows = embedder([*TEXTS, "", "?!", "man unheard of"])
    np.testing.assert_allclose(rows[:4], [by_hand(kind, text) for text in TEXTS], atol=2e-5)
    np.testing.assert_array_equal(rows[4:6], 0)
    np.testing.assert_allclose(rows[6], by_hand(kind, "man unheard of"), atol=2e-5)
    assert embedder([]).shape == (0, 8)


def test_long_texts_are_cut_before_the_end_token(tmp_path):
    embedder = EncoderEmbedder.from_folder(write(tmp_path, "bert"))
    words = " ".join(["person waving"] * MAX_TOKENS)
    np.testing.assert_allclose(embedder([words])[0], by_hand("bert", " ".join(words.split()[:14])), atol=2e-5)


def test_a_bank_knows_its_weights(tmp_path, entries):
    embedder = open_embedder(str(write(tmp_path / "a", "bert")))
    bank = PoseBank.build(entries, embedder, "exact")
    bank.save(tmp_path / "bank")
    assert bank.vectors().shape == (11, 16)  # captions as they are and action texts
    assert [path.name for path in (tmp_path / "bank").glob("*/embedder/*")] == ["encoder.json"]
    loaded = PoseBank.load(tmp_path / "bank", embedder=EncoderEmbedder.from_folder(tmp_path / "a"))
    (found,) = Retriever(loaded).retrieve(["a man sitting"], [1], (64, 64))
    assert len(found) == 1
    with pytest.raises(UserError, match="made with the embedder 'bert': give the folder"):
        PoseBank.load(tmp_path / "bank")
    with pytest.raises(UserError, match="was built with other weights"):
        PoseBank.load(tmp_path / "bank", embedder=EncoderEmbedder.from_folder(write(tmp_path / "b", "bert", seed=1)))
    with pytest.raises(UserError, match="embedder 'bert', not 'clip'"):
        PoseBank.load(tmp_path / "bank", embedder=EncoderEmbedder.from_folder(write(tmp_path / "c", "clip")))


def test_a_tokenizer_beside_the_encoder_as_flux_has_it(tmp_path):
    folder = write(tmp_path / "text_encoder", "clip")
    (tmp_path / "tokenizer").mkdir()
    (folder / "tokenizer.json").rename(tmp_path / "tokenizer" / "tokenizer.json")
    np.testing.assert_allclose(EncoderEmbedder.from_folder(folder)(["a man"])[0], by_hand("clip", "a man"), atol=2e-5)


def test_the_built_in_embedder_needs_no_folder():
    assert open_embedder("tfidf") is None


def change(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "no folder of a text encoder"),
        (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer.json is damaged"),
        (lambda f: (f / "model.safetensors").unlink(), "holds no .safetensors file"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "is a pickle"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 100), "is damaged"),
        (lambda f: change(f, hidden_size=16), "does not fit this model"),
        (lambda f: change(f, hidden_size="8"), "no proper hidden_size"),
        (lambda f: change(f, model_type="roberta"), "is of a 'roberta'"),
        (lambda f: change(f, hidden_act="relu"), "says hidden_act 'relu'"),
        (lambda f: change(f, layer_norm_eps=-1), "no proper layer_norm_eps"),
        (lambda f: change(f, vocab_size=9), "tokenizer has 12 tokens, its encoder 9"),
        (lambda f: (f / "config.json").write_text("{"), "is damaged"),
        (lambda f: (f / "config.json").write_text("[]"), "must hold a JSON object"),
    ],
)
def test_folders_that_are_no_text_encoder(tmp_path, spoil, message):
    spoil(write(tmp_path, "bert"))
    with pytest.raises(UserError, match=message) as error:
        EncoderEmbedder.from_folder(tmp_path)
    assert "\n" not in str(error.value)
