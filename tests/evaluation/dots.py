"""People painted as one dot a joint, and the estimator that reads them: pictures whose truth is known to the pixel."""

import numpy as np

from astra_jax.pose.average_precision import FoundPeople


def paint(people, size):
    """A black picture of `size` with joint j of person p as a dot of colour (j + 1, p + 1, 255), at whole pixels."""
    picture = np.zeros((*size, 3), np.uint8)
    for p, person in enumerate(people):
        for j, (x, y, v) in enumerate(np.asarray(person)):
            if v > 0:
                picture[round(float(y)), round(float(x))] = (j + 1, p + 1, 255)
    return picture


class Dots:
    """Reads `paint`'s pictures; in a box it finds the person who has most of the dots."""

    name = "Dots"

    def __init__(self, most_people=20):
        self.boxes = []  # of every call
        self.most_people = most_people

    def __call__(self, pictures, boxes=None):
        self.boxes.append(boxes)
        return [self._people(picture, None if boxes is None else boxes[i]) for i, picture in enumerate(pictures)]

    def _people(self, picture, boxes):
        rows, columns = np.nonzero(picture[..., 2] == 255)
        joints, owners = (picture[rows, columns, channel].astype(int) - 1 for channel in (0, 1))
        chosen = sorted(set(owners.tolist()))[: self.most_people]
        if boxes is not None:
            chosen = []
            for x, y, width, height in boxes:
                inside = (x <= columns) & (columns <= x + width) & (y <= rows) & (rows <= y + height)
                if inside.any():
                    chosen.append(np.bincount(owners[inside]).argmax())
        people = np.zeros((len(chosen), 17, 3))
        for person, owner in zip(people, chosen, strict=True):
            mine = owners == owner
            person[joints[mine]] = np.stack([columns[mine], rows[mine], np.ones(mine.sum())], axis=1)
        return FoundPeople(people, np.ones(len(people)))
