"""Every setting of the system as frozen dataclasses; the defaults are FLUX.1-dev with the ASTRA additions.

`configs/*.py` return an `ml_collections.ConfigDict` with the same tree (start from `as_config_dict(Config())` and
change what differs). `from_config_dict` converts it here, once; nothing below this module ever sees a ConfigDict.
Frozen dataclasses are hashable, so they serve as static arguments of `jax.jit`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import typing
from typing import Any

import ml_collections

from astra_jax.errors import UserError
from astra_jax.vit_config import KeypointsConfig


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """The MM-DiT (FLUX.1 form). Widths in channels; `axes_dim` sums to the width of one head."""

    width: int = 3072
    heads: int = 24
    axes_dim: tuple[int, ...] = (16, 56, 56)
    theta: float = 10_000.0
    double_blocks: int = 19
    single_blocks: int = 38
    mlp_ratio: float = 4.0
    latent_dim: int = 64
    context_dim: int = 4096
    pooled_dim: int = 768
    guidance_embed: bool = True
    remat: str = "full"  # what the backward pass recomputes: "none", "dots" (keeps matmul results) or "full"

    def __post_init__(self):
        if self.heads < 1 or self.width % self.heads or sum(self.axes_dim) * self.heads != self.width:
            raise UserError(
                f"transformer: {self.heads} heads of {sum(self.axes_dim)} channels (the sum of axes_dim"
                f" {self.axes_dim}) must make the width {self.width}"
            )
        if any(width % 2 for width in self.axes_dim):
            raise UserError(f"transformer.axes_dim must be even numbers, not {self.axes_dim}")
        if self.remat not in ("none", "dots", "full"):
            raise UserError(f"transformer.remat must be 'none', 'dots' or 'full', not {self.remat!r}")


@dataclasses.dataclass(frozen=True)
class AutoencoderConfig:
    """FLUX.1's convolutional autoencoder. `scale` and `shift` normalise its latents: z = scale * (raw - shift)."""

    channels: int = 128
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    res_blocks: int = 2
    latent_channels: int = 16
    norm_groups: int = 32
    scale: float = 0.3611
    shift: float = 0.1159

    @property
    def downsampling(self) -> int:
        """Pixels a latent, along one side."""
        return 2 ** (len(self.channel_mult) - 1)


@dataclasses.dataclass(frozen=True)
class T5Config:
    """The T5 v1.1 encoder (gated GELU, relative position buckets)."""

    vocab_size: int = 32_128
    width: int = 4096
    layers: int = 24
    heads: int = 64
    head_dim: int = 64
    mlp_dim: int = 10_240
    buckets: int = 32
    max_distance: int = 128


@dataclasses.dataclass(frozen=True)
class ClipTextConfig:
    """CLIP's causal text encoder; its end-of-text feature is the pooled text vector."""

    vocab_size: int = 49_408
    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_dim: int = 3072
    length: int = 77


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """BERT's encoder as sentence embedders use it; the defaults are all-MiniLM-L6-v2's. No part of the model."""

    vocab_size: int = 30_522
    width: int = 384
    layers: int = 6
    heads: int = 12
    mlp_dim: int = 1536
    length: int = 512
    segments: int = 2
    norm_eps: float = 1e-12


