"""The transformer's leaves in the two published namings of FLUX.1: black-forest-labs' file and diffusers' folder.

Names and layouts are facts of those files. They differ in three places. diffusers cuts the fused projections of
queries, keys and values (and, in single blocks, of the MLP) into separate tensors; it keeps scale before shift in the
output's modulation, where black-forest-labs and this code keep shift first; and its modules have other names.
"""

from __future__ import annotations

from astra_jax.config import TransformerConfig
from astra_jax.weights.mapping import LINEAR, SAME, Layout, Leaf, Naming, one, stack, swapped


def bfl_naming(config: TransformerConfig) -> Naming:
    """Names of flux1-dev.safetensors and flux1-schnell.safetensors, by path in the transformer's tree."""
    naming: Naming = {}
    for ours in _embedders(config):
        for layer in ("in_layer", "out_layer"):
            naming |= _linear(f"{ours}/{layer}", (f"{ours}.{layer}",))
    for ours, theirs in (
        ("img_in", "img_in"),
        ("txt_in", "txt_in"),
        ("final_mod", "final_layer.adaLN_modulation.1"),
        ("final_linear", "final_layer.linear"),
    ):
        naming |= _linear(ours, (theirs,))

    count = config.double_blocks
    for stream in ("img", "txt"):
        for ours, theirs in (
            ("mod", "mod.lin"),
            ("qkv", "attn.qkv"),
            ("proj", "attn.proj"),
            ("mlp_in", "mlp.0"),
            ("mlp_out", "mlp.2"),
        ):
            naming |= _linear(f"double_blocks/{stream}_{ours}", (f"double_blocks.{{}}.{stream}_{theirs}",), count)
        for norm in ("query_norm", "key_norm"):
            template = f"double_blocks.{{}}.{stream}_attn.norm.{norm}.scale"
            naming[f"double_blocks/{stream}_norm/{norm}/scale"] = _leaf((template,), count)

    count = config.single_blocks
    for ours, theirs in (("modulation", "modulation.lin"), ("linear1", "linear1"), ("linear2", "linear2")):
        naming |= _linear(f"single_blocks/{ours}", (f"single_blocks.{{}}.{theirs}",), count)
    for norm in ("query_norm", "key_norm"):
        naming[f"single_blocks/norm/{norm}/scale"] = _leaf((f"single_blocks.{{}}.norm.{norm}.scale",), count)
    return naming


def diffusers_naming(config: TransformerConfig) -> Naming:
    """Names of `FluxTransformer2DModel` (a FLUX.1 folder's `transformer`), by path in the transformer's tree."""
    naming: Naming = {}
    embedders = {"time_in": "timestep_embedder", "guidance_in": "guidance_embedder", "vector_in": "text_embedder"}
    for ours in _embedders(config):
        for layer, theirs in (("in_layer", "linear_1"), ("out_layer", "linear_2")):
            naming |= _linear(f"{ours}/{layer}", (f"time_text_embed.{embedders[ours]}.{theirs}",))
    naming |= _linear("img_in", ("x_embedder",))
    naming |= _linear("txt_in", ("context_embedder",))
    naming |= _linear("final_mod", ("norm_out.linear",), swap=True)
    naming |= _linear("final_linear", ("proj_out",))

    count, block = config.double_blocks, "transformer_blocks.{}"
    for stream, norm, qkv, proj, mlp in (
        ("img", "norm1", ("attn.to_q", "attn.to_k", "attn.to_v"), "attn.to_out.0", "ff"),
        ("txt", "norm1_context", ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"), "attn.to_add_out",
         "ff_context"),
    ):  # fmt: skip
        for ours, theirs in (
            ("mod", (f"{norm}.linear",)),
            ("qkv", qkv),
            ("proj", (proj,)),
            ("mlp_in", (f"{mlp}.net.0.proj",)),
            ("mlp_out", (f"{mlp}.net.2",)),
        ):
            naming |= _linear(f"double_blocks/{stream}_{ours}", tuple(f"{block}.{name}" for name in theirs), count)
        added = "" if stream == "img" else "added_"
        for norm, letter in (("query_norm", "q"), ("key_norm", "k")):
            template = f"{block}.attn.norm_{added}{letter}.weight"
            naming[f"double_blocks/{stream}_norm/{norm}/scale"] = _leaf((template,), count)

    count, block = config.single_blocks, "single_transformer_blocks.{}"
    fused = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
    rows = (*[config.width] * 3, int(config.width * config.mlp_ratio))
    naming |= _linear("single_blocks/modulation", (f"{block}.norm.linear",), count)
    naming |= _linear("single_blocks/linear1", tuple(f"{block}.{name}" for name in fused), count, rows=rows)
    naming |= _linear("single_blocks/linear2", (f"{block}.proj_out",), count)
    for norm, letter in (("query_norm", "q"), ("key_norm", "k")):
        naming[f"single_blocks/norm/{norm}/scale"] = _leaf((f"{block}.attn.norm_{letter}.weight",), count)
    return naming


def _embedders(config: TransformerConfig) -> tuple[str, ...]:
    return ("time_in", *(["guidance_in"] if config.guidance_embed else []), "vector_in")


def _linear(
    ours: str, theirs: tuple[str, ...], layers: int | None = None, rows: tuple[int, ...] = (), swap: bool = False
) -> Naming:
    """Kernel and bias of one linear map; `theirs` has "{}" for the layer where it is stacked."""
    naming: Naming = {}
    for leaf, suffix, layout in (("kernel", "weight", LINEAR), ("bias", "bias", SAME)):
        templates = tuple(f"{name}.{suffix}" for name in theirs)
        naming[f"{ours}/{leaf}"] = _leaf(templates, layers, swapped(layout) if swap else layout, rows)
    return naming


def _leaf(templates: tuple[str, ...], layers: int | None, layout: Layout = SAME, rows: tuple[int, ...] = ()) -> Leaf:
    if layers is None:
        return one(*templates, layout=layout, rows=rows)
    return stack(lambda index: tuple(name.format(index) for name in templates), layers, layout, rows)
