"""A tiny config, a source of eleven examples in memory and a tokenizer that fits both."""

import dataclasses
import gc
import threading

import numpy as np
import pytest

from astra_jax.config import (
    AutoencoderConfig,
    ClipTextConfig,
    ClipVisionConfig,
    Config,
    DataConfig,
    ModelConfig,
    T5Config,
    TrainConfig,
    TransformerConfig,
)
from astra_jax.inputs.example import Example, Subject
from astra_jax.inputs.tokenizer import PromptTokenizer, train_tokenizer

VOCAB = 300


class Memory:
    """Examples of one to three people whose targets, photos and prompts all tell the example's number."""

    def __init__(self, count=11, size=(64, 64)):
        self.count, self.size = count, size

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        people = rng.uniform(8, 56, (1 + index % 3, 17, 3)).astype(np.float32)
        people[..., 2] = 2
        nouns = ["the man", "the woman", "the dog"][: len(people)]
        return Example(
            prompt=f"{' and '.join(nouns)} number {index}",
            subjects=tuple(
                Subject(noun, np.full((20, 30, 3), 10 * index + n, np.uint8), people[n]) for n, noun in enumerate(nouns)
            ),
            people=people,
            size=self.size,
            target=np.full((*self.size, 3), index, np.uint8),
        )


@pytest.fixture(autouse=True)
def _no_threads_left():
    """Ends Grain's prefetching with its test: in its threads beartype draws from `random`, which Hypothesis watches."""
    yield
    readers = [thread for thread in threading.enumerate() if thread.name.startswith("grain-prefetch")]
    if readers:
        gc.collect()  # an iterator's threads end with it
    for thread in readers:
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def source():
    return Memory()


@pytest.fixture(scope="session")
def memory():
    return Memory


@pytest.fixture(scope="session")
def config():
    model = ModelConfig(
        transformer=TransformerConfig(latent_dim=16),
        autoencoder=AutoencoderConfig(channels=8, channel_mult=(1, 2), res_blocks=1, latent_channels=4, norm_groups=4),
        t5=T5Config(vocab_size=VOCAB),
        clip_text=ClipTextConfig(vocab_size=VOCAB, length=24),
        clip_vision=ClipVisionConfig(image_size=16, patch=8),
        text_length=48,
        phrase_length=12,
        max_subjects=3,
        dtype="float32",
    )
    data = DataConfig(height=64, width=64, reference_size=32, threads=2)
    return Config(model=model, data=data, train=TrainConfig(batch_size=4))


@pytest.fixture(scope="session")
def tokenizer(source):
    return PromptTokenizer(train_tokenizer([source[i].prompt for i in range(len(source))], VOCAB))


@pytest.fixture(scope="session")
def change():
    """`change(config, data={"crop": 8})`: a config with some fields of its groups replaced."""

    def changed(config, **groups):
        return dataclasses.replace(
            config, **{name: dataclasses.replace(getattr(config, name), **new) for name, new in groups.items()}
        )

    return changed
