import threading

import grain
import jax
import numpy as np
import pytest

from astra_jax.config import MeshConfig
from astra_jax.errors import UserError
from astra_jax.training.feed import feed
from astra_jax.training.mesh import make_mesh


def batches(seen=None, fails_at=-1):
    def batch(index):
        if seen is not None:
            seen.append((int(index), threading.current_thread()))
        if index == fails_at:
            raise UserError(f"batch {index} is damaged")
        return {"x": np.full((8, 3), index, np.float16)}

    return grain.MapDataset.range(100).map(batch).to_iter_dataset(grain.ReadOptions(num_threads=0))


@pytest.fixture(scope="module")
def mesh():
    return make_mesh(MeshConfig(data=2, fsdp=-1))


def test_the_next_batch_is_on_the_devices_before_it_is_asked_for(mesh):
    seen = []
    iterator = iter(feed(batches(seen), mesh))
    assert int(next(iterator)["x"][0, 0]) == 0
    for _ in range(500):
        if len(seen) > 1:
            break
        threading.Event().wait(0.01)
    assert seen[1][0] == 1
    assert seen[1][1] is not threading.current_thread()
    batch = next(iterator)["x"]
    assert batch.sharding.mesh == mesh
    assert batch.dtype == np.float16
    assert {shard.data.shape for shard in batch.addressable_shards} == {(1, 3)}
    np.testing.assert_array_equal(batch, np.ones((8, 3)))
    iterator.close()


def test_the_position_is_that_of_what_was_handed_out(mesh):
    plain, fed = iter(batches()), iter(feed(batches(), mesh))
    for _ in range(3):
        next(plain), next(fed)
    assert fed.get_state() == plain.get_state()
    fed.close()
    resumed = iter(feed(batches(), mesh))
    resumed.set_state(plain.get_state())
    assert int(next(resumed)["x"][0, 0]) == 3
    resumed.close()


def test_what_is_wrong_with_a_batch_is_told_when_its_turn_comes(mesh):
    iterator = iter(feed(batches(fails_at=1), mesh))
    jax.block_until_ready(next(iterator))
    with pytest.raises(UserError, match="batch 1 is damaged"):
        next(iterator)
    iterator.close()
