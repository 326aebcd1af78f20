"""A model in its published layout, tiny, through `AstraPipeline.from_published` and sample.py's flags."""

import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image
from safetensors.numpy import save_file

import sample as program
from astra_jax.config import LoraConfig, MeshConfig
from astra_jax.errors import UserError
from astra_jax.inputs.published_tokenizer import load_published_tokenizer
from astra_jax.inputs.requests import Request, SubjectRequest
from astra_jax.models.astra import Astra
from astra_jax.models.lora import init_lora
from astra_jax.params import flatten
from astra_jax.pipeline import AstraPipeline
from astra_jax.training.mesh import make_mesh
from astra_jax.weights.adapters import save_adapter
from astra_jax.weights.exporting import export_published
from astra_jax.weights.pretrained import WEIGHTS, load_pretrained
from astra_jax.weights.tensors import open_tensors
from astra_jax.weights.writing import write_safetensors
from tests.inputs.test_published_tokenizer import CLIP_WORDS, write

# ml_collections reads config files through a loader that Python is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
ROOT = pathlib.Path(__file__).parents[1]
NOTE = "no identity adapter is loaded: identity goes through the reference tokens alone"


@pytest.fixture(scope="module")
def tiny(pretrained):
    """Config and parameters of the tiny model, its CLIP with the vocabulary of the published tokenizer, and a LoRA."""
    config, params = load_pretrained(pretrained)
    text = dataclasses.replace(config.model.clip_text, vocab_size=len(CLIP_WORDS))
    model = dataclasses.replace(config.model, clip_text=text, lora=LoraConfig(rank=2))
    rng = np.random.default_rng(4)
    embedding = params["clip_text"]["embedding"]
    assert embedding["embedding"].shape[0] < len(CLIP_WORDS)
    embedding["embedding"] = 0.3 * rng.normal(size=(len(CLIP_WORDS), text.width)).astype(np.float32)
    for part in params["dsm"].values():  # offsets large enough that two words' show in the picture
        part["out_norm"] = jax.tree.map(lambda leaf: 30 * leaf, part["out_norm"])
    lora = init_lora(jax.random.key(1), params["transformer"], model.lora)
    params["lora"] = jax.tree.map(lambda leaf: np.asarray(leaf + 0.1), lora)
    return dataclasses.replace(config, model=model), params


def write_config(path, config):
    path.write_text(
        "import json\nimport ml_collections\n\n\ndef get_config():\n"
        f"    return ml_collections.ConfigDict(json.loads({json.dumps(dataclasses.asdict(config))!r}))\n"
    )


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """`flux` in the published layout with CLIP's image encoder, its adapters beside it, a config file and a photo."""
    config, params = tiny
    folder = tmp_path_factory.mktemp("published")
    base = {part: tree for part, tree in params.items() if part not in ("dsm", "lora")}
    flat = flatten(base)
    shapes = {path: leaf.shape for path, leaf in flat.items()}
    write_safetensors(folder / WEIGHTS, shapes, np.float32, flat.values())
    with open_tensors(folder / WEIGHTS) as tensors:
        export_published(tensors, config.model, base, folder / "flux", "diffusers", np.float32)
    write(folder / "flux")
    save_adapter(folder / "lora.safetensors", "lora", params["lora"], config.model, "uno")
    save_adapter(folder / "dsm.safetensors", "dsm", params["dsm"], config.model, "astra")
    write_config(folder / "tiny.py", config)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3)).astype(np.uint8)).save(folder / "man.png")
    return folder


def asked(folder, **fields):
    return Request("the man and a woman", (SubjectRequest("the man", folder / "man.png"),), pose="none", **fields)


def draw(pipe, request):
    return next(pipe.draw([request]))


def test_the_published_folder_is_the_model(tiny, folder):
    config, params = tiny
    adapters = {"lora": folder / "lora.safetensors", "dsm": folder / "dsm.safetensors"}
    pipe = AstraPipeline.from_published(config, folder / "flux", adapters=adapters)
    assert pipe.params.keys() == params.keys()
    expected = AstraPipeline(config, params, load_published_tokenizer(folder / "flux", config.model))
    ours = draw(pipe, asked(folder))
    np.testing.assert_array_equal(ours.picture, draw(expected, asked(folder)).picture)
    assert not ours.ready.notes
    # Another file has another name in the manifest.
    shutil.copytree(folder / "flux", folder / "other")
    vae = folder / "other/vae/diffusion_pytorch_model.safetensors"
    vae.write_bytes(vae.read_bytes()[:-4] + np.float32(0.5).tobytes())
    other = AstraPipeline.from_published(config, folder / "other", adapters=adapters)
    again = AstraPipeline.from_published(config, folder / "flux", adapters=adapters)
    assert again.weights == pipe.weights != other.weights


