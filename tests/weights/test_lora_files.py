"""A LoRA in and out: UNO's names, diffusers' and PEFT's, ours. Expected values are made from the formulae here."""

import dataclasses
import json

import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from astra_jax.config import LoraConfig, ModelConfig, TransformerConfig
from astra_jax.errors import UserError
from astra_jax.models.lora import init_lora, merge
from astra_jax.params import flatten, unflatten
from astra_jax.weights.adapters import load_adapter, save_adapter
from astra_jax.weights.flux import diffusers_naming
from astra_jax.weights.mapping import save_leaf

WIDTH, RANK, DOUBLES, SINGLES, HIDDEN = 8, 2, 2, 3, 16
CONFIG = ModelConfig(
    transformer=TransformerConfig(
        width=WIDTH, heads=2, axes_dim=(0, 2, 2), double_blocks=DOUBLES, single_blocks=SINGLES, mlp_ratio=2.0
    ),
    lora=LoraConfig(rank=RANK),
)


def lora_config(**fields):
    return dataclasses.replace(CONFIG, lora=dataclasses.replace(CONFIG.lora, **fields))


def base_tree(seed=0):
    """Random kernels of the blocks in the model's shapes."""
    rng = np.random.default_rng(seed)
    flat = {}
    for stream in ("img", "txt"):
        sizes = {"mod": (8, 48), "qkv": (8, 24), "proj": (8, 8), "mlp_in": (8, 16), "mlp_out": (16, 8)}
        for name, shape in sizes.items():
            flat[f"double_blocks/{stream}_{name}/kernel"] = rng.normal(size=(DOUBLES, *shape))
    for name, shape in {"modulation": (8, 24), "linear1": (8, 40), "linear2": (24, 8)}.items():
        flat[f"single_blocks/{name}/kernel"] = rng.normal(size=(SINGLES, *shape))
    flat["final_mod/kernel"] = rng.normal(size=(8, 16))
    return unflatten({path: x.astype(np.float32) for path, x in flat.items()})


def random_lora(config, seed=1):
    rng = np.random.default_rng(seed)
    abstract = jax.eval_shape(lambda: init_lora(jax.random.key(0), base_tree(), config.lora))
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), abstract)


def assert_same(first, second):
    assert flatten(first).keys() == flatten(second).keys()
    for path, leaf in flatten(first).items():
        np.testing.assert_array_equal(leaf, flatten(second)[path], err_msg=path)


def uno_tensors(seed=0):
    """Random tensors under the names of UNO's dit_lora.safetensors."""
    rng = np.random.default_rng(seed)
    tensors = {}
    shapes = {"qkv": (WIDTH, 3 * WIDTH), "proj": (WIDTH, WIDTH)}
    for block in range(DOUBLES):
        for stream in (1, 2):
            for name, (width_in, width_out) in shapes.items():
                key = f"double_blocks.{block}.processor.{name}_lora{stream}"
                tensors[f"{key}.down.weight"] = rng.normal(size=(RANK, width_in)).astype(np.float32)
                tensors[f"{key}.up.weight"] = rng.normal(size=(width_out, RANK)).astype(np.float32)
    shapes["proj"] = (WIDTH + HIDDEN, WIDTH)
    for block in range(SINGLES):
        for name, (width_in, width_out) in shapes.items():
            key = f"single_blocks.{block}.processor.{name}_lora"
            tensors[f"{key}.down.weight"] = rng.normal(size=(RANK, width_in)).astype(np.float32)
            tensors[f"{key}.up.weight"] = rng.normal(size=(width_out, RANK)).astype(np.float32)
    return tensors


