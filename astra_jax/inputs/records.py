"""A record of the cache: a safetensors document (no pickle) of float16 moments, uint8 portraits, and the words as JSON.

With embeddings the words' features and placement are there, too, and the image encoder's tokens in place of portraits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import safetensors.numpy

from astra_jax.inputs.example import Embeddings, Prepared

MAX_RECORD_BYTES = 256 << 20
_WHAT = {"target": "moments", "pose": "moments", "references": "moments"}  # the others are features


def encode_record(prepared: Prepared) -> bytes:
    """A record's bytes. Moments and features become float16; `ValueError` if they are not finite there."""
    moments = {"target": prepared.target, "pose": prepared.pose, "references": prepared.references}
    embeddings = prepared.embeddings
    if embeddings is not None:
        moments |= {"portraits": prepared.portraits, "text": embeddings.text, "pooled": embeddings.pooled}
        moments |= {"phrase_features": embeddings.phrases}
    tensors: dict[str, np.ndarray] = {name: np.asarray(value).astype(np.float16) for name, value in moments.items()}
    for name, value in tensors.items():
        if not np.isfinite(value).all():
            raise ValueError(f"the {_WHAT.get(name, 'features')} of the {name} are not finite")
    words = {"prompt": prepared.prompt, "phrases": prepared.phrases, "has_pose": prepared.has_pose}
    if embeddings is None:
        tensors["portraits"] = prepared.portraits
    else:
        tensors["placement"] = embeddings.placement.astype(np.int32)
    tensors["words"] = np.frombuffer(json.dumps(words).encode(), np.uint8)
    return safetensors.numpy.save({name: np.ascontiguousarray(value) for name, value in tensors.items()})


def decode_record(record: bytes, empty: Mapping[str, np.ndarray] | None = None) -> Prepared:
    """The inverse of `encode_record`; `empty` (of `read_empty`) where the record has embeddings.

    Raises `ValueError`, `KeyError` or `SafetensorError` for damaged bytes.
    """
    if len(record) > MAX_RECORD_BYTES:
        raise ValueError(f"{len(record)} bytes are too many for one record")
    tensors = safetensors.numpy.load(record)
    words = json.loads(tensors["words"].tobytes())
    return Prepared(
        prompt=words["prompt"],
        phrases=tuple(words["phrases"]),
        target=tensors["target"],
        pose=tensors["pose"],
        has_pose=words["has_pose"],
        references=tensors["references"],
        portraits=tensors["portraits"],
        embeddings=None
        if empty is None
        else Embeddings(
            text=tensors["text"],
            pooled=tensors["pooled"],
            empty_text=empty["text"],
            empty_pooled=empty["pooled"],
            phrases=tensors["phrase_features"],
            placement=tensors["placement"],
        ),
    )


def encode_empty(embeddings: Embeddings) -> bytes:
    """What the text encoders make of no words, as the document that `read_empty` reads."""
    tensors = {"text": embeddings.empty_text, "pooled": embeddings.empty_pooled}
    return safetensors.numpy.save({name: np.ascontiguousarray(value, np.float16) for name, value in tensors.items()})
