"""From joints in the plane to joints with depth: what a pose estimator finds, made ready to be dressed and drawn.

Depth is read from bones that look shorter than they are, in the pose library's proportions. Which of the two possible
signs is right the plane cannot tell. The guesses are those that hold for most poses: faces, hands and knees are on the
side where the person looks, bent shins on the other.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from data.pose_library.kinematics import ADULT, CHILD

# Of an adult's head, in heights of the body: between the ears, and from their middle to the nose.
_EARS, _GAZE = 0.092, 0.066
# Bones of the left side from the roots on (the right joint has the next number), and the sign of their depth.
_BONES = ((5, 7, "upper_arm", 1), (7, 9, "forearm", 1), (11, 13, "thigh", 1), (13, 15, "shin", -1))
_STRAIGHT = 0.85  # a bone that looks longer than this share of its length lies in the plane: the rest is noise
_SIDEWAYS = 0.25  # a chest turned less than this towards or away from the viewer tells nothing about depth


def lift(joints: Float[np.ndarray, "17 _"], child: bool = False) -> Float[np.ndarray, "17 3"]:
    """Joints (x, y, z) in pixels, z towards the viewer, from joints whose first two numbers are x, y, y down.

    x and y stay as they are. Visibility is not read: estimators place every joint. `child`: whose proportions.
    """
    body = CHILD if child else ADULT
    xy, z = joints[:, :2].astype(np.float64), np.zeros(17)
    trunk = xy[[5, 6]].mean(axis=0) - xy[[11, 12]].mean(axis=0)
    bones = [
        (a + side, b + side, getattr(body, name) / body.torso, sign) for a, b, name, sign in _BONES for side in (0, 1)
    ]
    # The torso's length: as it looks, unless limbs show that it is foreshortened.
    unit = max(_length(trunk), 0.9 * max(_length(xy[a] - xy[b]) / share for a, b, share, _ in bones), 1e-3)
    up = trunk / max(_length(trunk), 1e-6)
    right = np.array([-up[1], up[0]])  # in the picture, for somebody upright
    shoulders, hips, ears = (xy[left] - xy[left + 1] for left in (5, 11, 3))
    gaze = xy[0] - xy[[3, 4]].mean(axis=0)
    widths = [2 * share / body.torso * unit for share in (body.shoulder, body.hip)]
    ahead = float((shoulders + hips) @ right) / sum(widths)  # 1: the chest faces the viewer, -1: the back does

    z[:7] = np.sign(ahead) * _depth(trunk, unit)
    # Who looks to the right of the picture has the left side farther away.
    away = -np.sign(float(gaze @ right)) / 2
    head = body.head / body.torso * unit
    for left, width, seen in ((5, widths[0], shoulders), (11, widths[1], hips), (3, _EARS * head, ears)):
        z[left] += away * _depth(seen, width)
        z[left + 1] -= away * _depth(seen, width)
    z[0] += np.sign(float(ears @ right)) * _depth(gaze, _GAZE * head)
    for a, b, share, sign in bones:
        z[b] = z[a] + (sign * np.sign(ahead) * _depth(xy[b] - xy[a], share * unit) if abs(ahead) > _SIDEWAYS else 0.0)
    return np.concatenate([xy, z[:, None]], axis=1)


def _depth(seen: Float[np.ndarray, "2"], length: float) -> float:
    """How far a bone of `length` goes into the picture where it looks like `seen`."""
    share = _length(seen) / length
    return 0.0 if share > _STRAIGHT else length * float(np.sqrt(1 - share**2))


def _length(v: Float[np.ndarray, "2"]) -> float:
    return float(np.linalg.norm(v))
