"""Our skeletons beside those of the Pose Depot (github.com/a-lgil/pose-depot), and how far their colours are apart.

    python -m benchmarks.pose_depot --depot ../shared/data/pose_depot --out sheet.png

A picture's joints are found by the colours of its discs and drawn again at the picture's own size. The last line is one
JSON object: over all limbs that both pictures have, the share whose colour in the middle agrees within 4 grey levels in
255; and the radius of the pictures' joints against ours, which differs between them (they are made at several sizes).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from astra_jax.errors import UserError
from astra_jax.pose.drawing import COLOURS, LIMBS, OPENPOSE_FROM_COCO, draw
from astra_jax.pose.skeleton import neck

TOLERANCE = 4  # grey levels: the pictures went through a lossy format
_LEAST_PIXELS = 4  # of a disc


def find_joints(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The person [1, 17, 3] of a skeleton picture [H, W, 3], and the radius in pixels of every joint found.

    A joint is the largest patch of its disc's colour; one without is absent. Covered discs are a little off.
    """
    person, radii = np.zeros((1, 17, 3), np.float32), []
    for colour, joint in zip(COLOURS, OPENPOSE_FROM_COCO, strict=True):
        alike = np.abs(picture.astype(int) - colour).max(axis=-1) <= TOLERANCE
        patches, count = ndimage.label(alike)
        if not count or joint == 17:  # our neck is made from the shoulders
            continue
        rows, columns = np.nonzero(patches == np.bincount(patches.ravel())[1:].argmax() + 1)
        if len(rows) >= _LEAST_PIXELS:
            person[0, joint] = columns.mean(), rows.mean(), 2
            radii.append(np.sqrt(len(rows) / np.pi))
    return person, np.array(radii)


def limb_colours(picture: np.ndarray, person: np.ndarray) -> np.ndarray:
    """The colour [17, 3] of a picture in the middle of every limb of the person [1, 17, 3]; NaN where it has none."""
    joints = np.concatenate([person[0], neck(person)])[list(OPENPOSE_FROM_COCO)]
    colours = np.full((len(LIMBS), 3), np.nan)
    for limb, (i, j) in enumerate(LIMBS):
        x, y = ((joints[i] + joints[j]) / 2)[:2].round().astype(int)
        if joints[i, 2] > 0 and joints[j, 2] > 0 and 0 <= x < picture.shape[1] and 0 <= y < picture.shape[0]:
            colours[limb] = picture[y, x]
    return colours


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
    pairs, agree, ratios = {}, [], []
    for title, theirs in read_depot(arguments.depot).items():
        person, radii = find_joints(theirs)
        ours = draw(person, theirs.shape[:2])
        pairs[title] = theirs, ours
        distance = np.abs(limb_colours(theirs, person) - limb_colours(ours, person)).max(axis=1)
        agree.append(distance[~np.isnan(distance)] <= TOLERANCE)
        ratios.append(float(np.median(radii) / max(4 * min(theirs.shape[:2]) / 512, 1.5)))
    sheet(pairs, arguments.height, arguments.columns).save(arguments.out)
    limbs = np.concatenate(agree)
    figures = {"pictures": len(pairs), "limbs": len(limbs), "limb_colours_agree": round(float(limbs.mean()), 4)}
    figures |= {f"radius_{name}": round(f(ratios), 2) for name, f in (("least", min), ("most", max))}
    print(json.dumps(figures))


if __name__ == "__main__":
    from astra_jax.cli import guard

    guard(main)
