"""Folders that are exported here, as diffusers and transformers make models of them: config.json and weights alike."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import ModelConfig, SiglipVisionConfig
from astra_jax.models.astra import Astra
from astra_jax.models.autoencoder import Autoencoder, sample_moments
from astra_jax.models.clip import ClipTextEncoder, ClipVisionEncoder, clip_normalise
from astra_jax.models.t5 import T5Encoder
from astra_jax.weights.exporting import export_published
from astra_jax.weights.pretrained import WEIGHTS, load_pretrained
from astra_jax.weights.published_settings import published_settings
from astra_jax.weights.tensors import open_tensors
from tests.parity.published import assert_close

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

# What the libraries warn of is theirs, not ours.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def exported(pretrained, tmp_path_factory):
    """A tiny model, its parameters and its folder in diffusers' layout."""
    config, params = load_pretrained(pretrained)
    folder = tmp_path_factory.mktemp("exported") / "published"
    abstract = jax.eval_shape(Astra(config.model).init, jax.random.key(0))
    with open_tensors(pretrained / WEIGHTS) as tensors:
        export_published(tensors, config.model, abstract, folder, "diffusers", np.float32)
    return config.model, params, folder


def load(kind, folder, name):
    """The library's model of a subfolder; every tensor of the file is used and none is missing."""
    model, report = kind.from_pretrained(folder / name, output_loading_info=True, low_cpu_mem_usage=False)
    assert not any(report.values()), report
    return model.eval()


def test_autoencoder(exported):
    config, params, folder = exported
    theirs = load(diffusers.AutoencoderKL, folder, "vae")
    assert (theirs.config.scaling_factor, theirs.config.shift_factor) == (0.3611, 0.1159)
    pictures = np.random.default_rng(1).uniform(-1, 1, (2, 8, 12, 3)).astype(np.float32)
    ours = {"params": params["autoencoder"]}
    moments = jax.jit(lambda p, x: Autoencoder(config.autoencoder).apply(p, x, method="encode"))(ours, pictures)
    latents = np.asarray(sample_moments(moments, None))
    drawn = jax.jit(lambda p, x: Autoencoder(config.autoencoder).apply(p, x, method="decode"))(ours, latents)
    with torch.no_grad():
        mean = theirs.encode(torch.tensor(np.moveaxis(pictures, -1, 1))).latent_dist.mean
        assert_close(np.moveaxis(latents, -1, 1), mean)
        assert_close(np.moveaxis(np.asarray(drawn), -1, 1), theirs.decode(mean).sample)


def test_t5(exported):
    config, params, folder = exported
    tokens = np.random.default_rng(2).integers(2, config.t5.vocab_size, (2, 40))
    with torch.no_grad():
        theirs = load(transformers.T5EncoderModel, folder, "text_encoder_2")(torch.tensor(tokens))[0]
    assert_close(jax.jit(T5Encoder(config.t5).apply)({"params": params["t5"]}, tokens.astype(np.int32)), theirs)


def test_clip_text(exported):
    config, params, folder = exported
    sizes = config.clip_text
    tokens = np.random.default_rng(3).integers(0, sizes.vocab_size - 2, (2, sizes.length))
    tokens[0, 5:] = tokens[1, -1] = sizes.vocab_size - 1
    with torch.no_grad():
        theirs = load(transformers.CLIPTextModel, folder, "text_encoder")(torch.tensor(tokens)).pooler_output
    ours = jax.jit(ClipTextEncoder(sizes).apply)({"params": params["clip_text"]}, tokens.astype(np.int32))
    assert_close(ours, theirs)


def test_clip_vision(exported):
    """`hidden_states[-2]` is what our encoder gives; the block behind it, which ours does not have, changes nothing."""
    config, params, folder = exported
    sizes, size = config.clip_vision, config.clip_vision.image_size
    pictures = np.random.default_rng(4).integers(0, 256, (2, size, size, 3), np.uint8)
    pictures = clip_normalise(jnp.asarray(pictures))
    model = load(transformers.CLIPVisionModel, folder, "image_encoder")
    with torch.no_grad():
        states = model(torch.tensor(np.moveaxis(np.array(pictures), -1, 1)), output_hidden_states=True).hidden_states
    assert len(states) == 1 + sizes.layers
    ours = jax.jit(ClipVisionEncoder(sizes).apply)({"params": params["clip_vision"]}, pictures)
    assert_close(ours, states[-2])
    assert torch.equal(states[-1], states[-2])


def test_transformer(exported):
    """Sizes and weights; what they compute is held in test_transformer.py."""
    config, _, folder = exported
    theirs = load(diffusers.FluxTransformer2DModel, folder, "transformer")
    assert theirs.config.num_attention_heads == config.transformer.heads
    assert not theirs.config.guidance_embeds


def test_published_settings_are_flux(tmp_path):
    """At full size they are the defaults of FLUX.1's own config files, by the libraries' classes."""

    def made(kind, part, config):
        (tmp_path / "config.json").write_text(json.dumps(published_settings(part, config)))
        return kind.from_pretrained(tmp_path)

    full = ModelConfig()
    t5 = made(transformers.T5Config, "t5", full)
    assert (t5.d_model, t5.d_ff, t5.num_layers, t5.dense_act_fn, t5.is_gated_act) == (4096, 10240, 24, "gelu_new", True)
    text = made(transformers.CLIPTextConfig, "clip_text", full)
    assert (text.hidden_size, text.num_hidden_layers, text.eos_token_id) == (768, 12, 49407)
    siglip = made(transformers.SiglipVisionConfig, "siglip_vision", full)
    assert (siglip.hidden_size, siglip.num_hidden_layers, siglip.hidden_act) == (1152, 27, "gelu_pytorch_tanh")
    small = ModelConfig(siglip_vision=SiglipVisionConfig(width=16, heads=2, layers=1, mlp_dim=24, image_size=28))
    encoder = transformers.SiglipVisionModel(made(transformers.SiglipVisionConfig, "siglip_vision", small))
    assert not any("head" in name for name, _ in encoder.named_parameters())
