import dataclasses
import re

import jax
import pytest
from jax.sharding import PartitionSpec as P

from astra_jax.config import Config, DsmConfig, LoraConfig, MeshConfig, ModelConfig
from astra_jax.params import flatten
from astra_jax.training.astra_objective import AstraObjective
from astra_jax.training.autoencoder_objective import AutoencoderObjective
from astra_jax.training.keypoint_objective import KeypointObjective
from astra_jax.training.mesh import make_mesh, shardings
from astra_jax.training.optimizer import make_optimizer
from astra_jax.training.state import abstract_state
from astra_jax.vit_config import VITPOSE_B, KeypointsConfig, VitPoseConfig

STEM = Config(
    keypoints=KeypointsConfig(joints=VitPoseConfig(dataclasses.replace(VITPOSE_B, patch_padding=0), stem=(64, 128)))
)
SIGLIP = Config(model=ModelConfig(dsm=DsmConfig(encoder="siglip"), lora=LoraConfig(rank=512)))


@pytest.mark.parametrize(
    "objective",
    [
        *(AstraObjective(Config()), AstraObjective(SIGLIP), AutoencoderObjective(Config())),
        *(KeypointObjective(Config()), KeypointObjective(STEM)),
    ],
)
def test_tables_cover_the_full_model_and_nothing_else(objective):
    tree = jax.eval_shape(objective.init, jax.random.key(0))
    flat = flatten(tree)
    for pattern, _ in objective.rules:
        assert any(re.search(pattern, path) for path in flat), f"{pattern} is never used"
    for sizes in (MeshConfig(data=1, fsdp=8), MeshConfig(data=1, fsdp=2, tensor=4)):
        placed = flatten(shardings(tree, objective.rules, make_mesh(sizes)))  # every leaf by exactly one rule
        for path, sharding in placed.items():
            local = sharding.shard_shape(flat[path].shape)
            if flat[path].size > 2**21:
                assert sharding.spec, f"{path} {flat[path].shape} is not split"
            if re.search("double_blocks|single_blocks|layers", path):
                assert local[0] == flat[path].shape[0]  # the scanned dimension stays whole


def test_moments_are_placed_like_their_parameters():
    objective = AstraObjective(Config())
    mesh = make_mesh(MeshConfig(data=1, fsdp=8))
    tree = jax.eval_shape(objective.init, jax.random.key(0))
    state = abstract_state(tree, make_optimizer(Config().train.optimizer, 10), objective.rules, mesh)
    expected = jax.tree.map(lambda x: x.sharding, state.params)
    for copy in (state.ema, state.opt_state[1][0].mu, state.opt_state[1][0].nu):
        assert jax.tree.map(lambda x: x.sharding, copy) == expected
    assert state.rng.sharding.is_fully_replicated


def test_siglip_is_split_over_fsdp():
    """Matrices at full size are split, layers whole."""
    objective = AstraObjective(SIGLIP)
    tree = jax.eval_shape(objective.init, jax.random.key(0))
    assert "clip_vision" not in tree
    assert len(flatten(tree["siglip_vision"])) == 21
    placed = flatten(shardings(tree, objective.rules, make_mesh(MeshConfig(data=1, fsdp=8))))
    local = {path: placed[path].shard_shape(leaf.shape) for path, leaf in flatten(tree).items()}
    assert local["siglip_vision/layers/fc1/kernel"] == (27, 1152, 4304 // 8)
    assert local["siglip_vision/layers/q/kernel"] == (27, 1152 // 8, 1152)
    assert local["siglip_vision/patches/kernel"] == (14, 14, 3, 1152 // 8)
    assert local["siglip_vision/positions"] == (729, 1152)


def test_heads_and_hidden_channels_are_split_over_tensor():
    """Megatron's pairs at full size: the first map by its outputs, the second by its inputs; fsdp on the other side."""
    objective = AstraObjective(SIGLIP)
    tree = jax.eval_shape(objective.init, jax.random.key(0))
    placed = flatten(shardings(tree, objective.rules, make_mesh(MeshConfig(data=1, fsdp=2, tensor=4))))
    for pair in (
        ("transformer/double_blocks/img_qkv", "transformer/double_blocks/img_proj"),
        ("transformer/double_blocks/txt_mlp_in", "transformer/double_blocks/txt_mlp_out"),
        ("transformer/single_blocks/linear1", "transformer/single_blocks/linear2"),
        ("t5/layers/q", "t5/layers/o"),
        ("t5/layers/wi_1", "t5/layers/wo"),
        ("siglip_vision/layers/fc1", "siglip_vision/layers/fc2"),
    ):
        assert [placed[f"{name}/kernel"].spec for name in pair] == [
            P(None, "fsdp", "tensor"),
            P(None, "tensor", "fsdp"),
        ]
    assert placed["transformer/double_blocks/txt_mod/kernel"].spec == P(None, "fsdp", "tensor")
    assert placed["t5/embedding/embedding"].spec == P("fsdp", "tensor")
    assert placed["lora/double_blocks/img_qkv/a"].spec == P(None, "fsdp")
    assert placed["lora/double_blocks/img_qkv/b"].spec == P(None, "fsdp", "tensor")
    assert placed["lora/single_blocks/linear2/a"].spec == P(None, "tensor", "fsdp")
    assert placed["autoencoder/decoder/conv_in/kernel"].spec == P(None, None, None, "fsdp")
