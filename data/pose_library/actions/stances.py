"""Stances and limbs that several group actions share."""

from __future__ import annotations

from data.pose_library.actions.base import hold
from data.pose_library.kinematics import Aim, Pose

L, R = "left_arm", "right_arm"
FORTH, BACK = Aim((26, 90), (12, 90)), Aim((18, -90), (36, -90))  # the legs of a step
KNEE, SEAT, APART = Aim((2, 90), (90, -90)), Aim((88, 88), (6, 90)), Aim((12, 0), (10, 0))
DOWN = Aim((3, 90), (1, 90), world=True)  # an arm that stands on the ground
RIGHT, LEFT = Pose(yaw=74), Pose(yaw=-74)  # facing the other in a pair
FOLD_LEFT, FOLD_RIGHT = hold("chest", -7, -3, 10, (60, 20)), hold("chest", -6, 0, 11, (60, 20))  # crossed arms
