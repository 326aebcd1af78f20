"""The loop's tests compile the same small programs again and again: they share a compilation cache."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

_SETTINGS = {
    "jax_compilation_cache_dir": None,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


@pytest.fixture(scope="session")
def compile_cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("xla")


@pytest.fixture(scope="module", autouse=True)
def compile_cache(compile_cache_folder):
    before = {name: getattr(jax.config, name) for name in _SETTINGS}
    for name, value in _SETTINGS.items():
        jax.config.update(name, value if value is not None else str(compile_cache_folder))
    compilation_cache.reset_cache()
    with pytest.MonkeyPatch.context() as patch:  # for child processes
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(compile_cache_folder))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
        yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