def test_uno_in_and_out(tmp_path):
    published = uno_tensors()
    save_file(published, tmp_path / "dit_lora.safetensors")
    tree = load_adapter(tmp_path, "lora", CONFIG, random_lora(CONFIG))
    blocks = tree["double_blocks"]
    up = published["double_blocks.1.processor.qkv_lora2.up.weight"]
    np.testing.assert_array_equal(blocks["txt_qkv"]["b"][1], up.T)
    down = published["double_blocks.0.processor.proj_lora1.down.weight"]
    np.testing.assert_array_equal(blocks["img_proj"]["a"][0], down.T)
    np.testing.assert_array_equal(
        tree["single_blocks"]["linear2"]["a"][2], published["single_blocks.2.processor.proj_lora.down.weight"].T
    )
    save_adapter(tmp_path / "again.safetensors", "lora", tree, CONFIG, "uno")
    again = load_file(tmp_path / "again.safetensors")
    assert again.keys() == published.keys()
    for name, tensor in published.items():
        np.testing.assert_array_equal(again[name], tensor)


def diffusers_state(tree):
    """The kernels that the tests have, by diffusers' name."""
    state, flat = {}, flatten(tree)
    for path, leaf in diffusers_naming(CONFIG.transformer).items():
        if path in flat:
            state |= save_leaf(leaf, np.asarray(flat[path]))
    return state


def peft_applied(state, tensors, prefix="transformer."):
    """W + B A of every module, as PEFT has it."""
    out = dict(state)
    for name, a in tensors.items():
        if name.endswith(".lora_A.weight"):
            module = name.removesuffix(".lora_A.weight")
            weight = module.removeprefix(prefix) + ".weight"
            out[weight] = out[weight] + tensors[f"{module}.lora_B.weight"] @ a
    return out


def assert_states_close(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "fields",
    [{}, {"scale": 0.5}, {"fused_mlp": True}, {"places": "final_mod|mlp_in|linear1|modulation", "fused_mlp": True}],
)
def test_what_goes_out_to_diffusers_is_what_merging_gives(tmp_path, fields):
    config = lora_config(**fields)
    lora = random_lora(config)
    path = tmp_path / "pytorch_lora_weights.safetensors"
    save_adapter(path, "lora", lora, config, "diffusers")
    merged, _ = merge(base_tree(), lora, config.lora.scale)
    assert_states_close(diffusers_state(merged), peft_applied(diffusers_state(base_tree()), load_file(path)))
    # And in again: the factors, with the strength in b.
    again = load_adapter(path, "lora", config, lora)
    scaled = {p: x * np.float32(config.lora.scale) if p.endswith("/b") else x for p, x in flatten(lora).items()}
    assert_same(again, unflatten(scaled))


def foreign_peft(rank=1, prefix="transformer.", sides=("lora_A.weight", "lora_B.weight"), seed=3, leave_out=()):
    """A LoRA trained on diffusers' separate modules, each with an A of its own."""
    rng = np.random.default_rng(seed)
    modules = {}
    for block in range(DOUBLES):
        names = ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out")
        modules |= {f"transformer_blocks.{block}.attn.{name}": (WIDTH, WIDTH) for name in names}
    for block in range(SINGLES):
        modules |= {
            f"single_transformer_blocks.{block}.attn.{name}": (WIDTH, WIDTH) for name in ("to_q", "to_k", "to_v")
        }
        modules[f"single_transformer_blocks.{block}.proj_out"] = (WIDTH + HIDDEN, WIDTH)
    tensors = {}
    for module, (width_in, width_out) in modules.items():
        if not any(part in module for part in leave_out):
            tensors[f"{prefix}{module}.{sides[0]}"] = rng.normal(size=(rank, width_in)).astype(np.float32)
            tensors[f"{prefix}{module}.{sides[1]}"] = rng.normal(size=(width_out, rank)).astype(np.float32)
    return tensors


@pytest.mark.parametrize("leave_out", [(), ("to_k", "add_v_proj")])
@pytest.mark.parametrize("rank", [3, 5])
def test_factors_of_separate_modules_are_fused_exactly(tmp_path, rank, leave_out):
    tensors = foreign_peft(leave_out=leave_out)
    save_file(tensors, tmp_path / "lora.safetensors")
    config = lora_config(rank=rank)
    lora = load_adapter(tmp_path, "lora", config, random_lora(config))
    assert lora["double_blocks"]["img_qkv"]["a"].shape == (DOUBLES, WIDTH, rank)
    merged, _ = merge(base_tree(), lora, 1.0)
    assert_states_close(diffusers_state(merged), peft_applied(diffusers_state(base_tree()), tensors))


