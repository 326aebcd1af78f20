"""Eight fake devices for every test, threads enough for their collectives, and parsed absl flags (Grain wants them)."""

# ruff: noqa: E402 - the environment must be set before jax is imported
import os

# The CPU client's collectives need a thread for each device twice over; on a small machine they wait for ever without.
os.environ.setdefault("NPROC", "16")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests compile many small programs and run each once or twice: compiling fast beats running fast.
_FLAGS = (
    "--xla_force_host_platform_device_count=8",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
)
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *_FLAGS])

from absl import flags

flags.FLAGS.mark_as_parsed()

import jax
import numpy as np
import pytest
from jax.experimental import topologies
from jax.experimental.compilation_cache import compilation_cache

from astra_jax import config as config_lib


def random_like(tree, seed=0):
    """Random float32 parameters in the shapes of `tree`, which `jax.eval_shape` gives without compiling anything."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jax.numpy.asarray(0.3 * rng.normal(size=leaf.shape), np.float32), tree)


@pytest.fixture(scope="session")
def random_params():
    """`random_like`, for tests."""
    return random_like


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory):
    """A folder of pretrained weights: the whole model at a tiny size, random, drawing 32 x 32 pixels."""
    from astra_jax.inputs.tokenizer import save_tokenizer, train_tokenizer
    from astra_jax.models.astra import Astra
    from astra_jax.weights.pretrained import save_pretrained

    model = config_lib.ModelConfig(
        transformer=config_lib.TransformerConfig(
            width=16, heads=2, axes_dim=(2, 2, 4), double_blocks=1, single_blocks=1, latent_dim=16,
            context_dim=12, pooled_dim=10, guidance_embed=False, remat="none",
        ),
        autoencoder=config_lib.AutoencoderConfig(
            channels=4, channel_mult=(1, 2), res_blocks=1, latent_channels=4, norm_groups=2
        ),
        t5=config_lib.T5Config(vocab_size=320, width=12, layers=1, heads=2, head_dim=4, mlp_dim=16),
        clip_text=config_lib.ClipTextConfig(vocab_size=320, width=10, layers=1, heads=2, mlp_dim=16, length=16),
        clip_vision=config_lib.ClipVisionConfig(image_size=8, patch=4, width=8, layers=2, heads=2, mlp_dim=16),
        dsm=config_lib.DsmConfig(width=8, layers=1, heads=2),
        text_length=80, phrase_length=12, max_subjects=2, dtype="float32",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("weights")
    tokenizer = save_tokenizer(train_tokenizer(["a man waving and a woman dancing"] * 4, 320), folder / "tokenizer")
    config = config_lib.Config(
        model=model,
        data=config_lib.DataConfig(tokenizer=str(tokenizer.parent), height=32, width=32, reference_size=16),
        sample=config_lib.SampleConfig(steps=2, guidance=1.0, height=32, width=32),
    )
    params = random_like(jax.eval_shape(Astra(model).init, jax.random.key(0)))
    save_pretrained(folder / "tiny", config, params, "float32")
    return folder / "tiny"


@pytest.fixture
def tpus(monkeypatch):
    """`tpus(topology, ...)`: devices that the TPU compiler knows by name; no TPU is needed."""
    pytest.importorskip("libtpu", reason="needs libtpu, the extra plan")
    for name, value in {"TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}.items():
        monkeypatch.setenv(name, value)
    # As in planning/environment.py; another test may have turned the cache on.
    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield lambda name, **more: topologies.get_topology_desc(topology_name=name, platform="tpu", **more).devices
    jax.config.update("jax_enable_compilation_cache", before)
    compilation_cache.reset_cache()
