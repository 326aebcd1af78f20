"""Photos through a published folder's image encoder, CLIP's and SigLIP's, against transformers' processors and models.

transformers writes DIR/image_encoder; the rest of the folder is `test_pipeline`'s. A photo goes from its file through
the pipeline's own steps. Theirs: Pillow's padding to a white square, then the processor and the model of transformers.
"""

import dataclasses
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageOps

from astra_jax.config import from_config_dict
from astra_jax.errors import UserError
from astra_jax.flow.sampler import initial_noise, integrate
from astra_jax.flow.schedule import schedule, shift_of
from astra_jax.inputs.requests import Request, SubjectRequest
from astra_jax.inputs.transforms import stack
from astra_jax.models.astra import Astra, unpatchify
from astra_jax.models.dsm import Dsm
from astra_jax.pipeline import AstraPipeline
from astra_jax.weights.adapters import save_adapter
from tests.parity.published import assert_close, spread
from tests.parity.test_pipeline import HEIGHT, STEPS, WIDTH, make_pipeline, run_sample, write_config

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore")

PROMPT, SEED = "a man waving hello, on the beach", 3
SIZES = {"hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 2}


def make_encoder(name):
    """An image encoder of transformers at the sizes of test_pipeline's config, its processor, and its tokens."""
    if name == "siglip":
        # 15 pixels are 3 patches of 4 and a rest.
        config = transformers.SiglipVisionConfig(image_size=15, patch_size=4, **SIZES)
        processor = transformers.SiglipImageProcessorPil(size={"height": 15, "width": 15})
        return spread(transformers.SiglipVisionModel(config), 7), processor, lambda out: out.last_hidden_state
    sizes = SIZES | {"hidden_size": 8, "intermediate_size": 16}
    config = transformers.CLIPVisionConfig(image_size=8, patch_size=4, **sizes)
    processor = transformers.CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8})
    return spread(transformers.CLIPVisionModel(config), 8), processor, lambda out: out.hidden_states[-2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder without an image encoder, and a photo that is not square."""
    folder = tmp_path_factory.mktemp("flux")
    make_pipeline(folder / "made").save_pretrained(folder / "FLUX.1-tiny")
    grey = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)
    Image.fromarray(grey).resize((61, 83), Image.Resampling.BICUBIC).save(folder / "man.png")
    return folder


def load_config(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return from_config_dict(module.get_config())


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_features_of_a_photo_are_transformers(folder, name, random_params, tmp_path):
    model, processor, tokens = make_encoder(name)
    model.save_pretrained(folder / "FLUX.1-tiny/image_encoder")
    write_config(folder / "tiny.py", encoder=name)
    config = load_config(folder / "tiny.py")
    abstract = jax.eval_shape(Astra(config.model).init, jax.random.key(0))
    dsm = random_params(abstract["dsm"])
    for resampler in dsm.values():  # offsets large enough that those of two words show in the picture
        resampler["out_norm"] = jax.tree.map(lambda leaf: 30 * leaf, resampler["out_norm"])
    save_adapter(folder / "dsm.safetensors", "dsm", dsm, config.model, "astra")
    adapters = {"dsm": folder / "dsm.safetensors"}

    pipe = AstraPipeline.from_published(config, folder / "FLUX.1-tiny", adapters=adapters)
    request = Request(PROMPT, (SubjectRequest("a man", folder / "man.png"),), pose="none", seed=SEED)
    ready = pipe.prepare(dataclasses.replace(request, height=HEIGHT, width=WIDTH))
    ours = jax.jit(pipe.model.image_features)(pipe.params, ready.fields["portraits"][:1])

    side = config.model.image_encoder.image_size
    with Image.open(folder / "man.png") as photo:
        squared = ImageOps.pad(photo, (side, side), Image.Resampling.LANCZOS, "white")
    pixels = processor(squared, return_tensors="pt").pixel_values
    with torch.no_grad():
        theirs = tokens(model(pixels, output_hidden_states=True)).numpy()
    assert_close(ours, theirs)

    # The encoder of the other name is one line that says what to do.
    other = {"clip": "siglip", "siglip": "clip"}[name]
    chosen = dataclasses.replace(config.model.dsm, encoder=other)
    wrong = dataclasses.replace(config, model=dataclasses.replace(config.model, dsm=chosen))
    with pytest.raises(UserError, match=f"set --config.model.dsm.encoder={name} or put") as caught:
        AstraPipeline.from_published(wrong, folder / "FLUX.1-tiny", adapters=adapters)
    assert "\n" not in str(caught.value)

    if name == "siglip":
        expected = draw_from(pipe, ready, theirs)
        flags = [f"--prompt={PROMPT}", f"--subject=a man={folder / 'man.png'}", f"--seed={SEED}", "--pose=none"]
        flags += [f"--dsm={adapters['dsm']}", f"--guidance={config.sample.guidance}"]
        _, (picture,) = run_sample(folder, tmp_path / "out", *flags)
        missed = np.abs(picture - expected)
        assert missed.max() <= 1
        # A photo whose features are others makes another picture, by far more than that.
        assert missed.mean() < 0.1 * np.abs(draw_from(pipe, ready, -theirs) - expected).mean()


def draw_from(pipe, ready, features):
    """The request's picture with offsets made from these features of its one subject."""
    model, inputs = pipe.model, stack([ready.fields])
    sizes, subjects = model.config.transformer, inputs.has_identity.shape[1]
    height, width = HEIGHT // model.downsampling, WIDTH // model.downsampling
    count = height * width // 4
    dsm = Dsm(model.config.dsm, sizes.width, sizes.double_blocks)
    noise = initial_noise(jnp.array([SEED], jnp.uint32), jnp.zeros(1, jnp.uint32), count, sizes.latent_dim)

    @jax.jit
    def draw(params, inputs, features):
        conditions = model.encode(params, inputs, (height, width))
        tokens = inputs.phrase_tokens.reshape(subjects, -1)
        phrases = model._apply(params, "t5", tokens)[None]
        offsets = dsm.apply({"params": params["dsm"]}, phrases, features)
        assert offsets.shape == conditions.offsets.shape
        conditions = dataclasses.replace(conditions, offsets=offsets)
        times = schedule(STEPS, shift_of(count))
        x = integrate(lambda x, t: model.velocity(params, x, t, conditions), noise, times)
        return model.decode(params, unpatchify(x, height, width))

    padded = np.concatenate([features, np.zeros((subjects - 1, *features.shape[1:]), np.float32)])[None]
    return np.asarray(draw(pipe.params, inputs, padded))[0].astype(float)
