"""sample.py, as a process on a published folder, against diffusers' FluxPipeline on the same folder.

diffusers writes the folder, in the form of FLUX.1-dev or FLUX.1-schnell, with random weights at tiny sizes. It then
reads it again and draws the same prompts from the same noise; its tokenizers, schedule, guidance, loop and decoding are
its own.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from tokenizers import pre_tokenizers

from astra_jax.flow.sampler import initial_noise
from tests.parity.published import spread
from tests.parity.test_tokenizers import clip_files

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")
sentencepiece = pytest.importorskip("sentencepiece")

# What the libraries warn of is theirs, not ours.
pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = pathlib.Path(__file__).parents[2]
PROMPTS = ["a man waving hello, on the beach", "an old lighthouse at night", "a"]
SEEDS = [3, 11, 11]
HEIGHT, WIDTH, STEPS, GUIDANCE, TEXT = 32, 48, 4, 3.5, 24

CONFIG = """
from astra_jax import config as c


def get_config():
    model = c.ModelConfig(
        transformer=c.TransformerConfig(
            width=64, heads=2, axes_dim=(4, 14, 14), double_blocks=2, single_blocks=2, latent_dim=16,
            context_dim=24, pooled_dim=20, guidance_embed={guidance},
        ),
        autoencoder=c.AutoencoderConfig(
            channels=8, channel_mult=(1, 2), res_blocks=1, latent_channels=4, norm_groups=4
        ),
        t5=c.T5Config(vocab_size=256, width=24, layers=2, heads=2, head_dim=8, mlp_dim=32),
        clip_text=c.ClipTextConfig(vocab_size={clip_words}, width=20, layers=2, heads=2, mlp_dim=40),
        clip_vision=c.ClipVisionConfig(image_size=8, patch=4, width=8, layers=2, heads=2, mlp_dim=16),
        siglip_vision=c.SiglipVisionConfig(image_size=15, patch=4, width=12, layers=2, heads=2, mlp_dim=20),
        dsm=c.DsmConfig(width=8, layers=1, heads=2, encoder="{encoder}"),
        text_length={text}, dtype="float32",
    )
    data = c.DataConfig(reference_size=16)
    sample = c.SampleConfig(shift="{shift}")
    return c.as_config_dict(c.Config(model=model, data=data, sample=sample))
"""
KINDS = ["dev", "schnell"]


def write_config(path, kind="dev", encoder="clip"):
    """A config file for the folder that `make_pipeline(..., kind)` saves."""
    dev = kind == "dev"
    settings = {"guidance": dev, "shift": "resolution" if dev else "none", "encoder": encoder}
    path.write_text(CONFIG.format(text=TEXT, clip_words=len(clip_words()[1]), **settings))


def clip_words():
    """CLIP's merges and ids where open-clip-torch has them; else a vocabulary of the same form from bytes alone."""
    if importlib.util.find_spec("open_clip"):
        return clip_files()
    marks = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("m", "a"), ("ma", "n</w>"), ("o", "n</w>"), ("t", "h"), ("th", "e</w>")]
    words = [*marks, *(f"{mark}</w>" for mark in marks), *("".join(pair) for pair in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return merges, {word: index for index, word in enumerate(words)}


def write_tokenizers(folder):
    """Both tokenizers as transformers has them: CLIP's vocabulary, and SentencePiece pieces learnt here for T5."""
    merges, vocab = clip_words()
    clip, t5 = folder / "clip", folder / "t5"
    clip.mkdir(parents=True)
    t5.mkdir()
    (clip / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (clip / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    settings = {**marks, "unk_token": "<|endoftext|>", "do_lower_case": True, "model_max_length": 77}
    (clip / "tokenizer_config.json").write_text(json.dumps(settings | {"tokenizer_class": "CLIPTokenizer"}))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(PROMPTS * 3), model_prefix=str(t5 / "spiece"), vocab_size=60, hard_vocab_limit=False,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    return (
        transformers.CLIPTokenizer.from_pretrained(str(clip)),
        transformers.T5TokenizerFast.from_pretrained(str(t5), model_max_length=512, extra_ids=0),
    )


def make_pipeline(folder, kind="dev"):
    """FLUX.1's pipeline of diffusers at the sizes of `CONFIG`, random weights wide enough that every input shows."""
    dev = kind == "dev"
    clip, t5 = write_tokenizers(folder)
    words = len(clip)
    text_encoder = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=words, hidden_size=20, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=77, hidden_act="quick_gelu", bos_token_id=words - 2, eos_token_id=words - 1,
        )
    )  # fmt: skip
    text_encoder_2 = transformers.T5EncoderModel(
        transformers.T5Config(
            vocab_size=256, d_model=24, d_kv=8, d_ff=32, num_layers=2, num_heads=2, feed_forward_proj="gated-gelu",
            is_encoder_decoder=False, use_cache=False,
        )
    )  # fmt: skip
    transformer = diffusers.FluxTransformer2DModel(
        in_channels=16, num_layers=2, num_single_layers=2, attention_head_dim=32, num_attention_heads=2,
        joint_attention_dim=24, pooled_projection_dim=20, guidance_embeds=dev, axes_dims_rope=(4, 14, 14),
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16), layers_per_block=1, latent_channels=4, norm_num_groups=4,
        scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip
    # The published folders' own settings; dev's times lie at e^mu / (e^mu + 1/t - 1), schnell's are not moved.
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        shift=3.0 if dev else 1.0, use_dynamic_shifting=dev, base_shift=0.5, max_shift=1.15, base_image_seq_len=256,
        max_image_seq_len=4096,
    )  # fmt: skip
    models = (text_encoder, text_encoder_2, transformer, vae)
    text_encoder, text_encoder_2, transformer, vae = (spread(model, seed) for seed, model in enumerate(models))
    with torch.no_grad():
        vae.decoder.conv_out.weight *= 0.3  # pictures that are neither black nor white
    return diffusers.FluxPipeline(
        scheduler=scheduler, vae=vae, text_encoder=text_encoder, tokenizer=clip, text_encoder_2=text_encoder_2,
        tokenizer_2=t5, transformer=transformer,
    )  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory, kind):
    folder = tmp_path_factory.mktemp("flux")
    make_pipeline(folder / "made", kind).save_pretrained(folder / "FLUX.1-tiny")
    write_config(folder / "tiny.py", kind)
    return folder


