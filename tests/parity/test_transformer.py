"""Our velocity against diffusers' FluxTransformer2DModel, with random weights under both published namings."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import TransformerConfig
from astra_jax.models.conditions import Conditions
from astra_jax.models.europe import positions, rotary_tables
from astra_jax.models.transformer import Transformer
from astra_jax.params import unflatten
from astra_jax.weights.flux import bfl_naming, diffusers_naming
from astra_jax.weights.mapping import load_leaf, save_leaf

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from benchmarks import torch_flux  # noqa: E402

TOLERANCE = 2e-5

SIZES = {
    "one_of_each": TransformerConfig(
        width=32, heads=2, axes_dim=(4, 6, 6), double_blocks=1, single_blocks=1,
        latent_dim=8, context_dim=24, pooled_dim=12, remat="none",
    ),
    "uneven": TransformerConfig(
        width=96, heads=3, axes_dim=(4, 14, 14), double_blocks=3, single_blocks=2,
        latent_dim=12, context_dim=40, pooled_dim=20, remat="full",
    ),
    "deep": TransformerConfig(
        width=256, heads=2, axes_dim=(16, 56, 56), double_blocks=4, single_blocks=8,
        latent_dim=64, context_dim=128, pooled_dim=64, remat="dots",
    ),
}  # fmt: skip


def make_reference(config, seed):
    """diffusers' model with weights spread widely enough that every path shows in the output."""
    model = torch_flux.build(config, diffusers=True)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.ndim == 2:
                weight.copy_(noise / weight.shape[1] ** 0.5)
            else:
                weight.copy_(0.3 * noise + (1.0 if ".norm_" in name else 0.0))
    return model.eval()


def ours_through(naming, published):
    """Our tree, read under a naming that must use every published tensor once."""
    used = []

    def read(name):
        used.append(name)
        return published[name]

    tree = {path: load_leaf(leaf, read) for path, leaf in naming.items()}
    assert sorted(used) == sorted(published)
    return unflatten(tree)


def bfl_from_diffusers(published, config):
    """diffusers' tensors under black-forest-labs' names, written out independently of the naming tables."""
    out = {}

    def put(theirs, *parts):
        for kind in ("weight", "bias"):
            out[f"{theirs}.{kind}"] = np.concatenate([published[f"{part}.{kind}"] for part in parts])

    embed = "time_text_embed"
    names = {"time_in": "timestep_embedder", "vector_in": "text_embedder"}
    names |= {"guidance_in": "guidance_embedder"} if config.guidance_embed else {}
    for theirs, part in names.items():
        put(f"{theirs}.in_layer", f"{embed}.{part}.linear_1")
        put(f"{theirs}.out_layer", f"{embed}.{part}.linear_2")
    put("img_in", "x_embedder")
    put("txt_in", "context_embedder")
    put("final_layer.linear", "proj_out")
    for kind in ("weight", "bias"):
        scale, shift = np.split(published[f"norm_out.linear.{kind}"], 2)
        out[f"final_layer.adaLN_modulation.1.{kind}"] = np.concatenate([shift, scale])
    for i in range(config.double_blocks):
        a, b = f"double_blocks.{i}", f"transformer_blocks.{i}"
        put(f"{a}.img_mod.lin", f"{b}.norm1.linear")
        put(f"{a}.txt_mod.lin", f"{b}.norm1_context.linear")
        put(f"{a}.img_attn.qkv", f"{b}.attn.to_q", f"{b}.attn.to_k", f"{b}.attn.to_v")
        put(f"{a}.txt_attn.qkv", f"{b}.attn.add_q_proj", f"{b}.attn.add_k_proj", f"{b}.attn.add_v_proj")
        put(f"{a}.img_attn.proj", f"{b}.attn.to_out.0")
        put(f"{a}.txt_attn.proj", f"{b}.attn.to_add_out")
        for stream, mlp in (("img", "ff"), ("txt", "ff_context")):
            put(f"{a}.{stream}_mlp.0", f"{b}.{mlp}.net.0.proj")
            put(f"{a}.{stream}_mlp.2", f"{b}.{mlp}.net.2")
        out[f"{a}.img_attn.norm.query_norm.scale"] = published[f"{b}.attn.norm_q.weight"]
        out[f"{a}.img_attn.norm.key_norm.scale"] = published[f"{b}.attn.norm_k.weight"]
        out[f"{a}.txt_attn.norm.query_norm.scale"] = published[f"{b}.attn.norm_added_q.weight"]
        out[f"{a}.txt_attn.norm.key_norm.scale"] = published[f"{b}.attn.norm_added_k.weight"]
    for i in range(config.single_blocks):
        a, b = f"single_blocks.{i}", f"single_transformer_blocks.{i}"
        put(f"{a}.modulation.lin", f"{b}.norm.linear")
        put(f"{a}.linear1", f"{b}.attn.to_q", f"{b}.attn.to_k", f"{b}.attn.to_v", f"{b}.proj_mlp")
        put(f"{a}.linear2", f"{b}.proj_out")
        out[f"{a}.norm.query_norm.scale"] = published[f"{b}.attn.norm_q.weight"]
        out[f"{a}.norm.key_norm.scale"] = published[f"{b}.attn.norm_k.weight"]
    return out