@dataclasses.dataclass(frozen=True)
class ClipVisionConfig:
    """CLIP's vision transformer; the DSM adapter reads the tokens before its last block."""

    image_size: int = 224
    patch: int = 14
    width: int = 1024
    layers: int = 24
    heads: int = 16
    mlp_dim: int = 4096

    @property
    def tokens(self) -> int:
        """Tokens of a picture: the class token and the patches."""
        return 1 + (self.image_size // self.patch) ** 2


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """CLIP whole, with the projections into its common space; the defaults are ViT-B/32's. No part of the model."""

    text: ClipTextConfig = ClipTextConfig(width=512, heads=8, mlp_dim=2048)
    vision: ClipVisionConfig = ClipVisionConfig(patch=32, width=768, layers=12, heads=12, mlp_dim=3072)
    dim: int = 512  # of the common space


# ViT-L/14, whose text half FLUX.1 has.
CLIP_L14 = ClipConfig(ClipTextConfig(), ClipVisionConfig(), 768)


@dataclasses.dataclass(frozen=True)
class SiglipVisionConfig:
    """SigLIP's vision transformer (so400m/14 at 384 pixels, as FLUX.1 Redux reads it)."""

    image_size: int = 384
    patch: int = 14
    width: int = 1152
    layers: int = 27
    heads: int = 16
    mlp_dim: int = 4304

    @property
    def tokens(self) -> int:
        """Tokens of a picture: the patches that lie wholly inside."""
        return (self.image_size // self.patch) ** 2


@dataclasses.dataclass(frozen=True)
class DsmConfig:
    """The identity adapter: a perceiver resampler for the shared offsets and one for the per-block offsets."""

    width: int = 1024
    layers: int = 3
    heads: int = 8
    encoder: str = "clip"  # whose image tokens it reads: "clip" (model.clip_vision) or "siglip" (model.siglip_vision)

    def __post_init__(self):
        if self.heads < 1 or self.width % self.heads:
            raise UserError(f"dsm: {self.heads} heads do not divide the width {self.width}")
        if self.encoder not in ("clip", "siglip"):
            raise UserError(f"dsm.encoder must be 'clip' or 'siglip', not {self.encoder!r}")


# XVerse's published adapter.
XVERSE_DSM = DsmConfig(width=3072, layers=3, heads=8)


# The single blocks' fused map makes queries, keys, values and the MLP's input; UNO adapts the first three.
FUSED = "single_blocks/linear1"


@dataclasses.dataclass(frozen=True)
class LoraConfig:
    """Low-rank factors beside the transformer's linear maps, in a part "lora" of their own; the places are UNO's."""

    rank: int = 0  # 0: no LoRA; the method's is 512
    scale: float = 1.0  # of the product
    # A regex on the paths of the transformer's linear maps.
    places: str = r"^double_blocks/(img|txt)_(qkv|proj)$|^single_blocks/linear[12]$"
    fused_mlp: bool = False  # whether FUSED is adapted in its MLP part, too

    def __post_init__(self):
        if self.rank < 0:
            raise UserError(f"model.lora.rank must be 0 (no LoRA) or more, not {self.rank}")
        try:
            re.compile(self.places)
        except re.error as error:
            raise UserError(f"model.lora.places {self.places!r} is no regular expression: {error}") from error


# How the transformer computes attention; "auto": the platform's kernel where it can do it, else by size.
ATTENTION_BACKENDS = ("auto", "plain", "blocked", "splash", "cudnn")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The whole model. Picture sizes are in pixels, lengths in tokens."""

    transformer: TransformerConfig = TransformerConfig()
    autoencoder: AutoencoderConfig = AutoencoderConfig()
    t5: T5Config = T5Config()
    clip_text: ClipTextConfig = ClipTextConfig()
    clip_vision: ClipVisionConfig = ClipVisionConfig()  # a part of the model where dsm.encoder is "clip"
    siglip_vision: SiglipVisionConfig = SiglipVisionConfig()  # in its place where dsm.encoder is "siglip"
    dsm: DsmConfig = DsmConfig()
    lora: LoraConfig = LoraConfig()
    positions: str = "europe"  # "europe" (the method), "unope" or "rope" (its ablations)
    # How pose and reference tokens attend: "full", one sequence with text and canvas; or "cached", among themselves
    # alone, so that they are computed once a picture and not once a step. Weights are trained with one of the two.
    condition_attention: str = "full"
    condition_scope: str = "all"  # whom they see where they are "cached": "all" of them, or those of their own "image"
    text_length: int = 512
    phrase_length: int = 16
    max_subjects: int = 2
    dtype: str = "bfloat16"  # of the computation; norms, rotary tables, softmax and loss are always float32
    # The transformer's: "plain" or "blocked" (anywhere), "splash" (TPU), "cudnn" (NVIDIA) or "auto", the best of them.
    attention: str = "auto"

    def __post_init__(self):
        self._check_attention()
        if self.positions not in ("europe", "unope", "rope"):
            raise UserError(f"model.positions must be 'europe', 'unope' or 'rope', not {self.positions!r}")
        if self.condition_attention not in ("full", "cached"):
            raise UserError(f"model.condition_attention must be 'full' or 'cached', not {self.condition_attention!r}")
        if self.condition_scope not in ("all", "image"):
            raise UserError(f"model.condition_scope must be 'all' or 'image', not {self.condition_scope!r}")
        sizes = self.transformer
        for names, one, other in (
            ("transformer.context_dim and t5.width", sizes.context_dim, self.t5.width),
            ("transformer.pooled_dim and clip_text.width", sizes.pooled_dim, self.clip_text.width),
            (
                "transformer.latent_dim and 4 x autoencoder.latent_channels",
                sizes.latent_dim,
                4 * self.autoencoder.latent_channels,
            ),
        ):
            if one != other:
                raise UserError(f"model.{names} must be equal, not {one} and {other}")
        if self.dtype not in ("bfloat16", "float16", "float32"):
            raise UserError(f"model.dtype must be 'bfloat16', 'float16' or 'float32', not {self.dtype!r}")

    def _check_attention(self):
        width = sum(self.transformer.axes_dim)
        if self.attention not in ATTENTION_BACKENDS:
            names = ", ".join(map(repr, ATTENTION_BACKENDS))
            raise UserError(f"model.attention must be one of {names}, not {self.attention!r}")
        if self.attention == "splash" and width % 128:
            raise UserError(
                f"model.attention 'splash' needs heads of a multiple of 128 channels, not {width}: choose 'auto'"
            )
        if self.attention == "cudnn" and (self.dtype == "float32" or width % 8 or width > 128):
            raise UserError(
                "model.attention 'cudnn' needs model.dtype bfloat16 or float16 and heads of a multiple of 8 and at most"
                f" 128 channels, not {self.dtype} and {width}: choose 'auto'"
            )

    @property
    def image_encoder_part(self) -> str:
        """Which part of the model is the encoder whose tokens the adapter reads: "clip_vision" or "siglip_vision"."""
        return f"{self.dsm.encoder}_vision"

    @property
    def image_encoder(self) -> ClipVisionConfig | SiglipVisionConfig:
        """The sizes of that encoder."""
        return self.siglip_vision if self.dsm.encoder == "siglip" else self.clip_vision


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where training examples come from and how they are shaped."""

    source: str = "puppets"
    split: str = "train"
    dir: str = ""  # TFDS data_dir; empty: ~/tensorflow_datasets or $TFDS_DATA_DIR
    latents: str = ""  # a folder written by `python -m astra_jax.inputs.precompute`; empty: encode in the step
    embeddings: bool = False  # `latents` also holds the frozen encoders' outputs, and the run needs no encoders
    tokenizer: str = ""  # a folder with tokenizer.json (one for both text encoders)
    height: int = 512
    width: int = 512
    # Canvases (height, width), each example on the one nearest to its picture's shape; empty: all on height x width.
    buckets: tuple[tuple[int, int], ...] = ()
    reference_size: int = 320
    crop: int = 0  # autoencoder only: side of the random square crops; 0: the whole picture
    drop_text: float = 0.1
    drop_pose: float = 0.15
    drop_references: float = 0.05
    drop_identity: float = 0.1  # of the DSM path alone
    drop_reference_tokens: float = 0.1  # of the reference tokens alone
    seed: int = 0
    threads: int = 4


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with linear warm-up."""

    learning_rate: float = 1e-5
    schedule: str = "constant"  # after the warm-up: "constant" or "cosine" (to a tenth)
    warmup_steps: int = 500
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.999


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Sizes of the mesh axes; one of them may be -1 and takes the devices that are left.

    `dcn_data` is in how many parts of the data axis the devices lie that the slow network alone connects: the number of
    TPU slices, or of hosts. It divides `data`; the other axes stay within a part.
    """

    data: int = -1  # examples
    fsdp: int = 1  # examples, and weights with their moments
    context: int = 1  # tokens
    tensor: int = 1  # heads and channels
    dcn_data: int = 1


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run. Intervals are in steps; 0 switches a thing off."""

    objective: str = "astra"  # or "autoencoder" or "keypoints"
    trainable: str = ".*"  # a regex searched in the parameter path, "dsm/shared/proj/kernel"; the rest is frozen
    initialize_from: tuple[str, ...] = ()  # folders with model.safetensors or workdirs; later ones win
    steps: int = 100_000
    batch_size: int = 16
    optimizer: OptimizerConfig = OptimizerConfig()
    timesteps: str = "uniform"  # before the shift by resolution, which training always has: or "logit_normal"
    guidance: float = 1.0  # the value of the guidance input in training
    kl_weight: float = 1e-6  # autoencoder only
    seed: int = 0
    log_every: int = 20
    checkpoint_every: int = 500
    keep: int = 2  # checkpoints
    max_skipped: int = 10  # steps in a row with a loss that is not finite, before the run stops
    sample_every: int = 500
    export_dtype: str = "bfloat16"

    def __post_init__(self):
        if self.timesteps not in ("uniform", "logit_normal"):
            raise UserError(f"train.timesteps must be 'uniform' or 'logit_normal', not {self.timesteps!r}")


# Rules by which the sampler follows the flow (`flow/solvers.py`).
SOLVERS = ("euler", "heun", "dpmpp")


def check_solver(solver: str, cache_threshold: float, group: str = "") -> None:
    """Raises `UserError`, naming the setting with its `group` in front, for one that the sampler does not have."""
    if solver not in SOLVERS:
        raise UserError(f"{group}solver must be one of {', '.join(map(repr, SOLVERS))}, not {solver!r}")
    if not 0 <= cache_threshold < math.inf:
        raise UserError(f"{group}cache_threshold must be 0 (off) or more, not {cache_threshold}")


@dataclasses.dataclass(frozen=True)
class SampleConfig:
    """Defaults of the sampler."""

    steps: int = 25
    guidance: float = 4.0  # the guidance input of a guidance-distilled model
    cfg_scale: float = (
        1.0  # classifier-free guidance; 1: off, else each step runs the model with and without conditions
    )
    height: int = 512
    width: int = 512
    shift: str = "resolution"  # of the sampler's times: "resolution" (FLUX.1-dev) or "none" (FLUX.1-schnell)
    solver: str = "euler"  # "euler" (order 1), "heun" (order 2, two evaluations a step) or "dpmpp" (order 2, one)
    # First-block cache: below which relative change of the first block's residual a step reuses the rest of the
    # model's from the step before; 0: never.
    cache_threshold: float = 0.0

    def __post_init__(self):
        check_solver(self.solver, self.cache_threshold, "sample.")
        if self.shift not in ("resolution", "none"):
            raise UserError(f"sample.shift must be 'resolution' or 'none', not {self.shift!r}")


@dataclasses.dataclass(frozen=True)
class Config:
    """The root: everything one run needs."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    mesh: MeshConfig = MeshConfig()
    sample: SampleConfig = SampleConfig()
    keypoints: KeypointsConfig = KeypointsConfig()


def as_config_dict(config: Any) -> ml_collections.ConfigDict:
    """A locked `ConfigDict` with the fields of a dataclass instance, nested ones as nested ConfigDicts."""
    return ml_collections.ConfigDict(to_dict(config)).lock()


def to_dict(config: Any) -> dict[str, Any]:
    """A plain, JSON-serialisable dict (tuples stay tuples) of a dataclass instance."""
    return dataclasses.asdict(config)


def from_config_dict(tree: Any, cls: type = Config, path: str = "config") -> Any:
    """Converts a nested mapping (a ConfigDict, or a dict out of a file) to the frozen dataclass `cls`.

    Missing fields keep their defaults. Raises `UserError` for what is no mapping, for a key that `cls` does not have
    (naming the nearest one) and for a value of a wrong type.
    """
    if isinstance(tree, ml_collections.ConfigDict):
        tree = tree.to_dict()
    if not isinstance(tree, dict):
        raise UserError(f"{path} must be a group of settings, not {tree!r}")
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in tree.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(hints)}"
            raise UserError(f"{path} has no key {key!r}: {hint}")
        values[key] = _convert(value, hints[key], f"{path}.{key}")
    return cls(**values)


def _convert(value: Any, hint: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_config_dict(value, typing.cast(type, hint), path)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise UserError(f"{path} must be a list, not {value!r}")
        element, *rest = typing.get_args(hint)
        if rest != [...] and len(value) != 1 + len(rest):
            raise UserError(f"{path} must be a list of {1 + len(rest)} values, not {value!r}")
        return tuple(_convert(item, element, path) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise UserError(f"{path} must be {hint.__name__}, not {value!r}")
    return value
