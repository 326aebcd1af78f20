"""Makes the built-in requests from scenes of the test split: their words, their references, other people's poses.

python -m data.examples --out data/examples
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

from absl import flags
from PIL import Image

from astra_jax import cli
from astra_jax.errors import UserError
from data.puppets.examples import make_example

# Scenes of the test split: one, two and three people.
SCENES = (6, 13, 14, 39, 24)
_OUT = flags.DEFINE_string("out", None, "The folder for requests.jsonl and the photos.")


def main(argv: Sequence[str]) -> None:
    """Writes the requests and the photos they name."""
    del argv
    if not _OUT.value:
        raise UserError("--out is missing: name the folder for requests.jsonl and the photos")
    folder = pathlib.Path(_OUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for scene in SCENES:
        example = make_example(0, "test", scene)
        subjects = []
        for number, subject in enumerate(example.subjects):
            name = f"{scene:03d}_{number}_{subject.kind}.png"
            Image.fromarray(subject.reference).save(folder / name)
            subjects.append({"phrase": subject.phrase, "image": name})
        lines.append({"prompt": example.prompt, "subjects": subjects, "seed": scene, "num_images": 2})
    (folder / "requests.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    print(folder / "requests.jsonl")


if __name__ == "__main__":
    cli.run(main)
