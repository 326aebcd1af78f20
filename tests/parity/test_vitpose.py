"""ViTPose against transformers' VitPoseForPoseEstimation and its processor, with random weights."""

import dataclasses
import json
import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.evaluation.vitpose_estimator import published_estimator
from astra_jax.inputs.person_crops import crop_map, grid_scale
from astra_jax.models.heatmaps import dark_places
from astra_jax.models.vit import imagenet_normalise
from astra_jax.models.vitpose import VitPose
from astra_jax.params import flatten
from astra_jax.vit_config import VitConfig, VitPoseConfig
from astra_jax.weights.mapping import naming_shapes
from astra_jax.weights.vitpose import fold, unfolded, vitpose_naming, vitpose_unread
from tests.parity.published import assert_close, read, spread

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZE = (64, 48)  # pixels
HEADS = {"classic": False, "simple": True}


def reference(head, scale_factor=4):
    backbone = transformers.VitPoseBackboneConfig(
        image_size=list(SIZE), patch_size=[16, 16], hidden_size=32, num_hidden_layers=3, num_attention_heads=2,
        out_indices=[3],
    )  # fmt: skip
    config = transformers.VitPoseConfig(
        backbone_config=backbone, use_simple_decoder=HEADS[head], scale_factor=scale_factor, num_labels=17
    )
    model = spread(transformers.VitPoseForPoseEstimation(config), 7)
    generator = torch.Generator().manual_seed(8)
    for name, buffer in model.named_buffers():
        noise = torch.randn(buffer.shape, generator=generator)
        if "running" in name:
            buffer.copy_(0.3 * noise.abs() + 0.5 if "var" in name else 0.3 * noise)
    return model


def ours(head, scale_factor=4):
    vit = VitConfig(SIZE, patch_padding=2, width=32, layers=3, heads=2, mlp_dim=128, class_token=False)
    return VitPoseConfig(vit, head, scale_factor=scale_factor)


@pytest.mark.parametrize(("head", "scale"), [("classic", 4), ("simple", 4), ("simple", 3)])
def test_heatmaps(head, scale):
    model, config = reference(head, scale), ours(head, scale)
    published = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    params = fold(read(vitpose_naming(config), published, vitpose_unread()))
    pixels = np.random.default_rng(1).standard_normal((2, *SIZE, 3), np.float32)
    with torch.no_grad():
        theirs = model(torch.tensor(pixels.transpose(0, 3, 1, 2))).heatmaps.numpy()
    maps = jax.jit(VitPose(config).apply)({"params": params}, pixels)
    assert maps.shape == (2, *config.grid, 17)
    assert_close(maps, theirs.transpose(0, 2, 3, 1))


