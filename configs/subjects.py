"""Your own pictures: a tiny model on a manifest's data set, to try a manifest end to end; and how to use FLUX.1 on it.

    python -m data.subjects --manifest my/list.jsonl --out runs/tfds --name mine
    python -m astra_jax.inputs.tokenizer --texts my/prompts.txt --vocab_size 2048 --out runs/tokenizer
    python train.py --config configs/subjects.py:mine --workdir runs/mine

The same data set under FLUX.1-dev, its frozen encoders run once:

    python -m astra_jax.inputs.precompute --config configs/flux.py --config.data.source=subjects/mine \
        --config.data.dir=runs/tfds --config.data.embeddings=True --config.data.tokenizer=FLUX.1-dev \
        --autoencoder runs/flux_base --encoders runs/flux_base --out runs/flux_cache [--shard=I/N]
    python train.py --config configs/flux.py --config.data.source=subjects/mine --config.data.embeddings=True \
        --config.data.latents=runs/flux_cache --workdir runs/flux_mine

Expected of the first: that it runs. It starts from nothing, and a data set of thousands of examples and hours would be
needed to see something.
"""

import ml_collections

from astra_jax.inputs.buckets import UNO_512
from configs import puppets


def get_config(name: str = "mine") -> ml_collections.ConfigDict:
    """configs/puppets.py's model, all parts trained together, on the data set subjects/`name` in UNO's canvases."""
    config = puppets.get_config()
    quarter = tuple((height // 4, width // 4) for height, width in UNO_512)
    config.data.update(
        source=f"subjects/{name or 'mine'}", latents="", tokenizer="runs/tokenizer", reference_size=80,
        buckets=quarter,
    )  # fmt: skip
    config.train.update(initialize_from=(), trainable=".*", steps=200, batch_size=2, sample_every=100)
    return config
