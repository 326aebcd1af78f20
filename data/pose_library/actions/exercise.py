"""Gymnastics, yoga and training: one person."""

from __future__ import annotations

from data.pose_library.actions.base import AKIMBO, Solo, hold
from data.pose_library.kinematics import Aim, Pose

DOWN = Aim((3, 90), (1, 90), world=True)  # an arm that stands on the ground
WIDE = Aim((22, 0), (20, 0))

EXERCISE = (
    Solo(
        "air_squat", ("doing squats", "squatting with arms stretched forward"),
        ("a person seen from the side lowers the hips, thighs level and arms ahead",),
        Pose(
            yaw=66, lean=38, nod=-26, left_arm=Aim((92, 88), (92, 88), world=True),
            right_arm=Aim((92, 88), (92, 88), world=True), left_leg=Aim((84, 86), (28, -90)),
            right_leg=Aim((84, 86), (28, -90)),
        ),
    ),
    Solo(
        "lunge", ("doing a lunge", "lunging with hands on the hips"),
        ("a person steps far forward, the rear knee near the ground",),
        Pose(
            yaw=66, left_arm=AKIMBO, right_arm=AKIMBO, left_leg=Aim((84, 90), (2, -90)),
            right_leg=Aim((16, -90), (78, -90)),
        ),
    ),
    Solo(
        "side_lunge", ("doing a side lunge", "stretching one leg out to the side"),
        ("a person bends one knee deeply and stretches the other leg aside, hands joined",),
        Pose(
            lean=30, side=10, nod=-18, left_arm=hold("chest", 2, 2, 14, (50, 0)),
            right_arm=hold("chest", 2, 2, 14, (50, 0)), left_leg=Aim((82, 35), (28, -130)),
            right_leg=Aim((62, 0), (62, 0)),
        ),
    ),
    Solo(
        "push_up", ("doing a push-up", "lowering the body in a push-up"),
        ("a person holds the stretched body low over bent arms",),
        Pose(
            yaw=78, lean=87, nod=-30, left_arm=Aim((70, -75), (8, 90), world=True),
            right_arm=Aim((70, -75), (8, 90), world=True), left_leg=Aim((79, -90), (77, -90)),
            right_leg=Aim((79, -90), (77, -90)), elevation=6,
        ),
        spread=8,
    ),
    Solo(
        "plank", ("holding a plank", "supporting the straight body on the arms"),
        ("a person props the stretched body on straight arms and toes",),
        Pose(
            yaw=76, lean=66, nod=-24, left_arm=DOWN, right_arm=DOWN, left_leg=Aim((70, -90), (68, -90)),
            right_leg=Aim((70, -90), (68, -90)), elevation=4,
        ),
        spread=8,
    ),
    Solo(
        "side_plank", ("doing a side plank", "balancing sideways on one arm"),
        ("a person holds the body in a slant on one straight arm, the other pointing up",),
        Pose(
            side=66, hip_roll=60, left_arm=Aim((4, 0), (2, 0), world=True),
            right_arm=Aim((174, 0), (176, 0), world=True), left_leg=Aim((66, 180), (70, 180)),
            right_leg=Aim((76, 0), (80, 0)),
        ),
        spread=10,
    ),
    Solo(
        "handstand", ("doing a handstand", "standing upside down on the hands"),
        ("a person balances on both hands, legs straight up",),
        Pose(
            yaw=14, lean=178, nod=-20, left_arm=Aim((172, 0), (176, 0)), right_arm=Aim((172, 0), (176, 0)),
            left_leg=Aim((172, 0), (174, 0)), right_leg=Aim((176, 0), (178, 0)),
        ),
    ),
    Solo(
        "split_handstand", ("walking on the hands", "doing a handstand with split legs"),
        ("a person stands on the hands, one leg tipping forward and one back",),
        Pose(
            yaw=68, lean=172, nod=-20, left_arm=Aim((170, 90), (174, 90)), right_arm=Aim((176, -90), (178, -90)),
            left_leg=Aim((128, 90), (118, 90)), right_leg=Aim((132, -90), (112, -90)),
        ),
    ),
    Solo(
        "headstand", ("doing a headstand", "balancing on the head with bent legs"),
        ("a person stands on the head and forearms with the knees folded",),
        Pose(
            yaw=40, lean=176, left_arm=Aim((112, 20), (206, 20)), right_arm=Aim((112, 20), (206, 20)),
            left_leg=Aim((140, 78), (110, -90)), right_leg=Aim((140, 78), (110, -90)),
        ),
    ),
    Solo(
        "cartwheel", ("doing a cartwheel", "turning a cartwheel"),
        ("a person wheels sideways, one hand on the ground and the legs spread in the air",),
        Pose(
            side=142, hip_roll=142, left_arm=Aim((142, 0), (150, 0)), right_arm=Aim((140, 0), (136, 0)),
            left_leg=Aim((172, 0), (168, 0)), right_leg=Aim((98, 0), (96, 0)),
        ),
    ),
    Solo(
        "bridge", ("doing a bridge", "bending backward onto the hands"),
        ("a person arches the belly upward on hands and feet",),
        Pose(
            yaw=80, lean=-112, nod=-50, left_arm=Aim((4, -90), (2, 90), world=True),
            right_arm=Aim((4, -90), (2, 90), world=True), left_leg=Aim((52, 90), (2, -90)),
            right_leg=Aim((52, 90), (2, -90)), elevation=4,
        ),
        spread=8,
    ),
    Solo(
        "side_splits", ("doing the splits", "sitting in a side split"),
        ("a gymnast sits with the legs spread flat to both sides, arms raised",),
        Pose(
            left_arm=Aim((132, 0), (138, 0)), right_arm=Aim((132, 0), (138, 0)), left_leg=Aim((89, 4), (91, 4)),
            right_leg=Aim((89, 4), (91, 4)), elevation=6,
        ),
    ),
    Solo(
        "front_splits", ("doing a front split", "sliding down into the splits"),
        ("a gymnast sits with one leg straight ahead and one straight behind, hands on the ground",),
        Pose(
            yaw=74, lean=6, left_arm=Aim((16, 0), (10, 0), world=True), right_arm=Aim((16, 0), (10, 0), world=True),
            left_leg=Aim((88, 90), (91, 90)), right_leg=Aim((88, -90), (91, -90)), elevation=6,
        ),
        spread=8,
    ),
    Solo(
        "tree", ("doing the yoga tree pose", "balancing on one leg with joined hands"),
        ("a person stands on one leg, sole at the other knee, hands joined at the chest",),
        Pose(
            left_arm=hold("chest", 1, 4, 12, (48, 0)), right_arm=hold("chest", 1, 4, 12, (48, 0)),
            left_leg=Aim((2, 0), (2, 0)), right_leg=Aim((62, 10), (62, 180)),
        ),
    ),
    Solo(
        "warrior", ("doing the yoga warrior pose", "lunging wide with level arms"),
        ("a person bends one knee sideways, both arms level and head turned",),
        Pose(
            turn=70, left_arm=Aim((90, 0), (90, 0)), right_arm=Aim((90, 0), (90, 0)), left_leg=Aim((74, 5), (2, 0)),
            right_leg=Aim((48, 0), (50, 0)),
        ),
    ),
    Solo(
        "triangle", ("doing the yoga triangle pose", "bending sideways to touch one foot"),
        ("a person bends to one side, one hand at the foot and one straight up, legs wide",),
        Pose(
            side=76, hip_roll=14, turn=-20, left_arm=Aim((2, 0), (2, 0), world=True),
            right_arm=Aim((178, 0), (178, 0), world=True), left_leg=Aim((30, 0), (30, 0)),
            right_leg=Aim((32, 0), (32, 0)),
        ),
    ),
    Solo(
        "down_dog", ("doing the downward dog", "stretching on hands and feet with high hips"),
        ("a person forms a triangle with the ground, hips up",),
        Pose(
            yaw=76, lean=128, nod=10, left_arm=Aim((176, 90), (178, 90)), right_arm=Aim((176, 90), (178, 90)),
            left_leg=Aim((26, -90), (28, -90)), right_leg=Aim((26, -90), (28, -90)),
        ),
        spread=8,
    ),
    Solo(
        "cobra", ("doing the cobra pose", "pushing the chest up from the floor"),
        ("a person lies on the belly and lifts the chest on straight arms",),
        Pose(
            yaw=74, lean=22, nod=-26, left_arm=Aim((14, 90), (8, 90), world=True),
            right_arm=Aim((14, 90), (8, 90), world=True), left_leg=Aim((84, -90), (92, -90)),
            right_leg=Aim((84, -90), (92, -90)), elevation=6,
        ),
        spread=8,
    ),
    Solo(
        "child_pose", ("resting face down on folded legs", "kneeling bowed to the ground with arms ahead"),
        ("a person sits on the heels and lays chest and arms on the floor",),
        Pose(
            yaw=74, lean=98, nod=10, left_arm=Aim((92, 85), (88, 90), world=True),
            right_arm=Aim((92, 85), (88, 90), world=True), left_leg=Aim((72, 90), (88, -90)),
            right_leg=Aim((72, 90), (88, -90)), elevation=8,
        ),
        spread=8,
    ),
    Solo(
        "boat", ("balancing in the boat pose", "sitting in a V with legs and arms lifted"),
        ("a person balances on the seat, legs and arms lifted ahead",),
        Pose(
            yaw=74, lean=-32, nod=14, left_arm=Aim((92, 90), (94, 90), world=True),
            right_arm=Aim((92, 90), (94, 90), world=True), left_leg=Aim((128, 90), (126, 90)),
            right_leg=Aim((126, 90), (128, 90)), elevation=4,
        ),
        spread=8,
    ),
    Solo(
        "airplane", ("standing on one leg like an airplane", "leaning forward on one leg with spread arms"),
        ("a person tips level on one leg, the other leg stretched behind and arms out",),
        Pose(
            yaw=62, lean=78, nod=-40, left_arm=Aim((88, 0), (88, 0)), right_arm=Aim((88, 0), (88, 0)),
            left_leg=Aim((2, 0), (2, 0)), right_leg=Aim((92, -90), (94, -90)),
        ),
    ),
    Solo(
        "sit_up", ("doing sit-ups", "doing crunches with hands behind the head"),
        ("a person lies with bent knees and lifts the shoulders",),
        Pose(
            yaw=78, lean=-48, nod=20, left_arm=hold("same_ear", 0, -1, -4, (110, 20)),
            right_arm=hold("same_ear", 0, -1, -4, (110, 20)), left_leg=Aim((126, 90), (42, 90)),
            right_leg=Aim((126, 90), (42, 90)), elevation=8,
        ),
        spread=8,
    ),
    Solo(
        "quad_stretch", ("stretching the thigh on one leg", "holding one foot behind the body"),
        ("a person stands on one leg, grasps the other foot behind and points ahead",),
        Pose(
            yaw=68, left_leg=Aim((2, 90), (2, -90)), right_leg=Aim((4, -90), (152, -90)),
            right_arm=hold("same_ankle", 0, 0, 0, (40, -90)), left_arm=Aim((96, 88), (98, 88)),
        ),
    ),
    Solo(
        "touch_toes", ("touching the toes", "bending forward with straight legs"),
        ("a person folds forward, hands at the feet",),
        Pose(
            yaw=70, lean=128, nod=10, left_arm=Aim((8, 90), (4, 90), world=True),
            right_arm=Aim((8, 90), (4, 90), world=True), left_leg=Aim((4, -90), (2, 90)),
            right_leg=Aim((4, -90), (2, 90)),
        ),
    ),
    Solo(
        "camel", ("doing the camel pose", "kneeling and bending backward"),
        ("a person on both knees arches back, hands at the heels",),
        Pose(
            yaw=72, lean=-62, nod=-36, left_arm=hold("same_ankle", 0, 3, 2, (70, -90)),
            right_arm=hold("same_ankle", 0, 3, 2, (70, -90)), left_leg=Aim((12, 90), (90, -90)),
            right_leg=Aim((12, 90), (90, -90)),
        ),
        spread=10,
    ),
    Solo(
        "dancer_pose",
        ("doing a yoga balance with one leg bent up behind", "lifting one foot high behind with one hand"),
        ("a person balances on one leg, holding the raised foot and reaching ahead",),
        Pose(
            yaw=70, lean=40, nod=-30, left_leg=Aim((2, 0), (2, 0)), right_leg=Aim((88, -90), (160, -90)),
            right_arm=hold("same_ankle", 0, 0, 0, (60, -60)), left_arm=Aim((112, 88), (114, 88), world=True),
        ),
    ),
    Solo(
        "donkey_kick", ("lifting one leg on all fours", "doing a donkey kick"),
        ("a person on hands and knees stretches one leg up behind",),
        Pose(
            yaw=72, lean=78, nod=-40, left_arm=DOWN, right_arm=DOWN, left_leg=Aim((2, 90), (90, -90)),
            right_leg=Aim((112, -90), (116, -90)), elevation=4,
        ),
        spread=8,
    ),
    Solo(
        "leg_raise", ("lying down and raising both legs", "doing leg raises on the back"),
        ("a person lies on the back with the legs straight up",),
        Pose(
            yaw=78, lean=-88, left_arm=Aim((6, 0), (4, 0)), right_arm=Aim((6, 0), (4, 0)),
            left_leg=Aim((172, 90), (174, 90)), right_leg=Aim((168, 90), (176, 90)), elevation=14,
        ),
        spread=8,
    ),
    Solo(
        "side_leg_raise", ("lifting one leg to the side", "doing a standing side leg raise"),
        ("a person stands straight, one leg out to the side, hands on the hips",),
        Pose(left_arm=AKIMBO, right_arm=AKIMBO, left_leg=Aim((2, 180), (2, 0)), right_leg=Aim((58, 0), (58, 0))),
    ),
    Solo(
        "hamstring", ("sitting and reaching for the toes", "bending over stretched legs on the floor"),
        ("a person sits with straight legs and grasps the feet",),
        Pose(
            yaw=74, lean=62, nod=6, left_arm=Aim((74, 90), (82, 90), world=True),
            right_arm=Aim((74, 90), (82, 90), world=True), left_leg=Aim((90, 88), (91, 88)),
            right_leg=Aim((90, 88), (91, 88)), elevation=6,
        ),
        spread=8,
    ),
)  # fmt: skip
