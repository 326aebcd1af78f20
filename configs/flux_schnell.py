"""ASTRA on FLUX.1-schnell, whose weights are free (Apache 2.0): FLUX.1-dev without the guidance input.

    python sample.py --config configs/flux_schnell.py --weights FLUX.1-schnell \
        --prompt "a lighthouse at night" --pose none
    python -m astra_jax.weights inspect --config configs/flux_schnell.py
    python -m astra_jax.weights import --config configs/flux_schnell.py --source FLUX.1-schnell \
        --out runs/flux_schnell_base
    python train.py --config configs/flux_schnell.py --workdir runs/flux_schnell --config.data.dir DIR \
        --config.data.tokenizer FLUX.1-schnell

The model is distilled to 4 steps at times that are not shifted, and reads 256 text tokens. Everything else is as in
configs/flux.py.
"""

import ml_collections

from astra_jax.config import Config, as_config_dict


def get_config() -> ml_collections.ConfigDict:
    """What differs from FLUX.1-dev, and the run."""
    config = as_config_dict(Config())
    config.model.text_length = 256
    config.model.transformer.guidance_embed = False
    config.sample.update(steps=4, guidance=1.0, shift="none")
    config.model.lora.rank = 512
    config.mesh.update(data=1, fsdp=-1)
    config.train.update(trainable="^(lora|dsm)/", initialize_from=("runs/flux_schnell_base",))
    return config
