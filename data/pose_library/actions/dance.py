"""Dance, of one person."""

from __future__ import annotations

from data.pose_library.actions.base import AKIMBO, Solo, hold
from data.pose_library.kinematics import Aim, Pose

DANCE = (
    Solo(
        "arabesque", ("doing a ballet arabesque", "dancing ballet on one leg"),
        ("a ballet dancer lifts one leg far behind and one arm ahead",),
        Pose(
            yaw=60, lean=20, nod=-14, left_arm=Aim((118, 80), (116, 80)), right_arm=Aim((80, -30), (82, -40)),
            left_leg=Aim((2, 0), (2, 0)), right_leg=Aim((84, -80), (94, -80)),
        ),
    ),
    Solo(
        "pirouette", ("doing a pirouette", "spinning on one leg with rounded arms"),
        ("a ballet dancer turns with the toe at the knee and the arms rounded in front",),
        Pose(
            yaw=15, left_arm=hold("chest", 1, 3, 20, (75, 5)), right_arm=hold("chest", 1, 3, 20, (75, 5)),
            left_leg=Aim((1, 0), (1, 0)), right_leg=Aim((68, 30), (46, 182)),
        ),
    ),
    Solo(
        "fifth",
        ("doing a ballet releve with arms overhead", "standing on pointed toes with arms in a circle above the head"),
        ("a ballet dancer stands on one foot, arms rounded overhead and one leg stretched aside",),
        Pose(
            left_arm=hold("nose", 4, 22, 0, (95, 10)), right_arm=hold("nose", 4, 22, 0, (95, 10)),
            left_leg=Aim((2, 180), (1, 0)), right_leg=Aim((74, 5), (76, 5)),
        ),
    ),
    Solo(
        "plie", ("doing a plie", "bending the knees outward in ballet"),
        ("a ballet dancer bends both knees outward with low rounded arms",),
        Pose(
            left_arm=hold("left_hip", -4, -4, 16, (60, 0)), right_arm=hold("right_hip", -4, -4, 16, (60, 0)),
            left_leg=Aim((64, 8), (44, 172)), right_leg=Aim((64, 8), (44, 172)),
        ),
    ),
    Solo(
        "leap", ("doing a grand jete", "leaping through the air with split legs"),
        ("a ballet dancer flies with both legs split and arms wide",),
        Pose(
            yaw=66, air=0.34, left_arm=Aim((112, 60), (116, 60)), right_arm=Aim((92, -40), (94, -40)),
            left_leg=Aim((88, 90), (92, 90)), right_leg=Aim((88, -90), (92, -90)),
        ),
    ),
    Solo(
        "flamenco", ("dancing flamenco", "striking a flamenco pose"),
        ("a dancer curves one arm overhead and one in front, chest twisted",),
        Pose(
            yaw=-20, twist=24, side=-12, nod=-6, right_arm=Aim((146, 10), (196, 20)),
            left_arm=hold("chest", -2, -16, 18, (80, -10)), left_leg=Aim((24, 40), (14, -60)),
            right_leg=Aim((8, -30), (10, -30)),
        ),
    ),
    Solo(
        "disco", ("dancing disco", "striking a disco pose with one arm pointing up"),
        ("a dancer points one arm high across to the side, hip out and hand on it",),
        Pose(
            side=-14, hip_roll=8, right_arm=Aim((138, 0), (136, 0)), left_arm=AKIMBO, left_leg=Aim((30, 0), (28, 0)),
            right_leg=Aim((4, 0), (2, 0)), turn=-20,
        ),
    ),
    Solo(
        "twist", ("dancing the twist", "twisting with bent knees"),
        ("a dancer swivels low with both elbows bent to one side",),
        Pose(
            yaw=-26, twist=44, lean=8, left_arm=Aim((36, -10), (84, 40)), right_arm=Aim((42, 70), (96, 110)),
            left_leg=Aim((46, 100), (22, -60)), right_leg=Aim((40, 80), (34, -90)),
        ),
    ),
    Solo(
        "robot", ("doing the robot dance", "dancing like a robot"),
        ("a dancer holds one forearm up and one down at right angles",),
        Pose(
            left_arm=Aim((88, 0), (4, 0)), right_arm=Aim((88, 0), (176, 0)), tilt=10, left_leg=Aim((46, 60), (20, -90)),
            right_leg=Aim((40, 60), (26, -90)),
        ),
    ),
    Solo(
        "egyptian", ("dancing like an ancient Egyptian", "walking like an Egyptian"),
        ("a dancer bends one arm up in front and one down behind, knees bent",),
        Pose(
            yaw=56, twist=-46, turn=20, left_arm=Aim((88, 20), (170, 80)), right_arm=Aim((74, 0), (30, -20)),
            left_leg=Aim((42, 88), (8, -90)), right_leg=Aim((22, 80), (34, -90)),
        ),
    ),
    Solo(
        "charleston", ("dancing the Charleston", "kicking up the heels in a dance"),
        ("a dancer kicks one heel out to the side with swinging arms",),
        Pose(
            lean=16, nod=-12, left_arm=Aim((62, 10), (96, 60)), right_arm=Aim((38, 0), (70, -20)),
            left_leg=Aim((34, 140), (20, 0)), right_leg=Aim((26, 20), (76, -20)),
        ),
    ),
    Solo(
        "cancan", ("dancing the can-can", "kicking one leg high to the front"),
        ("a dancer kicks a straight leg up to the face, hands at the waist",),
        Pose(
            yaw=42, lean=-8, left_arm=AKIMBO, right_arm=AKIMBO, left_leg=Aim((126, 84), (124, 84)),
            right_leg=Aim((2, 0), (2, 0)),
        ),
    ),
    Solo(
        "hula", ("dancing the hula", "swaying with both arms to one side"),
        ("a dancer waves both arms to one side and pushes out the hip",),
        Pose(
            side=10, hip_roll=-10, turn=20, left_arm=Aim((86, 20), (96, 10)), right_arm=Aim((76, 120), (92, 150)),
            left_leg=Aim((10, 60), (8, -30)), right_leg=Aim((24, 30), (6, -60)),
        ),
    ),
    Solo(
        "freeze", ("doing a hip-hop freeze", "breakdancing on one hand"),
        ("a breakdancer balances on one arm with bent legs in the air",),
        Pose(
            yaw=10, side=136, hip_roll=110, left_arm=Aim((8, 0), (2, 0), world=True),
            right_arm=Aim((40, 20), (120, 60)), left_leg=Aim((116, 150), (60, 200)),
            right_leg=Aim((122, 60), (176, 20)),
        ),
    ),
    Solo(
        "cossack", ("doing a squat dance with a kicked leg", "dancing in a deep squat with crossed arms"),
        ("a dancer squats low, arms folded at shoulder level, one leg shooting out",),
        Pose(
            yaw=34, left_arm=hold("chest", -8, 8, 14, (88, 10)), right_arm=hold("chest", -8, 10, 15, (88, 10)),
            left_leg=Aim((84, 70), (80, 70)), right_leg=Aim((98, 60), (34, -95)),
        ),
    ),
    Solo(
        "jazz", ("doing jazz hands", "dancing with open hands beside the face"),
        ("a dancer lunges aside and shakes both open hands",),
        Pose(
            side=-14, left_arm=Aim((58, 10), (140, 10)), right_arm=Aim((58, 10), (140, 10)),
            left_leg=Aim((44, 0), (44, 0)), right_leg=Aim((38, 20), (6, 0)), tilt=10,
        ),
    ),
    Solo(
        "tap", ("tap dancing", "tapping one heel with swinging arms"),
        ("a dancer sets one heel ahead, arms opened low to both sides",),
        Pose(
            yaw=-32, lean=-6, left_arm=Aim((52, -20), (74, 20)), right_arm=Aim((60, 10), (80, 40)),
            left_leg=Aim((10, 60), (20, -90)), right_leg=Aim((36, 80), (24, 85)),
        ),
    ),
    Solo(
        "rave", ("dancing with waving arms", "dancing wildly at a party"),
        ("a dancer throws one arm up and one aside, knees knocking",),
        Pose(
            yaw=12, side=16, left_arm=Aim((112, 20), (66, 60)), right_arm=Aim((152, 20), (120, 160)),
            left_leg=Aim((38, 40), (30, -100)), right_leg=Aim((16, 10), (20, -30)), nod=10,
        ),
    ),
    Solo(
        "swan", ("dancing a low bow with arms behind", "bending forward in ballet with lifted arms behind"),
        ("a ballet dancer bows over one stretched leg, both arms raised backward",),
        Pose(
            yaw=58, lean=72, nod=14, left_arm=Aim((62, -70), (70, -70)), right_arm=Aim((62, -70), (70, -70)),
            left_leg=Aim((36, 90), (34, 90)), right_leg=Aim((24, 80), (36, -90)),
        ),
    ),
)  # fmt: skip
