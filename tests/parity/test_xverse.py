"""XVerse's T-Mod resamplers, written in PyTorch from their formulae, against our DSM with the same tensors.

The formulae (XVerse, arXiv 2506.21416): queries are the phrase's T5 tokens, keys and values the normed queries followed
by the normed image tokens; norms take shift and scale from a linear map of silu of a zero embedding; the MLP has a
squared ReLU; the output is LayerNorm(W_o Q). `net` makes the shared offset, `net2` one for every block.
"""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from astra_jax.config import DsmConfig, ModelConfig
from astra_jax.models.dsm import Dsm

torch = pytest.importorskip("torch")
save_file = pytest.importorskip("safetensors.numpy").save_file
functional = torch.nn.functional

from astra_jax.weights.adapters import load_adapter  # noqa: E402

SIZES = {  # width, layers, heads, model width, blocks, T5 width, image width
    "small": (16, 1, 2, 12, 2, 10, 14),
    "xverse_depth": (192, 3, 8, 96, 19, 64, 48),
}


def linear(tensors, rng, name, width_in, width_out):
    tensors[f"{name}.weight"] = rng.normal(size=(width_out, width_in)) / width_in**0.5
    tensors[f"{name}.bias"] = 0.3 * rng.normal(size=width_out)


def published(size, seed=0):
    """Random tensors under the names of XVerse's modulation adapter."""
    width, layers, _, out, blocks, text, image = SIZES[size]
    rng, tensors = np.random.default_rng(seed), {}
    for net, outputs in (("net", out), ("net2", out * blocks)):
        linear(tensors, rng, f"{net}.text_proj_in", text, width)
        linear(tensors, rng, f"{net}.image_proj_in", image, width)
        linear(tensors, rng, f"{net}.proj_out.0", width, outputs)
        tensors[f"{net}.proj_out.1.weight"] = 1 + 0.3 * rng.normal(size=outputs)
        tensors[f"{net}.proj_out.1.bias"] = 0.3 * rng.normal(size=outputs)
        for layer in range(layers):
            block = f"{net}.perceiver_blocks.{layer}"
            tensors[f"{block}.attn.in_proj_weight"] = rng.normal(size=(3 * width, width)) / width**0.5
            tensors[f"{block}.attn.in_proj_bias"] = 0.3 * rng.normal(size=3 * width)
            linear(tensors, rng, f"{block}.attn.out_proj", width, width)
            linear(tensors, rng, f"{block}.mlp.c_fc", width, 4 * width)
            linear(tensors, rng, f"{block}.mlp.c_proj", 4 * width, width)
            for norm in ("ln_1", "ln_2", "ln_ff"):
                linear(tensors, rng, f"{block}.{norm}.linear", 64, 2 * width)
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def resample(p, net, layers, heads, phrase, features):
    """One resampler, float64."""

    def dense(name, x):
        return functional.linear(x, p[f"{net}.{name}.weight"], p[f"{net}.{name}.bias"])

    def norm(name, x):
        embedding = functional.silu(torch.zeros(64, dtype=x.dtype))
        shift, scale = dense(f"{name}.linear", embedding).chunk(2)
        return functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift

    q, x = dense("text_proj_in", phrase), dense("image_proj_in", features)
    for layer in range(layers):
        block = f"perceiver_blocks.{layer}"
        normed = norm(f"{block}.ln_1", q)
        context = torch.cat([normed, norm(f"{block}.ln_2", x)], 1)
        attended, _ = functional.multi_head_attention_forward(
            normed.transpose(0, 1), context.transpose(0, 1), context.transpose(0, 1), q.shape[-1], heads,
            p[f"{net}.{block}.attn.in_proj_weight"], p[f"{net}.{block}.attn.in_proj_bias"], None, None, False, 0.0,
            p[f"{net}.{block}.attn.out_proj.weight"], p[f"{net}.{block}.attn.out_proj.bias"], need_weights=False,
        )  # fmt: skip
        q = q + attended.transpose(0, 1)
        hidden = torch.relu(dense(f"{block}.mlp.c_fc", norm(f"{block}.ln_ff", q))) ** 2
        q = q + dense(f"{block}.mlp.c_proj", hidden)
    out = dense("proj_out.0", q)
    weight, bias = p[f"{net}.proj_out.1.weight"], p[f"{net}.proj_out.1.bias"]
    return functional.layer_norm(out, out.shape[-1:], weight, bias, eps=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_offsets_equal_xverses(size, tmp_path):
    width, layers, heads, out, blocks, text, image = SIZES[size]
    tensors = published(size)
    save_file(tensors, tmp_path / "diffusion_pytorch_model.safetensors")
    rng = np.random.default_rng(1)
    phrases = rng.normal(size=(2, 3, 4, text)).astype(np.float32)  # three subjects of four tokens
    features = rng.normal(size=(2, 3, 5, image)).astype(np.float32)

    dsm = Dsm(DsmConfig(width=width, layers=layers, heads=heads), out, blocks)
    abstract = jax.eval_shape(dsm.init, jax.random.key(0), phrases, features)["params"]
    config = dataclasses.replace(ModelConfig(), dsm=dsm.config)
    params = load_adapter(tmp_path, "dsm", config, abstract)
    ours = np.asarray(jax.jit(functools.partial(dsm.apply, {"params": params}))(phrases, features))
    assert ours.shape == (blocks, 2, 3 * 4, out)

    p = {name: torch.tensor(tensor, dtype=torch.float64) for name, tensor in tensors.items()}
    flat = [torch.tensor(x, dtype=torch.float64).flatten(0, 1) for x in (phrases, features)]
    shared = resample(p, "net", layers, heads, *flat)
    per_block = resample(p, "net2", layers, heads, *flat).view(6, 4, -1, out)
    expected = (shared[:, :, None] + per_block).view(2, 12, blocks, out).permute(2, 0, 1, 3).numpy()
    error = np.linalg.norm(ours - expected) / np.linalg.norm(expected)
    print(f"offsets of {size}: {error:.1e} in norm")
    assert error < 2e-5
    assert np.abs(ours - expected).max() < 2e-5 * np.abs(expected).max()
