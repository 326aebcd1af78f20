import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.params import flatten, unflatten
from astra_jax.training.partition import leaves_with_paths, merge, partition

TREE = {
    "dsm": {"shared": {"kernel": np.ones(2)}},
    "t5": {"embedding": np.zeros(3)},
    "transformer": {"bias": np.ones(1)},
}


def test_paths():
    assert list(flatten(TREE)) == ["dsm/shared/kernel", "t5/embedding", "transformer/bias"]
    assert unflatten(flatten(TREE)) == TREE
    assert [path for path, _ in leaves_with_paths({"a": (1, {"b": 2})})] == ["a/0", "a/1/b"]


def test_partition_splits_and_merge_joins():
    trainable, frozen = partition(TREE, "^(dsm|transformer)/")
    assert list(flatten(trainable)) == ["dsm/shared/kernel", "transformer/bias"]
    assert list(flatten(frozen)) == ["t5/embedding"]
    assert flatten(merge(trainable, frozen)).keys() == flatten(TREE).keys()
    assert partition(TREE, ".*")[1] == {}
    assert list(flatten(partition(TREE, "shared")[0])) == ["dsm/shared/kernel"]  # searched, not matched from the start
    with pytest.raises(ValueError, match="share t5/embedding"):
        merge(TREE, frozen)


def test_a_regex_that_finds_nothing_is_refused():
    with pytest.raises(UserError, match="'lora' matches no parameter; paths start with dsm, t5, transformer"):
        partition(TREE, "lora")
    with pytest.raises(UserError, match="is no regular expression"):
        partition(TREE, "(")