def make_inputs(config, batch, grid, text, seed):
    rng = np.random.default_rng(seed)
    tokens = grid[0] * grid[1]
    return {
        "x": rng.normal(size=(batch, tokens, config.latent_dim)).astype(np.float32),
        "text": rng.normal(size=(batch, text, config.context_dim)).astype(np.float32),
        "pooled": rng.normal(size=(batch, config.pooled_dim)).astype(np.float32),
        "t": rng.uniform(0.02, 1, size=batch).astype(np.float32),
        "guidance": rng.uniform(1, 5, size=batch).astype(np.float32),
        "weights": rng.normal(size=(batch, tokens, config.latent_dim)).astype(np.float32),
    }


def run_reference(model, config, inputs, ids):
    """Output, and gradients of sum(weights * output) by x and text."""
    x, text = (torch.tensor(inputs[key], requires_grad=True) for key in ("x", "text"))
    out = model(
        hidden_states=x,
        encoder_hidden_states=text,
        pooled_projections=torch.tensor(inputs["pooled"]),
        timestep=torch.tensor(inputs["t"]),
        guidance=torch.tensor(inputs["guidance"]) if config.guidance_embed else None,
        txt_ids=torch.tensor(ids[: text.shape[1]]),
        img_ids=torch.tensor(ids[text.shape[1] :]),
        return_dict=False,
    )[0]
    (out * torch.tensor(inputs["weights"])).sum().backward()
    return out.detach().numpy(), x.grad.numpy(), text.grad.numpy()


@functools.partial(jax.jit, static_argnames="config")
def run_ours(params, config, inputs, ids):
    """The same of our transformer, all tokens there and no identity offsets."""
    batch = inputs["x"].shape[0]
    cos, sin = rotary_tables(jnp.broadcast_to(ids, (batch, *ids.shape)), config.axes_dim, config.theta)

    def velocity(x, text):
        conditions = Conditions(
            text=text,
            pooled=inputs["pooled"],
            guidance=inputs["guidance"],
            images=jnp.zeros((batch, 0, config.latent_dim)),
            cos=cos,
            sin=sin,
            mask=jnp.ones((batch, ids.shape[0]), bool),
            offsets=jnp.zeros((config.double_blocks, batch, 1, config.width)),
            place=jnp.zeros((batch, 1, text.shape[1])),
        )
        return Transformer(config).apply({"params": params}, x, inputs["t"], conditions)

    out, pull = jax.vjp(velocity, inputs["x"], inputs["text"])
    return (out, *pull(inputs["weights"]))


def assert_close(ours, theirs):
    for name, a, b in zip(("velocity", "gradient of x", "gradient of text"), ours, theirs, strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert a.shape == b.shape
        norm = np.linalg.norm(a - b) / np.linalg.norm(b)
        worst = np.abs(a - b).max() / np.abs(b).max()
        print(f"{name}: {norm:.1e} in norm, {worst:.1e} of the largest value")
        assert norm < TOLERANCE, name
        assert worst < TOLERANCE, name


@pytest.mark.parametrize(("batch", "grid", "text"), [(1, (4, 4), 7), (3, (2, 5), 1)])
@pytest.mark.parametrize("guidance", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_velocity_and_input_gradients_equal_diffusers(size, guidance, batch, grid, text):
    config = dataclasses.replace(SIZES[size], guidance_embed=guidance)
    model = make_reference(config, seed=len(size))
    published = {name: weight.detach().numpy() for name, weight in model.state_dict().items()}
    params = ours_through(diffusers_naming(config), published)
    inputs = make_inputs(config, batch, grid, text, seed=batch)
    ids = positions(text, grid)
    expected = run_reference(model, config, inputs, ids)
    assert_close(run_ours(params, config, inputs, ids), expected)

    again = ours_through(bfl_naming(config), bfl_from_diffusers(published, config))
    jax.tree.map(np.testing.assert_array_equal, again, params)


def test_ids_are_used_as_given():
    """Text and pictures anywhere, on all three axes, as the references of UNO and Kontext lie."""
    config = SIZES["uneven"]
    model = make_reference(config, seed=3)
    params = ours_through(diffusers_naming(config), {k: v.detach().numpy() for k, v in model.state_dict().items()})
    inputs = make_inputs(config, 2, (3, 3), 4, seed=3)
    ids = np.random.default_rng(4).integers(0, 90, (13, 3)).astype(np.float32)
    expected = run_reference(model, config, inputs, ids)
    assert_close(run_ours(params, config, inputs, ids), expected)


@pytest.mark.parametrize("naming", [bfl_naming, diffusers_naming])
def test_what_is_written_is_what_was_published(naming):
    config = SIZES["uneven"]
    published = {name: weight.detach().numpy() for name, weight in make_reference(config, 5).state_dict().items()}
    if naming is bfl_naming:
        published = bfl_from_diffusers(published, config)
    written = {}
    for leaf in naming(config).values():
        written |= save_leaf(leaf, load_leaf(leaf, published.__getitem__))
    assert sorted(written) == sorted(published)
    for name, tensor in published.items():
        np.testing.assert_array_equal(written[name], tensor)
