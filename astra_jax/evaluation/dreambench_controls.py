"""DreamBench's ceiling and floor: real photos that are scored as if a model had drawn them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from astra_jax.evaluation.dreambench_data import Entry, Subject
from astra_jax.evaluation.picture_files import LazySamples
from astra_jax.evaluation.samples import Case, Sample
from astra_jax.inputs.photos import cover, load_photo

MONTAGE = 512  # pixels: the side of photos side by side


def controls(
    cases: Sequence[Case], entries: Mapping[str, Entry], subjects: Mapping[str, Subject]
) -> Mapping[str, Sequence[Sample]]:
    """The ceiling, other photos of the same subjects than those given (DreamBooth's "real images"), and the floor,
    photos of the next entry's subjects that share neither name nor class with these.

    Photos follow no prompt, so only the first case of each choice of references has them. The k-th picture shows the
    k-th photo of every subject; of several subjects, the middles of their photos side by side.
    """
    first: dict[tuple[Path, ...], Case] = {}
    for case in cases:
        first.setdefault(entries[case.id].photos, case)
    ceiling, floor = [], []
    chosen = [(case, entries[case.id]) for case in first.values()]
    for place, (case, entry) in enumerate(chosen):
        same = [[p for p in subjects[name].photos if p not in entry.photos] for name in entry.subjects]
        ceiling += _rows(case, same)
        others = (other for _, other in [*chosen[place + 1 :], *chosen[:place]])
        strangers = next((other for other in others if _apart(entry, other, subjects)), None)
        if strangers is not None:
            floor += _rows(case, [subjects[name].photos for name in strangers.subjects])
    return {name: LazySamples(rows) for name, rows in (("ceiling", ceiling), ("floor", floor)) if rows}


def _apart(entry: Entry, other: Entry, subjects: Mapping[str, Subject]) -> bool:
    mine, theirs = ({subjects[name].kind for name in one.subjects} for one in (entry, other))
    return not mine & theirs


def _rows(case: Case, photos: Sequence[Sequence[Path]]):
    return [(case, index, functools.partial(_picture, row)) for index, row in enumerate(zip(*photos, strict=False))]


def _picture(paths: Sequence[Path]) -> UInt8[np.ndarray, "_ _ 3"]:
    photos = [load_photo(path) for path in paths]
    if len(photos) == 1:
        return photos[0]
    # The networks look at the middle of a picture: the whole must be square.
    widths = np.diff(np.linspace(0, MONTAGE, len(photos) + 1).astype(int))
    return np.concatenate([cover(p, (MONTAGE, int(w))) for p, w in zip(photos, widths, strict=True)], axis=1)
