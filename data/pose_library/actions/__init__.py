"""All actions of the library, by name."""

from __future__ import annotations

from data.pose_library.actions.base import Group, Link, Place, Solo
from data.pose_library.actions.dance import DANCE
from data.pose_library.actions.everyday import EVERYDAY
from data.pose_library.actions.exercise import EXERCISE
from data.pose_library.actions.floor import FLOOR
from data.pose_library.actions.gestures import GESTURES
from data.pose_library.actions.music import MUSIC
from data.pose_library.actions.pairs_apart import PAIRS_APART
from data.pose_library.actions.pairs_close import PAIRS_CLOSE
from data.pose_library.actions.sports import SPORTS
from data.pose_library.actions.triples import TRIPLES

SOLOS: tuple[Solo, ...] = (*GESTURES, *FLOOR, *EVERYDAY, *SPORTS, *EXERCISE, *DANCE, *MUSIC)
GROUPS: tuple[Group, ...] = (*PAIRS_CLOSE, *PAIRS_APART, *TRIPLES)
ACTIONS: dict[str, Solo | Group] = {action.name: action for action in (*SOLOS, *GROUPS)}

__all__ = ["ACTIONS", "GROUPS", "SOLOS", "Group", "Link", "Place", "Solo"]
