"""Our skeletons beside those of the Pose Depot (github.com/a-lgil/pose-depot), and how far their colours are apart.

    python -m benchmarks.pose_depot --depot ../shared/data/pose_depot --out sheet.png

A picture's joints are found by the colours of its discs and drawn again at the picture's own size; we put the neck
between the shoulders, the Depot's rig has its own. The last line is one JSON object: the share of the Depot's limbs
that have our colour within 4 grey levels in 255, the same for our drawings, and the radius of the Depot's joints
against ours, which differs between its pictures (they are made at several scales).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from astra_jax.errors import UserError
from astra_jax.pose.drawing import COLOURS, HALF_WIDTH, LIMB_SHADE, LIMBS, MIN_HALF_WIDTH, OPENPOSE_FROM_COCO, draw
from astra_jax.pose.skeleton import neck

TOLERANCE = 4  # grey levels: the pictures went through a lossy format
_AROUND = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(9, 2)
_BRIGHT, _HUE_TOLERANCE, _LEAST_PIXELS = 170, 30, 3  # of a disc: above any limb's 153, and blurred at its edge


def find_joints(picture: np.ndarray) -> tuple[np.ndarray, float]:
    """The OpenPose points [18, 3] of a skeleton picture [H, W, 3], and the median radius of its discs in pixels.

    A joint is the largest patch of its disc's hue; one without is absent (v = 0). Covered discs are a little off.
    """
    points, radii = np.zeros((18, 3), np.float32), []
    bright = picture.max(axis=-1) > _BRIGHT
    colours = picture[bright].astype(np.float64)
    hues = colours * (255 / colours.max(axis=-1, keepdims=True))
    distance = np.abs(hues[:, None] - np.array(COLOURS)).max(axis=-1)
    nearest = np.full(picture.shape[:2], -1)
    nearest[bright] = np.where(distance.min(axis=-1) < _HUE_TOLERANCE, distance.argmin(axis=-1), -1)
    for i in range(18):
        patches, count = ndimage.label(nearest == i)
        if not count:
            continue
        rows, columns = np.nonzero(patches == np.bincount(patches.ravel())[1:].argmax() + 1)
        if len(rows) >= _LEAST_PIXELS:
            points[i] = columns.mean(), rows.mean(), 2
            radii.append(np.sqrt(len(rows) / np.pi))
    return points, float(np.median(radii)) if radii else 0.0


def as_person(points: np.ndarray) -> np.ndarray:
    """COCO's people [1, 17, 3] of OpenPose points [18, 3]; the neck is left out."""
    person = np.zeros((1, 18, 3), np.float32)
    person[0, list(OPENPOSE_FROM_COCO)] = points
    return person[:, :17]


def as_points(people: np.ndarray) -> np.ndarray:
    """OpenPose points [18, 3] of the only one of people [1, 17, 3]."""
    return np.concatenate([people[0], neck(people)])[list(OPENPOSE_FROM_COCO)]


def limb_distances(
    picture: np.ndarray, points: np.ndarray, radius: float, colours: Sequence[Sequence[int]] = COLOURS
) -> np.ndarray:
    """How far every limb [17] is from its colour, in grey levels.

    It is the least distance among the pixels around the limb's middle third: others may cross it. NaN for a limb
    without both ends, or so short that its joints' discs cover that third.
    """
    distances = np.full(len(LIMBS), np.nan)
    for limb, (i, j) in enumerate(LIMBS):
        length = np.linalg.norm(points[j, :2] - points[i, :2])
        if points[i, 2] > 0 and points[j, 2] > 0 and length > 6 * radius:
            along = points[i, :2] + np.linspace(1 / 3, 2 / 3, 15)[:, None] * (points[j, :2] - points[i, :2])
            pixels = (along[:, None] + _AROUND).round().astype(int).reshape(-1, 2)
            x, y = np.clip(pixels, 0, [picture.shape[1] - 1, picture.shape[0] - 1]).T
            wanted = np.floor(np.array(colours[limb]) * LIMB_SHADE)
            distances[limb] = np.abs(picture[y, x] - wanted).max(axis=-1).min()
    return distances


def read_depot(depot: Path) -> dict[str, np.ndarray]:
    """The first picture of every collection by its title. Raises `UserError` where there is none."""
    paths = sorted(depot.glob("collections/*/OpenPose.png"))
    if not paths:
        raise UserError(f"{depot} has no collections/*/OpenPose.png: give a copy of the Pose Depot")
    pictures = {}
    for path in paths:
        with Image.open(path) as picture:
            pictures[path.parent.name] = np.asarray(picture.convert("RGB"))
    return pictures


def sheet(pairs: dict[str, tuple[np.ndarray, np.ndarray]], height: int, columns: int) -> Image.Image:
    """Pairs of pictures, theirs left and ours right, `height` pixels high each, under their titles."""
    cell = max(round(height * theirs.shape[1] / theirs.shape[0]) for theirs, _ in pairs.values())
    rows = -(-len(pairs) // columns)
    page = Image.new("RGB", (columns * (2 * cell + 12), rows * (height + 16)), "white")
    pen = ImageDraw.Draw(page)
    for n, (title, pair) in enumerate(pairs.items()):
        left, top = n % columns * (2 * cell + 12), n // columns * (height + 16)
        pen.text((left + 2, top + 2), f"{title}: theirs, ours", fill="black")
        for i, picture in enumerate(pair):
            image = Image.fromarray(picture)
            size = round(height * image.width / image.height), height
            page.paste(image.resize(size, Image.Resampling.LANCZOS), (left + i * (cell + 2), top + 14))
    return page


def main() -> None:
    """Writes the sheet and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depot", type=Path, required=True, help="a copy of the Pose Depot")
    parser.add_argument("--out", type=Path, required=True, help="the sheet, a PNG")
    parser.add_argument("--height", type=int, default=300, help="of a picture, pixels (default: %(default)s)")
    parser.add_argument("--columns", type=int, default=3, help="pairs in a row (default: %(default)s)")
    arguments = parser.parse_args()
    pairs, theirs, ours, ratios = {}, [], [], []
    for title, picture in read_depot(arguments.depot).items():
        points, radius = find_joints(picture)
        person = as_person(points)
        again = draw(person, picture.shape[:2])
        pairs[title] = picture, again
        theirs.append(limb_distances(picture, points, radius))
        our_radius = max(HALF_WIDTH * min(picture.shape[:2]) / 512, MIN_HALF_WIDTH)
        ours.append(limb_distances(again, as_points(person), our_radius))
        ratios.append(radius / our_radius)
    sheet(pairs, arguments.height, arguments.columns).save(arguments.out)
    shares = [float((d[~np.isnan(d)] <= TOLERANCE).mean()) for d in (np.concatenate(theirs), np.concatenate(ours))]
    figures = {"pictures": len(pairs), "limbs": int((~np.isnan(theirs)).sum())}
    figures |= {"limbs_agree": round(shares[0], 4), "our_limbs_agree": round(shares[1], 4)}
    figures |= {f"radius_{name}": round(f(ratios), 2) for name, f in (("least", min), ("most", max))}
    print(json.dumps(figures))


if __name__ == "__main__":
    from astra_jax.cli import guard

    guard(main)
