"""The keypoint networks of the drawn people: what reads poses out of the puppets' pictures when they are evaluated.

Two ViTPose networks in one run: joints of a person in a cut of 96 pixels, and heads and boxes of people in the whole
picture. Convolutions stand in front of both transformers: patches alone learn five times slower from so few pictures.
The first stage has a constant rate, the second goes on from its averages and lets the rate fall, the third does that
again for longer (a warm restart, arXiv 1608.03983). The fourth trains the network of joints alone, with more weight on
what OKS measures: how far the expected places are off, in units of its tolerance.

    python -m data.puppets --out runs/tfds
    python train.py --config configs/puppet_keypoints.py --workdir runs/puppet_keypoints
    python train.py --config configs/puppet_keypoints.py:fall --workdir runs/puppet_keypoints_fall
    python train.py --config configs/puppet_keypoints.py:again --workdir runs/puppet_keypoints_again
    python train.py --config configs/puppet_keypoints.py:joints --workdir runs/puppet_keypoints_joints
    ASTRA_KEYPOINTS=runs/puppet_keypoints_joints/pretrained python -m pytest -m slow -rP tests/test_shipped_keypoints.py
"""

import ml_collections

from astra_jax.config import Config, as_config_dict

RUNS = "runs"
STAGES = ("constant", "fall", "again", "joints")


def get_config(stage: str = "constant") -> ml_collections.ConfigDict:
    """The config of one stage: "constant" (also without a name), "fall", "again" or "joints"."""
    if stage not in ("", *STAGES):
        raise ValueError(f"configs/puppet_keypoints.py has the stages {', '.join(STAGES)}, not {stage!r}")
    config = as_config_dict(Config())
    config.model.dtype = "float32"

    joints, people = config.keypoints.joints, config.keypoints.people
    joints.vit.update(image_size=(96, 96), patch=16, patch_padding=0, width=192, layers=4, heads=3, mlp_dim=768)
    joints.update(stem=(24, 48, 96), channels=(96, 48, 24))
    people.vit.update(image_size=(128, 128), patch=16, patch_padding=0, width=128, layers=3, heads=2, mlp_dim=512)
    people.update(stem=(16, 32, 64), channels=(64,), maps=5)
    config.keypoints.crops = 2

    config.data.update(source="puppets", dir=f"{RUNS}/tfds", height=128, width=128)
    train = config.train
    train.update(objective="keypoints", batch_size=12, sample_every=1000)
    train.optimizer.update(b2=0.99, weight_decay=0.05)
    if stage == "fall":
        train.update(initialize_from=(f"{RUNS}/puppet_keypoints/pretrained",), steps=1700)
        train.optimizer.update(learning_rate=1e-3, schedule="cosine", warmup_steps=50, ema_decay=0.998)
        config.data.seed = 1
    elif stage == "again":
        train.update(initialize_from=(f"{RUNS}/puppet_keypoints_fall/pretrained",), steps=8000)
        train.optimizer.update(learning_rate=1e-3, schedule="cosine", warmup_steps=100)
        config.data.seed = 2
    elif stage == "joints":
        train.update(initialize_from=(f"{RUNS}/puppet_keypoints_again/pretrained",), steps=11_000, trainable="^joints/")
        train.optimizer.update(learning_rate=1e-3, schedule="cosine", warmup_steps=100)
        config.keypoints.place_weight = 0.5
        config.data.seed = 3
    else:
        train.steps = 1802
        train.optimizer.update(learning_rate=1e-3, warmup_steps=200)
    return config
