"""What two people do in touch: embraces, dances, lifts and rides."""

from __future__ import annotations

from dataclasses import replace

from data.pose_library.actions.base import AKIMBO, Group, Link, Place, hold
from data.pose_library.actions.stances import APART, BACK, DOWN, FOLD_LEFT, FOLD_RIGHT, FORTH, LEFT, RIGHT, L, R
from data.pose_library.kinematics import CHILD, HANG, Aim, Pose

_ALL_FOURS = Pose(
    yaw=76, lean=79, nod=-55, left_arm=DOWN, right_arm=DOWN, left_leg=Aim((2, 90), (88, -90)),
    right_leg=Aim((4, 90), (88, -90)),
)  # fmt: skip

PAIRS_CLOSE = (
    Group(
        "hug", ("hugging each other", "sharing a warm hug"), ("two people embrace, arms around each other's backs",),
        (Place(replace(RIGHT, lean=6, nod=8), -0.11), Place(replace(LEFT, lean=6, nod=8), 0.11)),
        (
            Link(0, R, 1, "left_shoulder", (0.05, -0.04, 0.06)), Link(0, L, 1, "right_shoulder", (0.06, -0.1, 0)),
            Link(1, L, 0, "right_shoulder", (-0.05, -0.14, 0.06)), Link(1, R, 0, "left_shoulder", (-0.05, -0.1, 0)),
        ),
    ),
    Group(
        "hold_hands", ("holding hands", "standing hand in hand"), ("two people stand side by side and hold hands",),
        (Place(Pose(left_leg=APART, right_leg=APART), -0.24), Place(Pose(left_leg=APART, right_leg=APART), 0.24)),
        (Link(0, L, 1, R, (0, 0, 0.03), True),),
    ),
    Group(
        "stroll", ("walking hand in hand", "strolling together hand in hand"),
        ("two people walk along in step, hands joined",),
        (
            Place(
                Pose(
                    yaw=48, left_leg=FORTH, right_leg=BACK, right_arm=Aim((24, 80), (34, 90)),
                    left_arm=Aim((30, 0), (30, 20)),
                ),
                -0.22, -0.08,
            ),
            Place(
                Pose(
                    yaw=48, left_leg=FORTH, right_leg=BACK, left_arm=Aim((28, -80), (20, -60)),
                    right_arm=Aim((30, 0), (30, 20)),
                ),
                0.22, 0.08,
            ),
        ),
        (Link(0, L, 1, R, (0, 0, 0), True),),
    ),
    Group(
        "high_five", ("giving each other a high five", "slapping raised palms together"),
        ("two people reach up and clap their hands together",),
        (
            Place(replace(RIGHT, yaw=62, right_arm=Aim((120, 80), (165, 90)), left_leg=FORTH), -0.16),
            Place(replace(LEFT, yaw=-62, left_arm=Aim((120, 80), (165, 90)), right_leg=FORTH), 0.16),
        ),
        (Link(0, R, 1, L, (0, 0.03, 0.02), True),),
    ),
    Group(
        "handshake", ("shaking hands", "greeting each other with a handshake"),
        ("two people face each other and shake hands",),
        (
            Place(replace(RIGHT, right_arm=Aim((40, 88), (70, 90))), -0.23),
            Place(replace(LEFT, right_arm=Aim((40, 88), (70, 90))), 0.23),
        ),
        (Link(0, R, 1, R, (0, 0, 0), True),),
    ),
    Group(
        "waltz", ("dancing a waltz together", "dancing together in a ballroom hold"),
        ("a dancing pair clasps hands, one hand on the partner's back",),
        (
            Place(Pose(yaw=62, left_arm=Aim((84, 20), (100, 40)), left_leg=Aim((16, 90), (4, -90))), -0.13),
            Place(Pose(yaw=-112, right_arm=Aim((84, 20), (100, 40)), right_leg=Aim((14, -90), (24, -90))), 0.13, 0.02),
        ),
        (
            Link(0, L, 1, R, (0.04, 0.04, 0), True), Link(0, R, 1, "left_shoulder", (0.04, -0.12, 0.05)),
            Link(1, L, 0, "right_shoulder", (-0.02, 0.03, 0)),
        ),
    ),
    Group(
        "piggyback", ("giving and getting a piggyback ride", "playing piggyback"),
        ("one person carries another on the back",),
        (
            Place(Pose(yaw=58, lean=26, left_leg=FORTH, right_leg=BACK, nod=-10)),
            Place(
                Pose(
                    yaw=58, lean=16, left_leg=Aim((70, 62), (40, 20)), right_leg=Aim((70, 62), (40, 20)),
                    left_arm=Aim((60, 80), (50, 130)), right_arm=Aim((60, 80), (50, 130)),
                ),
                pin=("hips", 0, "hips", (-0.1, 0.15, -0.08)),
            ),
        ),
        (
            Link(0, L, 1, "left_knee", (0, -0.02, 0)), Link(0, R, 1, "right_knee", (0, -0.02, 0)),
            Link(1, L, 0, "chest", (0.02, 0.06, 0.06)), Link(1, R, 0, "chest", (0.04, 0.04, 0.1)),
        ),
    ),
    Group(
        "ballet_lift", ("performing a ballet lift", "dancing a lift, one held high overhead"),
        ("one dancer holds the other flat above the head",),
        (
            Place(
                Pose(
                    yaw=30, left_leg=APART, right_leg=APART, left_arm=Aim((170, 0), (176, 0)),
                    right_arm=Aim((170, 0), (176, 0)),
                ),
            ),
            Place(
                Pose(
                    yaw=72, lean=70, nod=-50, left_arm=Aim((110, 30), (110, 30)), right_arm=Aim((110, 30), (110, 30)),
                    left_leg=Aim((98, -90), (104, -90)), right_leg=Aim((86, -90), (98, -90)),
                ),
                pin=("hips", 0, "nose", (-0.02, 0.3, -0.02)),
            ),
        ),
        (Link(0, L, 1, "left_hip", (0.04, -0.05, 0)), Link(0, R, 1, "right_hip", (-0.04, -0.05, 0))),
    ),
    Group(
        "carry_in_arms",
        ( "posing with one carrying the other in both arms", "carrying and being carried over the threshold", ),
        ("one person lies in the arms of another",),
        (
            Place(
                Pose(
                    yaw=14, lean=-10, left_leg=APART, right_leg=FORTH, left_arm=Aim((30, 60), (80, 90)),
                    right_arm=Aim((30, 60), (80, 90)),
                ),
            ),
            Place(
                Pose(
                    yaw=84, lean=-48, nod=10, left_leg=Aim((112, 90), (34, 90)), right_leg=Aim((106, 90), (42, 90)),
                    left_arm=Aim((70, 0), (120, 60)), right_arm=Aim((30, 60), (60, 100)),
                ),
                pin=("hips", 0, "hips", (-0.03, 0.1, 0.16)),
            ),
        ),
        (
            Link(0, R, 1, "chest", (-0.06, -0.04, -0.02)), Link(0, L, 1, "knees", (0, -0.04, 0.03)),
            Link(1, L, 0, "left_shoulder", (0, 0.03, 0)),
        ),
    ),
    Group(
        "back_to_back", ("leaning back to back with arms crossed", "standing back to back"),
        ("two people lean their backs on each other, arms folded",),
        (
            Place(
                Pose(
                    yaw=-66, lean=-12, left_leg=Aim((16, 90), (10, 90)), right_leg=Aim((20, 90), (8, 90)),
                    left_arm=FOLD_LEFT, right_arm=FOLD_RIGHT,
                ),
                -0.13,
            ),
            Place(
                Pose(
                    yaw=66, lean=-12, left_leg=Aim((20, 90), (8, 90)), right_leg=Aim((16, 90), (10, 90)),
                    left_arm=FOLD_LEFT, right_arm=FOLD_RIGHT,
                ),
                0.13,
            ),
        ),
    ),
    Group(
        "sit_back_to_back",
        ("sitting back to back on the ground", "sitting on the floor and leaning on each other's backs"),
        ("two people sit with drawn-up knees, back against back",),
        (
            Place(
                Pose(
                    yaw=-70, lean=-8, left_leg=Aim((124, 90), (44, 88)), right_leg=Aim((96, 88), (84, 90)),
                    left_arm=hold("same_knee", 0, 2, -2, (40, -60)), right_arm=hold("same_knee", 0, 4, -6, (40, -60)),
                ),
                -0.13,
            ),
            Place(
                Pose(
                    yaw=70, lean=-8, right_leg=Aim((124, 90), (44, 88)), left_leg=Aim((96, 88), (84, 90)),
                    left_arm=hold("same_knee", 0, 4, -6, (40, -60)), right_arm=hold("same_knee", 0, 2, -2, (40, -60)),
                ),
                0.13,
            ),
        ),
    ),
    Group(
        "leapfrog", ("playing leapfrog", "leaping over each other's backs"),
        ("one person bends down while another jumps over with spread legs",),
        (
            Place(
                Pose(
                    yaw=76, lean=88, nod=20, left_arm=hold("same_knee", 0, 2, 2, (60, -60)),
                    right_arm=hold("same_knee", 0, 2, 2, (60, -60)), left_leg=Aim((26, 90), (6, -90)),
                    right_leg=Aim((22, 90), (10, -90)),
                ),
            ),
            Place(
                Pose(
                    yaw=70, lean=52, nod=-34, left_leg=Aim((84, 24), (70, 0)), right_leg=Aim((84, 24), (70, 0)),
                    left_arm=Aim((20, 60), (10, 0), world=True), right_arm=Aim((20, 60), (10, 0), world=True),
                ),
                pin=("hips", 0, "hips", (-0.08, 0.2, 0)),
            ),
        ),
        (Link(1, L, 0, "neck", (-0.05, 0.05, -0.03)), Link(1, R, 0, "neck", (-0.05, 0.05, 0.03))),
    ),
    Group(
        "shoulder_ride", ("enjoying a shoulder ride", "riding on the other's shoulders"),
        ("one person sits on the shoulders of another and lifts the arms",),
        (
            Place(
                Pose(
                    yaw=20, left_leg=APART, right_leg=APART, left_arm=Aim((60, 60), (150, 120)),
                    right_arm=Aim((60, 60), (150, 120)),
                ),
            ),
            Place(
                Pose(
                    body=CHILD, yaw=20, left_arm=Aim((132, 0), (140, 0)), right_arm=Aim((132, 0), (140, 0)),
                    left_leg=Aim((72, 58), (8, 120)), right_leg=Aim((72, 58), (8, 120)),
                ),
                pin=("hips", 0, "neck", (-0.02, 0.05, -0.06)),
            ),
        ),
        (Link(0, L, 1, "left_ankle", (0, 0.02, 0.02)), Link(0, R, 1, "right_ankle", (0, 0.02, 0.02))),
    ),
    Group(
        "slow_dance", ("slow dancing", "dancing closely, hands on shoulders and waist"),
        ("a pair sways face to face, hands on the partner's shoulders and waist",),
        (
            Place(replace(RIGHT, yaw=58, nod=6), -0.14),
            Place(replace(LEFT, yaw=-58, side=8, nod=-6, right_leg=Aim((6, 90), (22, -90))), 0.14),
        ),
        (
            Link(0, R, 1, "left_hip", (-0.02, 0.12, 0.03)), Link(0, L, 1, "right_hip", (-0.02, 0.12, 0)),
            Link(1, L, 0, "right_shoulder", (0, 0.03, 0.02)), Link(1, R, 0, "left_shoulder", (0, 0.03, 0)),
        ),
    ),
    Group(
        "dip", ("dancing a dip", "finishing a dance with a dip"),
        ("one dancer bends over and holds the other, who leans far back with a raised leg",),
        (
            Place(
                replace(RIGHT, lean=30, nod=14, left_leg=Aim((52, 88), (6, -90)), right_leg=Aim((22, -90), (26, -90))),
                -0.13,
            ),
            Place(
                replace(
                    LEFT, lean=-64, nod=-20, left_arm=Aim((150, 0), (160, 0)), left_leg=Aim((16, 90), (20, -90)),
                    right_leg=Aim((70, 84), (30, 90)),
                ),
                0.0,
            ),
        ),
        (
            Link(0, R, 1, "left_shoulder", (0, -0.06, 0.0)), Link(0, L, 1, "right_hip", (0.03, 0, 0)),
            Link(1, R, 0, "left_shoulder", (0, 0.02, 0)),
        ),
    ),
    Group(
        "twirl", ("dancing a twirl under a raised arm", "dancing together, one spinning under the other's arm"),
        ("one dancer leads and the other turns beneath their joined hands",),
        (
            Place(
                Pose(
                    yaw=52, right_arm=Aim((30, 0), (50, 20)), left_arm=Aim((130, 60), (150, 90)),
                    left_leg=Aim((18, 80), (4, -90)),
                ),
                -0.27,
            ),
            Place(
                Pose(
                    yaw=-8, right_arm=Aim((160, 0), (170, 0)), left_arm=Aim((60, 0), (80, 10)),
                    left_leg=Aim((14, 180), (6, 0)), right_leg=Aim((20, 60), (40, -90)),
                ),
                0.2,
            ),
        ),
        (Link(0, L, 1, R, (0.02, 0.02, 0), True),),
    ),
    Group(
        "swing_dance", ("swing dancing", "dancing at arm's length, hands joined in the middle"),
        ("two dancers lean apart holding one hand, the outer arms stretched",),
        (
            Place(
                Pose(
                    yaw=24, side=-20, left_arm=Aim((84, 0), (84, 0)), right_arm=Aim((96, 0), (110, 0)),
                    right_leg=Aim((6, 0), (10, 180)), left_leg=Aim((34, 10), (30, 10)),
                ),
                -0.33,
            ),
            Place(
                Pose(
                    yaw=-24, side=20, right_arm=Aim((84, 0), (84, 0)), left_arm=Aim((96, 0), (110, 0)),
                    left_leg=Aim((6, 0), (10, 180)), right_leg=Aim((34, 10), (30, 10)),
                ),
                0.33,
            ),
        ),
        (Link(0, L, 1, R, (0, -0.04, 0.02), True),),
    ),
    Group(
        "whisper", ("sharing a secret", "whispering into each other's ears"),
        ("one person leans over and whispers behind a hand to the other",),
        (
            Place(
                Pose(yaw=44, side=16, lean=6, left_leg=APART, right_leg=Aim((10, -60), (20, -90)), right_arm=HANG),
                -0.2, 0.03,
            ),
            Place(Pose(yaw=-6, side=-8, tilt=-12, left_arm=hold("nose", 3, -5, 5, (40, 0))), 0.14, 0.0),
        ),
        (Link(0, L, 1, "right_ear", (-0.05, 0.0, 0.06)),),
    ),
    Group(
        "shoulders", ("standing arm in arm around the shoulders", "posing with arms around each other's shoulders"),
        ("two friends stand close, arms over each other's shoulders",),
        (
            Place(Pose(left_leg=APART, right_leg=APART, right_arm=AKIMBO, left_arm=Aim((86, 0), (90, 0))), -0.17),
            Place(Pose(left_leg=APART, right_leg=APART, left_arm=AKIMBO, right_arm=Aim((86, 0), (90, 0))), 0.17),
        ),
        (Link(0, L, 1, "left_shoulder", (-0.02, 0.04, -0.03)), Link(1, R, 0, "right_shoulder", (0.02, 0.03, -0.04))),
    ),
    Group(
        "motorbike", ("riding a motorbike together", "sitting one behind the other on a motorcycle"),
        ("two people sit in line, the one behind holding the driver's waist",),
        (
            Place(
                Pose(
                    yaw=70, lean=18, left_arm=Aim((56, 85), (66, 90)), right_arm=Aim((56, 85), (66, 90)),
                    left_leg=Aim((74, 70), (22, -90)), right_leg=Aim((74, 70), (22, -90)), air=0.1,
                ),
                0.14,
            ),
            Place(
                Pose(yaw=70, lean=10, left_leg=Aim((78, 60), (26, -90)), right_leg=Aim((78, 60), (26, -90))),
                pin=("hips", 0, "hips", (-0.22, 0.04, -0.04)),
            ),
        ),
        (Link(1, L, 0, "left_hip", (0.06, 0.06, 0)), Link(1, R, 0, "right_hip", (0.06, 0.06, 0.03))),
    ),
    Group(
        "pony_ride", ("playing pony ride", "riding on the other's back on all fours"),
        ("one person sits on the back of another who crawls",),
        (
            Place(_ALL_FOURS),
            Place(
                Pose(
                    body=CHILD, yaw=70, lean=-6, left_leg=Aim((62, 40), (12, -90)), right_leg=Aim((62, 40), (12, -90)),
                    right_arm=Aim((140, 40), (150, 60)), left_arm=Aim((40, 80), (60, 90)),
                ),
                pin=("hips", 0, "hips", (0.12, 0.11, 0.02)),
            ),
        ),
    ),
    Group(
        "selfie_together", ("taking a selfie together", "leaning their heads together for a selfie"),
        ("two people squeeze together, one stretching the phone arm out and both smiling up",),
        (
            Place(
                Pose(
                    side=10, tilt=10, right_arm=Aim((124, 30), (128, 40)), left_arm=Aim((20, -40), (60, -60)),
                    left_leg=APART,
                ),
                -0.17,
            ),
            Place(
                Pose(
                    side=-12, tilt=-12, left_arm=hold("same_ear", 9, -2, 5, (20, 0)),
                    right_arm=Aim((10, -40), (20, -60)), right_leg=APART,
                ),
                0.17, -0.06,
            ),
        ),
    ),
    Group(
        "acro_yoga", ("doing acro yoga", "balancing one upon the other's feet"),
        ("one person lies on the back and holds the other in the air on straight legs",),
        (
            Place(
                Pose(
                    yaw=78, lean=-88, left_arm=Aim((88, 90), (92, 90)), right_arm=Aim((88, 90), (92, 90)),
                    left_leg=Aim((172, 90), (178, 90)), right_leg=Aim((172, 90), (178, 90)),
                ),
                0.1,
            ),
            Place(
                Pose(
                    yaw=-78, lean=84, nod=-40, left_arm=Aim((20, 60), (8, 90), world=True),
                    right_arm=Aim((20, 60), (8, 90), world=True), left_leg=Aim((98, -90), (104, -90)),
                    right_leg=Aim((98, -90), (104, -90)),
                ),
                pin=("hips", 0, "ankles", (0.0, 0.06, 0)),
            ),
        ),
        (Link(0, L, 1, R, (0, 0, 0), True), Link(0, R, 1, L, (0, 0, 0), True)),
    ),
    Group(
        "tower", ("building a tower of two", "balancing with one standing on the other's shoulders"),
        ("an acrobat stands on another's shoulders with spread arms",),
        (
            Place(
                Pose(
                    yaw=8, left_leg=APART, right_leg=APART, left_arm=Aim((70, 10), (150, 170)),
                    right_arm=Aim((70, 10), (150, 170)),
                ),
            ),
            Place(
                Pose(
                    yaw=8, left_arm=Aim((84, 0), (88, 0)), right_arm=Aim((84, 0), (88, 0)),
                    left_leg=Aim((4, 0), (4, 0)), right_leg=Aim((4, 0), (4, 0)),
                ),
                pin=("ankles", 0, "neck", (0, 0.06, -0.02)),
            ),
        ),
        (Link(0, L, 1, "left_ankle", (0.02, 0.04, 0.02)), Link(0, R, 1, "right_ankle", (-0.02, 0.04, 0.02))),
    ),
    Group(
        "lead_by_hand", ("walking along hand in hand, one tall and one small", "leading and following by the hand"),
        ("a tall person leads a small one by the hand",),
        (
            Place(
                Pose(
                    yaw=52, left_leg=FORTH, right_leg=BACK, right_arm=Aim((18, 80), (26, 90)),
                    left_arm=Aim((16, 0), (16, 0)),
                ),
                -0.16, -0.05,
            ),
            Place(
                Pose(
                    body=CHILD, yaw=52, nod=-16, right_leg=FORTH, left_leg=BACK, left_arm=Aim((24, -80), (16, -60)),
                    right_arm=Aim((110, 0), (150, 0)),
                ),
                0.2, 0.1,
            ),
        ),
        (Link(0, L, 1, R, (0, 0, 0), True),),
    ),
    Group(
        "kiss_hand", ("greeting with a kiss on the hand", "bowing over the other's offered hand"),
        ("one person bows low to kiss the hand that another holds out",),
        (
            Place(
                replace(
                    RIGHT, lean=50, nod=-6, left_arm=Aim((40, -80), (60, -90)), left_leg=Aim((24, 90), (6, -90)),
                    right_leg=BACK,
                ),
                -0.36,
            ),
            Place(
                replace(
                    LEFT, yaw=-58, lean=-6, left_arm=hold("chest", -1, 0, 9, (45, 0)),
                    right_arm=Aim((50, 80), (62, 90)),
                ),
                0.32,
            ),
        ),
        (Link(1, R, 0, "nose", (0.06, -0.04, 0)), Link(0, R, 1, "right_wrist", (0, -0.02, 0))),
    ),
)  # fmt: skip
