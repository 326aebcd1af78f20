"""What two people do face to face or one after the other: games, fights, talks and work."""

from __future__ import annotations

from dataclasses import replace

from data.pose_library.actions.base import AKIMBO, Group, Link, Place, hold
from data.pose_library.actions.stances import APART, BACK, FOLD_LEFT, FOLD_RIGHT, FORTH, LEFT, RIGHT, SEAT, L, R
from data.pose_library.kinematics import Aim, Pose

_LUNGE = Pose(
    yaw=64, lean=8, left_arm=Aim((94, 90), (94, 90)), right_arm=Aim((92, -80), (160, -90)),
    left_leg=Aim((66, 90), (2, -90)), right_leg=Aim((48, -80), (50, -80)),
)  # fmt: skip
_TUG = Pose(
    yaw=74, lean=-32, left_arm=Aim((84, 90), (88, 90), world=True), right_arm=Aim((76, 90), (86, 90), world=True),
    left_leg=Aim((50, 90), (30, 90)), right_leg=Aim((56, 90), (8, 90)),
)  # fmt: skip
_RUN = Pose(
    yaw=76, lean=16, left_arm=Aim((42, -90), (30, 90)), right_arm=Aim((40, 90), (118, 90)),
    left_leg=Aim((66, 90), (6, -90)), right_leg=Aim((28, -90), (80, -90)), air=0.03,
)  # fmt: skip
_SEIZA = Pose(
    yaw=70, left_leg=Aim((86, 80), (94, -90)), right_leg=Aim((86, 80), (94, -90)), left_arm=Aim((60, 88), (88, 90)),
    right_arm=Aim((60, 88), (88, 90)),
)  # fmt: skip
_ONE_KNEE = Pose(yaw=70, left_leg=Aim((89, 82), (2, 90)), right_leg=Aim((6, -90), (88, -90)))
_GUARD = Pose(
    yaw=-62, lean=6, nod=8, left_arm=hold("nose", 4, -5, 14, (15, 20)), right_arm=hold("nose", 4, -7, 6, (15, 20)),
    left_leg=Aim((30, -50), (34, -70)), right_leg=Aim((34, 80), (6, -90)),
)  # fmt: skip
_PUNCH = Pose(
    yaw=62, lean=14, twist=20, right_arm=Aim((94, 96), (94, 95)), left_arm=hold("nose", 4, -8, 6, (15, 20)),
    left_leg=Aim((44, 88), (4, -90)), right_leg=Aim((30, -90), (38, -90)),
)  # fmt: skip
_BOW = Pose(yaw=72, lean=66, left_arm=Aim((4, 0), (4, 0)), right_arm=Aim((4, 0), (4, 0)))

