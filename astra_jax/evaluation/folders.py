"""Pictures of a benchmark's cases in a folder: `{case}_{index}.png`, whoever drew them."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from astra_jax.errors import UserError
from astra_jax.evaluation.picture_files import SUFFIXES
from astra_jax.evaluation.samples import Case

Names = dict[tuple[str, int], pathlib.Path]  # of the pictures by case and index


def find_pictures(folder: pathlib.Path, cases: Sequence[Case], partial: bool = False) -> Names:
    """The files of all pictures of `cases`.

    With `partial`, those that are missing are left out, as long as there is one. Raises `UserError` for a folder that
    is none or lacks pictures, and where two files are one picture's.
    """
    if not folder.is_dir():
        raise UserError(f"--images {folder}: there is no such folder")
    there: dict[str, pathlib.Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            if path.stem in there:
                raise UserError(f"--images {folder}: {path.name} and {there[path.stem].name} are the same picture's")
            there[path.stem] = path
    wanted = [(case.id, index) for case in cases for index in range(case.request.num_images)]
    found = {key: there[name] for key in wanted if (name := "{}_{}".format(*key)) in there}
    missing = [key for key in wanted if key not in found]
    if missing and not (partial and found):
        first = "{}_{}.png".format(*missing[0])
        advice = "" if not found else ", or add --partial to score the pictures that are there"
        raise UserError(
            f"--images {folder} lacks {len(missing)} of {len(wanted)} pictures, the first of them {first}: "
            f"they are named by case and number{advice}"
        )
    return found
