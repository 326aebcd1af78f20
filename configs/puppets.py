"""The default: a small ASTRA trained from nothing on drawn people, on a laptop.

Two stages share this file; the second reads the first one's autoencoder, frozen, through a cache of latents.

    python -m data.puppets --out runs/tfds
    python train.py --config configs/puppets.py:autoencoder --workdir runs/autoencoder
    python -m astra_jax.inputs.precompute --config configs/puppets.py --autoencoder runs/autoencoder/pretrained \
        --out runs/latents
    python train.py --config configs/puppets.py --workdir runs/puppets
    python -m data.pose_library --out runs/pose_bank
    python sample.py --checkpoint runs/puppets/pretrained --pose_bank runs/pose_bank

Expected on two CPU cores with GLIBC_TUNABLES=glibc.malloc.hugetlb=1: the autoencoder takes about 1 s a step and
reaches 22 to 23 dB after 1,400 steps; the model takes 0.65 s a step and a loss of 0.40 after 3,600 steps (50 minutes),
when places follow the words and people stand roughly in their poses, but identities do not show yet.
"""

import ml_collections

from astra_jax.config import Config, as_config_dict

RUNS = "runs"


def get_config(stage: str = "astra") -> ml_collections.ConfigDict:
    """The config of one stage, "autoencoder" or "astra" (also without a name)."""
    if stage not in ("", "astra", "autoencoder"):
        raise ValueError(f"configs/puppets.py has the stages 'autoencoder' and 'astra', not {stage!r}")
    config = as_config_dict(Config())

    model = config.model
    model.text_length, model.phrase_length, model.max_subjects, model.dtype = 48, 8, 3, "float32"
    model.transformer.update(
        width=192, heads=6, axes_dim=(8, 12, 12), double_blocks=2, single_blocks=4, context_dim=128, pooled_dim=128,
        guidance_embed=False, remat="none",
    )  # fmt: skip
    model.autoencoder.update(
        channels=16, channel_mult=(1, 2, 4, 4), res_blocks=1, norm_groups=8, scale=1.24, shift=0.16
    )
    model.t5.update(vocab_size=2048, width=128, layers=2, heads=4, head_dim=32, mlp_dim=256)
    model.clip_text.update(vocab_size=2048, width=128, layers=2, heads=4, mlp_dim=512, length=48)
    model.clip_vision.update(image_size=64, patch=8, width=128, layers=3, heads=4, mlp_dim=512)
    model.dsm.update(width=128, layers=2, heads=4)

    data = config.data
    data.update(source="puppets", dir=f"{RUNS}/tfds", tokenizer="data/tokenizer", height=128, width=128)
    data.reference_size = 80

    config.sample.update(height=128, width=128, guidance=1.0)

    train = config.train
    if stage == "autoencoder":
        data.crop = 64
        train.update(objective="autoencoder", trainable="^autoencoder/", steps=1400, batch_size=32)
        train.optimizer.update(learning_rate=1e-3, schedule="cosine", warmup_steps=100, b2=0.99, weight_decay=0.0)
    else:
        data.latents = f"{RUNS}/latents"
        train.update(trainable="^(?!autoencoder/)", initialize_from=(f"{RUNS}/autoencoder/pretrained",))
        train.update(steps=7000, batch_size=8, timesteps="logit_normal")
        train.optimizer.update(learning_rate=1.5e-3, schedule="cosine", warmup_steps=300, b2=0.99)
    return config
