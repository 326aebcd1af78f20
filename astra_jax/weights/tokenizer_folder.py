"""Tokenizers in the folders transformers writes, read without a network and without running code of theirs."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from tokenizers import Tokenizer

from astra_jax.errors import UserError

OWN = "tokenizer.json"  # of astra_jax/inputs/tokenizer.py; lies in a folder of pretrained weights itself
CLIP_FOLDER, T5_FOLDER = "tokenizer", "tokenizer_2"  # in a folder of FLUX.1's published layout
MAX_FILE_BYTES = 64 << 20
# What transformers reads of such a folder; a model's folder holds other JSON too.
_FILES = (
    "added_tokens.json", "config.json", "merges.txt", "special_tokens_map.json", "tokenizer.json",
    "tokenizer_config.json", "vocab.json", "vocab.txt",
)  # fmt: skip
# Kind of text encoder -> the folder beside the encoder's that a FLUX.1 folder keeps the tokenizer in, and the files of
# an older form of it that transformers reads.
_BESIDE = {"bert": "", "clip": CLIP_FOLDER, "t5": T5_FOLDER}
_OLDER = {"bert": ("vocab.txt",), "clip": ("vocab.json", "merges.txt")}


def is_published(folder: pathlib.Path) -> bool:
    """Whether a folder's tokenizers are those of FLUX.1's published layout, and not one of ours."""
    return (folder / T5_FOLDER).is_dir()


def has_tokenizer(folder: pathlib.Path) -> bool:
    """Whether there is a tokenizer of either kind."""
    return is_published(folder) or (folder / OWN).is_file()


def tokenizer_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The files of the folder's tokenizer, ours or the two published ones: what a copy needs.

    Raises `UserError` where there is none.
    """
    if is_published(folder):
        files = [folder / part / name for part in (CLIP_FOLDER, T5_FOLDER) for name in _FILES]
        return [file for file in files if file.is_file()]
    if not has_tokenizer(folder):
        raise UserError(f"{folder} has no tokenizer: name a folder with {OWN}, or one in FLUX.1's published layout")
    return [folder / OWN]


def load_tokenizer(kind: Any, folder: pathlib.Path, choices: tuple[tuple[str, ...], ...]) -> Any:
    """A tokenizer of transformers' class `kind` from `folder`.

    One of `choices` must be there whole: names of files that together make the tokenizer. Raises `UserError` for files
    that are missing, too large or damaged.
    """
    if not any(all((folder / name).is_file() for name in names) for names in choices):
        wanted = " or ".join(" and ".join(names) for names in choices)
        hint = ""
        if (folder / "spiece.model").is_file():
            hint = f" (with sentencepiece installed, transformers' AutoTokenizer makes it from {folder}/spiece.model)"
        raise UserError(f"{folder} has no {wanted}: copy the tokenizer's folder of the published weights{hint}")
    for path in (folder / name for name in _FILES):
        if path.is_file():
            _check(path)
    try:
        return kind.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        # tokenizers reports damage as a bare `Exception`, transformers as one of the others.
        if type(error) is not Exception and not isinstance(
            error, (OSError, ValueError, TypeError, KeyError, AttributeError)
        ):
            raise
        raise UserError(f"{folder} is no {kind.__name__} ({_line(error)}): copy the published folder again") from error


def encoder_tokenizer(folder: pathlib.Path, kind: str) -> Tokenizer:
    """The tokenizer in the folder of a "bert", "clip" or "t5", or beside it as in FLUX.1's folders, without cutting
    and padding.

    Raises `UserError` where there is none, and for files that are too large or damaged.
    """
    places = [folder, *([folder.resolve().parent / _BESIDE[kind]] if _BESIDE[kind] else [])]
    for place in places:
        if (place / "tokenizer.json").is_file():
            return read_tokenizer(place / "tokenizer.json")
    older = _OLDER.get(kind, ())
    place = next((place for place in places if older and all((place / name).is_file() for name in older)), None)
    if place is None:
        raise UserError(f"{folder} has no tokenizer.json: copy the tokenizer of its encoder there")
    # Imported here because it takes seconds, which only those pay who have such a folder.
    from transformers import BertTokenizer, CLIPTokenizer

    return plain(load_tokenizer({"bert": BertTokenizer, "clip": CLIPTokenizer}[kind], place, (older,)))


def read_tokenizer(path: pathlib.Path) -> Tokenizer:
    """A `tokenizer.json` without the cutting and padding it may ask for; raises `UserError` for a damaged one."""
    _check(path)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        if type(error) is not Exception:  # tokenizers reports damage as a bare `Exception`
            raise
        raise UserError(f"{path} is damaged ({_line(error)}): copy the published folder again") from error
    return _uncut(tokenizer)


def plain(tokenizer: Any) -> Tokenizer:
    """The tokenizer behind transformers' wrapper, without the cutting and padding that a file may ask for."""
    return _uncut(tokenizer.backend_tokenizer)


def _uncut(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _check(path: pathlib.Path) -> None:
    """Raises `UserError` for a file that is too large or, by its name, JSON and does not parse."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UserError(f"{path} is larger than {MAX_FILE_BYTES} bytes: this is no tokenizer")
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json" and not isinstance(json.loads(text), dict):
            raise UserError(f"{path} must hold a JSON object: copy the published folder again")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({_line(error)}): copy the published folder again") from error


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