def run_sample(folder, out, *flags):
    """sample.py as a process on `folder`; returns its manifest and its pictures."""
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    done = subprocess.run(
        [
            sys.executable, ROOT / "sample.py", f"--config={folder / 'tiny.py'}", f"--weights={folder / 'FLUX.1-tiny'}",
            f"--height={HEIGHT}", f"--width={WIDTH}", f"--steps={STEPS}", f"--out={out}", *flags,
        ],
        capture_output=True, text=True, timeout=280, cwd=ROOT,
        env=environment | {"JAX_COMPILATION_CACHE_DIR": str(out / "xla")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    pictures = []
    for line in manifest:
        with Image.open(out / line["file"]) as picture:
            pictures.append(np.asarray(picture).astype(float))
    return manifest, pictures


@pytest.fixture(scope="module")
def theirs(folder):
    """diffusers' pictures of `PROMPTS`, as bytes."""
    pipeline = diffusers.FluxPipeline.from_pretrained(folder / "FLUX.1-tiny")
    pipeline.set_progress_bar_config(disable=True)
    tokens = (HEIGHT // 4) * (WIDTH // 4)
    pictures = []
    for prompt, seed in zip(PROMPTS, SEEDS, strict=True):
        noise = np.array(initial_noise(jnp.array([seed], jnp.uint32), jnp.zeros(1, jnp.uint32), tokens, 16))
        made = pipeline(
            prompt=prompt, height=HEIGHT, width=WIDTH, num_inference_steps=STEPS, guidance_scale=GUIDANCE,
            latents=torch.tensor(noise), max_sequence_length=TEXT, output_type="np",
        )  # fmt: skip
        pictures.append(np.round(255 * made.images[0]))
    return pictures


def test_a_published_folder_draws_what_diffusers_draws(folder, kind, theirs, tmp_path):
    lines = [{"prompt": p, "seed": s, "pose": "none"} for p, s in zip(PROMPTS, SEEDS, strict=True)]
    (tmp_path / "requests.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    guidance = [f"--guidance={GUIDANCE}"] if kind == "dev" else []
    manifest, ours = run_sample(folder, tmp_path / "out", f"--requests={tmp_path / 'requests.jsonl'}", *guidance)
    assert [line["prompt"] for line in manifest] == PROMPTS
    for picture, expected in zip(ours, theirs, strict=True):
        difference = np.abs(picture - expected)
        print(f"{difference.mean():.4f} grey levels in the mean, {difference.max():.0f} at most")
        assert difference.mean() < 1
        assert difference.max() <= 2
        # A picture that shows: neither flat nor cut off at black and white.
        assert expected.std() > 10
        assert np.isin(expected, (0, 255)).mean() < 0.5
    # Prompt and noise both matter, so that neither may be read wrongly.
    assert np.abs(ours[0] - ours[1]).mean() > 5
    assert np.abs(ours[1] - ours[2]).mean() > 2
