"""What three people do together."""

from __future__ import annotations

from dataclasses import replace

from data.pose_library.actions.base import AKIMBO, Group, Link, Place, hold
from data.pose_library.actions.stances import APART, BACK, FOLD_LEFT, FOLD_RIGHT, FORTH, KNEE, LEFT, RIGHT, L, R
from data.pose_library.kinematics import CHILD, HANG, Aim, Pose

OUT = Aim((42, 0), (40, 0))  # an arm held out low to a neighbour
UP = Aim((140, 0), (150, 0))


def _row(pose: Pose, gap: float) -> tuple[Place, Place, Place]:
    """The same pose three times, side by side."""
    return Place(pose, -gap), Place(pose), Place(pose, gap)


_KICK = Pose(
    left_leg=Aim((122, 72), (122, 76)), right_leg=Aim((2, 0), (2, 0)), lean=-8, left_arm=Aim((84, 0), (88, 0)),
    right_arm=Aim((84, 0), (88, 0)),
)  # fmt: skip
_ROW = Pose(
    yaw=72, lean=22, left_arm=Aim((72, 88), (84, 90), world=True), right_arm=Aim((72, 88), (84, 90), world=True),
    left_leg=Aim((112, 90), (62, 90)), right_leg=Aim((112, 90), (62, 90)),
)  # fmt: skip
_TUG = Pose(
    yaw=74, lean=-30, left_arm=Aim((84, 90), (88, 90), world=True), right_arm=Aim((76, 90), (86, 90), world=True),
    left_leg=Aim((48, 90), (30, 90)), right_leg=Aim((54, 90), (8, 90)),
)  # fmt: skip
_MARCH = Pose(
    yaw=66, left_leg=Aim((84, 88), (2, 90)), right_leg=Aim((2, 0), (2, 0)), right_arm=Aim((60, 88), (64, 88)),
    left_arm=Aim((30, -90), (30, -90)),
)  # fmt: skip
_BOX = Pose(
    yaw=62, lean=8, nod=8, left_arm=hold("nose", 4, -5, 14, (15, 20)), right_arm=hold("nose", 4, -7, 6, (15, 20)),
    left_leg=Aim((34, 80), (6, -90)), right_leg=Aim((30, -50), (34, -70)),
)  # fmt: skip
_LOTUS = Aim((84, 40), (88, 172))
_BENCH = Pose(left_leg=Aim((84, 75), (4, 90)), right_leg=Aim((84, 75), (4, 90)))
_TURN = Pose(yaw=58, left_leg=APART, right_arm=Aim((20, 0), (50, 20)), left_arm=Aim((60, 50), (80, 80)))

