"""CLIP's encoders against transformers' CLIPTextModel (pooled) and CLIPVisionModel (hidden_states[-2])."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import ClipTextConfig, ClipVisionConfig
from astra_jax.models.clip import ClipTextEncoder, ClipVisionEncoder, clip_normalise
from astra_jax.weights.encoders import (
    TEXT_PREFIX,
    VISION_PREFIX,
    clip_text_naming,
    clip_text_unread,
    clip_vision_naming,
    clip_vision_unread,
    has_prefix,
)
from tests.parity.published import assert_close, assert_full_size, read, spread, tensors

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXT = {
    "one_layer": ClipTextConfig(vocab_size=30, width=16, layers=1, heads=2, mlp_dim=24, length=9),
    "deeper": ClipTextConfig(vocab_size=70, width=48, layers=4, heads=3, mlp_dim=100, length=77),
}
VISION = {
    "smallest": ClipVisionConfig(image_size=8, patch=4, width=16, layers=2, heads=2, mlp_dim=24),
    "deeper": ClipVisionConfig(image_size=28, patch=7, width=48, layers=4, heads=3, mlp_dim=100),
}


def text_reference(config, end):
    model = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.width,
            intermediate_size=config.mlp_dim,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.length,
            hidden_act="quick_gelu",
            bos_token_id=config.vocab_size - 2,
            eos_token_id=end,
        )
    )
    return spread(model, 4)


def vision_reference(config):
    model = transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(
            hidden_size=config.width,
            intermediate_size=config.mlp_dim,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            image_size=config.image_size,
            patch_size=config.patch,
            hidden_act="quick_gelu",
        )
    )
    return spread(model, 5)


def under(model, prefix):
    """The weights with `prefix`, whichever version of transformers named them."""
    return {
        prefix + name.removeprefix(TEXT_PREFIX).removeprefix(VISION_PREFIX): x for name, x in tensors(model).items()
    }


# FLUX.1's own config.json says 2, at which transformers pools at the largest id instead.
@pytest.mark.parametrize("legacy_end", [True, False])
@pytest.mark.parametrize("prefix", ["", TEXT_PREFIX])
@pytest.mark.parametrize("size", TEXT)
def test_pooled_text(size, prefix, legacy_end):
    config = TEXT[size]
    end = config.vocab_size - 1
    model = text_reference(config, 2 if legacy_end else end)
    published = under(model, prefix)
    # What a file with the whole of CLIP holds besides.
    published |= dict.fromkeys(["logit_scale", "text_projection.weight", "vision_model.a"], np.zeros(1))
    assert has_prefix(published, TEXT_PREFIX) == prefix
    params = {"params": read(clip_text_naming(config, prefix), published, clip_text_unread(prefix))}
    tokens = np.random.default_rng(1).integers(0, end - 1, (3, config.length))
    tokens[:, 0] = end - 1
    for row, place in enumerate((1, 4, config.length - 1)):
        tokens[row, place:] = end
    tokens[1, 6:] = 0  # some tokenizers pad with 0
    with torch.no_grad():
        theirs = model(torch.tensor(tokens)).pooler_output
    assert_close(jax.jit(ClipTextEncoder(config).apply)(params, jnp.asarray(tokens)), theirs)


@pytest.mark.parametrize("prefix", ["", VISION_PREFIX])
@pytest.mark.parametrize("size", VISION)
def test_vision_tokens(size, prefix):
    config = VISION[size]
    model = vision_reference(config)
    published = under(model, prefix)
    published |= dict.fromkeys(["logit_scale", "visual_projection.weight", "text_model.a"], np.zeros(1))
    params = {"params": read(clip_vision_naming(config, prefix), published, clip_vision_unread(config, prefix))}
    pictures = np.random.default_rng(2).integers(0, 256, (2, config.image_size, config.image_size, 3), np.uint8)
    processor = transformers.CLIPImageProcessorPil(do_resize=False, do_center_crop=False)
    pixels = processor(list(pictures), return_tensors="pt").pixel_values
    with torch.no_grad():
        theirs = model(pixels, output_hidden_states=True).hidden_states[-2]
    ours = jax.jit(lambda p, x: ClipVisionEncoder(config).apply(p, clip_normalise(x)))(params, pictures)
    assert ours.shape[1] == config.tokens
    assert_close(ours, theirs)


def test_full_size_is_vit_l_14():
    """openai/clip-vit-large-patch14; its text half is FLUX.1's text_encoder of 196 tensors."""
    text, vision = ClipTextConfig(), ClipVisionConfig()
    with torch.device("meta"):
        theirs = transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
            )
        )
    assert len(list(theirs.parameters())) == 196
    prefix = "" if hasattr(theirs, "embeddings") else TEXT_PREFIX
    assert_full_size(ClipTextEncoder(text), jnp.zeros((1, 77), jnp.int32), clip_text_naming(text, prefix), theirs)
    with torch.device("meta"):
        theirs = transformers.CLIPVisionModel(
            transformers.CLIPVisionConfig(
                hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14
            )
        )
    prefix = "" if hasattr(theirs, "embeddings") else VISION_PREFIX
    naming, unread = clip_vision_naming(vision, prefix), clip_vision_unread(vision, prefix)
    assert_full_size(ClipVisionEncoder(vision), jnp.zeros((1, 224, 224, 3)), naming, theirs, unread=unread)
