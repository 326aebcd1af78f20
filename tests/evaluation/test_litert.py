"""Networks in .tflite files: a small one written here, whose numbers can be told by hand."""

import subprocess
import sys

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.evaluation import litert
from astra_jax.evaluation.litert import LiteNetwork
from tests.evaluation.lite_files import Network

# Two pixels by two; means of a channel: 25, 2, 100.
PIXELS = np.array([[[[10, 0, 100], [20, 4, 100]], [[30, 0, 100], [40, 4, 100]]]], np.uint8)
SCALE, ZERO = 0.5, 5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The mean of 2 x 2 pixels as a quantised tensor "pooled", and the same as float32."""
    network = Network()
    source = network.tensor("pixels", (1, 2, 2, 3), scale=SCALE, zero=ZERO)
    pooled = network.tensor("pooled", (1, 1, 1, 3), scale=SCALE, zero=ZERO)
    out = network.tensor("out", (1, 1, 1, 3), np.float32)
    network.pool(source, pooled, 2, 2)
    network.operator("DEQUANTIZE", [pooled], [out])
    return network.write(tmp_path_factory.mktemp("lite") / "mean.tflite", [source], [out, pooled])


def open_network(path, **changed):
    kinds = {"input_shape": (1, 2, 2, 3), "output_shapes": [(1, 1, 1, 3), (1, 1, 1, 3)]} | changed
    return LiteNetwork(path, **kinds)


def test_outputs_are_what_the_quantised_numbers_mean(path):
    real, quantised = open_network(path)(PIXELS)
    expected = SCALE * (np.array([25, 2, 100]) - ZERO)
    assert real.dtype == quantised.dtype == np.float32
    np.testing.assert_array_equal(real.ravel(), expected)
    np.testing.assert_array_equal(quantised.ravel(), expected)


def test_tensors_inside_are_given_by_name(path):
    (pooled,) = open_network(path, tensors=("pooled",), output_shapes=[(1, 1, 1, 3)])(PIXELS)
    np.testing.assert_array_equal(pooled.ravel(), SCALE * (np.array([25, 2, 100]) - ZERO))
    with pytest.raises(UserError, match="no tensor 'other': give the file"):
        open_network(path, tensors=("other",))


def test_a_call_leaves_the_results_of_the_one_before_alone(path):
    network = open_network(path)
    first = network(PIXELS)[1]
    kept = first.copy()
    network(np.zeros_like(PIXELS))
    np.testing.assert_array_equal(first, kept)


def test_another_network_is_refused(path):
    with pytest.raises(UserError, match=r"inputs of \[\(1, 2, 2, 3\)\], not .*another network"):
        open_network(path, input_shape=(1, 4, 4, 3))
    with pytest.raises(UserError, match="outputs of .*another network"):
        open_network(path, output_shapes=[(1, 3)])
    with pytest.raises(UserError, match="reads uint8, not float32"):
        open_network(path, input_dtype=np.float32)
    with pytest.raises(ValueError, match="reads"):
        open_network(path)(PIXELS.astype(np.float32))
    with pytest.raises(ValueError, match="reads"):
        open_network(path)(PIXELS[0])


def test_files_that_are_no_network_are_refused(path, tmp_path, monkeypatch):
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(path.read_bytes()[:200])
    for bad in (damaged, tmp_path / "none.tflite", tmp_path):
        with pytest.raises(UserError, match=r"no \.tflite file|cannot be read|damaged") as caught:
            open_network(bad)
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(litert, "MAX_TENSOR_BYTES", 26)  # 12 + 3 + 12 are there
    with pytest.raises(UserError, match="more than 26 bytes"):
        open_network(path)
    monkeypatch.setattr(litert, "MAX_FILE_BYTES", 100)
    with pytest.raises(UserError, match="more than 100 bytes"):
        open_network(path)


def test_a_giant_tensor_is_refused_before_memory_is_taken(tmp_path):
    network = Network()
    source, out = network.tensor("pixels", (1, 2, 2, 3)), network.tensor("out", (1, 1 << 15, 1 << 15, 3))
    network.operator("DEQUANTIZE", [source], [out])
    path = network.write(tmp_path / "giant.tflite", [source], [out])
    with pytest.raises(UserError, match="more than 1073741824 bytes"):
        open_network(path)


def test_without_the_package_the_extra_is_named(path):
    """In a process of its own, in which the package cannot be imported."""
    code = (
        "import sys; sys.modules['ai_edge_litert.interpreter'] = None\n"
        "from astra_jax.errors import UserError\n"
        "from astra_jax.evaluation.litert import LiteNetwork\n"
        f"try: LiteNetwork({str(path)!r}, (1, 2, 2, 3), [])\n"
        "except UserError as error: print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install '.[evaluate]'" in told.stdout
