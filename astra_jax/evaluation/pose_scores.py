"""What one picture scores as a picture of people in given poses."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from astra_jax.evaluation.figures import Figure, set_figure
from astra_jax.pose.average_precision import FoundPeople, TruePeople, match_picture, matched_ap
from astra_jax.pose.oks import assigned, box_oks_matrix, oks_matrix


def pose_values(truth: TruePeople, found: FoundPeople) -> dict[str, list[float]]:
    """Values of one picture, in which there is at least one true person.

      oks: of each true person with the found one that the assignment of the largest summed OKS gives it (Hungarian
        method); 0 for a person that nobody is left for. Place, size and pose count (COCO's OKS, pixels of the picture).
      oks_box: the same by OKS after the found person's box was stretched over the true one's: the shape of the pose.
      people_found: for each true person 1, or 0 where fewer people were found than there are and it was left over.
      person_count_error: |people found - true people|.

    Raises `ValueError` as `oks_matrix` does, and for a picture without a true person.
    """
    people = len(truth.people)
    if not people:
        raise ValueError("poses are scored where people ought to be; there is none")
    there = min(people, len(found.people))
    return {
        "oks": assigned(oks_matrix(truth.people, truth.areas, found.people)).tolist(),
        "oks_box": assigned(box_oks_matrix(truth.people, truth.areas, found.people)).tolist(),
        "people_found": [1.0] * there + [0.0] * (people - there),
        "person_count_error": [float(abs(len(found.people) - people))],
    }


def precision_figure(cases: Sequence[Sequence[tuple[TruePeople, FoundPeople]]], seed: int = 0) -> Figure:
    """COCO's AP over OKS 0.5 to 0.95 of all pictures of all cases, its interval by a bootstrap over cases.

    Raises `ValueError` where there is no case.
    """
    matches = [[match_picture(*pair) for pair in case] for case in cases]
    return set_figure(matches, lambda drawn: matched_ap(itertools.chain.from_iterable(drawn)), seed)


def silhouette_iou(mask: Bool[np.ndarray, "H W"], truth: Bool[np.ndarray, "H W"]) -> float:
    """Intersection over union of two silhouettes; 1 where both are empty."""
    union = np.count_nonzero(mask | truth)
    return np.count_nonzero(mask & truth) / union if union else 1.0
