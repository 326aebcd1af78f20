"""One example of the data set: a scene, its words, its people and a portrait of each, from three numbers.

Everything random comes from `np.random.default_rng([seed, split, index])`, so an example depends on no other.
"""

from __future__ import annotations

import dataclasses
import io

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from data.pose_library.scenes import Scene, sample_scene
from data.puppets.backgrounds import BACKGROUNDS, paint_background
from data.puppets.body import ANKLES, Body
from data.puppets.canvas import SUPERSAMPLING, Canvas
from data.puppets.drawing import draw_scene, person_parts
from data.puppets.identity import Identity, sample_identity
from data.puppets.prompts import write_prompt

SPLITS = {"train": 0, "test": 1}
PEOPLE = (0.35, 0.45, 0.20)  # shares of scenes with one, two and three people
_CHILD_HEAD = 0.375  # width of the head over length of the torso: between an adult's 0.32 and a child's 0.43
_PORTRAIT_GROUND = (255, 255, 255)


@dataclasses.dataclass(frozen=True)
class Subject:
    """One person of a scene; keypoints are COCO's (x, y in pixels, v), the portrait is the same person elsewhere."""

    phrase: str
    kind: str
    action: str
    identity: Identity
    keypoints: Float[np.ndarray, "17 3"]
    reference: UInt8[np.ndarray, "S S 3"]


@dataclasses.dataclass(frozen=True)
class Example:
    """One scene; `owners` is 0 where the background shows and i + 1 where subject i does."""

    id: str
    prompt: str
    background: str
    action: str
    image: UInt8[np.ndarray, "S S 3"]
    owners: UInt8[np.ndarray, "S S"]
    subjects: tuple[Subject, ...]


def make_example(seed: int, split: str, index: int, size: int = 128) -> Example:
    """Example `index` of a split ("train", "test"), `size` pixels wide. Raises `ValueError` for another split."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {tuple(SPLITS)}, not {split!r}")
    rng = np.random.default_rng([seed, SPLITS[split], index])
    scene = fit(sample_scene(rng, 1 + int(rng.choice(3, p=PEOPLE)), split))
    identities = [sample_identity(rng, _kind(rng, joints), split) for joints in solid_joints(scene)]
    background = list(BACKGROUNDS)[int(rng.integers(len(BACKGROUNDS)))]
    kinds = [identity.kind for identity in identities]
    prompt = write_prompt(rng, kinds, background, scene.clauses, scene.joint_clause)
    place = paint_background(background, rng, size * SUPERSAMPLING)
    image, owners = draw_scene(solid_joints(scene) * size, identities, place, scene.order)
    actions = scene.name.split("+") if scene.clauses is not None else [scene.name] * len(identities)
    subjects = tuple(
        Subject(phrase, who.kind, action, who, keypoints(scene.people[i], owners, i),
                draw_portrait(who, rng, size, split, avoid=action))
        for i, (phrase, who, action) in enumerate(zip(prompt.phrases, identities, actions, strict=True))
    )  # fmt: skip
    return Example(f"{split}-{index:06d}", prompt.text, background, scene.name, image, owners, subjects)


def draw_portrait(
    who: Identity, rng: np.random.Generator, size: int, split: str = "train", avoid: str = ""
) -> UInt8[np.ndarray, "S S 3"]:
    """`who` alone on a white square, filling it, in a random pose that shows the face and is not the action `avoid`."""
    while True:
        scene = sample_scene(rng, 1, split)
        joints = solid_joints(scene)[0]
        if scene.name == avoid or is_child(joints) != (who.kind in ("boy", "girl")) or not _shows_looks(joints):
            continue
        low, high = extent(joints)
        if np.diff(high - low) > 0:  # a person lying or in the splits would be small on a square
            break
    scale = 0.98 / float(np.max(high - low))
    joints = (joints - np.append((low + high) / 2, 0.0)) * scale + np.array([0.5, 0.5, 0.0])
    side = size * SUPERSAMPLING
    canvas = Canvas(Image.new("RGB", (side, side), _PORTRAIT_GROUND))
    for part in person_parts(Body.from_joints(joints * canvas.fine), who):
        canvas.paint(part, 0)
    return canvas.picture()


def solid_joints(scene: Scene) -> Float[np.ndarray, "P 17 3"]:
    """The joints of a scene as (x, y, z) on the unit canvas."""
    return np.concatenate([scene.people[..., :2], scene.depth[..., None]], axis=-1)


def fit(scene: Scene) -> Scene:
    """The scene moved, and made smaller if it must be, so that heads and hats are inside the canvas."""
    corners = [extent(joints) for joints in solid_joints(scene)]
    low, high = np.min([c[0] for c in corners], axis=0), np.max([c[1] for c in corners], axis=0)
    scale = min(1.0, 0.99 / float(np.max(high - low)))
    shift = np.clip(0.0, 0.005 - scale * low, 0.995 - scale * high)
    people = scene.people.copy()
    people[..., :2] = people[..., :2] * scale + shift
    return dataclasses.replace(scene, people=people, depth=scene.depth * scale)


def extent(joints: Float[np.ndarray, "17 3"]) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Lower and upper corner of what a person with these joints, and an average hat, covers."""
    body = Body.from_joints(joints)
    toes = [joints[ANKLES[side], :2] + 0.25 * body.unit * body.toe(side)[:2] for side in (0, 1)]
    limbs = np.concatenate([joints[5:, :2], toes])
    head = body.head_centre[:2] + 0.3 * body.head_radius * body.head.up[:2]
    low = np.minimum(limbs.min(0) - 0.2 * body.unit, head - 1.4 * body.head_radius)
    high = np.maximum(limbs.max(0) + 0.2 * body.unit, head + 1.4 * body.head_radius)
    return low, high


def is_child(joints: Float[np.ndarray, "17 3"]) -> bool:
    """Whether the proportions are a child's: a large head over a short torso."""
    torso = np.linalg.norm(joints[[5, 6]].mean(0) - joints[[11, 12]].mean(0))
    return bool(np.linalg.norm(joints[3] - joints[4]) > _CHILD_HEAD * torso)


def _shows_looks(joints: Float[np.ndarray, "17 3"]) -> bool:
    """Whether head and chest are turned to the viewer and upright, and no hand or elbow covers the face."""
    body = Body.from_joints(joints)
    near = np.linalg.norm(joints[7:11, :2] - body.head_centre[:2], axis=1).min() / body.head_radius
    upright = body.head.up[1] < -0.6 and body.torso.up[1] < -0.6
    return bool(upright and body.head.forward[2] > 0.3 and body.torso.forward[2] > 0.0 and near > 1.5)


def png(pixels: UInt8[np.ndarray, "S S 3"] | UInt8[np.ndarray, "S S"]) -> bytes:
    """`pixels` as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _kind(rng: np.random.Generator, joints: Float[np.ndarray, "17 3"]) -> str:
    child, female = is_child(joints), rng.random() < 0.5
    return ("girl" if female else "boy") if child else ("woman" if female else "man")


def keypoints(person: Float[np.ndarray, "17 3"], owners: UInt8[np.ndarray, "S S"], i: int) -> Float[np.ndarray, "17 3"]:
    """Pixels and visibility: 0 outside the picture, 1 behind somebody else or one's own body, 2 visible."""
    size = len(owners)
    points = np.array(person, dtype=np.float32)
    points[:, :2] *= size
    for point in points:
        x, y = int(np.floor(point[0])), int(np.floor(point[1]))
        if not (0 <= x < size and 0 <= y < size):
            point[2] = 0
            continue
        patch = owners[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        if not np.any(patch == i + 1):
            point[2] = 1
    return points
