"""ASTRA on FLUX.1-dev: the published weights frozen, the identity adapter (and LoRA) trained.

    python sample.py --config configs/flux.py --weights FLUX.1-dev --prompt "a lighthouse at night" --pose none
    python -m astra_jax.weights inspect --config configs/flux.py
    python -m astra_jax.weights import --config configs/flux.py --source FLUX.1-dev --out runs/flux_base
    python train.py --config configs/flux.py --workdir runs/flux --config.data.dir DIR \
        --config.data.tokenizer FLUX.1-dev
    python sample.py --config configs/flux.py --weights FLUX.1-dev --lora runs/flux/pretrained \
        --dsm runs/flux/pretrained --prompt "a man waving hello" --subject "a man=photos/bob.jpg" --pose none

FLUX.1-dev is a folder in the published layout; --source takes a hub id, too, of which it reads the transformer alone
unless --parts names more. The transformer has 11.90 B parameters, 24 GB in bfloat16; training splits it over all
devices of the mesh, and leaves the LoRA and the adapter alone. What DIR must hold is written in
astra_jax/inputs/sources.py. The identity adapter reads photos through CLIP's image encoder (ViT-L/14), with
--config.model.dsm.encoder=siglip through SigLIP's (so400m/14 at 384 pixels), and finds it in image_encoder of the
folder. Nobody has trained with this config yet: it follows the published recipe (100K steps, LoRA of rank 512) and
UNO's code where that is silent.
"""

import ml_collections

from astra_jax.config import Config, as_config_dict


def get_config() -> ml_collections.ConfigDict:
    """FLUX.1-dev's sizes are the defaults of `Config`; what stands here is the run."""
    config = as_config_dict(Config())
    config.model.lora.rank = 512
    config.mesh.update(data=1, fsdp=-1)
    config.train.update(trainable="^(lora|dsm)/", initialize_from=("runs/flux_base",))
    return config
