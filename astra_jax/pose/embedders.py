"""Which embedder reads a bank's captions: the built-in one, or a pretrained text encoder in a folder the user names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from astra_jax.errors import UserError
from astra_jax.pose.embedding import TextEmbedder, TfidfEmbedder

BUILT_IN = TfidfEmbedder.kind
# Embedders that a bank holds whole.
LOADERS: dict[str, Callable[[Path], TextEmbedder]] = {TfidfEmbedder.kind: TfidfEmbedder.load}


def open_embedder(choice: str) -> TextEmbedder | None:
    """The text encoder in the folder `choice`; None for "tfidf", which is fitted on captions or lies in the bank.

    Raises `UserError` for a folder that is no text encoder (`EncoderEmbedder.from_folder`).
    """
    if choice == BUILT_IN:
        return None
    # Imported here because Flax takes seconds, which only those pay who have such a folder.
    from astra_jax.pose.encoder_embedding import EncoderEmbedder

    return EncoderEmbedder.from_folder(choice)


def restore_embedder(kind: str, saved: Path, bank: Path, given: TextEmbedder | None) -> TextEmbedder:
    """The embedder of a bank that was made with one of `kind`.

    Args:
      kind: as the bank says.
      saved: what the embedder saved with the bank.
      bank: the bank's folder, for the messages.
      given: by the user, for a bank that does not hold its embedder whole.

    Raises `UserError` where one is needed and not given, or is given and is another than the bank's.
    """
    if given is None:
        if kind not in LOADERS:
            raise UserError(
                f"the pose bank {bank} was made with the embedder {kind[:40]!r}: give the folder of its text "
                "encoder (--embedder, with sample.py --pose_embedder; embedder= or pose_embedder= from Python)"
            )
        return LOADERS[kind](saved)
    if given.kind != kind:
        raise UserError(
            f"the pose bank {bank} was made with the embedder {kind[:40]!r}, not {given.kind!r}: give the same"
        )
    given.check(saved)
    return given
