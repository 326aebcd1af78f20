"""The words the default was taught with: all captions of the pose library and prompts of drawn scenes, one a line.

python -m data.captions --out runs/captions.txt
python -m astra_jax.inputs.tokenizer --texts runs/captions.txt --vocab_size 2048 --out data/tokenizer
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from absl import flags

from astra_jax import cli
from astra_jax.errors import UserError
from data.pose_library.library import entries
from data.pose_library.scenes import sample_scene
from data.puppets.backgrounds import BACKGROUNDS
from data.puppets.prompts import write_prompt

_KINDS = ("man", "woman", "boy", "girl")
_OUT = flags.DEFINE_string("out", None, "The text file to write.")
_PROMPTS = flags.DEFINE_integer("prompts", 8000, "How many prompts of drawn scenes.")


def captions(prompts: int) -> Iterator[str]:
    """Every caption of the library, then `prompts` prompts of scenes with one to three people, always the same."""
    for entry in entries():
        yield from entry.captions
    rng = np.random.default_rng(0)
    places = list(BACKGROUNDS)
    for index in range(prompts):
        scene = sample_scene(rng, 1 + index % 3, "train")
        kinds = [str(kind) for kind in rng.choice(_KINDS, size=len(scene.people))]
        place = places[int(rng.integers(len(places)))]
        yield write_prompt(rng, kinds, place, scene.clauses, scene.joint_clause).text


def main(argv: Sequence[str]) -> None:
    """Writes the file."""
    del argv
    if not _OUT.value:
        raise UserError("--out is missing: name the text file to write")
    path = pathlib.Path(_OUT.value)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(captions(_PROMPTS.value)) + "\n")
    except OSError as error:
        raise UserError(f"--out {path}: {error.strerror}") from error
    print(path)


if __name__ == "__main__":
    cli.run(main)
