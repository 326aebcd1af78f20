import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax._src.cudnn import fused_attention_stablehlo
from jax.experimental import topologies
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from astra_jax.errors import UserError
from astra_jax.models import attention, attention_kernels, attention_xla
from astra_jax.models.attention import attend
from astra_jax.models.context_parallel import attend_on_mesh


def reference(q, k, v, scale):
    q, k, v = np.asarray(q), np.asarray(k), np.asarray(v)
    out = np.zeros(q.shape)
    for b in range(q.shape[0]):
        for h in range(q.shape[2]):
            logits = q[b, :, h] @ k[b, :, h].T * scale
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            out[b, :, h] = weights / weights.sum(-1, keepdims=True) @ v[b, :, h]
    return out


def test_equals_numpy():
    q, k, v = jax.random.normal(jax.random.key(0), (3, 2, 7, 3, 8))
    np.testing.assert_allclose(attend(q, k, v), reference(q, k, v, 8**-0.5), atol=1e-5)
    np.testing.assert_allclose(attend(q, k, v, scale=1.0), reference(q, k, v, 1.0), atol=1e-5)


def test_masked_keys_are_as_good_as_absent():
    q, k, v = jax.random.normal(jax.random.key(1), (3, 2, 7, 3, 8))
    mask = jnp.arange(7)[None].repeat(2, 0) < 5
    np.testing.assert_allclose(attend(q, k, v, mask), attend(q, k[:, :5], v[:, :5]), atol=1e-6)


def test_bias_is_added_to_the_logits():
    q, k, v = jax.random.normal(jax.random.key(2), (3, 1, 4, 1, 8))
    causal = jnp.where(jnp.tril(jnp.ones((4, 4), bool)), 0.0, -1e9)[None, None]
    out = attend(q, k, v, bias=causal)
    np.testing.assert_allclose(out[:, 0], v[:, 0], atol=1e-6)
    np.testing.assert_allclose(out[:, 3], attend(q, k, v)[:, 3], atol=1e-6)


# Backends. Shapes, a mask and a bias that no block size divides; a gradient that weighs every output differently.

LENGTHS = (150, 200)


def arrays(heads=2, width=128, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(3), 3)
    shapes = [(2, length, heads, width) for length in (LENGTHS[0], LENGTHS[1], LENGTHS[1])]
    q, k, v = (jax.random.normal(key, shape, dtype) for key, shape in zip(keys, shapes, strict=True))
    # As of a picture without its pose: absent tokens in the middle and at the end.
    mask = jnp.ones((2, LENGTHS[1]), bool).at[0, 40:90].set(False).at[1, 77:].set(False)
    return q, k, v, mask


def value_and_gradients(function, *arguments):
    def loss(*arguments):
        out = function(*arguments)
        return jnp.sum(out.astype(jnp.float32) * jnp.sin(jnp.arange(out.size)).reshape(out.shape)), out

    gradients, out = jax.jit(jax.grad(loss, tuple(range(len(arguments))), has_aux=True))(*arguments)
    return [out, *gradients]


def assert_close(actual, expected, atol=1e-5):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a.astype(jnp.float32), b.astype(jnp.float32), atol=atol * float(jnp.abs(b).max()))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(attention_xla, "_BLOCKS", (64, 64))


@pytest.mark.parametrize("together", [True, False], ids=["all heads", "one head"])
@pytest.mark.parametrize("bias_shape", [None, (1, 2), (2, 1), (2, 2)])
def test_blocked_equals_plain(small_blocks, monkeypatch, bias_shape, together):
    monkeypatch.setattr(attention_xla, "_together", lambda matrices: matrices if together else 1)
    q, k, v, mask = arrays(width=8)
    bias = [jax.random.normal(jax.random.key(4), (*bias_shape, *LENGTHS))] if bias_shape else []

    def by(backend):
        def attention(q, k, v, *bias):
            return attend(q, k, v, mask, *bias, backend=backend)

        return value_and_gradients(attention, q, k, v, *bias)

    assert_close(by("blocked"), by("plain"))


def test_gradients_of_a_row_without_keys_are_those_of_the_mean():
    q, k, v, mask = arrays(width=8)
    q, k, v, mask = q[:, :3], k[:, :4], v[:, :4], jnp.zeros_like(mask[:, :4])

    def mean(q, k, v):
        return jnp.broadcast_to(v.mean(1, keepdims=True), q.shape) + 0 * q + 0 * k.mean()

    actual = value_and_gradients(lambda q, k, v: attend(q, k, v, mask, backend="plain"), q, k, v)
    expected = value_and_gradients(mean, q, k, v)
    for index in (0, 3):  # the output and the values' gradient
        np.testing.assert_allclose(actual[index], expected[index], atol=1e-5)


