"""Sharding rules of the models: matrices are split over fsdp and tensor, vectors and small tables replicated.

Over the tensor axis a pair of linear maps is split as in Megatron-LM (arXiv 1909.08053): the first by its outputs
(heads or hidden channels), the second by its inputs, so that only the second one's sum crosses devices. Regexes are
anchored at the end alone, so one table serves the parameters, their averages and Adam's moments.
"""

from __future__ import annotations

from jax.sharding import PartitionSpec

from astra_jax.config import ModelConfig
from astra_jax.training.mesh import Rules, fsdp

WHOLE = PartitionSpec()
OUTPUTS, INPUTS = fsdp(tensor=-1), fsdp(tensor=-2)
# Scanned blocks carry a leading layer dimension, which stays whole: the scan slices it.
LAYERS_OUTPUTS, LAYERS_INPUTS = fsdp(first=1, tensor=-1), fsdp(first=1, tensor=-2)

AUTOENCODER: Rules = (
    (r"(^|/)autoencoder/([^/]+/)*kernel$", fsdp()),
    (r"(^|/)autoencoder/([^/]+/)*(bias|scale)$", WHOLE),
)

TRANSFORMER: Rules = (
    (r"(^|/)transformer/double_blocks/(img|txt)_(qkv|mlp_in)/kernel$", LAYERS_OUTPUTS),
    (r"(^|/)transformer/double_blocks/(img|txt)_(proj|mlp_out)/kernel$", LAYERS_INPUTS),
    (r"(^|/)transformer/single_blocks/linear1/kernel$", LAYERS_OUTPUTS),
    (r"(^|/)transformer/single_blocks/linear2/kernel$", LAYERS_INPUTS),
    (r"(^|/)transformer/(double_blocks/(img|txt)_mod|single_blocks/modulation)/kernel$", LAYERS_OUTPUTS),
    (r"(^|/)transformer/(img_in|txt_in|final_mod|(time|guidance|vector)_in/in_layer)/kernel$", OUTPUTS),
    (r"(^|/)transformer/(final_linear|(time|guidance|vector)_in/out_layer)/kernel$", INPUTS),
    (r"(^|/)transformer/([^/]+/)*(bias|scale)$", WHOLE),
)

DSM: Rules = (
    (r"(^|/)dsm/([^/]+/)*(query|key|value|mlp_in|phrase_in|image_in|proj)/kernel$", OUTPUTS),
    (r"(^|/)dsm/([^/]+/)*(out|mlp_out)/kernel$", INPUTS),
    (r"(^|/)dsm/([^/]+/)*(bias|scale)$", WHOLE),
)

T5: Rules = (
    (r"(^|/)t5/layers/([^/]+/)*(q|k|v|wi_0|wi_1)/kernel$", LAYERS_OUTPUTS),
    (r"(^|/)t5/layers/([^/]+/)*(o|wo)/kernel$", LAYERS_INPUTS),
    (r"(^|/)t5/embedding/embedding$", OUTPUTS),
    (r"(^|/)t5/(relative_bias|([^/]+/)*scale)$", WHOLE),
)


def _clip(part: str) -> Rules:
    return (
        (rf"(^|/){part}/layers/(q|k|v|fc1)/kernel$", LAYERS_OUTPUTS),
        (rf"(^|/){part}/layers/(out|fc2)/kernel$", LAYERS_INPUTS),
        (rf"(^|/){part}/(positions|class_token|([^/]+/)*(bias|scale))$", WHOLE),
    )


CLIP_TEXT: Rules = (*_clip("clip_text"), (r"(^|/)clip_text/embedding/embedding$", OUTPUTS))


def image_encoder(part: str) -> Rules:
    """The table of "clip_vision" or "siglip_vision"."""
    return (*_clip(part), (rf"(^|/){part}/patches/kernel$", OUTPUTS))


# Deconvolutions and maps read all channels of the tokens; their few outputs are not worth splitting over tensor.
KEYPOINTS: Rules = tuple(
    rule
    for part in ("joints", "people")
    for rule in (
        *_clip(f"{part}/vit"),
        (rf"(^|/){part}/vit/patches/kernel$", OUTPUTS),
        (rf"(^|/){part}/(?!vit/)([^/]+/)+kernel$", fsdp()),
        (rf"(^|/){part}/(?!vit/)([^/]+/)+(bias|scale)$", WHOLE),
    )
)


# The two matrices of a low-rank product, stacked by layer or not: the one on the side that its map splits is split too.
_SPLIT_INPUTS = r"([^/]+_proj|[^/]+_mlp_out|linear2|final_linear|out_layer)"
_SPLIT_OUTPUTS = r"([^/]+_qkv|[^/]+_mlp_in|linear1|[^/]+_mod|modulation|(img|txt)_in|in_layer)"
LORA: Rules = (
    (rf"(^|/)lora/([^/]+/)*{_SPLIT_INPUTS}/a$", fsdp(first=-2, tensor=-2)),
    (rf"(^|/)lora/([^/]+/)*{_SPLIT_INPUTS}/b$", fsdp(first=-2)),
    (rf"(^|/)lora/([^/]+/)*{_SPLIT_OUTPUTS}/a$", fsdp(first=-2)),
    (rf"(^|/)lora/([^/]+/)*{_SPLIT_OUTPUTS}/b$", fsdp(first=-2, tensor=-1)),
)


def astra(config: ModelConfig) -> Rules:
    """The table of the whole model: every part that `config` has."""
    parts = (AUTOENCODER, TRANSFORMER, DSM, T5, CLIP_TEXT, image_encoder(config.image_encoder_part))
    return tuple(rule for part in (*parts, *([LORA] if config.lora.rank else [])) for rule in part)
