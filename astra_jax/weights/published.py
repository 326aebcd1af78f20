"""Which published weights make which part of the model: folders, files and naming tables of every part."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from astra_jax.config import ModelConfig
from astra_jax.errors import UserError
from astra_jax.weights import autoencoder, encoders, flux
from astra_jax.weights.mapping import Naming, published_names
from astra_jax.weights.tensors import Tensors


@dataclasses.dataclass(frozen=True)
class Table:
    """One naming of one part.

    Attributes:
        file: where a model's folder keeps it.
        naming: by path in the part's tree.
        unread: a regex of the tensors that no leaf is made from.
    """

    file: str
    naming: Naming
    unread: str = ""


# Part -> the subfolder of a published FLUX.1 folder. A model has one image encoder, so two may share a name.
FOLDERS = {
    "transformer": "transformer",
    "autoencoder": "vae",
    "clip_text": "text_encoder",
    "t5": "text_encoder_2",
    "clip_vision": "image_encoder",
    "siglip_vision": "image_encoder",
}
FORMATS = ("diffusers", "black-forest-labs")
IMAGE_ENCODERS = {"clip_vision": "CLIP", "siglip_vision": "SigLIP"}  # part -> whose
_IMAGE_ENCODER = "image_encoder/model.safetensors"


def tables(part: str, config: ModelConfig, names: Iterable[str] | None = None) -> dict[str, Table]:
    """Format -> the table of a part; without an entry where the format does not know the part.

    `names` of a file settle what its writer's version decides; without them it is what is published. A part with no
    published form, as the adapter "dsm", has no tables.
    """
    make: dict[str, Callable[[], dict[str, Table]]] = {
        "transformer": lambda: _transformer(config),
        "autoencoder": lambda: _autoencoder(config),
        "t5": lambda: {
            "diffusers": Table("text_encoder_2/model.safetensors", encoders.t5_naming(config.t5), encoders.t5_unread())
        },
        "clip_text": lambda: _clip_text(config, names),
        "clip_vision": lambda: _clip_vision(config, names),
        "siglip_vision": lambda: _siglip_vision(config, names),
    }
    return make[part]() if part in make else {}


def _transformer(config: ModelConfig) -> dict[str, Table]:
    sizes = config.transformer
    file = "transformer/diffusion_pytorch_model.safetensors"
    return {
        "diffusers": Table(file, flux.diffusers_naming(sizes)),
        "black-forest-labs": Table("flux1.safetensors", flux.bfl_naming(sizes)),
    }


def _autoencoder(config: ModelConfig) -> dict[str, Table]:
    file = "vae/diffusion_pytorch_model.safetensors"
    return {
        "diffusers": Table(file, autoencoder.diffusers_autoencoder_naming(config.autoencoder)),
        "black-forest-labs": Table("ae.safetensors", autoencoder.bfl_autoencoder_naming(config.autoencoder)),
    }


def _clip_text(config: ModelConfig, names: Iterable[str] | None) -> dict[str, Table]:
    prefix = encoders.TEXT_PREFIX if names is None else encoders.has_prefix(names, encoders.TEXT_PREFIX)
    naming = encoders.clip_text_naming(config.clip_text, prefix)
    return {"diffusers": Table("text_encoder/model.safetensors", naming, encoders.clip_text_unread(prefix))}


def _clip_vision(config: ModelConfig, names: Iterable[str] | None) -> dict[str, Table]:
    prefix = _vision_prefix(names)
    naming = encoders.clip_vision_naming(config.clip_vision, prefix)
    return {"diffusers": Table(_IMAGE_ENCODER, naming, encoders.clip_vision_unread(config.clip_vision, prefix))}


def _siglip_vision(config: ModelConfig, names: Iterable[str] | None) -> dict[str, Table]:
    prefix = _vision_prefix(names)
    naming = encoders.siglip_vision_naming(config.siglip_vision, prefix)
    return {"diffusers": Table(_IMAGE_ENCODER, naming, encoders.siglip_vision_unread(prefix))}


def _vision_prefix(names: Iterable[str] | None) -> str:
    return encoders.VISION_PREFIX if names is None else encoders.has_prefix(names, encoders.VISION_PREFIX)


def find_table(part: str, config: ModelConfig, tensors: Tensors) -> Table:
    """The table of `part` that names most of the tensors.

    Raises `UserError` where none of them is known, and for the image encoder that the config does not choose.
    """
    names = set(tensors.entries)
    held = encoders.vision_part(names)
    if part in IMAGE_ENCODERS and held and held != part:
        raise UserError(
            f"{tensors.name} holds {IMAGE_ENCODERS[held]}'s image encoder, but model.dsm.encoder is"
            f" {config.dsm.encoder!r}: set --config.model.dsm.encoder={held.removesuffix('_vision')} or put"
            f" {IMAGE_ENCODERS[part]}'s there"
        )
    known = tables(part, config, names)
    scores = {form: len(names & set(published_names(table.naming))) for form, table in known.items()}
    if not any(scores.values()):
        raise UserError(
            f"{tensors.name} holds no weights of the {part} in a naming that is known "
            f"({', '.join(scores) or 'there is none'}); its tensors look like {', '.join(sorted(names)[:3]) or 'none'}"
        )
    return known[max(scores, key=lambda form: scores[form])]


def part_of(config: ModelConfig, tensors: Tensors, parts: Iterable[str]) -> str:
    """The one of `parts` whose tables name most of the tensors of a single file; raises `UserError` if none does."""
    names = set(tensors.entries)

    def score(part: str) -> int:
        known = tables(part, config, names).values()
        return max((len(names & set(published_names(table.naming))) for table in known), default=0)

    best = max(parts, key=score)
    if not score(best):
        raise UserError(
            f"{tensors.name} holds weights of no known part; its tensors look like {', '.join(sorted(names)[:3])}"
        )
    return best
