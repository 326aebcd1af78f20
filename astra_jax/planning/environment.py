"""Makes this process one that compiles for TPUs and looks for none."""

from __future__ import annotations

import os

import jax

_LIBTPU = {
    "TPU_SKIP_MDS_QUERY": "1",  # asking Google's metadata server for the machine takes minutes where there is none
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # the lock is for the devices, which no process opens here
    # What the metadata server would have said; the topology that programs are compiled for is named by itself.
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5p-8",
}


def compile_only() -> None:
    """Runs on the CPU and lets libtpu, if it is there, serve as a compiler; to be called before jax has any device."""
    jax.config.update("jax_platforms", "cpu")
    # Programs for devices that are not there can be kept but not read back: $JAX_COMPILATION_CACHE_DIR would warn.
    jax.config.update("jax_enable_compilation_cache", False)
    for name, value in _LIBTPU.items():
        os.environ.setdefault(name, value)
