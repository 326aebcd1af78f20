"""The identity adapter's two image encoders as published files: which one a file holds, import, export, mistakes."""

import dataclasses
import json
import re

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from astra_jax.config import ClipVisionConfig, Config, DsmConfig, ModelConfig, SiglipVisionConfig, as_config_dict
from astra_jax.errors import UserError
from astra_jax.models.image_encoder import image_encoder
from astra_jax.params import flatten
from astra_jax.weights.encoders import clip_vision_extra, vision_part
from astra_jax.weights.exporting import export_published
from astra_jax.weights.importing import load_published
from astra_jax.weights.mapping import save_leaf
from astra_jax.weights.pretrained import load_pretrained
from astra_jax.weights.published import find_table, part_of, tables
from astra_jax.weights.published_folder import ALWAYS, check_folder, parts_of
from astra_jax.weights.tensors import open_tensors
from tests.weights.test_commands import start

# More blocks than CLIP's, so that CLIP's file shares more names with SigLIP's table than with its own.
MODEL = ModelConfig(
    clip_vision=ClipVisionConfig(image_size=8, patch=4, width=8, layers=2, heads=2, mlp_dim=12),
    siglip_vision=SiglipVisionConfig(image_size=9, patch=4, width=8, layers=3, heads=2, mlp_dim=12),
)
MODELS = {
    "clip_vision": MODEL,
    "siglip_vision": dataclasses.replace(MODEL, dsm=DsmConfig(encoder="siglip")),
}


def abstract_of(part):
    config = MODELS[part]
    size = config.image_encoder.image_size
    module = image_encoder(config, np.float32).module
    return jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, size, size, 3)))["params"]


@pytest.fixture(params=MODELS)
def part(request):
    return request.param


@pytest.fixture
def params(part, random_params):
    return jax.tree.map(np.asarray, random_params(abstract_of(part)))


@pytest.fixture
def folder(part, params, tmp_path):
    """`part`'s file in a folder's image_encoder, with what such files hold besides."""
    table = tables(part, MODELS[part])["diffusers"]
    tensors = {"logit_scale": np.zeros(1, np.float32), "text_model.final_layer_norm.bias": np.zeros(3, np.float32)}
    if part == "siglip_vision":
        tensors |= {"logit_bias": np.zeros(1, np.float32), "vision_model.head.probe": np.zeros((1, 1, 8), np.float32)}
    for path, leaf in table.naming.items():
        tensors |= save_leaf(leaf, flatten(params)[path])
    (tmp_path / "image_encoder").mkdir()
    save_file({name: np.ascontiguousarray(x) for name, x in tensors.items()}, tmp_path / table.file)
    return tmp_path


def test_a_file_is_read_as_what_it_is(part, params, folder):
    with open_tensors(folder, "image_encoder") as tensors:
        assert vision_part(tensors.entries) == part
        assert part_of(MODELS[part], tensors, ["t5", part]) == part
        table = find_table(part, MODELS[part], tensors)
        back = load_published(tensors, table.naming, abstract_of(part), unread=table.unread)
    jax.tree.map(np.testing.assert_array_equal, back, params)


def test_the_other_encoders_file_is_refused_with_what_to_do(part, folder):
    (other,) = set(MODELS) - {part}
    names = {"clip_vision": ("clip", "CLIP"), "siglip_vision": ("siglip", "SigLIP")}
    encoder, whose = names[part]
    message = re.escape(
        f"holds {whose}'s image encoder, but model.dsm.encoder is {names[other][0]!r}:"
        f" set --config.model.dsm.encoder={encoder} or put {names[other][1]}'s there"
    )
    with open_tensors(folder, "image_encoder") as tensors, pytest.raises(UserError, match=message) as caught:
        find_table(other, MODELS[other], tensors)
    assert "\n" not in str(caught.value)


def test_files_of_neither_are_neither():
    assert vision_part(["embeddings.cls_token", "encoder.layer.0.norm1.weight"]) == ""
    assert vision_part(["text_model.embeddings.token_embedding.weight"]) == ""
    assert vision_part(["embeddings.class_embedding"]) == "clip_vision"  # without a prefix, as transformers 5 writes


def test_a_folder_must_have_the_adapters_encoder(part, tmp_path):
    config = MODELS[part]
    assert parts_of(config, {"lora": "x"}) == ALWAYS
    assert parts_of(config, {"dsm": "x"}) == (*ALWAYS, part)
    for name in ("transformer", "vae", "text_encoder", "text_encoder_2"):
        (tmp_path / name).mkdir()
    check_folder(tmp_path, config, {"lora": "x"})
    whose = {"clip_vision": "CLIP", "siglip_vision": "SigLIP"}[part]
    with pytest.raises(UserError, match=f"lacks image_encoder: .* through {whose}'s image encoder: put"):
        check_folder(tmp_path, config, {"dsm": "x"})


def test_export_writes_the_chosen_encoder(part, params, folder, tmp_path):
    config = MODELS[part]
    save_file({f"{part}/{path}": leaf for path, leaf in flatten(params).items()}, tmp_path / "ours.safetensors")
    with open_tensors(tmp_path / "ours.safetensors") as tensors:
        done = export_published(tensors, config, {part: abstract_of(part)}, tmp_path / "out", "diffusers", np.float32)
    assert done == ([part], [])
    file = tables(part, config)["diffusers"].file
    written, published = load_file(tmp_path / "out" / file), load_file(folder / file)
    # CLIP's last block is not read; in its place stands one that changes nothing.
    unread = clip_vision_extra(config.clip_vision) if part == "clip_vision" else {}
    assert {"vision_model.encoder.layers.0.self_attn.q_proj.weight"} < set(written) - set(unread) < set(published)
    for name, tensor in written.items():
        np.testing.assert_array_equal(tensor, 0 if name in unread else published[name], err_msg=name)


@pytest.mark.parametrize("part", ["siglip_vision"], indirect=True)
def test_a_user_imports_siglip(part, params, folder, tmp_path):
    settings = json.dumps(as_config_dict(Config(model=MODELS[part])).to_dict())
    (tmp_path / "config.py").write_text(
        "import json, ml_collections\n"
        f"def get_config():\n    return ml_collections.ConfigDict(json.loads({settings!r}))\n"
    )
    result = start(
        "import", f"--config={tmp_path / 'config.py'}", f"--source={folder}", "--dtype=float32",
        f"--out={tmp_path / 'ours'}",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert f"siglip_vision from {folder}" in result.stdout
    config, ours = load_pretrained(tmp_path / "ours")
    assert config.model.dsm.encoder == "siglip"
    jax.tree.map(np.testing.assert_array_equal, ours, {"siglip_vision": params})
