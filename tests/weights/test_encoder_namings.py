"""The tables of names of the encoders and the autoencoder: every leaf, there and back, at several sizes."""

import json
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import (
    AutoencoderConfig,
    ClipTextConfig,
    ClipVisionConfig,
    Config,
    SiglipVisionConfig,
    T5Config,
    from_config_dict,
)
from astra_jax.models.autoencoder import Autoencoder
from astra_jax.models.clip import ClipTextEncoder, ClipVisionEncoder
from astra_jax.models.siglip import SiglipVisionEncoder
from astra_jax.models.t5 import T5Encoder
from astra_jax.params import flatten
from astra_jax.weights import encoders
from astra_jax.weights.autoencoder import bfl_autoencoder_naming, diffusers_autoencoder_naming
from astra_jax.weights.mapping import load_leaf, save_leaf

TOKENS = jnp.zeros((1, 5), jnp.int32)


def picture(side):
    return jnp.zeros((1, side, side, 3))


CASES = {
    "t5": (T5Encoder(T5Config(9, 8, 2, 2, 4, 12)), encoders.t5_naming, TOKENS),
    "clip_text": (ClipTextEncoder(ClipTextConfig(9, 8, 2, 2, 12, 6)), encoders.clip_text_naming, TOKENS),
    "clip_vision": (ClipVisionEncoder(ClipVisionConfig(8, 4, 8, 3, 2, 12)), encoders.clip_vision_naming, picture(8)),
    "siglip": (SiglipVisionEncoder(SiglipVisionConfig(9, 4, 8, 2, 2, 12)), encoders.siglip_vision_naming, picture(9)),
}
for _name, _naming in (("bfl", bfl_autoencoder_naming), ("diffusers", diffusers_autoencoder_naming)):
    for _mult in ((1, 2, 4, 4), (1,), (2, 2, 1)):
        _config = AutoencoderConfig(4, _mult, 2, 3, 2)
        CASES[f"{_name}_{_mult}"] = (Autoencoder(_config), _naming, picture(16))


def random_tree(model, example):
    rng = np.random.default_rng(0)
    abstract = jax.eval_shape(model.init, jax.random.key(0), example)["params"]
    return {path: rng.normal(size=leaf.shape).astype(np.float32) for path, leaf in flatten(abstract).items()}


@pytest.mark.parametrize("case", CASES)
def test_round_trip(case):
    model, naming, example = CASES[case]
    tree = random_tree(model, example)
    table = naming(model.config)
    assert table.keys() == tree.keys()
    published = {}
    for path, leaf in table.items():
        tensors = save_leaf(leaf, tree[path])
        assert not published.keys() & tensors.keys()
        published |= tensors
    for path, leaf in table.items():
        np.testing.assert_array_equal(load_leaf(leaf, published.__getitem__), tree[path], err_msg=path)


def test_layouts_by_hand():
    """Where a published number ends up, for one tensor of each kind."""
    naming = encoders.t5_naming(T5Config(9, 8, 2, 2, 4, 12))
    wide = np.arange(2 * 12 * 8.0, dtype=np.float32).reshape(2, 12, 8)  # PyTorch: [out, in]
    names = {f"encoder.block.{index}.layer.1.DenseReluDense.wi_1.weight": wide[index] for index in range(2)}
    leaf = load_leaf(naming["layers/wi_1/kernel"], names.__getitem__)
    assert leaf[1, 3, 7] == wide[1, 7, 3]
    convolution = np.arange(6 * 4 * 3 * 3.0, dtype=np.float32).reshape(6, 4, 3, 3)  # [out, in, height, width]
    naming = bfl_autoencoder_naming(AutoencoderConfig(4, (1, 2), 2, 3, 2))
    leaf = load_leaf(naming["decoder/up_1/upsample/kernel"], {"decoder.up.1.upsample.conv.weight": convolution}.get)
    assert leaf[2, 0, 3, 5] == convolution[5, 3, 2, 0]
    attention = np.arange(8 * 8.0, dtype=np.float32).reshape(8, 8, 1, 1)
    names = {"encoder.mid.attn_1.proj_out.weight": attention}
    assert load_leaf(naming["encoder/middle/attention/proj/kernel"], names.get)[2, 5] == attention[5, 2, 0, 0]


def test_diffusers_counts_the_decoders_levels_from_the_smallest():
    config = AutoencoderConfig()
    ours = "decoder/up_0/block_0/shortcut/kernel"
    assert bfl_autoencoder_naming(config)[ours].layers == (("decoder.up.0.block.0.nin_shortcut.weight",),)
    theirs = "decoder.up_blocks.3.resnets.0.conv_shortcut.weight"
    assert diffusers_autoencoder_naming(config)[ours].layers == ((theirs,),)


@pytest.mark.parametrize(
    ("unread", "yes", "no"),
    [
        (encoders.t5_unread(), "encoder.embed_tokens.weight", "encoder.embed_tokensXweight"),
        (encoders.clip_text_unread(), "text_model.embeddings.position_ids", "text_model.encoder.layers.12.fc.bias"),
        (encoders.clip_text_unread(""), "embeddings.position_ids", "xembeddings.position_ids"),
        (encoders.clip_vision_unread(ClipVisionConfig()), "vision_model.encoder.layers.23.mlp.fc1.bias",
         "vision_model.encoder.layers.2.mlp.fc1.bias"),
        (encoders.clip_vision_unread(ClipVisionConfig(), ""), "post_layernorm.weight", "pre_layrnorm.weight"),
        (encoders.siglip_vision_unread(), "vision_model.head.probe", "vision_model.post_layernorm.weight"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named_in_full(unread, yes, no):
    assert re.fullmatch(unread, yes)
    assert not re.fullmatch(unread, no)


def test_has_prefix():
    assert encoders.has_prefix(["logit_scale", "text_model.a"], encoders.TEXT_PREFIX) == "text_model."
    assert encoders.has_prefix(["logit_scale", "encoder.a"], encoders.TEXT_PREFIX) == ""


def test_configs_written_before_siglip_choose_clip():
    path = pathlib.Path(__file__).parents[2] / "pretrained/puppets/config.json"
    tree = json.loads(path.read_text())
    tree["model"].pop("siglip_vision", None)
    tree["model"]["dsm"].pop("encoder", None)
    config = from_config_dict(tree)
    assert isinstance(config, Config)
    assert config.model.image_encoder is config.model.clip_vision
