"""Which action people do: their poses against views of the library's actions."""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Float

from astra_jax.pose.oks import areas, image_oks
from astra_jax.pose.skeleton import boxes, visible
from data.pose_library.actions import ACTIONS, GROUPS, SOLOS, Solo
from data.pose_library.figures import figures

TURNS = (-1.0, 0.0, 1.0)  # views of an action: these shares of how far it may be turned, each mirrored where it may be
OTHERS = 9  # actions beside the right one
_HEIGHT = 100.0  # of an adult in a view, pixels


@functools.cache
def _views(name: str) -> Float[np.ndarray, "V P 17 3"]:
    action = ACTIONS[name]
    flips = (False, True) if action.mirror else (False,)
    views = [figures(action, flip=flip, yaw=turn * action.spread).people for flip in flips for turn in TURNS]
    return np.stack(views) * np.array([_HEIGHT, _HEIGHT, 0.0]) + np.array([0.0, 0.0, 2.0])


def likeness(name: str, people: Float[np.ndarray, "P 17 _"]) -> float:
    """How much people look as if they did an action of as many, 0 to 1: their OKS with the best of its views.

    Box on box: all of them together are stretched onto the people of a view, and matched with them (`image_oks`).
    """
    joints = visible(people.astype(np.float64))
    low, size = _box(joints)
    scores = []
    for view in _views(name):
        view_low, view_size = _box(view)
        moved = joints.copy()
        moved[..., :2] = (joints[..., :2] - low) / np.maximum(size, 1e-6) * view_size + view_low
        scores.append(image_oks(view, areas(view), moved).mean())
    return float(max(scores))


def action_shown(name: str, people: Float[np.ndarray, "P 17 _"], rng: np.random.Generator) -> bool:
    """Whether people look more like action `name` than like any of `OTHERS` others of as many people, drawn by `rng`.

    Chance is 1 / (1 + `OTHERS`).
    """
    action = ACTIONS[name]
    pool = SOLOS if isinstance(action, Solo) else [group for group in GROUPS if group.people == action.people]
    names = [other.name for other in pool if other.name != name]
    others = [names[i] for i in rng.choice(len(names), OTHERS, replace=False)]
    own = likeness(name, people)
    return all(own > likeness(other, people) for other in others)


def _box(people: Float[np.ndarray, "P 17 3"]) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    corners = boxes(people)
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    return low, high - low
