"""ViTPose against transformers' VitPoseForPoseEstimation and its processor, with random weights in published folders."""

import jax
import numpy as np
import pytest

from astra_jax.config import VitConfig, VitPoseConfig
from astra_jax.errors import UserError
from astra_jax.evaluation.vitpose_estimator import published_estimator
from astra_jax.inputs.person_crops import crop_map
from astra_jax.models.vitpose import VitPose, imagenet_normalise
from astra_jax.weights.vitpose import fold, load_vitpose, vitpose_naming, vitpose_unread
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
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("vitpose")
    reference("classic").save_pretrained(path)
    return path


def test_joints_of_people_in_boxes(folder):
    """From pictures and boxes to joints in pixels: cut, network, DARK's sub-pixel places, and back."""
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 256, (2, 9, 12, 3), np.uint8)
    pictures = list(coarse.repeat(10, axis=1).repeat(10, axis=2))
    boxes = [np.array([[10.0, 5, 60, 50], [30, -10, 20, 70]]), np.array([[0.0, 0, 119, 89]])]
    processor = transformers.VitPoseImageProcessor(size={"height": SIZE[0], "width": SIZE[1]})
    model = transformers.VitPoseForPoseEstimation.from_pretrained(folder).eval()
    listed = [box.tolist() for box in boxes]
    with torch.no_grad():
        outputs = model(**processor(pictures, boxes=listed, return_tensors="pt"))
    theirs = processor.post_process_pose_estimation(outputs, boxes=listed)
    estimator = published_estimator(folder)
    found = estimator._read(pictures, boxes)
    assert [len(people) for people in found] == [2, 1]
    sure = 0
    for people, references in zip(found, theirs, strict=True):
        for person, expected in zip(people, references, strict=True):
            heights = expected["scores"].numpy()
            np.testing.assert_allclose(person[:, 2], heights.clip(0, 1), atol=0.02)
            # Random maps have flat tops here and there, where the Newton step is ill-conditioned.
            places = expected["keypoints"].numpy()
            near = np.abs(person[:, :2] - places).max(axis=1) < 0.5
            sure += near.sum()
    assert sure >= 0.9 * 3 * 17
