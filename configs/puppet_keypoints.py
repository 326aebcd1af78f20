"""The keypoint networks of the drawn people: what evaluates poses in the puppets' pictures.

python -m data.puppets --out runs/tfds
python train.py --config configs/puppet_keypoints.py --workdir runs/puppet_keypoints
"""

import ml_collections

from astra_jax.config import Config, as_config_dict


def get_config() -> ml_collections.ConfigDict:
    """Two ViTPose networks: joints in cuts of 96 pixels, heads and boxes in pictures of 128."""
    config = as_config_dict(Config())
    config.model.dtype = "float32"

    joints, people = config.keypoints.joints, config.keypoints.people
    joints.vit.update(image_size=(96, 96), patch=16, patch_padding=0, width=192, layers=4, heads=3, mlp_dim=768)
    joints.update(stem=(24, 48, 96), channels=(96, 48, 24))
    people.vit.update(image_size=(128, 128), patch=16, patch_padding=0, width=128, layers=3, heads=2, mlp_dim=512)
    people.update(stem=(16, 32, 64), channels=(64,), maps=5)

    config.data.update(source="puppets", dir="runs/tfds", height=128, width=128)
    config.train.update(objective="keypoints", steps=6000, batch_size=12, sample_every=1000, export_dtype="bfloat16")
    config.train.optimizer.update(
        learning_rate=1e-3, schedule="constant", warmup_steps=200, b2=0.99, weight_decay=0.05, ema_decay=0.999
    )
    return config
