"""What EURoPE and the adapter are worth: the paper's ablation, on drawn people, on a laptop.

    python -m data.puppets --out runs/tfds
    python train.py --config configs/puppets.py:autoencoder --workdir runs/autoencoder
    python -m astra_jax.inputs.precompute --config configs/puppets.py --autoencoder runs/autoencoder/pretrained \
        --out runs/latents
    python evaluate.py --ablation configs/ablations --out runs/ablation

The last one trains `START`, then every variant from it with each of `SEEDS` by train.py, and has evaluate.py measure
all of them with the true pose, a retrieved one and none. Variants differ in positions and adapter alone: data, batches,
steps, learning rates and start are the same.

The start knows words alone; it has never seen a pose or a reference. Without their tokens the three schemes of
positions are one function, so it favours none, and it stands where FLUX.1-dev stands for the paper: what a variant
still has to learn is how to read poses and photos. The shipped weights cannot be the start, as they have learnt that
under EURoPE.

Most steps are the start's, which all runs share: it learns to draw, so that the variants need only learn to follow.
Expected on two CPU cores with GLIBC_TUNABLES=glibc.malloc.hugetlb=1: the start 32 minutes (5.2 steps a second), the
variants 77 (two at a time, 1.8 each), measuring 9 with --scenes=40.
"""

import ml_collections

from configs import puppets

START = "start"
VARIANTS = {
    "europe": "pose on the canvas, references on the diagonal; adapter (the method)",
    "unope": "pose and references on the diagonal; adapter",
    "rope": "pose and references on the canvas; adapter",
    "europe-no-dsm": "pose on the canvas, references on the diagonal; no adapter",
    "unope-no-dsm": "pose and references on the diagonal; no adapter",
    "rope-no-dsm": "pose and references on the canvas; no adapter",
}
SEEDS = (0, 1)


def get_config(run: str = "europe") -> ml_collections.ConfigDict:
    """The training run of a variant, or of the start."""
    if run != START and run not in VARIANTS:
        raise ValueError(f"configs/ablations/puppets.py has {START}, {', '.join(VARIANTS)}, not {run!r}")
    config = puppets.get_config()
    train = config.train
    # Two thirds of the default's width: half the cost, and so twice the steps, which count for more in runs this short.
    config.model.transformer.update(width=128, heads=2)
    config.sample.update(steps=12, solver="dpmpp")
    train.update(sample_every=0, checkpoint_every=250, log_every=50)
    if run == START:
        config.model.max_subjects, config.data.drop_pose = 0, 1.0
        train.steps = 10_000
        return config
    positions, _, without = run.partition("-")
    config.model.positions = positions
    # An adapter that is not trained stays at its start, where it changes nothing.
    train.trainable = "^(?!autoencoder/|dsm/|clip_vision/)" if without else "^(?!autoencoder/)"
    train.steps = 1400
    train.optimizer.update(learning_rate=1.2e-3, warmup_steps=100)
    return config
