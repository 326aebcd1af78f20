"""A training process for the tests of resuming and of several processes: python child.py OPTIONS (JSON, see main)."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import time

import grain
import jax
import numpy as np

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[2])]

import regression  # noqa: E402

from astra_jax import cli, hosts  # noqa: E402
from astra_jax.config import MeshConfig  # noqa: E402
from astra_jax.errors import UserError  # noqa: E402
from astra_jax.training.loop import train  # noqa: E402
from astra_jax.training.mesh import make_mesh, process_share  # noqa: E402
from astra_jax.weights.pretrained import host_tree  # noqa: E402


def main(argv):
    del argv
    # fails_at: the process of this number has no batch after so many; ballast: see regression.
    options = {"seconds": 0.0, "every": 3, "mesh": {"data": 1, "fsdp": -1}, "hosts": [], "fails_at": {}, "ballast": 0}
    options |= json.loads(OPTIONS)
    hosts.connect(*options["hosts"])
    workdir = pathlib.Path(options["workdir"])
    config = regression.make_config(
        steps=options["steps"], checkpoint_every=options["every"], log_every=1, mesh=MeshConfig(**options["mesh"])
    )
    fails_at = options["fails_at"].get(str(jax.process_index()))

    def slow(index, batch):
        if index == fails_at:
            raise UserError(f"batch {index} is damaged")
        time.sleep(options["seconds"])
        return batch

    share = process_share(make_mesh(config.mesh))
    records = regression.records(share=share).map_with_index(slow)
    dataset = records.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1))
    objective = regression.Regression(ballast=options["ballast"])
    state = train(config, workdir, objective, dataset, examples=regression.numbers)
    whole = host_tree(dataclasses.replace(state, rng=jax.random.key_data(state.rng)))
    if jax.process_index() == 0:
        np.savez(workdir / "state.npz", *jax.tree.leaves(whole))


OPTIONS = sys.argv[1]
sys.argv[1:] = []
cli.run(main)
