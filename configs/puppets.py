"""The default: a small ASTRA trained from nothing on drawn people, on a laptop.

Four stages share this file. The second reads the first one's autoencoder, frozen, through a cache of latents; the
third goes on from the second one's weights with a new warm-up (a warm restart, arXiv 1608.03983). The last teaches the
shipped weights the variant whose condition pictures are computed once a picture (model.condition_attention="cached").

    python -m data.puppets --out runs/tfds
    python train.py --config configs/puppets.py:autoencoder --workdir runs/autoencoder
    python -m astra_jax.inputs.precompute --config configs/puppets.py --autoencoder runs/autoencoder/pretrained \
        --out runs/latents
    python train.py --config configs/puppets.py --workdir runs/puppets
    python train.py --config configs/puppets.py:restart --workdir runs/puppets_restart
    python train.py --config configs/puppets.py:cached --workdir runs/puppets_cached
    python -m data.pose_library --out runs/pose_bank
    python sample.py --checkpoint runs/puppets_restart/pretrained --pose_bank runs/pose_bank

Expected on two CPU cores with GLIBC_TUNABLES=glibc.malloc.hugetlb=1: the autoencoder reaches 24.1 dB (latents drawn
with their noise) after 3,600 steps, 20 minutes with a device a core (XLA_FLAGS=--xla_force_host_platform_device_count=2
NPROC=4); the latents take 5 minutes; the model takes 0.53 s a step and reaches a loss of 0.55 after 7,200 steps (70
minutes) and of 0.48 after 13,000 more (130 minutes beside other work). With classifier-free guidance people stand where
and as the skeleton says and wear the colours of their photos; faces and patterns are smudged.
"""

import ml_collections

from astra_jax.config import Config, as_config_dict

RUNS = "runs"
STAGES = ("autoencoder", "astra", "restart", "cached")


def get_config(stage: str = "astra") -> ml_collections.ConfigDict:
    """The config of one stage: "autoencoder", "astra" (also without a name), "restart" or "cached"."""
    if stage not in ("", *STAGES):
        raise ValueError(f"configs/puppets.py has the stages {', '.join(STAGES)}, not {stage!r}")
    config = as_config_dict(Config())

    model = config.model
    model.text_length, model.phrase_length, model.max_subjects, model.dtype = 48, 8, 3, "float32"
    model.transformer.update(
        width=192, heads=3, axes_dim=(16, 24, 24), double_blocks=2, single_blocks=4, context_dim=128, pooled_dim=128,
        guidance_embed=False, remat="none",
    )  # fmt: skip
    model.autoencoder.update(
        channels=16, channel_mult=(1, 2, 4, 4), res_blocks=1, norm_groups=8, scale=1.36, shift=0.03
    )
    model.t5.update(vocab_size=2048, width=128, layers=2, heads=4, head_dim=32, mlp_dim=256)
    model.clip_text.update(vocab_size=2048, width=128, layers=2, heads=4, mlp_dim=512, length=48)
    model.clip_vision.update(image_size=64, patch=16, width=128, layers=3, heads=4, mlp_dim=512)
    model.siglip_vision.update(image_size=64, patch=16, width=128, layers=3, heads=4, mlp_dim=512)
    model.dsm.update(width=128, layers=2, heads=4)

    data = config.data
    data.update(source="puppets", dir=f"{RUNS}/tfds", tokenizer="data/tokenizer", height=128, width=128)
    data.reference_size = 80

    config.sample.update(height=128, width=128, guidance=1.0, cfg_scale=2.0)

    train = config.train
    if stage == "autoencoder":
        data.crop = 64
        train.update(objective="autoencoder", trainable="^autoencoder/", steps=3600, batch_size=16)
        train.kl_weight = 0.01
        train.optimizer.update(learning_rate=1.5e-3, schedule="cosine", warmup_steps=200, b2=0.99, weight_decay=0.0)
    else:
        data.latents = f"{RUNS}/latents"
        train.update(trainable="^(?!autoencoder/)", batch_size=8, timesteps="logit_normal")
        train.optimizer.update(schedule="cosine", b2=0.99)
        if stage == "restart":
            train.update(initialize_from=(f"{RUNS}/puppets/pretrained",), steps=13_000)
            train.optimizer.update(learning_rate=1.2e-3, warmup_steps=200)
        elif stage == "cached":
            model.condition_attention = "cached"
            train.update(initialize_from=("pretrained/puppets",), steps=3000)
            train.optimizer.update(learning_rate=8e-4, warmup_steps=200)
        else:
            train.update(initialize_from=(f"{RUNS}/autoencoder/pretrained",), steps=7200)
            train.optimizer.update(learning_rate=1.5e-3, warmup_steps=300)
    return config
