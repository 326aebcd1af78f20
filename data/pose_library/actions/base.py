"""What an action is: a name, words for it and the poses of one or several people."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from data.pose_library.kinematics import Angles, Number, Pose, Reach


@dataclass(frozen=True)
class Solo:
    """An action of one person.

    `clauses` are present participles without a subject ("waving hello"), `more` whole captions. A `mirror`ed action
    may swap left and right: its words name no side. `spread` is how far the heading may turn, in degrees.
    """

    name: str
    clauses: tuple[str, ...]
    more: tuple[str, ...]
    pose: Pose
    mirror: bool = True
    spread: Number = 18

    @property
    def people(self) -> int:
        """One."""
        return 1

    @property
    def captions(self) -> tuple[str, ...]:
        """Every caption of the action, without identity, clothing or place."""
        return (*(f"a person {clause}" for clause in self.clauses), *self.more)


@dataclass(frozen=True)
class Place:
    """One member of a group: its pose, where its mid-hip stands (x right, z near, in adult heights), what carries it.

    `pin` is (own joint, index of an earlier member, its joint, offset (x, y, z)): the own joint is put there instead.
    """

    pose: Pose
    x: Number = 0
    z: Number = 0
    pin: tuple[str, int, str, tuple[Number, Number, Number]] | None = None


@dataclass(frozen=True)
class Link:
    """A limb of member `person` ("left_arm", ...) led to a joint of member `to`, plus an (x, y, z) offset.

    With `both`, `joint` is a limb of the other as well and the two meet half way.
    """

    person: int
    limb: str
    to: int
    joint: str
    offset: tuple[Number, Number, Number] = (0, 0, 0)
    both: bool = False


@dataclass(frozen=True)
class Group:
    """An action of two or three people together; `clause` follows a plural subject ("hugging each other")."""

    name: str
    clauses: tuple[str, ...]
    more: tuple[str, ...]
    places: tuple[Place, ...]
    links: tuple[Link, ...] = ()
    mirror: bool = True
    spread: Number = 8
    elevation: Number = 0

    @property
    def people(self) -> int:
        """How many people act."""
        return len(self.places)

    @property
    def captions(self) -> tuple[str, ...]:
        """Every caption of the action, without identity, clothing or place."""
        who = {2: "two people", 3: "three people"}[self.people]
        return tuple(chain((f"{who} {clause}" for clause in self.clauses), self.more))


def hold(anchor: str, out: Number = 0, up: Number = 0, forth: Number = 0, pole: Angles = (60, -30)) -> Reach:
    """A limb that reaches `anchor` plus (outwards, up, forwards) in hundredths of the body height."""
    return Reach(anchor, (out / 100, up / 100, forth / 100), pole)


AKIMBO = hold("same_hip", 7, 5, 1, (90, -15))
