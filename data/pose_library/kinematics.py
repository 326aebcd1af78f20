"""A 3D articulated human: angles in, COCO-17 joints out.

World axes: x to the viewer's right, y up, z towards the viewer; the ground is y = 0; one unit is the height of an
adult. A person with yaw 0 looks at the viewer (its left side is at larger x), with yaw +90 to the viewer's right.
Bone lengths follow the segment fractions of Drillis and Contini (1966) as printed in Winter, "Biomechanics and Motor
Control of Human Movement"; the child's proportions and the points of the head are our decision.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
INDEX = {name: i for i, name in enumerate(JOINTS)}
MIRROR = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
# How far the body reaches below each joint when it rests on the ground, as fractions of the height.
CLEARANCE = np.array([0.05, 0.06, 0.06, 0.06, 0.06, *[0.05] * 4, 0.02, 0.02, 0.075, 0.075, 0.04, 0.04, 0.04, 0.04])


@dataclass(frozen=True)
class Body:
    """Bone lengths and half widths as fractions of the body height; `height` is in adult heights."""

    height: float = 1.0
    shoulder: float = 0.108
    hip: float = 0.078
    torso: float = 0.288
    upper_arm: float = 0.175
    forearm: float = 0.146
    thigh: float = 0.245
    shin: float = 0.246
    neck: float = 0.045
    head: float = 1.0  # size of the head relative to an adult's


ADULT = Body()
CHILD = Body(
    height=0.68, shoulder=0.105, hip=0.075, torso=0.29, upper_arm=0.165, forearm=0.135, thigh=0.22, shin=0.22,
    neck=0.04, head=1.35,
)  # fmt: skip

# Points of an adult's head from the top of the neck: (left, up, forward), and where each of them looks.
_HEAD = np.array(
    [[0, 0.055, 0.065], [0.02, 0.078, 0.052], [-0.02, 0.078, 0.052], [0.046, 0.065, 0], [-0.046, 0.065, 0]]
)
_LOOK = np.array([[0, 0, 1], [0.5, 0, 0.87], [-0.5, 0, 0.87], [0.97, 0, 0.26], [-0.97, 0, 0.26]])

Number = int | float  # spelled out: the test suite's type checker takes no int for a float
Angles = tuple[Number, Number]  # (raise, plane) of a bone, degrees


@dataclass(frozen=True)
class Aim:
    """A limb by the directions of its two bones.

    Each direction is (raise, plane) in degrees: raise 0 hangs down, 90 is horizontal, 180 points up; plane 0 is
    outwards (to the limb's own side), 90 forwards, 180 across the body, -90 backwards. Arms are measured in the
    frame of the torso unless `world`, legs always in the frame of the heading.
    """

    upper: Angles = (6, 0)
    lower: Angles = (6, 30)
    world: bool = False


@dataclass(frozen=True)
class Reach:
    """A limb by the point that its wrist or ankle reaches, solved as a two-bone chain.

    `anchor` is a joint's name, `same_`/`other_` plus its name without the side, or "chest"; `offset` is (outwards,
    up, forwards) in the frame of the torso (legs: of the heading) in body heights; `pole` is the direction in which
    the elbow or knee points. A point out of reach is pointed at with a straight limb.
    """

    anchor: str
    offset: tuple[Number, Number, Number] = (0, 0, 0)
    pole: Angles = (60, -30)


Limb = Aim | Reach
HANG = Aim()
STAND = Aim((4, 0), (2, 0))


@dataclass(frozen=True)
class Pose:
    """Angles of one person in degrees; `air` is the height of a jump above the ground, `elevation` the camera's.

    yaw: heading; lean: torso forwards; side: torso to its own left; twist: shoulders to the left over the hips;
    hip_roll: hips to the left side; nod, tilt, turn: head forwards, to the left shoulder, to the left.
    """

    left_arm: Limb = HANG
    right_arm: Limb = HANG
    left_leg: Limb = STAND
    right_leg: Limb = STAND
    yaw: Number = 0
    lean: Number = 0
    side: Number = 0
    twist: Number = 0
    hip_roll: Number = 0
    nod: Number = 0
    tilt: Number = 0
    turn: Number = 0
    air: Number = 0
    elevation: Number = 0
    body: Body = field(default=ADULT)


def _yaw(a: Number) -> Float[np.ndarray, "3 3"]:
    c, s = np.cos(np.radians(a)), np.sin(np.radians(a))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _lean(a: Number) -> Float[np.ndarray, "3 3"]:
    c, s = np.cos(np.radians(a)), np.sin(np.radians(a))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _side(a: Number) -> Float[np.ndarray, "3 3"]:
    c, s = np.cos(np.radians(a)), np.sin(np.radians(a))
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def direction(angles: Angles, side: int) -> Float[np.ndarray, "3"]:
    """Unit vector (left, up, forward) of a bone from its (raise, plane); `side` is +1 for the left limb, -1 right."""
    r, p = np.radians(angles[0]), np.radians(angles[1])
    return np.array([side * np.sin(r) * np.cos(p), -np.cos(r), np.sin(r) * np.sin(p)])


def two_bone(
    root: Float[np.ndarray, "3"],
    target: Float[np.ndarray, "3"],
    pole: Float[np.ndarray, "3"],
    upper: float,
    lower: float,
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Middle and end joint of a chain from `root` towards `target`, bent towards `pole`; both bones keep their length.

    A target nearer than |upper - lower| or farther than the stretched chain is moved along its ray.
    """
    ray = target - root
    distance = np.linalg.norm(ray)
    axis = ray / distance if distance > 1e-6 else np.array([0.0, -1.0, 0.0])
    distance = np.clip(distance, abs(upper - lower) + 1e-3 * upper, (upper + lower) * 0.999)
    across = pole - axis * (pole @ axis)
    norm = np.linalg.norm(across)
    if norm < 1e-6:  # the pole lies along the chain: any perpendicular will do that a mirror leaves in its place
        pole = np.array([0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [0.0, 1.0, 0.0])
        across = pole - axis * (pole @ axis)
        norm = np.linalg.norm(across)
    along = (upper**2 - lower**2 + distance**2) / (2 * distance)
    height = np.sqrt(max(upper**2 - along**2, 0.0))
    return root + axis * along + across / norm * height, root + axis * distance


def torso_frame(pose: Pose) -> Float[np.ndarray, "3 3"]:
    """Rotation from the torso's (left, up, forward) to the world."""
    return _yaw(pose.yaw) @ _side(pose.side) @ _lean(pose.lean) @ _yaw(pose.twist)


def forward(pose: Pose) -> Float[np.ndarray, "17 3"]:
    """World positions of the 17 joints of `pose` in adult heights, standing on the ground, mid-hip at x = z = 0."""
    body, heading, torso = pose.body, _yaw(pose.yaw), torso_frame(pose)
    head = torso @ _yaw(pose.turn) @ _side(pose.tilt) @ _lean(pose.nod)
    joints = np.zeros((17, 3))
    joints[11:13] = np.array([[body.hip, 0, 0], [-body.hip, 0, 0]]) @ (heading @ _side(pose.hip_roll)).T
    neck = torso @ [0, body.torso, 0]
    joints[5:7] = neck + np.array([[body.shoulder, 0, 0], [-body.shoulder, 0, 0]]) @ torso.T
    joints[:5] = neck + torso @ [0, body.neck, 0] + (_HEAD * body.head) @ head.T

    legs = [(pose.left_leg, 11, 1), (pose.right_leg, 12, -1)]
    arms = [(pose.left_arm, 5, 1), (pose.right_arm, 6, -1)]
    for limb, root, side in sorted(legs, key=_turn):
        _solve(joints, limb, root, side, (body.thigh, body.shin), (heading, heading))
    for limb, root, side in sorted(arms, key=_turn):
        _solve(joints, limb, root, side, (body.upper_arm, body.forearm), (torso, heading))
    joints[:, 1] += pose.air - np.min(joints[:, 1] - CLEARANCE)
    return joints * body.height


def _turn(item: tuple[Limb, int, int]) -> int:
    """Aimed limbs are solved first, then those that reach for what is there, then those that reach for their twin."""
    limb, root, _ = item
    if isinstance(limb, Aim):
        return 0
    return 2 if limb.anchor.endswith(("elbow", "wrist") if root in (5, 6) else ("knee", "ankle")) else 1


def _solve(
    joints: np.ndarray,
    limb: Limb,
    root: int,
    side: int,
    bones: tuple[float, float],
    frames: tuple[np.ndarray, np.ndarray],
) -> None:
    """Writes the middle and end joint of the limb that starts at `root`; frames are the limb's own and the heading."""
    frame, middle, end = frames[0], root + 2, root + 4
    if isinstance(limb, Aim):
        frame = frames[1] if limb.world else frame
        joints[middle] = joints[root] + bones[0] * (frame @ direction(limb.upper, side))
        joints[end] = joints[middle] + bones[1] * (frame @ direction(limb.lower, side))
    else:
        target = anchor(joints, limb.anchor, side) + frame @ (np.array(limb.offset) * [side, 1, 1])
        joints[middle], joints[end] = two_bone(joints[root], target, frame @ direction(limb.pole, side), *bones)


def anchor(joints: Float[np.ndarray, "17 3"], name: str, side: int) -> Float[np.ndarray, "3"]:
    """The point called `name` (see `Reach`) for the limb of `side` (+1 left, -1 right)."""
    if name == "chest":
        return 0.7 * joints[5:7].mean(0) + 0.3 * joints[11:13].mean(0)
    if name.startswith("same_"):
        name = ("left_" if side > 0 else "right_") + name.removeprefix("same_")
    elif name.startswith("other_"):
        name = ("right_" if side > 0 else "left_") + name.removeprefix("other_")
    return joints[INDEX[name]]


def mirror(pose: Pose) -> Pose:
    """The same pose seen in a mirror: left and right change places."""

    return replace(
        pose, left_arm=_flipped(pose.right_arm), right_arm=_flipped(pose.left_arm), left_leg=_flipped(pose.right_leg),
        right_leg=_flipped(pose.left_leg), yaw=-pose.yaw, side=-pose.side, twist=-pose.twist, hip_roll=-pose.hip_roll,
        tilt=-pose.tilt, turn=-pose.turn,
    )  # fmt: skip


def _flipped(limb: Limb) -> Limb:
    if isinstance(limb, Aim):
        return limb
    for a, b in (("left_", "right_"), ("right_", "left_")):
        if limb.anchor.startswith(a):
            return replace(limb, anchor=b + limb.anchor.removeprefix(a))
    return limb


def jitter(pose: Pose, rng: np.random.Generator, degrees: Number = 4) -> Pose:
    """`pose` with every angle moved by a normal of `degrees` cut at two deviations.

    Points of reach move by about 1 % of the height. The two bones of a limb move together plus a small part of
    their own, so that knees and elbows keep their side.
    """
    turns = {"yaw": 1.5, "lean": 0.6, "side": 0.6, "twist": 1, "nod": 1, "tilt": 1, "turn": 2}  # in `degrees`
    limbs = {"left_arm": 1.3, "right_arm": 1.3, "left_leg": 0.8, "right_leg": 0.8}
    moved: dict[str, Any] = {name: _moved(getattr(pose, name), rng, share * degrees) for name, share in limbs.items()}
    turned = {name: getattr(pose, name) + _noise(rng, share * degrees) for name, share in turns.items()}
    return replace(pose, **moved, **turned)


def _noise(rng: np.random.Generator, scale: Number) -> float:
    return float(np.clip(rng.normal(), -2, 2) * scale)


def _moved(limb: Limb, rng: np.random.Generator, degrees: Number) -> Limb:
    if isinstance(limb, Reach):
        x, y, z = (o + _noise(rng, degrees / 500) for o in limb.offset)
        pole = (limb.pole[0] + _noise(rng, degrees), limb.pole[1] + _noise(rng, degrees))
        return replace(limb, offset=(x, y, z), pole=pole)
    r, p = _noise(rng, degrees), _noise(rng, degrees)
    upper = (limb.upper[0] + r, limb.upper[1] + p)
    lower = (limb.lower[0] + r + _noise(rng, degrees / 2), limb.lower[1] + p + _noise(rng, degrees / 2))
    return replace(limb, upper=upper, lower=lower)


def reach(joints: Float[np.ndarray, "17 3"], limb: str, target: Float[np.ndarray, "3"]) -> Float[np.ndarray, "17 3"]:
    """`joints` with one limb ("left_arm", "right_leg", ...) led to `target`, bent the way it was; bones keep length."""
    root = {"left_arm": 5, "right_arm": 6, "left_leg": 11, "right_leg": 12}[limb]
    a, b, c = joints[root], joints[root + 2], joints[root + 4]
    out = joints.copy()
    # The bend of a straight limb says nothing: elbows then fall down and back.
    pole = b - 0.5 * (a + c) + np.array([0, -0.01, -0.005])
    out[root + 2], out[root + 4] = two_bone(a, target, pole, float(np.linalg.norm(b - a)), float(np.linalg.norm(c - b)))
    return out


def project(
    joints: Float[np.ndarray, "*people 17 3"], elevation: Number = 0
) -> tuple[Float[np.ndarray, "*people 17 2"], Float[np.ndarray, "*people 17"]]:
    """Orthographic picture of world joints by a camera `elevation` degrees above the horizon: xy (y down), depth.

    xy are in adult heights, depth grows towards the viewer.
    """
    c, s = np.cos(np.radians(elevation)), np.sin(np.radians(elevation))
    x, y, z = joints[..., 0], joints[..., 1], joints[..., 2]
    return np.stack([x, -(y * c - z * s)], -1), z * c + y * s


def visibility(
    pose: Pose, xy: Float[np.ndarray, "17 2"], depth: Float[np.ndarray, "17"], elevation: Number = 0
) -> Int[np.ndarray, "17"]:
    """COCO visibility by the person's own body: 1 for face points that look away and limbs behind the torso, else 2."""
    v = np.full(17, 2)
    head = torso_frame(pose) @ _yaw(pose.turn) @ _side(pose.tilt) @ _lean(pose.nod)
    camera = np.array([0, np.sin(np.radians(elevation)), np.cos(np.radians(elevation))])
    v[:5][(_LOOK @ head.T) @ camera < -0.05] = 1
    corners = [5, 6, 12, 11]
    torso_depth = depth[corners].mean()
    for joint in (7, 8, 9, 10, 13, 14, 15, 16):
        if depth[joint] < torso_depth - 0.08 * pose.body.height and inside(xy[joint], xy[corners]):
            v[joint] = 1
    return v


def inside(point: Float[np.ndarray, "2"], polygon: Float[np.ndarray, "N 2"]) -> bool:
    """Whether `point` lies in `polygon`, by the number of edges to its right."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    crosses = (a[:, 1] > point[1]) != (b[:, 1] > point[1])
    x = a[:, 0] + (point[1] - a[:, 1]) * (b[:, 0] - a[:, 0]) / np.where(crosses, b[:, 1] - a[:, 1], 1)
    return bool(np.sum(crosses & (x > point[0])) % 2)
