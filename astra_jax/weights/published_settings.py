"""The config.json beside published weights: without it diffusers and transformers cannot make the model."""

from __future__ import annotations

from typing import Any

from astra_jax.config import ClipVisionConfig, ModelConfig, SiglipVisionConfig


def published_settings(part: str, config: ModelConfig) -> dict[str, Any]:
    """What diffusers or transformers must know of `part` to make the model that its weights fit; JSON-serialisable.

    Settings that are left out have the library's defaults, which are FLUX.1's. A part with no form in diffusers raises
    KeyError.
    """
    return {
        "transformer": _transformer,
        "autoencoder": _autoencoder,
        "t5": _t5,
        "clip_text": _clip_text,
        "clip_vision": _clip_vision,
        "siglip_vision": _siglip_vision,
    }[part](config)


def _transformer(config: ModelConfig) -> dict[str, Any]:
    sizes = config.transformer
    return {
        "_class_name": "FluxTransformer2DModel",
        "attention_head_dim": sizes.width // sizes.heads,
        "axes_dims_rope": list(sizes.axes_dim),
        "guidance_embeds": sizes.guidance_embed,
        "in_channels": sizes.latent_dim,
        "joint_attention_dim": sizes.context_dim,
        "num_attention_heads": sizes.heads,
        "num_layers": sizes.double_blocks,
        "num_single_layers": sizes.single_blocks,
        "patch_size": 1,
        "pooled_projection_dim": sizes.pooled_dim,
    }


def _autoencoder(config: ModelConfig) -> dict[str, Any]:
    sizes = config.autoencoder
    levels = len(sizes.channel_mult)
    return {
        "_class_name": "AutoencoderKL",
        "block_out_channels": [sizes.channels * mult for mult in sizes.channel_mult],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "in_channels": 3,
        "latent_channels": sizes.latent_channels,
        "layers_per_block": sizes.res_blocks,
        "norm_num_groups": sizes.norm_groups,
        "out_channels": 3,
        "scaling_factor": sizes.scale,
        "shift_factor": sizes.shift,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "use_post_quant_conv": False,
        "use_quant_conv": False,
    }


def _t5(config: ModelConfig) -> dict[str, Any]:
    sizes = config.t5
    return {
        "architectures": ["T5EncoderModel"],
        "d_ff": sizes.mlp_dim,
        "d_kv": sizes.head_dim,
        "d_model": sizes.width,
        "feed_forward_proj": "gated-gelu",
        "layer_norm_epsilon": 1e-6,
        "model_type": "t5",
        "num_heads": sizes.heads,
        "num_layers": sizes.layers,
        "relative_attention_max_distance": sizes.max_distance,
        "relative_attention_num_buckets": sizes.buckets,
        "tie_word_embeddings": False,
        "vocab_size": sizes.vocab_size,
    }


def _clip_text(config: ModelConfig) -> dict[str, Any]:
    sizes = config.clip_text
    return {
        "architectures": ["CLIPTextModel"],
        "bos_token_id": sizes.vocab_size - 2,
        "eos_token_id": sizes.vocab_size - 1,  # where the text is pooled
        "hidden_act": "quick_gelu",
        "hidden_size": sizes.width,
        "intermediate_size": sizes.mlp_dim,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": sizes.length,
        "model_type": "clip_text_model",
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers,
        "vocab_size": sizes.vocab_size,
    }


def _clip_vision(config: ModelConfig) -> dict[str, Any]:
    return {
        **_vision(config.clip_vision),
        "architectures": ["CLIPVisionModel"],
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
        "model_type": "clip_vision_model",
    }


def _siglip_vision(config: ModelConfig) -> dict[str, Any]:
    return {
        **_vision(config.siglip_vision),
        "architectures": ["SiglipVisionModel"],
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-6,
        "model_type": "siglip_vision_model",
        "vision_use_head": False,  # the pooling on top, which nothing here reads
    }


def _vision(sizes: ClipVisionConfig | SiglipVisionConfig) -> dict[str, Any]:
    return {
        "hidden_size": sizes.width,
        "image_size": sizes.image_size,
        "intermediate_size": sizes.mlp_dim,
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers,
        "patch_size": sizes.patch,
    }
