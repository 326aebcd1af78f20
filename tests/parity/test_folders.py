"""Folders that diffusers writes are read here, and folders written here are read by diffusers."""

import jax
import numpy as np
import pytest

from astra_jax.config import ClipTextConfig, ModelConfig, T5Config, TransformerConfig
from astra_jax.models.astra import Astra
from astra_jax.params import flatten
from astra_jax.weights.exporting import export_published
from astra_jax.weights.flux import diffusers_naming
from astra_jax.weights.importing import load_published
from astra_jax.weights.mapping import load_leaf
from astra_jax.weights.published import find_table
from astra_jax.weights.tensors import open_tensors
from astra_jax.weights.writing import write_safetensors

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

SIZES = TransformerConfig(
    width=96, heads=3, axes_dim=(4, 14, 14), double_blocks=2, single_blocks=3, context_dim=40, pooled_dim=20
)


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    return diffusers.FluxTransformer2DModel(
        num_layers=2, num_single_layers=3, attention_head_dim=32, num_attention_heads=3,
        joint_attention_dim=40, pooled_projection_dim=20, guidance_embeds=True, axes_dims_rope=(4, 14, 14),
    )  # fmt: skip


@pytest.fixture(scope="module")
def model():
    """Our model of the same sizes, and the shapes of its transformer."""
    config = ModelConfig(
        transformer=SIZES, t5=T5Config(width=40, layers=1), clip_text=ClipTextConfig(width=20, heads=2, layers=1)
    )
    return config, jax.eval_shape(Astra(config).init, jax.random.key(0))["transformer"]


@pytest.mark.parametrize("shard", ["100KB", "1GB"])
def test_a_folder_of_diffusers_is_read_sharded_or_not(reference, model, tmp_path, shard):
    config, abstract = model
    reference.save_pretrained(tmp_path / "transformer", max_shard_size=shard)
    assert (len(list((tmp_path / "transformer").glob("*.safetensors"))) > 1) == (shard == "100KB")
    with open_tensors(tmp_path, "transformer") as tensors:
        table = find_table("transformer", config, tensors)
        loaded = load_published(tensors, table.naming, abstract)
    state = {name: weight.numpy() for name, weight in reference.state_dict().items()}
    expected = {path: load_leaf(leaf, state.__getitem__) for path, leaf in diffusers_naming(SIZES).items()}
    assert set(flatten(loaded)) == set(expected)
    for path, leaf in flatten(loaded).items():
        np.testing.assert_array_equal(leaf, expected[path])


def test_diffusers_reads_what_is_exported(reference, model, tmp_path):
    config, abstract = model
    reference.save_pretrained(tmp_path / "transformer")
    with open_tensors(tmp_path / "transformer") as tensors:
        params = load_published(tensors, find_table("transformer", config, tensors).naming, abstract)
    flat = flatten({"transformer": params})
    shapes = {path: leaf.shape for path, leaf in flat.items()}
    write_safetensors(tmp_path / "ours.safetensors", shapes, np.float32, flat.values())
    with open_tensors(tmp_path / "ours.safetensors") as tensors:
        export_published(tensors, config, {"transformer": abstract}, tmp_path / "out", "diffusers", np.float32)
    again, report = diffusers.FluxTransformer2DModel.from_pretrained(
        tmp_path / "out", subfolder="transformer", output_loading_info=True, low_cpu_mem_usage=False
    )
    assert not any(report.values())
    for name, weight in reference.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
