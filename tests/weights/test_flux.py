import jax
import pytest

from astra_jax.config import from_config_dict
from astra_jax.models.astra import Astra
from astra_jax.params import flatten
from astra_jax.weights.flux import bfl_naming, diffusers_naming
from astra_jax.weights.mapping import published_shapes
from configs import flux, flux_schnell

WIDTH, HIDDEN, HEAD, TEXT, POOLED, LATENT, TIMES = 3072, 12288, 128, 4096, 768, 64, 256


def linear(name, columns, rows):
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def bfl_table(guidance):
    """The tensors of flux1-dev.safetensors and flux1-schnell.safetensors, PyTorch's [out, in]."""
    table = linear("img_in", LATENT, WIDTH) | linear("txt_in", TEXT, WIDTH)
    for name, width in (("time_in", TIMES), ("vector_in", POOLED), *([("guidance_in", TIMES)] if guidance else [])):
        table |= linear(f"{name}.in_layer", width, WIDTH) | linear(f"{name}.out_layer", WIDTH, WIDTH)
    for i in range(19):
        for stream in ("img", "txt"):
            block = f"double_blocks.{i}.{stream}"
            table |= linear(f"{block}_mod.lin", WIDTH, 6 * WIDTH)
            table |= linear(f"{block}_attn.qkv", WIDTH, 3 * WIDTH) | linear(f"{block}_attn.proj", WIDTH, WIDTH)
            table |= {f"{block}_attn.norm.{norm}_norm.scale": (HEAD,) for norm in ("query", "key")}
            table |= linear(f"{block}_mlp.0", WIDTH, HIDDEN) | linear(f"{block}_mlp.2", HIDDEN, WIDTH)
    for i in range(38):
        block = f"single_blocks.{i}"
        table |= linear(f"{block}.modulation.lin", WIDTH, 3 * WIDTH)
        table |= linear(f"{block}.linear1", WIDTH, 3 * WIDTH + HIDDEN)
        table |= linear(f"{block}.linear2", WIDTH + HIDDEN, WIDTH)
        table |= {f"{block}.norm.{norm}_norm.scale": (HEAD,) for norm in ("query", "key")}
    table |= linear("final_layer.adaLN_modulation.1", WIDTH, 2 * WIDTH)
    return table | linear("final_layer.linear", WIDTH, LATENT)


def diffusers_table(guidance):
    """The tensors of the folder `transformer` of FLUX.1-dev and FLUX.1-schnell."""
    table = linear("x_embedder", LATENT, WIDTH) | linear("context_embedder", TEXT, WIDTH)
    embedders = {"timestep": TIMES, "text": POOLED} | ({"guidance": TIMES} if guidance else {})
    for name, width in embedders.items():
        embedder = f"time_text_embed.{name}_embedder"
        table |= linear(f"{embedder}.linear_1", width, WIDTH) | linear(f"{embedder}.linear_2", WIDTH, WIDTH)
    for i in range(19):
        block = f"transformer_blocks.{i}"
        for norm in ("norm1", "norm1_context"):
            table |= linear(f"{block}.{norm}.linear", WIDTH, 6 * WIDTH)
        for name in ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out"):
            table |= linear(f"{block}.attn.{name}", WIDTH, WIDTH)
        table |= {f"{block}.attn.norm_{n}.weight": (HEAD,) for n in ("q", "k", "added_q", "added_k")}
        for name in ("ff", "ff_context"):
            table |= linear(f"{block}.{name}.net.0.proj", WIDTH, HIDDEN)
            table |= linear(f"{block}.{name}.net.2", HIDDEN, WIDTH)
    for i in range(38):
        block = f"single_transformer_blocks.{i}"
        table |= linear(f"{block}.norm.linear", WIDTH, 3 * WIDTH) | linear(f"{block}.proj_mlp", WIDTH, HIDDEN)
        table |= linear(f"{block}.proj_out", WIDTH + HIDDEN, WIDTH)
        for name in ("to_q", "to_k", "to_v"):
            table |= linear(f"{block}.attn.{name}", WIDTH, WIDTH)
        table |= {f"{block}.attn.norm_{n}.weight": (HEAD,) for n in "qk"}
    return table | linear("norm_out.linear", WIDTH, 2 * WIDTH) | linear("proj_out", WIDTH, LATENT)


@pytest.mark.parametrize(
    ("module", "guidance", "tensors", "parameters"),
    [(flux, True, 780, 11_901_408_320), (flux_schnell, False, 776, 11_891_178_560)],
)
def test_full_size_is_the_published_files_tensor_by_tensor(module, guidance, tensors, parameters):
    config = from_config_dict(module.get_config()).model
    leaves = flatten(jax.eval_shape(Astra(config).init, jax.random.key(0))["transformer"])
    assert sum(leaf.size for leaf in leaves.values()) == parameters
    for naming, table in ((bfl_naming, bfl_table(guidance)), (diffusers_naming, diffusers_table(guidance))):
        names = naming(config.transformer)
        assert set(names) == set(leaves)
        shapes = {}
        for path, leaf in names.items():
            shapes |= published_shapes(leaf, leaves[path].shape)
        assert shapes == table
    assert len(bfl_table(guidance)) == tensors


def test_a_number_of_layers_that_does_not_fit_its_names_is_a_programmers_error():
    leaf = bfl_naming(from_config_dict(flux.get_config()).model.transformer)["single_blocks/linear1/bias"]
    with pytest.raises(ValueError, match="a leaf of 37 layers has names for 38"):
        published_shapes(leaf, (37, 21504))
