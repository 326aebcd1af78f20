"""Published folders of tiny feature networks with random weights, as transformers lays them out."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from astra_jax.config import ClipConfig, ClipTextConfig, ClipVisionConfig
from astra_jax.models.clip import ClipFeatures
from astra_jax.models.vit import VisionTransformer
from astra_jax.params import flatten
from astra_jax.vit_config import VitConfig
from astra_jax.weights.encoders import clip_naming
from astra_jax.weights.feature_networks import load_clip, load_vit, read_clip_config, read_vit_config
from astra_jax.weights.mapping import save_leaf
from astra_jax.weights.vit import vit_naming

SIZES = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "layer_norm_eps": 1e-5}
# Patches of 56 pixels: 5 x 5 in the file, 4 x 4 at 224 pixels.
VIT = VitConfig(image_size=(280, 280), patch=56, width=8, layers=2, heads=2, mlp_dim=16, eps=1e-5)
VIT_SETTINGS = {**SIZES, "image_size": 280, "patch_size": 56, "hidden_act": "gelu"}
CLIP = ClipConfig(ClipTextConfig(12, 8, 2, 2, 16, 9), ClipVisionConfig(8, 4, 8, 2, 2, 16), 6)
HALF = {**SIZES, "intermediate_size": 16, "hidden_act": "quick_gelu"}
CLIP_SETTINGS = {
    "model_type": "clip",
    "projection_dim": 6,
    "text_config": {**HALF, "vocab_size": 12, "max_position_embeddings": 9},
    "vision_config": {**HALF, "image_size": 8, "patch_size": 4},
}
WORDS = ["[UNK]", "a", "backpack", "dog", "on", "the", "beach", "cat", "snow", "in", "[START]", "[END]"]


@functools.cache
def abstract_of(config):
    """The shapes of a network's tree; traced once for all tests."""
    side = config.vision.image_size if isinstance(config, ClipConfig) else config.image_size[0]
    examples = [jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)]
    if isinstance(config, ClipConfig):
        examples.append(jax.ShapeDtypeStruct((1, 1), jnp.int32))
    module = ClipFeatures if isinstance(config, ClipConfig) else VisionTransformer
    return jax.eval_shape(module(config).init, jax.random.key(0), *examples)["params"]


def random_leaves(config, seed=0):
    """Path -> random values, near one for scales."""
    rng = np.random.default_rng(seed)
    return {
        path: (0.5 * rng.normal(size=leaf.shape) + ("scale" in path)).astype(np.float32)
        for path, leaf in flatten(abstract_of(config)).items()
    }


def write(folder, leaves, naming, settings, prefix="", shards=1):
    """Tensors under published names, in as many files as `shards`, and config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: x for path, leaf in naming.items() for name, x in save_leaf(leaf, leaves[path]).items()}
    names = sorted(tensors)
    index = {}
    for shard in range(shards):
        file = f"model-{shard}.safetensors" if shards > 1 else "model.safetensors"
        part = names[shard::shards]
        save_file({prefix + name: tensors[name] for name in part}, folder / file)
        index |= {prefix + name: file for name in part}
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def write_vit(folder, name, **changed):
    """A folder of "DINO" or "DINOv2", and its leaves; `changed` goes to `write`."""
    second = name == "DINOv2"
    config = VitConfig(**{**vars(VIT), "layer_scale": second})
    settings = {"model_type": "dinov2", "mlp_ratio": 2} if second else {"model_type": "vit", "intermediate_size": 16}
    leaves = random_leaves(config)
    return write(folder, leaves, vit_naming(config), VIT_SETTINGS | settings, **changed), leaves


def write_clip(folder, **changed):
    """A folder of CLIP with a tokenizer of a few words, and its leaves."""
    leaves = random_leaves(CLIP)
    write(folder, leaves, clip_naming(CLIP), CLIP_SETTINGS, **changed)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[START] $A [END]", special_tokens=[("[START]", 10), ("[END]", 11)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder, leaves


def load(folder, name, image_size=224):
    """The sizes and parameters of "DINO", "DINOv2" or "CLIP" as `features` opens them."""
    if name == "CLIP":
        config = read_clip_config(folder)
        return config, load_clip(folder, config, abstract_of(config))
    config = read_vit_config(folder, name)
    params = load_vit(folder, config, abstract_of(config), image_size)
    return dataclasses.replace(config, image_size=(image_size, image_size)), params
