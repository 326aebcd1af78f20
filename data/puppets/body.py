"""From 17 joints with depth to what the drawing needs: frames of torso and head, feet, sizes, front and back.

Joints are (x, y, z) in fine pixels, y down, z towards the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

SHOULDERS, ELBOWS, WRISTS, HIPS, KNEES, ANKLES = (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)

Vector = Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Frame:
    """Three orthonormal directions: the person's left, up and forward, each (x, y, z)."""

    left: Vector
    up: Vector
    forward: Vector


@dataclass(frozen=True)
class Body:
    """The joints of one person and the frames that follow from them; `unit` is the length of the torso."""

    joints: Float[np.ndarray, "17 3"]
    unit: float
    torso: Frame
    head: Frame
    head_centre: Vector
    head_radius: float

    @classmethod
    def from_joints(cls, joints: Float[np.ndarray, "17 3"]) -> Body:
        """Measures a person. Degenerate joints (all in one point) give a tiny, finite person."""
        neck, pelvis = joints[[5, 6]].mean(0), joints[[11, 12]].mean(0)
        unit = max(float(np.linalg.norm(neck - pelvis)), 1e-3)
        torso = _frame(joints[5] - joints[6] + joints[11] - joints[12], neck - pelvis)
        ears = joints[[3, 4]].mean(0)
        gaze = joints[0] - ears
        left = _unit(joints[3] - joints[4], torso.left)
        forward = _unit(gaze - left * (gaze @ left), torso.forward)
        radius = float(min(max(np.linalg.norm(joints[3] - joints[4]), 0.26 * unit), 0.5 * unit))
        head = Frame(left, cross(forward, left), forward)
        return cls(joints, unit, torso, head, ears + 0.12 * radius * head.up, radius)

    def toe(self, side: int) -> Vector:
        """Direction from the ankle (0 left, 1 right) to the toes: at a right angle to the shin, turned outwards."""
        shin = _unit(self.joints[ANKLES[side]] - self.joints[KNEES[side]], -self.torso.up)
        hinge = _unit(self.joints[11] - self.joints[12], self.torso.left)
        ahead = _unit(cross(shin, hinge), self.torso.forward)
        return _unit(ahead + 0.45 * hinge * (1 if side == 0 else -1), ahead)

    def shin(self, side: int) -> Vector:
        """Unit vector from knee to ankle."""
        return _unit(self.joints[ANKLES[side]] - self.joints[KNEES[side]], -self.torso.up)


def cross(a: Vector, b: Vector) -> Vector:
    """Right-handed cross product in axes whose y points down (a mirror image of the usual formula)."""
    # By hand: np.cross takes ten times as long on single vectors.
    return np.array([a[2] * b[1] - a[1] * b[2], a[0] * b[2] - a[2] * b[0], a[1] * b[0] - a[0] * b[1]])


def _unit(v: Vector, fallback: Vector) -> Vector:
    n = np.linalg.norm(v)
    return v / n if n > 1e-6 else fallback


def _frame(left: Vector, up: Vector) -> Frame:
    up = _unit(up, np.array([0.0, -1.0, 0.0]))
    left = _unit(left - up * (left @ up), np.array([1.0, 0.0, 0.0]))
    return Frame(left, up, cross(left, up))