@pytest.fixture(scope="module")
def processor():
    return transformers.VitPoseImageProcessorPil(size={"height": SIZE[0], "width": SIZE[1]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("vitpose")
    reference("classic").save_pretrained(path)
    return path


def test_cuts_are_those_of_the_processor(processor):
    """Within a level of 255, where the picture does not end: its edges fade in Pillow's cuts alone."""
    rng = np.random.default_rng(2)
    picture = rng.integers(0, 256, (9, 12, 3), np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    boxes = [[10.0, 5, 60, 50], [30, -10, 20, 70], [0, 0, 119, 89]]
    theirs = processor(picture, boxes=[boxes], return_tensors="pt").pixel_values.numpy().transpose(0, 2, 3, 1)
    for box, reference in zip(boxes, theirs, strict=True):
        place = crop_map(np.array(box, np.float64), SIZE)
        rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
        source = place.to_picture(np.stack([columns, rows], axis=-1).astype(float))
        inside = ((source > 1) & (source < (118, 88))).all(axis=-1)
        assert inside.mean() > 0.3
        cut = np.asarray(imagenet_normalise(jnp.asarray(place.cut(picture))))
        assert np.abs(cut - reference)[inside].max() < 1.1 / 255 / 0.224


def test_places_of_joints_are_those_of_the_processor(processor):
    """Bumps at known places, some at the edge, through DARK and back into the picture."""
    rng = np.random.default_rng(3)
    rows, columns = ours("classic").grid
    middles = rng.uniform(0, (columns - 1, rows - 1), (3, 17, 2))
    y, x = np.mgrid[0:rows, 0:columns]
    square = np.square(x - middles[..., 0, None, None]) + np.square(y - middles[..., 1, None, None])
    heights = rng.uniform(0.2, 1, (3, 17, 1, 1))
    maps = (heights * np.exp(-square / (2 * 2.0**2)) + rng.uniform(0, 1e-3, square.shape)).astype(np.float32)
    boxes = [[[10.0, 5, 60, 50], [30, -10, 20, 70]], [[0.0, 0, 119, 89]]]
    outputs = types.SimpleNamespace(heatmaps=torch.tensor(maps))
    theirs = processor.post_process_pose_estimation(outputs, boxes=boxes)
    flat = [
        (box, one)
        for around, people in zip(boxes, theirs, strict=True)
        for box, one in zip(around, people, strict=True)
    ]
    places, scores = jax.jit(dark_places)(jnp.asarray(maps.transpose(0, 2, 3, 1)))
    for index, (box, expected) in enumerate(flat):
        cell = grid_scale(SIZE, (rows, columns))
        found = crop_map(np.array(box, np.float64), SIZE).to_picture(np.asarray(places[index]) * cell)
        np.testing.assert_allclose(found, expected["keypoints"].numpy(), atol=2e-3)
        np.testing.assert_allclose(scores[index], expected["scores"].numpy(), rtol=1e-5)


def test_a_published_folder_is_an_estimator(folder):
    """The network and the reader together: the maps of the PyTorch model on our cuts, read by hand."""
    pictures = [np.random.default_rng(4).integers(0, 256, (90, 120, 3), np.uint8)]
    boxes = [np.array([[10.0, 5, 60, 50], [30, 10, 20, 70]])]
    model = transformers.VitPoseForPoseEstimation.from_pretrained(folder).eval()
    cuts = np.stack([crop_map(box, SIZE).cut(pictures[0]) for box in boxes[0]])
    pixels = np.asarray(imagenet_normalise(jnp.asarray(cuts))).transpose(0, 3, 1, 2)
    with torch.no_grad():
        heights = model(torch.tensor(pixels)).heatmaps.amax(dim=(2, 3)).numpy()
    (found,) = dataclasses.replace(published_estimator(folder), threshold=0.0)(pictures, boxes)
    np.testing.assert_allclose(found.people[..., 2], heights.clip(0, 1), atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone_config": {"num_experts": 6}}, "num_experts '6'"),
        ({"backbone_config": {"patch_size": [16, 8]}}, "only square patches"),
        ({"backbone_config": {"image_size": "large"}}, "no proper image_size"),
        ({"id2label": {"0": "nose"}}, "no id2label of COCO's 17 joints"),
        ({"scale_factor": 0}, "no proper use_simple_decoder and scale_factor"),
        ({"model_type": "vit"}, "model_type 'vit'"),
        ({"use_simple_decoder": True}, "does not fit this model"),
    ],
)
def test_folders_of_other_networks_are_refused(folder, tmp_path, changes, message):
    shutil.copytree(folder, tmp_path / "other")
    path = tmp_path / "other" / "config.json"
    tree = json.loads(path.read_text())
    for name, value in changes.items():
        tree[name] = {**tree[name], **value} if name == "backbone_config" else value
    path.write_text(json.dumps(tree))
    with pytest.raises(UserError, match=message):
        published_estimator(path.parent)


def test_full_size_is_vitpose_b():
    for head, simple in HEADS.items():
        backbone = transformers.VitPoseBackboneConfig(out_indices=[12])
        with torch.device("meta"):
            theirs = transformers.VitPoseForPoseEstimation(
                transformers.VitPoseConfig(backbone_config=backbone, use_simple_decoder=simple, num_labels=17)
            )
        config = VitPoseConfig(head=head)
        abstract = jax.eval_shape(VitPose(config).init, jax.random.key(0), jnp.zeros((1, 256, 192, 3)))["params"]
        shapes = naming_shapes(vitpose_naming(config), flatten(unfolded(config, abstract)))
        wanted = {name: tuple(tensor.shape) for name, tensor in theirs.state_dict().items()}
        assert shapes == {name: shape for name, shape in wanted.items() if not name.endswith("num_batches_tracked")}
