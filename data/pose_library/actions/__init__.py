"""All actions of the library, by name."""

from __future__ import annotations

from data.pose_library.actions.base import Group, Link, Place, Solo
from data.pose_library.actions.everyday import EVERYDAY
from data.pose_library.actions.floor import FLOOR
from data.pose_library.actions.gestures import GESTURES
from data.pose_library.actions.sports import SPORTS

SOLOS: tuple[Solo, ...] = (*GESTURES, *FLOOR, *EVERYDAY, *SPORTS)
GROUPS: tuple[Group, ...] = ()
ACTIONS: dict[str, Solo | Group] = {action.name: action for action in (*SOLOS, *GROUPS)}

__all__ = ["ACTIONS", "GROUPS", "SOLOS", "Group", "Link", "Place", "Solo"]