@pytest.mark.parametrize(
    ("prefix", "sides"),
    [
        ("", ("lora_A.weight", "lora_B.weight")),
        ("base_model.model.", ("lora_A.weight", "lora_B.weight")),
        ("transformer.", ("lora_A.default.weight", "lora_B.default.weight")),
        ("transformer.", ("lora.down.weight", "lora.up.weight")),
    ],
)
def test_every_spelling_is_the_same_lora(tmp_path, prefix, sides):
    config = lora_config(rank=3)
    trees = []
    for number, tensors in enumerate((foreign_peft(), foreign_peft(prefix=prefix, sides=sides))):
        save_file(tensors, tmp_path / f"{number}.safetensors")
        trees.append(load_adapter(tmp_path / f"{number}.safetensors", "lora", config, random_lora(config)))
    assert_same(*trees)


def test_alphas_are_the_strength(tmp_path):
    config = lora_config(rank=6)
    tensors = foreign_peft(rank=2)
    save_file(tensors, tmp_path / "plain.safetensors")
    plain = flatten(load_adapter(tmp_path / "plain.safetensors", "lora", config, random_lora(config)))
    metadata = {"lora_adapter_metadata": json.dumps({"transformer.r": 2, "transformer.lora_alpha": 8})}
    save_file(tensors, tmp_path / "metadata.safetensors", metadata)
    with_metadata = flatten(load_adapter(tmp_path / "metadata.safetensors", "lora", config, random_lora(config)))
    alphas = {
        name.replace("lora_A.weight", "alpha"): np.float32([8.0]).reshape(())
        for name in tensors
        if "lora_A" in name and "proj_out" in name
    }
    save_file(tensors | alphas, tmp_path / "alphas.safetensors")
    with_alphas = flatten(load_adapter(tmp_path / "alphas.safetensors", "lora", config, random_lora(config)))
    for path, leaf in plain.items():
        np.testing.assert_array_equal(with_metadata[path], leaf * (4 if path.endswith("/b") else 1))
        np.testing.assert_array_equal(with_alphas[path], leaf * (4 if path == "single_blocks/linear2/b" else 1))


def test_our_own_form_keeps_every_bit(tmp_path):
    config = lora_config(scale=0.3)
    lora = random_lora(config)
    save_adapter(tmp_path / "lora.safetensors", "lora", lora, config, "astra")
    assert "lora/double_blocks/img_qkv/a" in load_file(tmp_path / "lora.safetensors")
    assert_same(load_adapter(tmp_path / "lora.safetensors", "lora", config, lora), lora)


@pytest.mark.parametrize("form", ["uno", "diffusers", "astra"])
def test_a_lora_is_read_as_it_was_trained(tmp_path, form):
    """One that was trained with cached conditions is refused without them, and the other way round."""
    lora, path = random_lora(CONFIG), tmp_path / "lora.safetensors"
    cached = dataclasses.replace(CONFIG, condition_attention="cached")
    image = dataclasses.replace(cached, condition_scope="image")
    for trained, flags in ((CONFIG, "=full$"), (cached, "=cached .*scope=all$"), (image, "=cached .*scope=image$")):
        save_adapter(path, "lora", lora, trained, form)
        for config in (CONFIG, cached, image):
            if config is trained:
                assert flatten(load_adapter(path, "lora", config, lora)).keys() == flatten(lora).keys()
            else:
                with pytest.raises(UserError, match=f"condition_attention{flags}"):
                    load_adapter(path, "lora", config, lora)


def test_dtypes(tmp_path):
    lora = random_lora(CONFIG)
    for form in ("uno", "diffusers", "astra"):
        save_adapter(tmp_path / "lora.safetensors", "lora", lora, CONFIG, form, "bfloat16")
        loaded = load_adapter(tmp_path / "lora.safetensors", "lora", CONFIG, lora)
        rounded = jax.tree.map(lambda x: x.astype(ml_dtypes.bfloat16).astype(np.float32), lora)
        assert_same(loaded, rounded)