def test_plain_keeps_no_scores_for_the_backward_pass():
    q, k, v, mask = arrays(width=8)
    _, pull = jax.vjp(lambda q, k, v: attend(q, k, v, mask, backend="plain"), q, k, v)
    assert max(leaf.size for leaf in jax.tree.leaves(pull)) < LENGTHS[0] * LENGTHS[1]


def test_block_sizes():
    assert attention_xla.block_size(6, 2560, 2560) == 144  # of 136 queries 6 x 136 x 2560 float32 would fit 8 MiB
    assert attention_xla.block_size(2, 100, 2560) == 100
    assert attention_xla.block_size(10_000, 2560, 2560) == 64
    assert attention_xla.block_size(1, 5000, 100) == 1008  # five, and no sixth for the last 40


def test_one_head_at_a_time_on_a_cpu_that_nobody_splits():
    assert attention_xla._together(12) == 1


def test_blocks_of_examples_that_devices_share_gather_nothing(small_blocks):
    mesh = jax.make_mesh((2,), ("data",), (AxisType.Auto,))
    with jax.set_mesh(mesh):
        split = NamedSharding(mesh, P("data"))
        x = jax.ShapeDtypeStruct((4, 150, 4, 8), jnp.float32, sharding=split)
        bias = jax.ShapeDtypeStruct((1, 4, 150, 150), jnp.float32, sharding=NamedSharding(mesh, P()))
        program = jax.jit(lambda q, k, v, bias: attend(q, k, v, bias=bias, backend="blocked"), out_shardings=split)
        assert "all-gather" not in program.lower(x, x, x, bias).compile().as_text()


def test_blocked_needs_a_fraction_of_the_memory_in_training():
    x = jax.ShapeDtypeStruct((1, 2048, 4, 32), jnp.float32)

    def temporaries(backend):
        def loss(q, k, v):
            return jnp.sum(attend(q, k, v, backend=backend) ** 2)

        compiled = jax.jit(jax.grad(loss, (0, 1, 2))).lower(x, x, x).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    scores = attention_xla.score_bytes(4, 2048, 2048)
    assert temporaries("plain") > scores
    assert temporaries("blocked") < scores / 2


def test_splash_equals_plain():
    q, k, v, mask = arrays()

    def splash(q, k, v):
        return attention_kernels.splash(q, k, v, mask, 0.1, interpret=True)

    def plain(q, k, v):
        return attend(q, k, v, mask, scale=0.1, backend="plain")

    assert_close(value_and_gradients(splash, q, k, v), value_and_gradients(plain, q, k, v))


def test_splash_blocks_are_of_one_size_and_pad_little():
    assert [attention_kernels._splash_block(n) for n in (1, 128, 129, 512, 600, 2560, 2600)] == [
        128, 128, 256, 512, 384, 512, 512
    ]  # fmt: skip


@pytest.mark.skipif(jax.default_backend() != "gpu", reason="cuDNN runs on NVIDIA GPUs alone")
def test_cudnn_equals_plain():
    q, k, v, mask = arrays(dtype=jnp.bfloat16)

    def by(backend):
        return value_and_gradients(lambda q, k, v: attend(q, k, v, mask, backend=backend), q, k, v)

    assert_close(by("cudnn"), by("plain"), atol=2e-2)


def test_cudnn_is_lowered_with_lengths_and_without_a_bias(monkeypatch):
    # The version is asked of a library that stands on machines with a GPU alone; lowering needs no more of it.
    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 91100)
    q, k, v, mask = arrays(dtype=jnp.bfloat16)

    def gradients(q, k, v, mask):
        def loss(q, k, v):
            return jnp.sum(attention_kernels.cudnn(q, k, v, mask, 0.1).astype(jnp.float32))

        return jax.grad(loss, (0, 1, 2))(q, k, v)

    calls = ("__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmaxBackward")
    allowed = [export.DisabledSafetyCheck.custom_call(name) for name in calls]
    program = export.export(jax.jit(gradients), platforms=["cuda"], disabled_checks=allowed)(
        q, k, v, mask
    ).mlir_module()
    for name in calls:
        line = next(line for line in program.splitlines() if f"@{name}(" in line)
        assert "tensor<2xi32>" in line  # the numbers of queries and keys
    assert "fmhaScaleBias" not in program


