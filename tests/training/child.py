"""A training process for tests/training/test_resume.py: python child.py WORKDIR STEPS SECONDS_A_STEP."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
import time

import grain
import jax
import numpy as np

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[2])]

import regression  # noqa: E402

from astra_jax import cli  # noqa: E402
from astra_jax.config import MeshConfig  # noqa: E402
from astra_jax.training.loop import train  # noqa: E402


def main(argv):
    del argv
    workdir, steps, seconds = pathlib.Path(ARGUMENTS[0]), int(ARGUMENTS[1]), float(ARGUMENTS[2])

    def slow(batch):
        time.sleep(seconds)
        return batch

    config = regression.make_config(steps=steps, checkpoint_every=3, log_every=1, mesh=MeshConfig(data=1, fsdp=-1))
    dataset = regression.records().map(slow).to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1))
    state = train(config, workdir, regression.Regression(), dataset)
    leaves = jax.tree.leaves(dataclasses.replace(state, rng=jax.random.key_data(state.rng)))
    np.savez(workdir / "state.npz", *[np.asarray(leaf) for leaf in leaves])


ARGUMENTS = sys.argv[1:]
sys.argv[1:] = []
cli.run(main)