def refused(tmp_path, tensors, message, config=CONFIG, metadata=None):
    save_file(tensors, tmp_path / "lora.safetensors", metadata)
    with pytest.raises(UserError, match=message):
        load_adapter(tmp_path / "lora.safetensors", "lora", config, random_lora(config))


def test_files_that_do_not_fit(tmp_path):
    uno = uno_tensors()
    name = "double_blocks.1.processor.qkv_lora1.up.weight"
    refused(tmp_path, {k: v for k, v in uno.items() if k != name}, f"1 missing \\({name}\\)")
    refused(tmp_path, uno | {"double_blocks.2.processor.qkv_lora1.up.weight": uno[name]}, "1 unknown")
    refused(tmp_path, uno | {name: uno[name][:, :1].copy()}, r"1 of another shape .*\[24, 1\], not \[24, 2\]")
    refused(tmp_path, uno | {name: uno[name] * np.float32(np.nan)}, "NaN or infinite")
    refused(tmp_path, uno | {name: uno[name].astype(np.float64)}, "of a dtype other than")
    refused(tmp_path, {"unet.weight": uno[name]}, "holds no lora in a form that is known")
    with pytest.raises(UserError, match=r"set model.lora.rank"):
        load_adapter(tmp_path, "lora", ModelConfig(), {})


def test_peft_files_that_do_not_fit(tmp_path):
    peft, config = foreign_peft(), lora_config(rank=3)
    first = "transformer.transformer_blocks.0.attn.to_q.lora_{}.weight"
    refused(tmp_path, peft, "rank 3: set model.lora.rank to 3 or more, not 2")
    refused(tmp_path, {k: v for k, v in peft.items() if k != first.format("A")}, "to_q has no matrix A", config)
    refused(tmp_path, peft | {first.format("A"): np.zeros((1, 7), np.float32)}, "are no LoRA of a map", config)
    refused(tmp_path, {k: v for k, v in peft.items() if "proj_out" not in k}, r"6 missing \(.*proj_out", config)
    extra = {f"transformer.single_transformer_blocks.0.proj_mlp.lora_{side}.weight": peft[first.format(side)]
             for side in "AB"}  # fmt: skip
    refused(tmp_path, peft | extra, r"2 unknown \(.*proj_mlp", config)
    twice = {name.removeprefix("transformer."): tensor for name, tensor in peft.items()}
    refused(tmp_path, peft | twice, "are the same: remove one of them", config)
    alpha = {"transformer.transformer_blocks.0.attn.to_q.alpha": np.zeros(1, np.float32)}
    refused(tmp_path, peft | alpha, "alpha is 0.0, not a positive number", config)
    for text, message in (
        ("{", "is damaged"),
        ("[]", "no JSON object"),
        ('{"transformer.use_dora": true}', "no plain LoRA, it has use_dora"),
        ('{"transformer.r": 0, "transformer.lora_alpha": 1}', "r is 0, not a positive number"),
        ('{"transformer.r": "x", "transformer.lora_alpha": 1}', "r is x, not a positive number"),
    ):
        refused(tmp_path, peft, message, config, {"lora_adapter_metadata": text})


def test_what_cannot_be_written(tmp_path):
    lora = random_lora(CONFIG)
    with pytest.raises(UserError, match="the form of a lora must be uno or diffusers or astra, not 'kohya'"):
        save_adapter(tmp_path / "x.safetensors", "lora", lora, CONFIG, "kohya")
    with pytest.raises(UserError, match="must be bfloat16"):
        save_adapter(tmp_path / "x.safetensors", "lora", lora, CONFIG, "uno", "int8")
    for fields, place in (({"places": "mlp_in"}, "double_blocks/img_mlp_in"), ({"fused_mlp": True}, "linear1")):
        config = lora_config(**fields)
        with pytest.raises(UserError, match=f"UNO's naming has no place for a LoRA of .*{place}: use the diffusers"):
            save_adapter(tmp_path / "x.safetensors", "lora", random_lora(config), config, "uno")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        save_adapter(tmp_path / "file" / "x.safetensors", "lora", lora, CONFIG, "uno")
