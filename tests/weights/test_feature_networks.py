"""DINO, DINOv2 and CLIP from published folders: names, sizes, shards, and files that are refused."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from astra_jax.errors import UserError
from astra_jax.params import flatten
from astra_jax.weights.feature_networks import OFFICIAL
from astra_jax.weights.vit import resample_positions
from tests.evaluation.feature_folders import CLIP, load, write_clip, write_vit

NAMES = ["DINO", "DINOv2", "CLIP"]


def make(folder, name, **changed):
    return write_clip(folder, **changed) if name == "CLIP" else write_vit(folder, name, **changed)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_gets_to_its_leaf(name, shards, tmp_path):
    folder, leaves = make(tmp_path, name, shards=shards)
    config, params = load(folder, name)
    ours = flatten(params)
    assert ours.keys() == leaves.keys()
    if name != "CLIP":
        leaves["positions"] = resample_positions(leaves["positions"], 4)
        assert config.image_size == (224, 224)
    else:
        assert config == CLIP
    for path, leaf in leaves.items():
        np.testing.assert_array_equal(ours[path], leaf, err_msg=path)


def test_names_of_published_files(tmp_path):
    """As the files on the hub have them; what nothing reads may be there."""
    names = set(load_file(write_vit(tmp_path / "dino", "DINO")[0] / "model.safetensors"))
    assert {
        "embeddings.cls_token", "embeddings.position_embeddings", "embeddings.patch_embeddings.projection.bias",
        "encoder.layer.1.attention.attention.query.weight", "encoder.layer.1.attention.output.dense.bias",
        "encoder.layer.0.layernorm_before.weight", "encoder.layer.0.intermediate.dense.weight", "layernorm.weight",
    } < names  # fmt: skip
    names = set(load_file(write_vit(tmp_path / "second", "DINOv2")[0] / "model.safetensors"))
    assert {
        "encoder.layer.1.layer_scale1.lambda1",
        "encoder.layer.0.mlp.fc2.weight",
        "encoder.layer.0.norm1.bias",
    } < names
    names = set(load_file(write_clip(tmp_path / "clip")[0] / "model.safetensors"))
    assert {
        "text_projection.weight", "visual_projection.weight", "vision_model.post_layernorm.bias",
        "vision_model.encoder.layers.1.self_attn.q_proj.weight", "text_model.final_layer_norm.weight",
    } < names  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_nothing_reads_is_left_and_the_rest_is_a_mistake(name, tmp_path):
    prefix = {"DINO": "vit.", "DINOv2": "dinov2.", "CLIP": ""}[name]  # a classifier's file
    folder, leaves = make(tmp_path, name, prefix=prefix)
    file = folder / "model.safetensors"
    unread = {
        "DINO": ["vit.pooler.dense.weight", "classifier.bias"],
        "DINOv2": ["dinov2.embeddings.mask_token", "classifier.weight"],
        "CLIP": ["logit_scale", "text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"],
    }[name]
    tensors = load_file(file) | dict.fromkeys(unread, np.zeros((1, 3), np.int64))
    save_file(tensors, file)
    assert flatten(load(folder, name)[1]).keys() == leaves.keys()
    save_file(tensors | {"encoder.extra": np.zeros(2, np.float32)}, file)
    with pytest.raises(UserError, match=r"1 unknown \(encoder.extra\)"):
        load(folder, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_without_the_network_names_the_source(name, tmp_path):
    other = "DINO" if name != "DINO" else "CLIP"
    for folder in (tmp_path / "none", make(tmp_path / "other", other)[0]):
        with pytest.raises(UserError, match=f"give the folder of {OFFICIAL[name]} with config.json") as caught:
            load(folder, name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_pickles_and_other_sizes_are_refused(name, tmp_path):
    folder, _ = make(tmp_path, name)
    settings = json.loads((folder / "config.json").read_text())
    halves = settings["vision_config"] if name == "CLIP" else settings
    for key, value, message in (
        ("hidden_size", 12, "of another shape"),
        ("num_hidden_layers", 3, "missing"),
        ("num_hidden_layers", 1 << 12, "no proper num_hidden_layers"),
        ("hidden_size", "8", "no proper hidden_size"),
        ("hidden_act", "relu", "hidden_act 'relu': only"),
        ("num_attention_heads", 3, "does not divide into 3 heads"),
        ("patch_size", 1 << 19, "patch"),
        ("layer_norm_eps", 2, "layer_norm_eps"),
    ):
        kept = halves[key]
        halves[key] = value
        (folder / "config.json").write_text(json.dumps(settings))
        with pytest.raises(UserError, match=message):
            load(folder, name)
        halves[key] = kept
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"is a pickle.*get the \.safetensors"):
        load(folder, name)


def test_a_size_of_no_whole_patches_is_refused(tmp_path):
    folder, _ = write_vit(tmp_path, "DINOv2")
    with pytest.raises(UserError, match="patches of 56 pixels, which tile no pictures of 100"):
        load(folder, "DINOv2", 100)


def test_positions_are_resampled_by_hand():
    """Two by two patches to one: each of the four counts a quarter, whatever the filter. Then a constant stays one."""
    positions = np.array([[9.0], [1.0], [2.0], [3.0], [6.0]], np.float32)
    np.testing.assert_allclose(resample_positions(positions, 1), [[9.0], [3.0]], atol=1e-6)
    assert resample_positions(positions, 2) is positions
    constant = np.full((1 + 9, 2), 0.7, np.float32)
    np.testing.assert_allclose(resample_positions(constant, 5), np.full((26, 2), 0.7), atol=1e-6)
    with pytest.raises(ValueError, match="5 positions make no square"):
        resample_positions(np.zeros((6, 2), np.float32), 3)


def test_a_line_is_resampled_by_the_bicubic_filter():
    """A step of 4 values to 8: the value a quarter right of the second is that of Keys' cubic with a = -0.75."""
    step = np.zeros((4, 4, 1), np.float32)
    step[:, 2:] = 1.0
    positions = np.concatenate([np.zeros((1, 1), np.float32), step.reshape(16, 1)])
    line = resample_positions(positions, 8)[1:].reshape(8, 8)[0]
    # At 1.25: taps 0, 1, 2, 3 at distances 1.25, 0.25, 0.75, 1.75; the step is in the last two.
    near, far = 1.25 * 0.75**3 - 2.25 * 0.75**2 + 1, -0.75 * (1.75**3 - 5 * 1.75**2 + 8 * 1.75 - 4)
    np.testing.assert_allclose(line[3], near + far, atol=1e-6)
    np.testing.assert_allclose(line + line[::-1], 1.0, atol=1e-6)