def test_keys_that_exist_come_first_for_cudnn(monkeypatch):
    """What is handed to cuDNN, computed by XLA: the same call with another implementation."""
    q, k, v, mask = arrays()
    real = jax.nn.dot_product_attention

    def by_xla(*arrays, implementation, **options):
        assert implementation == "cudnn"
        return real(*arrays, implementation="xla", **options)

    def cudnn(q, k, v):
        return attention_kernels.cudnn(q, k, v, mask, 0.1)

    expected = value_and_gradients(lambda q, k, v: attend(q, k, v, mask, scale=0.1, backend="plain"), q, k, v)
    monkeypatch.setattr(jax.nn, "dot_product_attention", by_xla)
    assert_close(value_and_gradients(cudnn, q, k, v), expected)


@pytest.mark.parametrize(
    ("platform", "shape", "dtype", "biased", "expected"),
    [
        ("cpu", (8, 251, 3, 64), "float32", False, "plain"),
        ("cpu", (1, 2560, 24, 128), "float32", False, "blocked"),
        ("tpu", (1, 2560, 24, 128), "bfloat16", False, "splash"),
        ("tpu", (8, 251, 3, 64), "bfloat16", False, "plain"),  # heads narrower than a lane
        ("tpu", (1, 512, 2, 128), "bfloat16", True, "plain"),
        ("nvidia", (1, 2560, 24, 128), "bfloat16", False, "cudnn"),
        ("nvidia", (1, 2560, 24, 128), "float32", False, "blocked"),
        ("gpu", (1, 2560, 24, 128), "bfloat16", False, "blocked"),  # no NVIDIA one
        ("nvidia", (1, 4096, 1, 512), "bfloat16", False, "blocked"),  # the autoencoder's one head
    ],
)
def test_auto_takes_the_platforms_kernel_where_it_can_do_it(monkeypatch, platform, shape, dtype, biased, expected):
    monkeypatch.setattr(attention, "platform", lambda: platform)
    x = jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))
    bias = jnp.zeros((1, 1, 1, 1)) if biased else None
    chosen = []
    jax.eval_shape(lambda x: chosen.append(attention.choose(x, x, bias)), x)
    assert chosen == [expected]


def test_a_backend_that_cannot_do_it_is_refused():
    q, k, v, mask = arrays()
    with pytest.raises(UserError, match="model.attention 'splash' runs on tpu, not on cpu: choose 'auto'"):
        attend(q, k, v, mask, backend="splash")
    with pytest.raises(ValueError, match="computes in bfloat16 or float16, not float32"):
        attend(q, k, v, mask, backend="cudnn")
    with pytest.raises(ValueError, match="takes no bias"):
        attend(q, k, v, bias=jnp.zeros((1, 1, *LENGTHS)), backend="splash")
    with pytest.raises(ValueError, match="backend must be one of"):
        attend(q, k, v, backend="flash")


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs libtpu, the extra plan: it needs no TPU")
def test_splash_compiles_for_tpus_with_tokens_and_heads_split(monkeypatch):
    for name, value in {"TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}.items():
        monkeypatch.setenv(name, value)
    devices = topologies.get_topology_desc(topology_name="v5e:2x4", platform="tpu").devices
    names = ("data", "fsdp", "context", "tensor")
    mesh = jax.make_mesh((2, 1, 2, 2), names, axis_types=(AxisType.Auto,) * 4, devices=devices)
    with jax.set_mesh(mesh):
        tokens = NamedSharding(mesh, P("data", "context", "tensor"))
        x = jax.ShapeDtypeStruct((2, 600, 8, 128), jnp.bfloat16, sharding=tokens)
        mask = jax.ShapeDtypeStruct((2, 600), bool, sharding=NamedSharding(mesh, P("data", "context")))

        def gradients(q, k, v, mask):
            def loss(q, k, v):
                return jnp.sum(attend_on_mesh(q, k, v, mask).astype(jnp.float32) ** 2)

            return jax.grad(loss, (0, 1, 2))(q, k, v)

        program = jax.jit(gradients).lower(x, x, x, mask).compile().as_text()
    assert "tpu_custom_call" in program
    assert "all-to-all" in program
