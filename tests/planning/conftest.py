"""A tiny ASTRA whose LoRA and adapter are trained."""

import dataclasses

import pytest

from astra_jax import config as c

RUN = c.Config(
    model=c.ModelConfig(
        transformer=c.TransformerConfig(
            width=32, heads=4, axes_dim=(2, 2, 4), double_blocks=2, single_blocks=3, latent_dim=16, context_dim=16,
            pooled_dim=16,
        ),
        autoencoder=c.AutoencoderConfig(
            channels=8, channel_mult=(1, 2), res_blocks=1, latent_channels=4, norm_groups=4
        ),
        t5=c.T5Config(vocab_size=64, width=16, layers=2, heads=2, head_dim=8, mlp_dim=32),
        clip_text=c.ClipTextConfig(vocab_size=64, width=16, layers=2, heads=2, mlp_dim=32, length=8),
        clip_vision=c.ClipVisionConfig(image_size=16, patch=8, width=16, layers=3, heads=2, mlp_dim=32),
        dsm=c.DsmConfig(width=16, layers=1, heads=2),
        lora=c.LoraConfig(rank=8),
        text_length=16,
        phrase_length=4,
    ),
    data=c.DataConfig(height=32, width=32, reference_size=16),
    train=c.TrainConfig(trainable="^(lora|dsm)/", batch_size=16),
    mesh=c.MeshConfig(data=1, fsdp=-1),
)  # fmt: skip


@pytest.fixture(scope="session")
def run():
    return RUN


@pytest.fixture(scope="session")
def change():
    """`change(run, mesh={"fsdp": 2})`: a config with some fields of its groups replaced."""

    def changed(config, **groups):
        return dataclasses.replace(
            config, **{name: dataclasses.replace(getattr(config, name), **new) for name, new in groups.items()}
        )

    return changed
