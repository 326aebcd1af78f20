"""SigLIP's patch tokens against transformers' SiglipVisionModel (last_hidden_state)."""

import jax
import numpy as np
import pytest

from astra_jax.config import SiglipVisionConfig
from astra_jax.models.siglip import SiglipVisionEncoder, siglip_normalise
from astra_jax.weights.encoders import VISION_PREFIX, siglip_vision_naming, siglip_vision_unread
from tests.parity.published import assert_close, assert_full_size, read, spread, tensors

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {
    "smallest": SiglipVisionConfig(image_size=8, patch=4, width=16, layers=1, heads=2, mlp_dim=24),
    # 30 pixels are 4 patches of 7 and a rest, as 384 pixels are 27 patches of 14 and a rest.
    "with_a_rest": SiglipVisionConfig(image_size=30, patch=7, width=48, layers=4, heads=3, mlp_dim=100),
}


@pytest.mark.parametrize("prefix", ["", VISION_PREFIX])
@pytest.mark.parametrize("size", SIZES)
def test_tokens(size, prefix):
    config = SIZES[size]
    model = spread(
        transformers.SiglipVisionModel(
            transformers.SiglipVisionConfig(
                hidden_size=config.width,
                intermediate_size=config.mlp_dim,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                image_size=config.image_size,
                patch_size=config.patch,
            )
        ),
        6,
    )
    published = {prefix + name.removeprefix(VISION_PREFIX): x for name, x in tensors(model).items()}
    published |= dict.fromkeys(["logit_scale", "logit_bias", "text_model.a"], np.zeros(1))
    params = {"params": read(siglip_vision_naming(config, prefix), published, siglip_vision_unread(prefix))}
    pictures = np.random.default_rng(2).integers(0, 256, (2, config.image_size, config.image_size, 3), np.uint8)
    processor = transformers.SiglipImageProcessorPil(do_resize=False)
    pixels = processor(list(pictures), return_tensors="pt").pixel_values
    with torch.no_grad():
        theirs = model(pixels).last_hidden_state
    ours = jax.jit(lambda p, x: SiglipVisionEncoder(config).apply(p, siglip_normalise(x)))(params, pictures)
    assert ours.shape[1] == config.tokens
    assert_close(ours, theirs)


def test_full_size_is_so400m():
    """google/siglip-so400m-patch14-384."""
    config = SiglipVisionConfig()
    with torch.device("meta"):
        theirs = transformers.SiglipVisionModel(
            transformers.SiglipVisionConfig(
                hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16,
                image_size=384, patch_size=14,
            )
        )  # fmt: skip
    assert sum(weight.numel() for weight in theirs.parameters()) == 428_225_600
    prefix = "" if hasattr(theirs, "embeddings") else VISION_PREFIX
    naming, unread = siglip_vision_naming(config, prefix), siglip_vision_unread(prefix)
    assert_full_size(SiglipVisionEncoder(config), np.zeros((1, 384, 384, 3)), naming, theirs, unread=unread)