TRIPLES = (
    Group(
        "ring", ("dancing in a ring", "holding hands in a circle"), ("three people form a circle hand in hand",),
        (
            Place(Pose(yaw=46, left_arm=OUT, right_arm=OUT, left_leg=FORTH, right_leg=BACK), -0.28, 0.16),
            Place(Pose(yaw=0, left_arm=OUT, right_arm=OUT, left_leg=Aim((16, 180), (8, 0))), 0, -0.24),
            Place(Pose(yaw=-46, left_arm=OUT, right_arm=OUT, left_leg=BACK, right_leg=FORTH), 0.28, 0.16),
        ),
        (Link(0, L, 1, R, (0, 0, 0), True), Link(1, L, 2, R, (0, 0, 0), True), Link(0, R, 2, L, (0, 0.02, 0.12), True)),
        elevation=16,
    ),
    Group(
        "pyramid", ("building a pyramid", "forming a pyramid with one on top"),
        ("one acrobat stands on the shoulders of two others",),
        (
            Place(Pose(yaw=6, left_leg=APART, right_leg=APART, right_arm=AKIMBO), -0.26),
            Place(Pose(yaw=-6, left_leg=APART, right_leg=APART, left_arm=AKIMBO), 0.26),
            Place(
                Pose(left_arm=UP, right_arm=UP, left_leg=Aim((14, 0), (14, 0)), right_leg=Aim((14, 0), (14, 0))),
                pin=("hips", 0, "neck", (0.26, 0.5, 0)),
            ),
        ),
        (
            Link(2, "right_leg", 0, "left_shoulder", (-0.03, 0.05, 0)),
            Link(2, "left_leg", 1, "right_shoulder", (0.03, 0.05, 0)), Link(0, L, 2, "right_knee", (0, -0.06, 0.02)),
            Link(1, R, 2, "left_knee", (0, -0.06, 0.02)),
        ),
    ),
    Group(
        "family_walk",
        ("walking hand in hand with the smallest in the middle", "taking a walk, two leading the third by both hands"),
        ("a small person walks between two tall ones, holding their hands",),
        (
            Place(Pose(yaw=10, left_leg=Aim((20, 88), (4, -90)), right_arm=Aim((12, 0), (20, 40))), -0.34),
            Place(
                Pose(
                    body=CHILD, left_arm=Aim((110, 0), (120, 0)), right_arm=Aim((110, 0), (120, 0)),
                    right_leg=Aim((24, 88), (4, -90)),
                ),
                0, 0.06,
            ),
            Place(Pose(yaw=-10, right_leg=Aim((20, 88), (4, -90)), left_arm=Aim((12, 0), (20, 40))), 0.34),
        ),
        (Link(0, L, 1, R, (0, 0, 0), True), Link(2, R, 1, L, (0, 0, 0), True)),
    ),
    Group(
        "conga", ("dancing in a conga line", "dancing in a line with hands on shoulders"),
        ("three people walk in line, each with the hands on the shoulders ahead",),
        (
            Place(
                Pose(
                    yaw=70, lean=6, left_leg=Aim((44, 88), (10, -90)), right_leg=BACK,
                    left_arm=Aim((120, 40), (140, 60)), right_arm=Aim((120, 40), (140, 60)),
                ),
                0.35,
            ),
            Place(Pose(yaw=70, lean=6, left_leg=Aim((44, 88), (10, -90)), right_leg=BACK)),
            Place(Pose(yaw=70, lean=6, left_leg=Aim((44, 88), (10, -90)), right_leg=BACK), -0.35),
        ),
        (
            Link(1, L, 0, "left_shoulder"), Link(1, R, 0, "right_shoulder"), Link(2, L, 1, "left_shoulder"),
            Link(2, R, 1, "right_shoulder"),
        ),
    ),
    Group(
        "podium", ("standing on a podium", "celebrating on a winners' podium"),
        ("a winner stands highest with both arms up between two who wave",),
        (
            Place(Pose(yaw=8, right_arm=Aim((120, 0), (165, 0)), left_arm=HANG, air=0.1), -0.42),
            Place(Pose(left_arm=UP, right_arm=UP, left_leg=APART, right_leg=APART, air=0.26)),
            Place(Pose(yaw=-8, left_arm=Aim((120, 0), (165, 0)), right_arm=hold("chest", -1, 0, 9, (45, 0))), 0.42),
        ),
    ),
    Group(
        "hands_in", ("putting their hands together for a team cheer", "huddling with all hands in the middle"),
        ("three people stack their hands in the centre of a huddle",),
        (
            Place(Pose(yaw=62, lean=14, left_leg=FORTH, right_leg=BACK, right_arm=Aim((50, 80), (80, 90))), -0.27),
            Place(
                Pose(
                    lean=12, nod=20, left_leg=APART, right_leg=APART, right_arm=Aim((40, 80), (70, 90)),
                    left_arm=AKIMBO,
                ),
                0, -0.16,
            ),
            Place(Pose(yaw=-62, lean=14, right_leg=FORTH, left_leg=BACK, left_arm=Aim((50, 80), (80, 90))), 0.27),
        ),
        (Link(0, R, 2, L, (0, 0, -0.05), True), Link(1, R, 0, "right_wrist", (0, 0.02, 0))),
    ),
    Group(
        "shoulders_three",
        ("standing in a row with arms around each other's shoulders", "posing close together, arms over shoulders"),
        ("three friends stand side by side and hug shoulders",),
        (
            Place(Pose(left_leg=APART, right_leg=APART, left_arm=Aim((86, 0), (90, 0)), right_arm=AKIMBO), -0.4),
            Place(
                Pose(left_leg=APART, right_leg=APART, left_arm=Aim((86, 0), (90, 0)), right_arm=Aim((86, 0), (90, 0))),
            ),
            Place(
                Pose(
                    left_leg=APART, right_leg=APART, right_arm=Aim((86, 0), (90, 0)), left_arm=Aim((120, 0), (165, 0)),
                ),
                0.4,
            ),
        ),
        (
            Link(0, L, 1, "right_shoulder", (0.04, 0.04, -0.03)), Link(1, R, 0, "left_shoulder", (-0.04, 0.03, -0.03)),
            Link(1, L, 2, "right_shoulder", (0.04, 0.03, -0.03)), Link(2, R, 1, "left_shoulder", (-0.04, 0.04, -0.03)),
        ),
    ),
    Group(
        "chair_carry", ("carrying a winner between them", "lifting one of them on joined arms"),
        ("two people carry a third sitting on their arms, who cheers",),
        (
            Place(
                Pose(
                    yaw=16, left_arm=Aim((30, 20), (60, 40)), right_arm=Aim((16, 0), (30, 30)), left_leg=APART,
                    right_leg=APART,
                ),
                -0.34, -0.04,
            ),
            Place(
                Pose(left_arm=UP, right_arm=UP, left_leg=Aim((76, 74), (10, 90)), right_leg=Aim((76, 74), (10, 90))),
                pin=("hips", 0, "hips", (0.34, 0.22, 0.1)),
            ),
            Place(
                Pose(
                    yaw=-16, right_arm=Aim((30, 20), (60, 40)), left_arm=Aim((16, 0), (30, 30)), left_leg=APART,
                    right_leg=APART,
                ),
                0.34, -0.04,
            ),
        ),
        (Link(0, L, 1, "right_hip", (-0.01, -0.06, 0.05)), Link(2, R, 1, "left_hip", (0.01, -0.06, 0.05))),
    ),
    Group(
        "swing_small", ("swinging the smallest by both hands", "lifting the smallest between them"),
        ("two people swing a small one in the air between them",),
        (
            Place(Pose(yaw=12, side=6, left_leg=APART, right_leg=FORTH, left_arm=OUT), -0.36),
            Place(
                Pose(
                    body=CHILD, lean=-26, air=0.14, left_arm=Aim((150, 0), (160, 0)), right_arm=Aim((150, 0), (160, 0)),
                    left_leg=Aim((96, 30), (88, 30)), right_leg=Aim((96, 30), (88, 30)),
                ),
                0, 0.08,
            ),
            Place(Pose(yaw=-12, side=-6, right_leg=APART, left_leg=FORTH, right_arm=OUT), 0.36),
        ),
        (Link(0, L, 1, "right_wrist"), Link(2, R, 1, "left_wrist")), elevation=6,
    ),
    Group(
        "three_monkeys",
        ("acting out see no evil, hear no evil, speak no evil", "sitting in a row like the three wise monkeys"),
        ("three people sit cross-legged, covering eyes, ears and mouth",),
        (
            Place(
                Pose(
                    left_arm=hold("same_eye", 1, 0, 5, (65, 10)), right_arm=hold("same_eye", 1, 0, 5, (65, 10)),
                    left_leg=_LOTUS, right_leg=_LOTUS,
                ),
                -0.58,
            ),
            Place(
                Pose(
                    left_arm=hold("same_ear", 3, -1, 2, (100, 10)), right_arm=hold("same_ear", 3, -1, 2, (100, 10)),
                    left_leg=_LOTUS, right_leg=_LOTUS,
                ),
            ),
            Place(
                Pose(
                    left_arm=hold("nose", 2, -5, 4, (30, 20)), right_arm=hold("nose", 2, -5, 4, (30, 20)),
                    left_leg=_LOTUS, right_leg=_LOTUS,
                ),
                0.58,
            ),
        ),
        elevation=14,
    ),
    Group(
        "kick_line", ("dancing in a kick line", "kicking their legs high in a row"),
        ("three dancers link arms over shoulders and kick one leg up",), _row(_KICK, 0.4),
        (
            Link(0, L, 1, "right_shoulder", (0.04, 0.04, -0.03)), Link(1, R, 0, "left_shoulder", (-0.04, 0.03, -0.03)),
            Link(1, L, 2, "right_shoulder", (0.04, 0.03, -0.03)), Link(2, R, 1, "left_shoulder", (-0.04, 0.04, -0.03)),
        ),
    ),
    Group(
        "tug_two", ("playing tug of war, two against one", "pulling a rope together against a single rival"),
        ("two people in line pull a rope against one",),
        (Place(replace(_TUG, lean=-24), -0.8), Place(_TUG, -0.36), Place(replace(_TUG, yaw=-74, lean=-40), 0.56)),
    ),
    Group(
        "referee", ("boxing with a referee between", "starting a boxing match with a referee in the middle"),
        ("a referee spreads the arms between two boxers with raised guards",),
        (
            Place(_BOX, -0.5),
            Place(
                Pose(left_arm=Aim((70, 0), (78, 0)), right_arm=Aim((70, 0), (78, 0)), left_leg=APART, right_leg=APART),
                0, -0.1,
            ),
            Place(replace(_BOX, yaw=-62, left_leg=_BOX.right_leg, right_leg=_BOX.left_leg), 0.5),
        ),
    ),
    Group(
        "band", ("playing in a band", "making music together on stage"),
        ("a singer stands between a guitarist and a seated drummer",),
        (
            Place(
                Pose(
                    yaw=24, lean=8, nod=12, left_arm=Aim((34, 20), (102, 30)),
                    right_arm=hold("chest", -1, -16, 14, (62, -30)), left_leg=APART, right_leg=APART,
                ),
                -0.46,
            ),
            Place(
                Pose(
                    lean=-8, right_arm=hold("nose", 3, -4, 7, (50, 10)), left_arm=Aim((128, 10), (140, 10)),
                    left_leg=APART,
                ),
            ),
            Place(
                Pose(
                    yaw=-16, left_arm=Aim((76, 20), (158, 50)), right_arm=Aim((36, 50), (70, 80)),
                    left_leg=Aim((84, 62), (10, 60)), right_leg=Aim((84, 62), (10, 60)),
                ),
                0.5, -0.1,
            ),
        ),
        elevation=6,
    ),
    Group(
        "group_photo", ("posing for a group photo, one kneeling in front", "lining up for a team picture"),
        ("two people stand with crossed arms behind one who kneels in the middle",),
        (
            Place(Pose(yaw=12, left_leg=APART, left_arm=FOLD_LEFT, right_arm=FOLD_RIGHT), -0.36, -0.1),
            Place(
                Pose(
                    yaw=-10, left_leg=Aim((89, 60), (2, 90)), right_leg=Aim((10, -60), (86, -90)),
                    left_arm=hold("same_knee", 0, 3, -3, (50, -30)), right_arm=AKIMBO,
                ),
                0, 0.16,
            ),
            Place(Pose(yaw=-12, right_leg=APART, left_arm=FOLD_LEFT, right_arm=FOLD_RIGHT), 0.36, -0.1),
        ),
        elevation=6,
    ),
    Group(
        "jump_together", ("jumping up together hand in hand", "leaping in the air with joined hands"),
        ("three people jump with raised joined hands and bent legs",),
        (
            Place(
                Pose(
                    air=0.16, left_arm=UP, right_arm=UP, left_leg=Aim((20, 20), (70, -80)),
                    right_leg=Aim((30, 10), (60, -60)),
                ),
                -0.42,
            ),
            Place(
                Pose(
                    air=0.26, left_arm=UP, right_arm=UP, left_leg=Aim((36, 10), (40, 0)),
                    right_leg=Aim((36, 10), (40, 0)),
                ),
            ),
            Place(
                Pose(
                    air=0.18, left_arm=UP, right_arm=UP, left_leg=Aim((30, 10), (60, -60)),
                    right_leg=Aim((20, 20), (70, -80)),
                ),
                0.42,
            ),
        ),
        (Link(0, L, 1, R, (0, 0, 0), True), Link(1, L, 2, R, (0, 0, 0), True)),
    ),
    Group(
        "row_boat", ("rowing a boat together", "sitting in line and rowing"),
        ("three rowers sit one behind the other with outstretched arms",), _row(_ROW, 0.6), elevation=4,
    ),
    Group(
        "peek", ("peeking around a corner, one above the other", "leaning out sideways at three heights"),
        ("three people lean to the same side, one kneeling, one crouching and one standing",),
        (
            Place(Pose(side=-22, left_leg=KNEE, right_leg=KNEE, right_arm=Aim((60, 20), (120, 30))), -0.3, 0.2),
            Place(
                Pose(
                    side=-26, lean=20, left_leg=Aim((60, 60), (24, -90)), right_leg=Aim((60, 60), (24, -90)),
                    right_arm=Aim((60, 20), (120, 30)),
                ),
                0.06, 0,
            ),
            Place(Pose(side=-24, left_leg=Aim((14, 0), (10, 0)), right_arm=Aim((70, 10), (130, 30))), 0.38, -0.2),
        ),
    ),
    Group(
        "wedding", ("acting out a wedding, two joining hands before a third", "holding a wedding ceremony"),
        ("two people face each other with joined hands, a third between them reads from a book",),
        (
            Place(
                replace(RIGHT, yaw=60, left_arm=Aim((40, 80), (70, 90)), right_arm=Aim((40, 80), (70, 90))), -0.28, 0.1,
            ),
            Place(
                Pose(nod=30, left_arm=hold("chest", 5, -4, 20, (20, 0)), right_arm=hold("chest", 5, -4, 20, (20, 0))),
                0, -0.22,
            ),
            Place(
                replace(LEFT, yaw=-60, left_arm=Aim((40, 80), (70, 90)), right_arm=Aim((40, 80), (70, 90))), 0.28, 0.1,
            ),
        ),
        (Link(0, R, 2, L, (0, -0.02, 0), True), Link(0, L, 2, R, (0, -0.02, 0), True)), elevation=4,
    ),
    Group(
        "limbo", ("dancing limbo", "playing limbo under a bar"),
        ("two people hold a bar while a third bends backward beneath it",),
        (
            Place(Pose(yaw=40, left_leg=APART, left_arm=Aim((52, 60), (80, 80)), right_arm=AKIMBO), -0.52, -0.1),
            Place(
                Pose(
                    yaw=34, lean=-58, nod=30, left_arm=Aim((40, 0), (60, 20)), right_arm=Aim((40, 0), (60, 20)),
                    left_leg=Aim((58, 70), (30, -90)), right_leg=Aim((58, 70), (30, -90)),
                ),
            ),
            Place(Pose(yaw=-40, right_leg=APART, right_arm=Aim((52, 60), (80, 80)), left_arm=AKIMBO), 0.52, -0.1),
        ),
    ),
    Group(
        "rope_turn", ("jumping rope together, two turning the rope", "playing with a long skipping rope"),
        ("one person jumps with tucked legs while two swing a rope",),
        (
            Place(_TURN, -0.58),
            Place(
                Pose(
                    yaw=8, air=0.2, left_arm=Aim((50, 10), (110, 40)), right_arm=Aim((50, 10), (110, 40)),
                    left_leg=Aim((52, 70), (40, -90)), right_leg=Aim((52, 70), (40, -90)),
                ),
            ),
            Place(replace(_TURN, yaw=-58, left_arm=_TURN.right_arm, right_arm=_TURN.left_arm), 0.58),
        ),
    ),
    Group(
        "curtain_call", ("taking a bow together hand in hand", "bowing at the end of a show"),
        ("three actors bend forward in a row with joined hands",),
        _row(Pose(lean=52, nod=14, left_arm=OUT, right_arm=OUT), 0.38),
        (Link(0, L, 1, R, (0, 0, 0), True), Link(1, L, 2, R, (0, 0, 0), True)),
    ),
    Group(
        "photo_shoot", ("taking a photo, one aiming a camera at two", "having a photo shoot"),
        ("a photographer kneels before two people who pose arm in arm",),
        (
            Place(
                Pose(
                    yaw=66, left_leg=Aim((89, 82), (2, 90)), right_leg=Aim((6, -90), (88, -90)),
                    left_arm=hold("nose", 5, -3, 12, (20, 50)), right_arm=hold("nose", 5, -2, 11, (60, 0)),
                ),
                -0.62,
            ),
            Place(Pose(yaw=-36, left_arm=Aim((70, 0), (90, 0)), right_arm=AKIMBO, left_leg=APART), 0.14, -0.05),
            Place(Pose(yaw=-36, right_arm=Aim((60, 0), (90, 0)), left_arm=UP, right_leg=APART), 0.5, 0.05),
        ),
        (Link(1, L, 2, "right_shoulder", (0.03, 0.04, -0.02)),),
    ),
    Group(
        "bench", ("sitting together on a bench", "sitting side by side, one resting the head in a hand"),
        ("three people sit in a row with different gestures",),
        (
            Place(
                replace(
                    _BENCH, lean=24, left_arm=hold("nose", 2, -6, 2, (20, 30)),
                    right_arm=hold("same_knee", 0, 4, -4, (50, -40)),
                ),
                -0.36,
            ),
            Place(replace(_BENCH, left_arm=FOLD_LEFT, right_arm=FOLD_RIGHT)),
            Place(
                replace(
                    _BENCH, side=8, right_leg=Aim((96, 100), (40, 60)), left_arm=Aim((70, 0), (80, -10)),
                    right_arm=hold("same_knee", -4, 6, -8, (50, -40)),
                ),
                0.36,
            ),
        ),
        elevation=12,
    ),
    Group(
        "march_line", ("marching in line", "marching one behind the other"),
        ("three people march in step with lifted knees and swinging arms",), _row(_MARCH, 0.46),
    ),
)  # fmt: skip
