"""The features that evaluation compares pictures by, against transformers' models and processors.

transformers writes the folders, with random weights; pictures and texts go through the whole of both paths.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import CLIP_L14, ClipConfig
from astra_jax.evaluation.features import open_clip, open_vit
from astra_jax.evaluation.preprocessing import middle_square
from astra_jax.models.clip import ClipFeatures, clip_normalise
from astra_jax.models.vit import VisionTransformer, imagenet_normalise
from astra_jax.params import flatten
from astra_jax.vit_config import DINO_V2, VitConfig
from astra_jax.weights.encoders import clip_naming, clip_unread
from astra_jax.weights.mapping import naming_shapes
from astra_jax.weights.vit import resample_positions, vit_naming
from tests.evaluation.feature_folders import load
from tests.parity.published import assert_close, assert_full_size, spread
from tests.parity.test_tokenizers import clip_files

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore")

SIZES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
TEXTS = ["a photo of a backpack", "", "naïve façade; it's 123 🙂", "a dog " * 80, "word<|endoftext|>after"]


def pictures():
    """Of all shapes: smooth, so that a cut a pixel off shows, with noise; wide, tall, small, exact."""
    rng = np.random.default_rng(0)
    made = []
    for height, width in ((300, 221), (97, 410), (224, 224), (256, 256), (31, 33), (512, 257)):
        rows, columns = np.mgrid[0:height, 0:width]
        waves = [127 + 90 * np.sin(rows / a + columns / b) for a, b in ((7, 13), (29, 5), (11, 17))]
        made.append(np.clip(np.stack(waves, -1) + 20 * rng.normal(size=(height, width, 3)), 0, 255).astype(np.uint8))
    return made


def processor_of(name, side=224):
    """The processor of the published folders (DINO's and DINOv2's evaluation; OpenAI's of CLIP)."""
    crop = {"height": side, "width": side}
    if name == "CLIP":
        return transformers.CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=crop)
    return transformers.BitImageProcessorPil(size={"shortest_edge": 256}, crop_size=crop, **IMAGENET)


def model_of(name, image_size):
    if name == "DINO":
        config = transformers.ViTConfig(image_size=image_size, patch_size=16, intermediate_size=40, **SIZES)
        return spread(transformers.ViTModel(config), 1)
    if name == "DINOv2":
        config = transformers.Dinov2Config(image_size=image_size, patch_size=14, mlp_ratio=2, **SIZES)
        return spread(transformers.Dinov2Model(config), 2)
    text = {**SIZES, "hidden_size": 18, "intermediate_size": 30, "eos_token_id": 49_407, "projection_dim": 10}
    vision = {**SIZES, "image_size": image_size, "patch_size": 16, "intermediate_size": 40, "projection_dim": 10}
    return spread(
        transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=10)), 3
    )


def write_tokenizer(folder):
    merges, vocab = clip_files()
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")


def assert_unit_rows(rows):
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)


# Sizes of 518 and 96 are resampled to 224 pixels.
@pytest.mark.parametrize(("name", "image_size"), [("DINO", 224), ("DINO", 96), ("DINOv2", 518), ("DINOv2", 224)])
def test_a_picture_s_class_token(name, image_size, tmp_path):
    model = model_of(name, image_size)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    pixels = processor_of(name)(pictures(), return_tensors="pt").pixel_values
    extra = {"interpolate_pos_encoding": True} if name == "DINO" else {}
    with torch.no_grad():
        theirs = model(pixels, **extra).last_hidden_state[:, 0].numpy()
    ours = open_vit(tmp_path, name)(pictures())
    assert_unit_rows(ours)
    assert_close(ours, theirs / np.linalg.norm(theirs, axis=1, keepdims=True))
    # All tokens, not the first alone, and without the scaling to unit length.
    config, params = load(tmp_path, name)
    with torch.no_grad():
        theirs = model(pixels[:1], **extra).last_hidden_state.numpy()
    square = jnp.asarray(middle_square(pictures()[0], 256, 224)[None])
    tokens = VisionTransformer(config).apply({"params": params}, imagenet_normalise(square))
    assert_close(tokens, theirs)