PAIRS_APART = (
    Group(
        "arm_wrestle", ("arm wrestling", "having an arm wrestling match"),
        ("two seated people lock hands over a table and push",),
        (
            Place(
                replace(
                    RIGHT, lean=34, left_leg=SEAT, right_leg=SEAT, left_arm=Aim((46, 80), (80, 130)),
                    right_arm=Aim((40, 80), (120, 90)),
                ),
                -0.37,
            ),
            Place(
                replace(
                    LEFT, lean=34, left_leg=SEAT, right_leg=SEAT, left_arm=Aim((46, 80), (80, 130)),
                    right_arm=Aim((40, 80), (120, 90)),
                ),
                0.37,
            ),
        ),
        (Link(0, R, 1, R, (0.02, 0.05, 0), True),),
    ),
    Group(
        "proposal", ("making a marriage proposal, one kneeling before the other", "acting out a proposal on one knee"),
        ("one person kneels with a ring held up, the other covers the mouth in surprise",),
        (
            Place(
                replace(_ONE_KNEE, nod=-22, left_arm=Aim((70, 85), (100, 90)), right_arm=Aim((66, 85), (104, 90))),
                -0.3,
            ),
            Place(
                replace(
                    LEFT, lean=-6, nod=14, left_arm=hold("nose", 2, -4, 5, (40, 10)),
                    right_arm=hold("nose", 2, -4, 5, (40, 10)),
                ),
                0.28,
            ),
        ),
    ),
    Group(
        "tug_of_war", ("playing tug of war", "pulling on opposite ends of a rope"),
        ("two people lean back and pull a rope against each other",),
        (Place(_TUG, -0.5), Place(replace(_TUG, yaw=-74), 0.5)),
    ),
    Group(
        "box", ("boxing each other", "sparring in a boxing match"),
        ("one boxer throws a punch, the other keeps the guard up",), (Place(_PUNCH, -0.29), Place(_GUARD, 0.27)),
    ),
    Group(
        "wheelbarrow", ("running a wheelbarrow race", "playing wheelbarrow, one walking on the hands"),
        ("one person walks on the hands while another holds the ankles",),
        (
            Place(
                Pose(
                    yaw=76, lean=88, nod=-40, left_arm=Aim((14, 90), (10, 90), world=True),
                    right_arm=Aim((8, -90), (6, -90), world=True), left_leg=Aim((98, -84), (100, -84)),
                    right_leg=Aim((98, -84), (100, -84)),
                ),
                0.2,
            ),
            Place(
                Pose(
                    yaw=76, lean=22, left_leg=FORTH, right_leg=BACK, left_arm=Aim((20, 90), (50, 90)),
                    right_arm=Aim((20, 90), (50, 90)),
                ),
                -0.43,
            ),
        ),
        (Link(1, L, 0, "left_ankle"), Link(1, R, 0, "right_ankle")),
    ),
    Group(
        "seesaw", ("riding a seesaw", "sitting on the ends of a seesaw"),
        ("two people sit facing each other, one up and one down",),
        (
            Place(
                replace(
                    RIGHT, lean=-14, left_leg=Aim((96, 84), (48, 90)), right_leg=Aim((96, 84), (48, 90)),
                    left_arm=Aim((44, 88), (60, 90)), right_arm=Aim((44, 88), (60, 90)),
                ),
                -0.5,
            ),
            Place(
                replace(
                    LEFT, lean=-8, left_leg=Aim((70, 84), (10, 90)), right_leg=Aim((70, 84), (24, -90)),
                    left_arm=Aim((30, 88), (70, 90)), right_arm=Aim((30, 88), (70, 90)), air=0.3,
                ),
                0.5,
            ),
        ),
    ),
    Group(
        "fencing_bout", ("fencing against each other", "crossing blades in a fencing bout"),
        ("one fencer lunges and the other leans back to parry",),
        (
            Place(_LUNGE, -0.5),
            Place(
                Pose(
                    yaw=-64, lean=-14, right_arm=Aim((72, 90), (112, 90)), left_arm=Aim((88, -70), (165, -90)),
                    right_leg=Aim((30, 88), (4, -90)), left_leg=Aim((50, -20), (20, -80)),
                ),
                0.42,
            ),
        ),
    ),
    Group(
        "wrestle", ("wrestling", "grappling with each other"),
        ("two wrestlers bend forward, heads close, and grip each other's shoulders",),
        (
            Place(
                replace(RIGHT, lean=52, nod=-9, left_leg=Aim((40, 88), (20, -90)), right_leg=Aim((30, -90), (40, -90))),
                -0.32,
            ),
            Place(
                replace(LEFT, lean=52, nod=-10, right_leg=Aim((40, 88), (20, -90)), left_leg=Aim((30, -90), (40, -90))),
                0.32,
            ),
        ),
        (
            Link(0, R, 1, "left_shoulder", (0, -0.04, 0.03)), Link(1, L, 0, "right_shoulder", (0, 0, 0.03)),
            Link(0, L, 1, "right_shoulder"), Link(1, R, 0, "left_shoulder", (0, -0.04, 0)),
        ),
    ),
    Group(
        "patty_cake", ("playing a clapping game", "kneeling face to face and clapping each other's hands"),
        ("two people sit on their heels and put their palms together",),
        (Place(_SEIZA, -0.26), Place(replace(_SEIZA, yaw=-70), 0.26)),
        (Link(0, R, 1, L, (0, 0.08, 0), True), Link(0, L, 1, R, (0, 0.12, 0), True)),
    ),
    Group(
        "table", ("sitting across a table from each other", "chatting over a table"),
        ("two seated people face each other, one with a hand on the chin",),
        (
            Place(
                replace(
                    RIGHT, lean=16, left_leg=SEAT, right_leg=SEAT, left_arm=Aim((50, 85), (86, 120)),
                    right_arm=Aim((44, 85), (86, 90)),
                ),
                -0.44,
            ),
            Place(
                replace(
                    LEFT, lean=8, left_leg=SEAT, right_leg=Aim((88, 88), (30, -90)),
                    left_arm=hold("nose", 1, -6, 4, (30, 40)), right_arm=Aim((46, 85), (84, 130)),
                ),
                0.44,
            ),
        ),
    ),
    Group(
        "help_up", ("helping each other up", "reaching out a hand to lift the other from the ground"),
        ("one person sits on the ground and is pulled up by another",),
        (
            Place(
                Pose(
                    yaw=68, lean=-14, left_leg=Aim((118, 90), (46, 90)), right_leg=Aim((94, 88), (80, 90)),
                    left_arm=Aim((100, 88), (110, 90)), right_arm=Aim((36, -70), (26, -80), world=True),
                ),
                -0.34,
            ),
            Place(
                replace(
                    LEFT, lean=46, left_leg=Aim((40, 88), (10, -90)), right_leg=Aim((16, -90), (24, -90)),
                    left_arm=hold("same_knee", 0, 4, 0, (50, -50)), right_arm=Aim((40, 80), (50, 90)),
                ),
                0.4,
            ),
        ),
        (Link(1, R, 0, "left_wrist"),),
    ),
    Group(
        "race", ("racing each other", "running side by side in a race"), ("two runners sprint one behind the other",),
        (
            Place(_RUN, 0.34, -0.1),
            Place(
                Pose(
                    yaw=76, lean=12, right_arm=Aim((42, -90), (30, 90)), left_arm=Aim((40, 90), (118, 90)),
                    right_leg=Aim((56, 90), (26, 90)), left_leg=Aim((30, -90), (60, -90)), air=0.02,
                ),
                -0.34, 0.1,
            ),
        ),
    ),
    Group(
        "feed", ("feeding one another", "holding out a spoon to the other's mouth"),
        ("one person standing feeds another who is seated",),
        (
            Place(
                replace(
                    RIGHT, lean=28, nod=4, right_arm=Aim((50, 80), (80, 90)), left_arm=Aim((20, 80), (84, 100)),
                    left_leg=FORTH,
                ),
                -0.28,
            ),
            Place(
                replace(
                    LEFT, yaw=-60, nod=-10, left_leg=SEAT, right_leg=SEAT,
                    left_arm=hold("same_knee", 0, 4, -5, (50, -40)), right_arm=hold("same_knee", 0, 4, -5, (50, -40)),
                ),
                0.26,
            ),
        ),
        (Link(0, R, 1, "nose", (-0.08, -0.02, 0.02)),),
    ),
    Group(
        "haircut", ("giving and getting a haircut", "doing the other's hair"),
        ("a person sits while another stands behind with both hands at the head",),
        (
            Place(
                Pose(
                    yaw=34, left_leg=SEAT, right_leg=SEAT, left_arm=hold("same_knee", -3, 5, -7, (50, -40)),
                    right_arm=hold("same_knee", -3, 5, -7, (50, -40)), nod=12,
                ),
                0.16, 0.05,
            ),
            Place(Pose(yaw=48, lean=14, nod=26, left_leg=APART, right_leg=APART), -0.16, -0.2),
        ),
        (Link(1, L, 0, "left_ear", (0, 0.05, -0.02)), Link(1, R, 0, "right_ear", (-0.03, 0.05, 0))),
    ),
    Group(
        "carry_sofa", ("carrying something long together", "moving a sofa together"),
        ("two people carry a load between them with low straight arms, one walking backward",),
        (
            Place(
                replace(
                    RIGHT, lean=24, left_leg=FORTH, right_leg=BACK, left_arm=Aim((20, 90), (62, 90), world=True),
                    right_arm=Aim((20, 90), (62, 90), world=True),
                ),
                -0.46,
            ),
            Place(
                replace(
                    LEFT, lean=10, left_leg=Aim((30, 88), (10, -90)), right_leg=Aim((10, -90), (14, -90)),
                    left_arm=Aim((20, 90), (62, 90), world=True), right_arm=Aim((20, 90), (62, 90), world=True),
                ),
                0.46,
            ),
        ),
    ),
    Group(
        "knight",
        (
            "acting out a knighting, one kneeling with a bowed head",
            "laying a hand on the shoulder of the kneeling other",
        ),
        ("one person kneels with crossed arms, another standing touches the shoulder",),
        (
            Place(replace(_ONE_KNEE, nod=36, lean=8, left_arm=FOLD_LEFT, right_arm=FOLD_RIGHT), -0.24),
            Place(
                replace(LEFT, lean=10, nod=16, right_arm=Aim((50, 88), (54, 90)), left_arm=Aim((10, -60), (20, -80))),
                0.22,
            ),
        ),
        (Link(1, R, 0, "left_shoulder", (0.02, 0.03, 0)),),
    ),
    Group(
        "bow_both", ("bowing to each other", "greeting each other with a deep bow"),
        ("two people face each other and bend at the waist",), (Place(_BOW, -0.5), Place(replace(_BOW, yaw=-72), 0.5)),
    ),
    Group(
        "toast", ("raising a toast", "clinking glasses high above a table"),
        ("two people lean in and knock their glasses together overhead, one hand on the hip",),
        (
            Place(
                replace(RIGHT, yaw=56, lean=12, left_arm=AKIMBO, right_arm=Aim((110, 80), (120, 85)), left_leg=FORTH),
                -0.24,
            ),
            Place(
                replace(LEFT, yaw=-56, lean=12, right_arm=AKIMBO, left_arm=Aim((110, 80), (120, 85)), right_leg=FORTH),
                0.24,
            ),
        ),
        (Link(0, R, 1, L, (0, 0, 0), True),),
    ),
    Group(
        "play_catch", ("playing catch", "throwing a ball to each other"),
        ("one person throws and the other waits with open hands",),
        (
            Place(
                Pose(
                    yaw=56, lean=-6, right_arm=Aim((98, -25), (165, -40)), left_arm=Aim((76, 80), (84, 85)),
                    left_leg=Aim((42, 88), (16, 90)), right_leg=Aim((16, -90), (26, -90)),
                ),
                -0.4,
            ),
            Place(
                Pose(
                    yaw=-56, lean=22, nod=-14, left_arm=Aim((64, 80), (108, 85)), right_arm=Aim((64, 80), (108, 85)),
                    left_leg=Aim((40, 60), (20, -90)), right_leg=Aim((40, 60), (20, -90)),
                ),
                0.36,
            ),
        ),
    ),
    Group(
        "partner_sit_up", ("doing partner sit-ups", "training together, one holding the other's feet"),
        ("one person does sit-ups while another kneels and holds the ankles",),
        (
            Place(
                Pose(
                    yaw=76, lean=-46, nod=20, left_arm=hold("same_ear", 0, -1, -4, (110, 20)),
                    right_arm=hold("same_ear", 0, -1, -4, (110, 20)), left_leg=Aim((126, 90), (42, 90)),
                    right_leg=Aim((126, 90), (42, 90)),
                ),
                -0.3,
            ),
            Place(Pose(yaw=-76, lean=44, left_leg=Aim((30, 90), (90, -90)), right_leg=Aim((30, 90), (90, -90))), 0.24),
        ),
        (Link(1, L, 0, "right_ankle", (0, 0.03, 0)), Link(1, R, 0, "left_ankle", (0, 0.03, 0))),
    ),
    Group(
        "wave_to_each_other", ("waving to each other", "greeting each other from afar"),
        ("two people face each other at a distance and wave",),
        (
            Place(Pose(yaw=50, right_arm=Aim((100, 20), (160, 20)), left_leg=Aim((20, 80), (4, -90))), -0.34),
            Place(Pose(yaw=-50, left_arm=Aim((136, 40), (150, 60)), right_leg=Aim((8, 90), (26, -90))), 0.34),
        ),
    ),
    Group(
        "argue", ("arguing and pointing at each other", "quarrelling with raised fingers"),
        ("two people lean forward and point at each other angrily",),
        (
            Place(
                replace(
                    RIGHT, yaw=66, lean=18, right_arm=Aim((76, 85), (96, 90)), left_arm=Aim((30, -70), (70, -60)),
                    left_leg=Aim((28, 90), (2, -90)), right_leg=BACK,
                ),
                -0.34,
            ),
            Place(replace(LEFT, yaw=-66, lean=-10, left_arm=Aim((84, 60), (120, 80)), right_arm=AKIMBO), 0.3),
        ),
    ),
    Group(
        "chase", ("playing tag", "chasing and running away"),
        ("one person runs with outstretched arms after another who looks back",),
        (
            Place(
                Pose(
                    yaw=76, lean=34, nod=-20, left_arm=Aim((70, 88), (82, 90), world=True),
                    right_arm=Aim((62, 88), (80, 90), world=True), left_leg=Aim((24, -90), (84, -90)),
                    right_leg=Aim((58, 90), (10, -90)),
                ),
                -0.4,
            ),
            Place(replace(_RUN, turn=-60, lean=4), 0.36),
        ),
    ),
)  # fmt: skip
