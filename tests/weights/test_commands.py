"""inspect, import and export, as a user starts them and as functions."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from astra_jax.config import LoraConfig, as_config_dict
from astra_jax.errors import UserError
from astra_jax.models.astra import Astra
from astra_jax.models.lora import init_lora, merge
from astra_jax.params import flatten
from astra_jax.weights.exporting import export_published
from astra_jax.weights.importing import import_parts, load_published
from astra_jax.weights.inspection import describe_tensors, describe_tree
from astra_jax.weights.orbax_folder import load_orbax, save_orbax
from astra_jax.weights.pretrained import WEIGHTS, load_pretrained, save_pretrained
from astra_jax.weights.published import FOLDERS, find_table, part_of, tables
from astra_jax.weights.tensors import open_tensors

ROOT = pathlib.Path(__file__).parents[2]


def start(*arguments):
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "astra_jax.weights", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280,
    )  # fmt: skip


def abstract_of(config):
    return jax.eval_shape(Astra(config.model).init, jax.random.key(0))


def export(pretrained, out, form="diffusers", dtype=np.float32):
    config, _ = load_pretrained(pretrained)
    seen = []
    with open_tensors(pretrained / WEIGHTS) as tensors:
        done = export_published(tensors, config.model, abstract_of(config), out, form, dtype, seen.append)
    return config, done, sum(seen)


@pytest.mark.parametrize("form", ["diffusers", "black-forest-labs"])
def test_export_then_import_is_the_identity(pretrained, tmp_path, form):
    config, (written, left), size = export(pretrained, tmp_path / "out", form)
    _, params = load_pretrained(pretrained)
    abstract = abstract_of(config)
    assert size == sum(4 * leaf.size for part in written for leaf in jax.tree.leaves(params[part]))
    assert "dsm" in left
    assert sorted([*written, *left]) == sorted(params)
    with open_tensors(tmp_path / "out" / tables("transformer", config.model)[form].file) as tensors:
        assert part_of(config.model, tensors, abstract) == "transformer"
        naming = find_table("transformer", config.model, tensors).naming
        import_parts({"transformer": (tensors, naming)}, abstract, config, tmp_path / "back", "float32")
    again, back = load_pretrained(tmp_path / "back")
    assert again == config
    assert list(back) == ["transformer"]
    jax.tree.map(np.testing.assert_array_equal, back["transformer"], params["transformer"])


def test_export_writes_what_readers_of_the_layout_look_for(pretrained, tmp_path):
    _, (written, _), _ = export(pretrained, tmp_path / "out", dtype=ml_dtypes.bfloat16)
    assert {"transformer", "autoencoder", "t5", "clip_text"} <= set(written)
    folder = tmp_path / "out" / "transformer"
    settings = (tmp_path / "out").glob("*/config.json")
    assert sorted(file.parent.name for file in settings) == sorted(set(FOLDERS.values()))
    settings = json.loads((folder / "config.json").read_text())
    assert settings["_class_name"] == "FluxTransformer2DModel"
    assert (settings["num_layers"], settings["attention_head_dim"], settings["guidance_embeds"]) == (1, 8, False)
    tensors = load_file(folder / "diffusion_pytorch_model.safetensors")
    _, params = load_pretrained(pretrained)
    kernel = params["transformer"]["single_blocks"]["linear1"]["kernel"][0].astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(tensors["single_transformer_blocks.0.attn.to_v.weight"], kernel[:, 32:48].T)
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(ml_dtypes.bfloat16)}


@pytest.mark.parametrize("form", ["diffusers", "black-forest-labs"])
def test_a_lora_is_merged_into_what_is_published(pretrained, tmp_path, form):
    config, params = load_pretrained(pretrained)
    lora = LoraConfig(rank=2, scale=0.5, places=r"^double_blocks/img_qkv$|^single_blocks/linear1$|^img_in$")
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, lora=lora))
    rng = np.random.default_rng(0)
    factors = jax.eval_shape(lambda: init_lora(jax.random.key(0), params["transformer"], lora))
    params["lora"] = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), factors)
    save_pretrained(tmp_path / "adapted", config, params, "float32")
    _, (written, left), _ = export(tmp_path / "adapted", tmp_path / "out", form)
    assert "transformer" in written
    assert "lora" not in [*written, *left]
    table = tables("transformer", config.model)[form]
    with open_tensors(tmp_path / "out" / table.file) as tensors:
        published = flatten(load_published(tensors, table.naming, params["transformer"]))
    before = flatten(params["transformer"])
    expected = flatten(merge(params["transformer"], params["lora"], 0.5)[0])
    changed = {path for path, leaf in published.items() if not np.array_equal(leaf, before[path])}
    assert changed == {f"{path}/kernel" for path in ("double_blocks/img_qkv", "single_blocks/linear1", "img_in")}
    for path in changed:
        np.testing.assert_allclose(published[path], expected[path], rtol=1e-5, atol=1e-6, err_msg=path)
    # The fused map's part that makes the MLP's input has no factors.
    fused = published["single_blocks/linear1/kernel"][..., 48:]
    np.testing.assert_array_equal(fused, before["single_blocks/linear1/kernel"][..., 48:])


def test_export_refuses_what_it_cannot_do(pretrained, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds other files: choose a new or empty folder"):
        export(pretrained, tmp_path / "out")
    with pytest.raises(UserError, match="the format must be diffusers or black-forest-labs, not 'gguf'"):
        export(pretrained, tmp_path / "new", "gguf")
    config, _ = load_pretrained(pretrained)
    cached = dataclasses.replace(config.model, condition_attention="cached")
    with (
        open_tensors(pretrained / WEIGHTS) as tensors,
        pytest.raises(UserError, match="condition_attention 'cached', which diffusers cannot say"),
    ):
        export_published(tensors, cached, abstract_of(config), tmp_path / "new", "diffusers", np.float32)
    dsm = {"dsm": abstract_of(config)["dsm"]}
    save_file(
        {path: np.zeros(leaf.shape, np.float32) for path, leaf in flatten(dsm).items()}, tmp_path / "dsm.safetensors"
    )
    with (
        open_tensors(tmp_path / "dsm.safetensors") as tensors,
        pytest.raises(UserError, match="none of it has a form in"),
    ):
        export_published(tensors, config.model, dsm, tmp_path / "new", "diffusers", np.float32)
    assert {file.name for file in tmp_path.iterdir()} == {"out", "dsm.safetensors"}


def test_a_failed_import_leaves_nothing_behind(pretrained, tmp_path):
    config, _, _ = export(pretrained, tmp_path / "out", "black-forest-labs")
    path = tmp_path / "out" / "flux1.safetensors"
    tensors = load_file(path)
    tensors["final_layer.linear.bias"][3] = np.nan
    save_file(tensors, path)
    with open_tensors(path) as opened:
        naming = find_table("transformer", config.model, opened).naming
        with pytest.raises(UserError, match=r"flux1.safetensors: final_layer.linear.bias has values that are NaN"):
            import_parts({"transformer": (opened, naming)}, abstract_of(config), config, tmp_path / "back")
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_foreign_tensors_are_no_part(pretrained, tmp_path):
    config, _ = load_pretrained(pretrained)
    save_file({"unet.conv_in.weight": np.zeros(3, np.float32)}, tmp_path / "x.safetensors")
    with open_tensors(tmp_path / "x.safetensors") as tensors:
        with pytest.raises(UserError, match=r"no known part; its tensors look like unet.conv_in.weight"):
            part_of(config.model, tensors, abstract_of(config))
        with pytest.raises(UserError, match=r"no weights of the transformer in a naming that is known"):
            find_table("transformer", config.model, tensors)


def test_descriptions_add_up(tmp_path):
    tree = {"a": {"kernel": np.zeros((3, 1000)), "bias": np.zeros(5)}, "b": {"x": np.float32(0)}}
    assert list(describe_tree(tree)) == [
        "a/bias           5                5",
        "a/kernel  3 x 1000            3,000",
        "b/x         scalar                1",
        "",
        "b: 1 parameters",
        "a: 3,005 parameters (3.00 K)",
        "total: 3,006 parameters (3.01 K)",
    ]
    save_file({"w": np.zeros((2, 3), np.float32), "v": np.zeros(4, np.float16)}, tmp_path / "x.safetensors")
    with open_tensors(tmp_path / "x.safetensors") as tensors:
        assert list(describe_tensors(tensors))[-1] == "total: 10 parameters in 2 tensors"
        assert "w   F32  2 x 3                6" in list(describe_tensors(tensors))


def test_an_orbax_folder_gives_the_tree_back(tmp_path):
    tree = {"a": {"kernel": jax.numpy.arange(6.0).reshape(2, 3).astype(jax.numpy.bfloat16)}, "b": jax.numpy.ones(2)}
    save_orbax(tmp_path / "out", tree)
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)
    back = load_orbax(tmp_path / "out", abstract)
    jax.tree.map(np.testing.assert_array_equal, back, tree)
    assert back["a"]["kernel"].dtype == jax.numpy.bfloat16
    with pytest.raises(UserError, match="out exists: choose a new folder"):
        save_orbax(tmp_path / "out", tree)
    with pytest.raises(UserError, match="nowhere does not exist"):
        load_orbax(tmp_path / "nowhere", abstract)


def test_inspect_prints_the_full_size_model():
    result = start("inspect", "--config=configs/flux.py", "--parts=transformer")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[-1] == "total: 11,901,408,320 parameters (11.90 B)"
    row = "transformer/single_blocks/linear1/kernel 38 x 3072 x 21504 2,510,290,944"
    assert row in [" ".join(line.split()) for line in lines]


def test_a_user_imports_inspects_and_exports(pretrained, tmp_path):
    config, _, _ = export(pretrained, tmp_path / "published")
    settings = json.dumps(as_config_dict(config).to_dict())
    (tmp_path / "config.py").write_text(
        "import json, ml_collections\n"
        f"def get_config():\n    return ml_collections.ConfigDict(json.loads({settings!r}))\n"
    )
    flags = [f"--config={tmp_path / 'config.py'}", f"--source={tmp_path / 'published'}", "--dtype=float32"]
    result = start("import", *flags, f"--out={tmp_path / 'ours'}")
    assert result.returncode == 0, result.stderr
    _, ours = load_pretrained(tmp_path / "ours")
    _, params = load_pretrained(pretrained)
    assert {"transformer", "autoencoder", "t5", "clip_text"} <= set(ours)
    jax.tree.map(np.testing.assert_array_equal, ours, {part: params[part] for part in ours})

    result = start("import", *flags, "--parts=transformer", "--format=orbax", f"--out={tmp_path / 'orbax'}")
    assert result.returncode == 0, result.stderr
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), params["transformer"])
    back = load_orbax(tmp_path / "orbax", {"transformer": abstract})
    jax.tree.map(np.testing.assert_array_equal, back["transformer"], params["transformer"])

    result = start("export", f"--source={tmp_path / 'ours'}", "--format=black-forest-labs", f"--out={tmp_path / 'bfl'}")
    assert result.returncode == 0, result.stderr
    assert "left out, having no form in black-forest-labs" in result.stdout
    assert (tmp_path / "bfl" / "flux1.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect"], "inspect needs --config=FILE (a model's leaves) or --source=FILE"),
        (["import", "--config=configs/flux.py", "--source=nowhere/at/all", "--out=x"], "nowhere/at/all does not exist"),
        (["import", "--config=configs/flux.py", "--source=configs", "--out=x"], "configs holds no .safetensors file"),
        (["export", "--source=pretrained/puppets", "--out=x"], "export of --source writes --format=diffusers"),
        (["export", "--workdir=x", "--out=y", "--adapters=t5=uno"], "'t5=uno' is not one of lora=uno, lora=diffusers"),
        (["export", "--workdir=x", "--out=y", "--adapters=dsm=astra,dsm=xverse"], "dsm is asked for twice"),
        (["export", "--workdir=x", "--out=y", "--adapters=lora=uno", "--format=diffusers"], "exclude each other"),
    ],
)
def test_mistakes_end_in_one_line(arguments, message):
    result = start(*arguments)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert message in result.stderr.splitlines()[-1]