@pytest.mark.slow
def test_devices_share_a_published_model(tiny, folder):
    config, _ = tiny
    adapters = {"lora": folder / "lora.safetensors", "dsm": folder / "dsm.safetensors"}
    mesh = make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
    one, shared = (
        AstraPipeline.from_published(config, folder / "flux", adapters=adapters, mesh=mesh) for mesh in (None, mesh)
    )
    kernel = shared.params["transformer"]["single_blocks"]["linear1"]["kernel"]
    assert kernel.addressable_shards[0].data.size == kernel.size / 4  # fsdp 2, tensor 2
    requests = [asked(folder, seed=seed) for seed in range(3)]
    for alone, together in zip(one.draw(requests), shared.draw(requests), strict=True):
        assert np.abs(alone.picture.astype(int) - together.picture).max() <= 1


@pytest.mark.slow
def test_absent_adapters_are_adapters_that_change_nothing(tiny, folder):
    """Neither they nor the image encoder are there; the picture is that of zero gains and zero factors."""
    config, params = tiny
    bare = AstraPipeline.from_published(config, folder / "flux")
    assert bare.params.keys() == params.keys() - {"lora", "dsm", "clip_vision"}
    dsm = {
        name: part | {"out_norm": jax.tree.map(np.zeros_like, part["out_norm"])} for name, part in params["dsm"].items()
    }
    lora = init_lora(jax.random.key(1), params["transformer"], config.model.lora)
    start = AstraPipeline(config, params | {"dsm": dsm, "lora": lora}, bare.tokenizer)
    ours, whole = draw(bare, asked(folder)), draw(start, asked(folder))
    assert np.abs(ours.picture.astype(int) - whole.picture).max() <= 1
    assert ours.ready.notes == (NOTE,)
    assert not draw(bare, dataclasses.replace(asked(folder), subjects=())).ready.notes
    # The comparison sees each adapter.
    for part in ("lora", "dsm"):
        adapted = AstraPipeline.from_published(config, folder / "flux", adapters={part: folder / f"{part}.safetensors"})
        assert np.abs(draw(adapted, asked(folder)).picture.astype(int) - ours.picture).max() > 1


def test_parameters_have_the_models_dtype(tiny, folder):
    config, _ = tiny
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, dtype="bfloat16"))
    pipe = AstraPipeline.from_published(config, folder / "flux", adapters={"lora": folder / "lora.safetensors"})
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(pipe.params)} == {"bfloat16"}
    assert draw(pipe, asked(folder)).picture.std() > 0


def test_large_pictures_are_decoded_in_tiles(tiny):
    """What only one tile of 128 latents covers is what that tile gives alone; the model has 2 pixels a latent."""
    config, params = tiny
    model = Astra(config.model)
    latents = np.random.default_rng(2).normal(size=(1, 4, 200, 4)).astype(np.float32)
    decode = jax.jit(model.decode)
    tiled, first = decode(params, latents), decode(params, latents[:, :, :128])
    assert tiled.shape == (1, 8, 400, 3)
    seam = 2 * (200 - 128)  # the second tile's first pixel
    np.testing.assert_array_equal(tiled[:, :, :seam], first[:, :, :seam])
    last = decode(params, latents[:, :, 200 - 128 :])
    np.testing.assert_array_equal(tiled[:, :, -seam:], last[:, :, -seam:])


def run_here(*arguments):
    with flagsaver.flagsaver(), pytest.MonkeyPatch.context() as patch:
        # ml_collections looks there for the keys of a config that flags override.
        patch.setattr(sys, "argv", ["sample.py", *arguments])
        flags.FLAGS(sys.argv)
        program.draw()


SIGLIP = "--config.model.dsm.encoder=siglip"
PROMPT = ["--prompt=the man and a woman", "--pose=none"]


def test_the_flags(folder, tmp_path, capsys):
    lora, dsm = (f"--{part}={folder / f'{part}.safetensors'}" for part in ("lora", "dsm"))
    subject = f"--subject=the man={folder / 'man.png'}"
    common = [f"--config={folder / 'tiny.py'}", f"--weights={folder / 'flux'}", *PROMPT, subject]
    run_here(*common, lora, f"--out={tmp_path / 'bare'}")
    assert NOTE in capsys.readouterr().out
    run_here(*common, lora, dsm, f"--out={tmp_path / 'full'}")
    assert NOTE not in capsys.readouterr().out
    (bare,), (full,) = (
        [json.loads(line) for line in (tmp_path / name / "manifest.jsonl").read_text().splitlines()]
        for name in ("bare", "full")
    )
    assert bare["notes"] == [NOTE]
    assert not full["notes"]
    assert bare["weights"] != full["weights"]
    assert (tmp_path / "full/sheet.png").is_file()


@pytest.fixture
def broken(folder, tmp_path):
    """A copy of the published folder for a test to spoil."""
    return shutil.copytree(folder / "flux", tmp_path / "flux")