def test_clip_s_common_space(tmp_path):
    model = model_of("CLIP", 64)
    model.save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(str(tmp_path))
    ids = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids
    pixels = processor_of("CLIP", 64)(pictures(), return_tensors="pt").pixel_values
    with torch.no_grad():
        theirs = model(input_ids=ids, pixel_values=pixels)
    images, texts = open_clip(tmp_path)
    for ours, other in ((images(pictures()), theirs.image_embeds), (texts(TEXTS), theirs.text_embeds)):
        assert_unit_rows(ours)
        assert_close(ours, other)
    # Before the scaling to unit length too.
    config, params = load(tmp_path, "CLIP")
    square = jnp.asarray(middle_square(pictures()[0], 64, 64)[None])
    with torch.no_grad():
        pooled = model.vision_model(pixels[:1]).pooler_output
        projected = model.visual_projection(pooled)
    variables = {"params": params}
    assert_close(ClipFeatures(config).apply(variables, clip_normalise(square), method="images"), projected)


@pytest.mark.parametrize(("name", "shorter"), [("DINO", 256), ("CLIP", 224)])
def test_preprocessing_is_transformers_pixel_for_pixel(name, shorter):
    processor = processor_of(name)
    normalise = clip_normalise if name == "CLIP" else imagenet_normalise
    for picture in pictures():
        square = middle_square(picture, shorter, 224)
        pixels = processor(picture, do_rescale=False, do_normalize=False, return_tensors="np").pixel_values[0]
        np.testing.assert_array_equal(square, pixels.transpose(1, 2, 0))
        normed = processor(picture, return_tensors="np").pixel_values[0].transpose(1, 2, 0)
        np.testing.assert_allclose(np.asarray(normalise(jnp.asarray(square))), normed, atol=2e-6)


@pytest.mark.parametrize(("old", "new"), [(37, 16), (14, 16), (3, 7), (16, 16), (5, 1)])
def test_positions_are_resampled_as_pytorch_does(old, new):
    positions = np.random.default_rng(old).normal(size=(1 + old * old, 5)).astype(np.float32)
    square = torch.tensor(positions[1:]).reshape(1, old, old, 5).permute(0, 3, 1, 2)
    theirs = torch.nn.functional.interpolate(square, size=(new, new), mode="bicubic", align_corners=False)
    ours = resample_positions(positions, new)
    np.testing.assert_array_equal(ours[0], positions[0])
    np.testing.assert_allclose(ours[1:], theirs.permute(0, 2, 3, 1).reshape(-1, 5).numpy(), atol=1e-5)


def test_full_sizes_are_the_published_ones():
    """facebook/dino-vits16, facebook/dinov2-small, openai/clip-vit-base-patch32 and clip-vit-large-patch14."""
    small = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6}
    picture = jnp.zeros((1, 224, 224, 3))
    with torch.device("meta"):
        dino = transformers.ViTModel(transformers.ViTConfig(intermediate_size=1536, **small), add_pooling_layer=False)
        second = transformers.Dinov2Model(transformers.Dinov2Config(image_size=224, patch_size=14, **small))
        base = transformers.CLIPModel(transformers.CLIPConfig())
        text = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}
        vision = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
        large = transformers.CLIPModel(
            transformers.CLIPConfig(text_config=text, vision_config={**vision, "patch_size": 14}, projection_dim=768)
        )
    # In memory transformers 5 has names of its own, so shapes alone are compared; the tests above read real files.
    for model, config in ((dino, VitConfig()), (second, DINO_V2)):
        abstract = jax.eval_shape(VisionTransformer(config).init, jax.random.key(0), picture)["params"]
        theirs = [tuple(weight.shape) for name, weight in model.named_parameters() if "mask_token" not in name]
        assert sorted(naming_shapes(vit_naming(config), flatten(abstract)).values()) == sorted(theirs)
    for model, config in ((base, ClipConfig()), (large, CLIP_L14)):
        size = config.vision.image_size
        assert size == 224
        assert_full_size(ClipBoth(config), picture, clip_naming(config), model, unread=clip_unread())


class ClipBoth(ClipFeatures):
    """With one example in the place of two."""

    def __call__(self, pictures):
        return super().__call__(pictures, jnp.zeros((1, 77), jnp.int32))
