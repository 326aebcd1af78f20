"""What of a caption is compared: its action text, and for embedders that read sentences also the caption as it is.

The two views are one vector, so that one index finds by both: with s the embedder's `raw_share`, the dot product of
two vectors is s cos(captions) + (1 - s) cos(action texts).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from astra_jax.pose.action_text import action_text
from astra_jax.pose.embedding import TextEmbedder


def caption_vectors(embedder: TextEmbedder, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
    """A float32 row of length at most 1 for each caption or prompt, of `vector_width(embedder)` numbers.

    A text without an action ("a man") has zeros in that view, one that the embedder knows nothing of in both.
    """
    share = embedder.raw_share
    views = [embedder([action_text(text) for text in texts])] if share < 1 else []
    if share > 0:
        views.append(embedder(list(texts)))
    scales = [(1 - share) ** 0.5] * (share < 1) + [share**0.5] * (share > 0)
    return np.concatenate([view * np.float32(scale) for view, scale in zip(views, scales, strict=True)], axis=1)


def vector_width(embedder: TextEmbedder) -> int:
    """Numbers of a row of `caption_vectors`."""
    return embedder.dim * (1 if embedder.raw_share in (0, 1) else 2)
