"""From an action to its people in the picture plane: solved, turned, projected, with visibility and free space."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from data.pose_library.actions.base import Group, Solo
from data.pose_library.kinematics import (
    MIRROR,
    Body,
    Number,
    anchor,
    forward,
    inside,
    jitter,
    mirror,
    project,
    reach,
    visibility,
)

_LIMB_END = {"left_arm": 9, "right_arm": 10, "left_leg": 15, "right_leg": 16}


@dataclass(frozen=True)
class Figures:
    """People of one action in adult heights, y down, the ground line at about y = 0."""

    people: Float[np.ndarray, "P 17 3"]  # x, y, COCO visibility
    depth: Float[np.ndarray, "P 17"]
    facing: Float[np.ndarray, "P"]
    heads: Float[np.ndarray, "P"]  # radius of each head

    @property
    def box(self) -> Float[np.ndarray, "4"]:
        """Left, top, right, bottom of what a drawing may cover: joints, hands and feet, and the whole heads."""
        joints = self.people[..., :2].reshape(-1, 2)
        centres = self.people[:, :5, :2].mean(1)
        low = np.minimum(joints.min(0) - 0.04, (centres - self.heads[:, None]).min(0))
        high = np.maximum(joints.max(0) + 0.04, (centres + self.heads[:, None]).max(0))
        return np.concatenate([low, high])


def figures(
    action: Solo | Group,
    rng: np.random.Generator | None = None,
    *,
    flip: bool = False,
    yaw: Number = 0,
    body: Body | None = None,
) -> Figures:
    """The people of `action`, ordered left to right by neck x.

    Args:
      action: what they do.
      rng: moves the angles a little (those of a group less, so that hands still meet); None keeps the plain pose.
      flip: swaps left and right.
      yaw: turns all of them together, degrees to the viewer's right.
      body: proportions instead of the action's own; solo actions only.
    """
    if isinstance(action, Solo):
        group, poses = None, [action.pose if body is None else replace(action.pose, body=body)]
    else:
        group, poses = action, [place.pose for place in action.places]
    elevation = poses[0].elevation if group is None else group.elevation
    if rng is not None:
        poses = [jitter(pose, rng, 4 if group is None else 2.5) for pose in poses]
        elevation += float(rng.uniform(0, 5))
    joints = [forward(pose) for pose in poses]
    if group is not None:
        joints = _assemble(group, joints)
    people = np.stack(joints)
    if flip:
        poses = [mirror(pose) for pose in poses]
        people = np.stack([forward(pose) for pose in poses]) if group is None else _mirrored(people)
    turn = np.radians(yaw)
    x, z = people[..., 0].copy(), people[..., 2].copy()
    people[..., 0], people[..., 2] = x * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - x * np.sin(turn)
    poses = [replace(pose, yaw=pose.yaw + yaw) for pose in poses]
    xy, depth = project(people, elevation)
    v = np.stack([visibility(p, xy[i], depth[i], elevation) for i, p in enumerate(poses)])
    v = np.where(_hidden(xy, depth), 1, v)
    order = np.argsort(xy[:, 5:7, 0].mean(1), kind="stable")
    facing = np.sin(np.radians([pose.yaw for pose in poses]))
    heads = np.array([0.085 * pose.body.head * pose.body.height for pose in poses])
    out = np.concatenate([xy, v[..., None].astype(float)], -1)
    return Figures(out[order], depth[order], facing[order], heads[order])


def _mirrored(people: Float[np.ndarray, "P 17 3"]) -> Float[np.ndarray, "P 17 3"]:
    """World joints seen in a mirror: x changes sign, left joints become right ones."""
    return people[:, MIRROR] * np.array([-1, 1, 1])


def _assemble(group: Group, joints: list[np.ndarray]) -> list[np.ndarray]:
    """Puts the members where they stand, then leads the linked limbs to each other."""
    joints = [j + [place.x, 0, place.z] for j, place in zip(joints, group.places, strict=True)]
    for i, place in enumerate(group.places):
        if place.pin is not None:
            own, other, joint, offset = place.pin
            joints[i] = joints[i] + (_point(joints[other], joint) + offset - _point(joints[i], own))
    for link in group.links:
        if link.both:
            end, other_end = _LIMB_END[link.limb], _LIMB_END[link.joint]
            meet = 0.5 * (joints[link.person][end] + joints[link.to][other_end]) + link.offset
            joints[link.person] = reach(joints[link.person], link.limb, meet)
            joints[link.to] = reach(joints[link.to], link.joint, meet)
        else:
            joints[link.person] = reach(
                joints[link.person], link.limb, _point(joints[link.to], link.joint) + np.array(link.offset)
            )
    return joints


def _point(joints: Float[np.ndarray, "17 3"], name: str) -> Float[np.ndarray, "3"]:
    """A joint, "chest", or "hips", "neck", "knees", "ankles": the middle of both."""
    middle = {"hips": (11, 12), "neck": (5, 6), "knees": (13, 14), "ankles": (15, 16)}
    return joints[list(middle[name])].mean(0) if name in middle else anchor(joints, name, 1)


def _hidden(xy: Float[np.ndarray, "P 17 2"], depth: Float[np.ndarray, "P 17"]) -> np.ndarray:
    """[P, 17]: whether a joint lies behind the torso of a person in front of it."""
    corners = [5, 6, 12, 11]
    hidden = np.zeros(depth.shape, bool)
    for i in range(len(xy)):
        for j in range(len(xy)):
            if i != j:
                behind = depth[i] < depth[j, corners].mean() - 0.05
                hidden[i] |= behind & np.array([inside(point, xy[j, corners]) for point in xy[i]])
    return hidden
