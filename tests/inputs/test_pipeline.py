import itertools

import grain
import jax
import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.inputs.pipeline import example_numbers, make_dataset, state_at


@pytest.fixture(params=["autoencoder", "astra"])
def objective(request, config, change):
    return change(config, data={"crop": 16}, train={"objective": request.param})


def numbers(batch):
    """Which examples a batch holds: their targets are of the grey that is their number."""
    return [int(target[0, 0, 0]) for target in batch.target]


def take(dataset, count):
    return list(itertools.islice(iter(dataset), count))


def assert_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_batches_of_pictures(config, source, change):
    config = change(config, data={"crop": 16}, train={"objective": "autoencoder"})
    (batch,) = take(make_dataset(config, training=True, source=source), 1)
    assert batch.inputs is None
    assert batch.target.shape == (4, 16, 16, 3)
    assert batch.target.dtype == np.uint8


def test_batches_of_examples(config, source, tokenizer):
    (batch,) = take(make_dataset(config, training=True, source=source, tokenizer=tokenizer), 1)
    shapes = {name: value.shape for name, value in vars(batch.inputs).items()}
    assert shapes == {
        "text_tokens": (4, 48), "pooled_tokens": (4, 24), "guidance": (4,), "pose": (4, 64, 64, 3), "has_pose": (4,),
        "references": (4, 3, 32, 32, 3), "has_reference": (4, 3), "portraits": (4, 3, 16, 16, 3),
        "phrase_tokens": (4, 3, 12), "placement": (4, 3, 12), "has_identity": (4, 3),
    }  # fmt: skip
    assert batch.target.shape == (4, 64, 64, 3)
    np.testing.assert_array_equal(batch.inputs.guidance, np.ones(4, np.float32))


def test_training_sees_every_example_once_an_epoch_in_a_new_order(config, tokenizer, memory):
    batches = take(make_dataset(config, training=True, source=memory(12), tokenizer=tokenizer), 9)
    order = [number for batch in batches for number in numbers(batch)]
    epochs = [order[:12], order[12:24], order[24:]]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_examples_of_a_batch_are_known_by_number(config, tokenizer, memory):
    source = memory(10)
    batches = take(make_dataset(config, training=True, source=source, tokenizer=tokenizer), 6)
    for step, batch in enumerate(batches):
        assert example_numbers(config, step, source) == numbers(batch)


def test_evaluation_reads_in_order_once_and_drops_nothing(config, source, tokenizer, change):
    config = change(config, data={"drop_text": 1.0, "drop_pose": 1.0, "drop_references": 0.8})
    batches = list(make_dataset(config, training=False, source=source, tokenizer=tokenizer))
    assert [number for batch in batches for number in numbers(batch)] == list(range(8))  # 11 // 4 whole batches
    assert all(batch.inputs.has_pose.all() for batch in batches)
    assert all(batch.inputs.has_reference[:, 0].all() for batch in batches)
    trained = take(make_dataset(config, training=True, source=source, tokenizer=tokenizer), 2)
    assert not any(batch.inputs.has_pose.any() for batch in trained)


def test_same_seed_same_batches_whatever_the_threads(objective, source, tokenizer, change):
    def batches(**data):
        return take(make_dataset(change(objective, data=data), training=True, source=source, tokenizer=tokenizer), 6)

    reference = batches(threads=0)
    assert_equal(reference, batches(threads=3))
    other = batches(seed=1)
    assert any(not np.array_equal(a.target, b.target) for a, b in zip(reference, other, strict=True))


def test_resume_from_a_state_and_from_a_step(objective, source, tokenizer):
    dataset = make_dataset(objective, training=True, source=source, tokenizer=tokenizer)
    iterator = iter(dataset)
    for _ in range(5):
        next(iterator)
    state = iterator.get_state()
    assert state == state_at(5)
    expected = [next(iterator) for _ in range(4)]  # crosses the end of an epoch
    iterator.set_state(state)
    assert_equal([next(iterator) for _ in range(4)], expected)
    fresh = iter(make_dataset(objective, training=True, source=source, tokenizer=tokenizer))
    fresh.set_state(state_at(5))
    assert_equal([next(fresh) for _ in range(4)], expected)


def test_processes_share_each_batch_between_them(objective, source, tokenizer):
    def batches(shard):
        return take(make_dataset(objective, training=True, shard=shard, source=source, tokenizer=tokenizer), 5)

    whole = batches((0, 1))
    for count in (2, 4):
        parts = zip(*[batches((index, count)) for index in range(count)], strict=True)
        joined = [jax.tree.map(lambda *leaves: np.concatenate(leaves), *part) for part in parts]
        assert_equal(joined, whole)
    for batch, all_of_it in zip(batches(((0, 3), 4)), whole, strict=True):  # parts that lie apart
        assert_equal(batch, jax.tree.map(lambda leaf: leaf[[0, 3]], all_of_it))


def test_processes_have_equally_many_batches_in_evaluation(config, source, tokenizer):
    for index in range(2):
        shard = make_dataset(config, training=False, shard=(index, 2), source=source, tokenizer=tokenizer)
        assert len(list(shard)) == 2


def test_of_many_people_the_first_have_references(config, source, tokenizer, change):
    config = change(config, model={"max_subjects": 1}, train={"batch_size": 3})
    (batch, *_) = list(make_dataset(config, training=False, source=source, tokenizer=tokenizer))
    assert batch.inputs.references.shape[1] == 1
    assert batch.inputs.has_reference.all()


def test_the_buffer_holds_few_batches(config, tokenizer, memory):
    reads = []

    class Counting(memory):
        def __getitem__(self, index):
            reads.append(index)
            return super().__getitem__(index)

    iterator = iter(make_dataset(config, training=True, source=Counting(11), tokenizer=tokenizer))
    next(iterator)
    assert len(reads) <= 4 * (1 + 2 * config.data.threads + config.data.threads)
    assert isinstance(iterator, grain.DatasetIterator)


def test_settings_that_do_not_fit(config, source, tokenizer, change, memory):
    def refused(match, config=config, training=True, source=source, shard=(0, 1)):
        with pytest.raises(UserError, match=match):
            make_dataset(config, training=training, shard=shard, source=source, tokenizer=tokenizer)

    refused("batch_size 4 does not divide among 3 processes", shard=(0, 3))
    refused("batch_size 0 does not divide", change(config, train={"batch_size": 0}))
    refused("3 examples, fewer than one batch of 4", training=False, source=memory(3))
    refused("0 examples", source=memory(0))
    refused("drop_pose is 1.5, but a chance", change(config, data={"drop_pose": 1.5}))
    refused("must not exceed 1 together", change(config, data={"drop_references": 0.9, "drop_identity": 0.2}))
    refused("threads is -1", change(config, data={"threads": -1}))
    refused("height 62 is no positive multiple of 4", change(config, data={"height": 62}))
    refused("reference_size 30 is no positive multiple", change(config, data={"reference_size": 30}))
    autoencoder = change(config, train={"objective": "autoencoder"})
    refused("crop 15 is no positive multiple", change(autoencoder, data={"crop": 15}))
    refused("latents holds no pictures", change(autoencoder, data={"latents": "somewhere"}))
    with pytest.raises(UserError, match="data.tokenizer is not set"):
        make_dataset(config, training=True, source=source)
    with pytest.raises(ValueError, match="process 2 of 2"):
        make_dataset(config, training=True, shard=(2, 2), source=source, tokenizer=tokenizer)