def drop(name):
    return lambda flux: shutil.rmtree(flux / name)


def pickled(flux):
    (flux / "vae/diffusion_pytorch_model.safetensors").rename(flux / "vae/diffusion_pytorch_model.bin")


def truncated(flux):
    file = flux / "transformer/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def siglip(flux):
    embeddings = {"weight": np.zeros((8, 3, 4, 4), np.float32), "bias": np.zeros(8, np.float32)}
    tensors = {f"vision_model.embeddings.patch_embedding.{name}": tensor for name, tensor in embeddings.items()}
    save_file(tensors, flux / "image_encoder/model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "extra", "message"),
    [
        (drop("text_encoder_2"), [], "lacks text_encoder_2: copy or download"),
        (drop("tokenizer"), [], "lacks tokenizer: "),
        (drop("image_encoder"), ["--dsm={folder}/dsm.safetensors"], "the identity adapter reads photos through CLIP's"),
        (drop("image_encoder"), ["--dsm={folder}/dsm.safetensors", SIGLIP], "lacks image_encoder: .* through SigLIP's"),
        (None, ["--dsm={folder}/dsm.safetensors", SIGLIP], "holds CLIP's .* is 'siglip': set --.*encoder=clip or put"),
        (
            siglip,
            ["--dsm={folder}/dsm.safetensors"],
            "holds SigLIP's .* is 'clip': set --.*encoder=siglip or put",
        ),
        (lambda flux: shutil.rmtree(flux), [], "is no folder"),
        (pickled, [], "is a pickle"),
        (truncated, [], "is damaged"),
        (None, ["--config.model.transformer.single_blocks=2"], "does not fit this model: 14 missing"),
        (None, ["--config.model.clip_text.vocab_size=320"], "vocab_size is 320"),
        (None, ["--config.model.lora.rank=3", "--lora={folder}/lora.safetensors"], "of another shape"),
        (None, ["--config.model.lora.rank=0", "--lora={folder}/lora.safetensors"], "the model has no LoRA"),
        (None, ["--lora={folder}/dsm.safetensors"], "holds no lora"),
        (None, ["--dsm={folder}/none.safetensors"], "none.safetensors does not exist"),
        (None, ["--checkpoint={folder}"], "--checkpoint and --weights exclude each other"),
        (None, ["--height=33"], "height 33 is no positive multiple of 4"),
    ],
)
def test_mistakes_end_in_one_line(folder, broken, tmp_path, spoil, extra, message):
    if spoil is not None:
        spoil(broken)
    extra = [text.format(folder=folder) for text in extra]
    config = f"--config={folder / 'tiny.py'}"
    with pytest.raises(UserError, match=message) as caught:
        run_here(config, f"--weights={broken}", *PROMPT, f"--out={tmp_path / 'out'}", *extra)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--config={folder}/tiny.py", "--lora=x", "--dsm=x"])
def test_flags_of_published_weights_need_them(folder, flag):
    with pytest.raises(UserError, match="needs --weights"):
        run_here(*PROMPT, flag.format(folder=folder))


def test_weights_need_a_config(folder):
    with pytest.raises(UserError, match="--config is missing"):
        run_here(*PROMPT, f"--weights={folder / 'flux'}")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_adapters_are_trained_on_a_published_folder_and_drawn_by_the_command_that_is_printed(tiny, folder, tmp_path):
    config, flux = tiny[0], folder / "flux"

    def run(*arguments):
        environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "data.puppets", f"--out={tmp_path / 'tfds'}", "--config=small")
    run(
        "-m",
        "astra_jax.weights",
        "import",
        f"--config={folder / 'tiny.py'}",
        f"--source={flux}",
        "--out",
        tmp_path / "base",
    )
    data = {"dir": str(tmp_path / "tfds"), "source": "puppets/small", "tokenizer": str(flux), "latents": ""}
    training = {"steps": 2, "batch_size": 2, "sample_every": 0, "objective": "astra", "trainable": "^(lora|dsm)/"}
    config = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, **data),
        train=dataclasses.replace(config.train, **training, initialize_from=(str(tmp_path / "base"),)),
    )
    write_config(tmp_path / "run.py", config)
    said = run("train.py", f"--config={tmp_path / 'run.py'}", f"--workdir={tmp_path / 'run'}")
    # The folder's identity adapter is not published with it: it starts as ever, and is trained.
    assert "frozen as it starts" not in said
    command = shlex.split(said.splitlines()[-1].removeprefix("draw with: python "))
    assert f"--weights={flux}" in command
    photo = ["--subject", f"the man={folder / 'man.png'}"]
    out = tmp_path / "out"
    run(*command, "--prompt=the man", *photo, "--pose=none", "--steps=2", f"--out={out}")
    assert len(list(out.glob("00000_*.png"))) == 1
