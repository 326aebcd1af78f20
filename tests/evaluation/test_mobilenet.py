"""The stand-in's features: a small file with known arithmetic, and the real one on DreamBooth's photos."""

import os
import pathlib

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.evaluation.features import ImageFeatures
from astra_jax.evaluation.mobilenet import POOLED, MobileNetFeatures
from astra_jax.evaluation.similarity import subject_similarity
from astra_jax.inputs.photos import load_photo
from tests.evaluation.lite_files import Network


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The mean colour, and zeros for the other features; a scale of 1 / 128 and a zero of 0."""
    network = Network()
    source = network.tensor("input", (1, 224, 224, 3), scale=1 / 128)
    mean = network.tensor("mean", (1, 1, 1, 3), scale=1 / 128)
    pooled = network.tensor(POOLED, (1, 1, 1, 1280), scale=1 / 128)
    sides = network.tensor("sides", (4, 2), np.int32, value=[[0, 0], [0, 0], [0, 0], [0, 1277]])
    network.pool(source, mean, 224, 224)
    network.operator("PAD", [mean, sides], [pooled])
    return network.write(tmp_path_factory.mktemp("lite") / "colour.tflite", [source], [pooled])


def test_a_picture_s_vector(path):
    features = MobileNetFeatures(path)
    assert isinstance(features, ImageFeatures)
    assert features.name == "MobileNetV2 (stand-in)"
    plain = [np.full((40, 90, 3), colour, np.uint8) for colour in ((60, 0, 80), (0, 0, 0))]
    row, nothing = features(plain)
    np.testing.assert_allclose(row, [0.6, 0, 0.8, *[0] * 1277], atol=1e-6)
    np.testing.assert_allclose(nothing, 1280**-0.5, atol=1e-6)
    with pytest.raises(ValueError, match="need a picture"):
        features([])


def test_the_middle_is_what_is_read(path):
    """Of 320 x 256 pixels the middle 224 x 224; the border is another colour."""
    picture = np.full((256, 320, 3), 255, np.uint8)
    picture[16:240, 48:272] = (30, 40, 0)
    np.testing.assert_allclose(MobileNetFeatures(path)([picture])[0, :3], [0.6, 0.8, 0], atol=1e-6)


def test_another_network_is_refused(tmp_path):
    network = Network()
    source, out = network.tensor("input", (1, 224, 224, 3)), network.tensor("out", (1, 1, 1, 3))
    network.pool(source, out, 224, 224)
    with pytest.raises(UserError, match=f"no tensor '{POOLED}': give the file"):
        MobileNetFeatures(network.write(tmp_path / "other.tflite", [source], [out]))


@pytest.mark.real_data
def test_subjects_of_dreambooth_are_told_apart():
    """The nearest of the other 157 photos shows the same one of the 30 subjects for 152 of 158 photos."""
    data = pathlib.Path(os.environ["ASTRA_DATA_DIR"])
    paths = sorted((data / "dreambench_512/dataset").glob("*/*.jpg"))
    subjects = np.array([path.parent.name for path in paths])
    assert (len(paths), len(set(subjects))) == (158, 30)
    features = MobileNetFeatures(data / "weights/coral/mobilenet_v2_1.0_224_quant.tflite")
    rows = features([load_photo(path) for path in paths])
    cosines = rows @ rows.T - 2 * np.eye(158)
    right = subjects[cosines.argmax(axis=1)] == subjects
    assert right.sum() >= 149  # 94 %
    # A photo is more like the others of its subject (0.68 in the mean) than like those of another subject.
    alike, unlike = [], []
    for name, other in zip(sorted(set(subjects)), np.roll(sorted(set(subjects)), 1), strict=True):
        own = rows[subjects == name]
        alike += subject_similarity(own, own, np.arange(len(own))).tolist()
        unlike += subject_similarity(own, rows[subjects == other]).tolist()
    print(f"{right.mean():.3f} right; {np.mean(alike):.3f} with the same subject, {np.mean(unlike):.3f} with another")
    assert np.mean(alike) > np.mean(unlike) + 0.25
