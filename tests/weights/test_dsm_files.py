"""The DSM adapter in and out: XVerse's names and ours."""

import dataclasses

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from astra_jax.config import XVERSE_DSM, DsmConfig, ModelConfig
from astra_jax.errors import UserError
from astra_jax.models.dsm import Dsm
from astra_jax.params import flatten
from astra_jax.weights.adapters import load_adapter, make_naming, save_adapter
from astra_jax.weights.mapping import published_shapes
from astra_jax.weights.xverse_naming import xverse_extra

CONFIG = dataclasses.replace(ModelConfig(), dsm=DsmConfig(width=4, layers=2, heads=2))
OUT, BLOCKS, TEXT, IMAGE = 6, 3, 5, 7


def abstract_dsm(config, out=OUT, blocks=BLOCKS, text=TEXT, image=IMAGE):
    phrases = jax.ShapeDtypeStruct((1, 1, 2, text), np.float32)
    features = jax.ShapeDtypeStruct((1, 1, 3, image), np.float32)
    return jax.eval_shape(Dsm(config, out, blocks).init, jax.random.key(0), phrases, features)["params"]


def xverse_tensors(width=4, layers=2, seed=0):
    """Random tensors under XVerse's names; shapes from its formulae (method.md, B.3)."""
    rng = np.random.default_rng(seed)
    shapes = {}

    def linear(name, width_in, width_out):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (width_out, width_in), (width_out,)

    for net, out in (("net", OUT), ("net2", OUT * BLOCKS)):
        linear(f"{net}.text_proj_in", TEXT, width)
        linear(f"{net}.image_proj_in", IMAGE, width)
        linear(f"{net}.proj_out.0", width, out)
        shapes[f"{net}.proj_out.1.weight"] = shapes[f"{net}.proj_out.1.bias"] = (out,)
        for layer in range(layers):
            block = f"{net}.perceiver_blocks.{layer}"
            shapes[f"{block}.attn.in_proj_weight"] = (3 * width, width)
            shapes[f"{block}.attn.in_proj_bias"] = (3 * width,)
            linear(f"{block}.attn.out_proj", width, width)
            linear(f"{block}.mlp.c_fc", width, 4 * width)
            linear(f"{block}.mlp.c_proj", 4 * width, width)
            for norm in ("ln_1", "ln_2", "ln_ff"):
                linear(f"{block}.{norm}.linear", 64, 2 * width)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_xverse_in(tmp_path):
    published = xverse_tensors()
    save_file(published, tmp_path / "diffusion_pytorch_model.safetensors")
    tree = load_adapter(tmp_path, "dsm", CONFIG, abstract_dsm(CONFIG.dsm))
    block = tree["blocks"]["block_1"]
    bias = published["net2.perceiver_blocks.1.ln_2.linear.bias"]
    np.testing.assert_array_equal(block["feature_norm"]["bias"], bias[:4])
    np.testing.assert_array_equal(block["feature_norm"]["scale"], 1 + bias[4:])
    weight = published["net2.perceiver_blocks.1.attn.in_proj_weight"]
    for row, name in enumerate(("query", "key", "value")):
        np.testing.assert_array_equal(block[name]["kernel"], weight[4 * row : 4 * row + 4].T)
    np.testing.assert_array_equal(tree["shared"]["out_norm"]["scale"], published["net.proj_out.1.weight"])


def test_xverse_out(tmp_path):
    published = xverse_tensors()
    save_file(published, tmp_path / "in.safetensors")
    tree = load_adapter(tmp_path / "in.safetensors", "dsm", CONFIG, abstract_dsm(CONFIG.dsm))
    save_adapter(tmp_path / "out.safetensors", "dsm", tree, CONFIG, "xverse")
    written = load_file(tmp_path / "out.safetensors")
    assert written.keys() == published.keys()
    for name, tensor in published.items():
        if name.endswith(".linear.weight"):
            assert not written[name].any()  # XVerse multiplies it with zeros
        else:
            # 1 + scale is rounded once on the way in.
            np.testing.assert_allclose(written[name], tensor, atol=2e-7, err_msg=name)


def test_our_own_form_keeps_every_bit(tmp_path):
    rng = np.random.default_rng(0)
    tree = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), abstract_dsm(CONFIG.dsm))
    save_adapter(tmp_path / "dsm.safetensors", "dsm", tree, CONFIG, "astra")
    loaded = load_adapter(tmp_path / "dsm.safetensors", "dsm", CONFIG, tree)
    assert flatten(loaded).keys() == flatten(tree).keys()
    for path, leaf in flatten(tree).items():
        np.testing.assert_array_equal(flatten(loaded)[path], leaf)


def test_xverses_published_size():
    """369 and 539 million parameters (method.md, B.3) of 3 layers of width 3072, with nothing of ours left over."""
    config = dataclasses.replace(ModelConfig(), dsm=XVERSE_DSM)
    tree = abstract_dsm(XVERSE_DSM, 3072, 19, 4096, 1024)
    naming, leaves = make_naming("dsm", "xverse", config, tree), flatten(tree)
    assert naming.keys() == leaves.keys()
    shapes = xverse_extra(XVERSE_DSM)
    for path, leaf in naming.items():
        shapes |= published_shapes(leaf, leaves[path].shape)
    millions = {
        net: sum(np.prod(shape) for name, shape in shapes.items() if name.startswith(f"{net}.")) / 1e6
        for net in ("net", "net2")
    }
    assert round(millions["net"]) == 369
    assert round(millions["net2"]) == 539
    assert shapes["net2.proj_out.0.weight"] == (19 * 3072, 3072)
    assert shapes["net.perceiver_blocks.2.attn.in_proj_weight"] == (3 * 3072, 3072)


def test_files_that_do_not_fit(tmp_path):
    published = xverse_tensors()
    path = tmp_path / "dsm.safetensors"

    def refused(tensors, message):
        save_file(tensors, path)
        with pytest.raises(UserError, match=message):
            load_adapter(path, "dsm", CONFIG, abstract_dsm(CONFIG.dsm))

    refused(xverse_tensors(layers=3), r"unknown \(net.perceiver_blocks.2.attn.in_proj_bias")
    refused(xverse_tensors(width=8), r"of another shape .*\[")
    refused({k: v for k, v in published.items() if k != "net.proj_out.1.bias"}, r"1 missing \(net.proj_out.1.bias\)")
    refused({"decoder.weight": np.zeros(1, np.float32)}, "holds no dsm in a form that is known")
