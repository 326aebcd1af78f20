"""Sitting, kneeling, lying: one person near the ground or on a seat that is not drawn."""

from __future__ import annotations

from data.pose_library.actions.base import Solo, hold
from data.pose_library.kinematics import Aim, Pose

SEAT = Aim((88, 88), (6, 90))
FOLDED = Aim((84, 40), (88, 172))
KNEE = Aim((2, 90), (90, -90))

FLOOR = (
    Solo(
        "sit_floor",
        ("sitting on the ground with legs stretched out", "sitting on the floor and leaning back on the hands"),
        ("a person rests on the ground, legs straight ahead and arms behind",),
        Pose(
            yaw=62, lean=-22, left_arm=Aim((36, -80), (28, -90), world=True),
            right_arm=Aim((36, -80), (28, -90), world=True), left_leg=Aim((88, 80), (93, 85)),
            right_leg=Aim((88, 85), (93, 90)), elevation=8,
        ),
    ),
    Solo(
        "hug_knees", ("sitting and hugging the knees", "sitting on the ground with knees drawn to the chest"),
        ("a person curls up on the floor, arms around bent legs",),
        Pose(
            yaw=55, lean=22, left_arm=hold("same_knee", -5, -9, 5, (60, 0)),
            right_arm=hold("same_knee", -5, -9, 5, (60, 0)), left_leg=Aim((128, 90), (44, 88)),
            right_leg=Aim((128, 90), (44, 88)), nod=15, elevation=5,
        ),
    ),
    Solo(
        "meditate", ("meditating cross-legged", "sitting in the lotus position"),
        ("a person sits upright with folded legs and hands on the knees",),
        Pose(
            left_arm=hold("same_knee", 0, 3, 2, (60, -20)), right_arm=hold("same_knee", 0, 3, 2, (60, -20)),
            left_leg=FOLDED, right_leg=FOLDED, elevation=14,
        ),
    ),
    Solo(
        "sit_chin", ("sitting cross-legged with the chin in the hands", "sitting on the floor looking bored"),
        ("a person rests the elbows on folded legs and the head in both hands",),
        Pose(
            lean=38, left_arm=hold("nose", 4, -5, 1, (20, 30)), right_arm=hold("nose", 4, -5, 1, (20, 30)),
            left_leg=FOLDED, right_leg=FOLDED, nod=-28, elevation=14,
        ),
    ),
    Solo(
        "kneel", ("kneeling upright with folded arms", "kneeling on both knees with arms crossed"),
        ("a person stays on both knees with the arms folded",),
        Pose(
            yaw=25, left_arm=hold("chest", -7, -3, 10, (60, 20)), right_arm=hold("chest", -6, 0, 11, (60, 20)),
            left_leg=KNEE, right_leg=KNEE, elevation=6,
        ),
    ),
    Solo(
        "pray", ("kneeling in prayer", "praying on both knees"),
        ("a person kneels with joined hands and a lowered head",),
        Pose(
            yaw=60, lean=8, left_arm=hold("chest", 1, 8, 20, (25, 10)), right_arm=hold("chest", 1, 8, 20, (25, 10)),
            left_leg=KNEE, right_leg=KNEE, nod=32, elevation=6,
        ),
    ),
    Solo(
        "seiza", ("sitting on the heels", "kneeling back on the heels with hands on the thighs"),
        ("a person sits back on folded legs, hands resting on the thighs",),
        Pose(
            yaw=40, left_arm=hold("same_knee", -2, 4, -9, (60, -40)), right_arm=hold("same_knee", -2, 4, -9, (60, -40)),
            left_leg=Aim((86, 80), (94, -90)), right_leg=Aim((86, 80), (94, -90)), elevation=8,
        ),
    ),
    Solo(
        "one_knee", ("kneeling on one knee", "going down on one knee"),
        ("a person rests on one knee with a hand on the raised thigh",),
        Pose(
            yaw=48, left_leg=Aim((89, 82), (2, 90)), right_leg=Aim((6, -90), (88, -90)),
            left_arm=hold("same_knee", 0, 3, -3, (50, -40)), right_arm=Aim((8, 0), (14, 30)),
        ),
    ),
    Solo(
        "photograph", ("crouching on one knee to take a photo", "kneeling to photograph something with a camera"),
        ("a photographer kneels and holds a camera to the eye",),
        Pose(
            yaw=55, lean=12, left_leg=Aim((89, 82), (2, 90)), right_leg=Aim((6, -90), (88, -90)),
            left_arm=hold("nose", 5, -3, 12, (20, 50)), right_arm=hold("nose", 5, -2, 11, (60, 0)),
        ),
    ),
    Solo(
        "tie_shoe", ("tying a shoe", "kneeling down to tie a shoelace"),
        ("a person bends over one raised knee, both hands at the foot",),
        Pose(
            yaw=58, lean=62, left_leg=Aim((89, 82), (2, 90)), right_leg=Aim((6, -90), (88, -90)),
            left_arm=hold("left_ankle", 0, 5, 4, (60, -60)), right_arm=hold("left_ankle", -1, 5, 4, (60, -60)), nod=10,
        ),
    ),
    Solo(
        "squat", ("squatting down", "crouching with the elbows on the knees"),
        ("a person squats low, forearms resting on the knees",),
        Pose(
            lean=34, left_leg=Aim((108, 52), (22, -80)), right_leg=Aim((108, 52), (22, -80)),
            left_arm=Aim((52, 60), (55, 110), world=True), right_arm=Aim((52, 60), (55, 110), world=True), nod=-20,
        ),
    ),
    Solo(
        "crawl", ("crawling on hands and knees", "crawling along the ground"), ("a person moves on all fours",),
        Pose(
            yaw=74, lean=79, nod=-55, left_arm=Aim((22, 90), (14, 90), world=True),
            right_arm=Aim((10, -90), (6, -90), world=True), left_leg=Aim((12, -90), (88, -90)),
            right_leg=Aim((16, 90), (86, -90)), elevation=6,
        ),
        spread=10,
    ),
    Solo(
        "lie_back", ("lying on the back", "lying on the ground with hands behind the head"),
        ("a person rests flat on the back with the legs stretched",),
        Pose(
            yaw=82, lean=-86, left_arm=hold("same_ear", 0, 2, -4, (110, 0)),
            right_arm=hold("same_ear", 0, 2, -4, (110, 0)), left_leg=Aim((86, 80), (90, 80)),
            right_leg=Aim((110, 90), (60, 90)), elevation=22,
        ),
        spread=8,
    ),
    Solo(
        "lie_side", ("lying on the side", "lying on one side with the head propped on a hand"),
        ("a person lies stretched out sideways, head resting on a hand",),
        Pose(
            side=64, hip_roll=88, tilt=-10, left_arm=Aim((22, 20), (145, 10), world=True),
            right_arm=Aim((24, 60), (10, 60)), left_leg=Aim((90, 180), (88, 180)), right_leg=Aim((82, 20), (78, -15)),
            elevation=10,
        ),
        spread=10,
    ),
    Solo(
        "lie_prone", ("lying on the stomach with feet up", "lying face down propped on the elbows"),
        ("a person rests on the elbows, shins in the air",),
        Pose(
            yaw=76, lean=66, nod=-50, left_arm=Aim((15, 90), (84, 85), world=True),
            right_arm=Aim((15, 90), (84, 85), world=True), left_leg=Aim((88, -90), (155, -90)),
            right_leg=Aim((88, -90), (178, 90)), elevation=8,
        ),
        spread=8,
    ),
    Solo(
        "sleep", ("sleeping curled up", "lying curled up on one side"),
        ("a person sleeps on the side with bent legs and hands under the cheek",),
        Pose(
            side=84, hip_roll=88, tilt=8, left_arm=hold("nose", 8, -2, 4, (60, 60)),
            right_arm=hold("nose", 0, -6, 5, (60, 60)), left_leg=Aim((84, 118), (90, 205)),
            right_leg=Aim((80, 62), (88, -25)), elevation=16,
        ),
        spread=10,
    ),
    Solo(
        "sit_side",
        ("sitting sideways on the floor, legs folded to one side", "resting on the ground with both legs tucked aside"),
        ("a person leans on one straight arm with the legs folded beside the body",),
        Pose(
            side=20, left_arm=Aim((38, 0), (30, 0), world=True), right_arm=hold("same_knee", -6, 6, -4, (50, 0)),
            left_leg=Aim((84, 128), (88, 190)), right_leg=Aim((84, 40), (88, -30)), elevation=12,
        ),
    ),
    Solo(
        "sit_chair", ("sitting on a chair", "sitting upright with hands on the knees"),
        ("a person sits straight on a seat, feet on the ground",),
        Pose(
            yaw=35, left_arm=hold("same_knee", 0, 4, -3, (50, -40)), right_arm=hold("same_knee", 0, 4, -3, (50, -40)),
            left_leg=SEAT, right_leg=SEAT, elevation=10,
        ),
    ),
    Solo(
        "sit_crossed", ("sitting with one leg crossed over the other", "sitting on a stool with crossed legs"),
        ("a seated person leans back with one knee over the other and hands on it",),
        Pose(
            yaw=38, lean=-8, left_leg=SEAT, right_leg=Aim((98, 112), (48, 75)),
            left_arm=hold("right_knee", 2, 3, 0, (40, 0)), right_arm=hold("same_knee", 0, 4, -3, (60, -40)),
            elevation=10,
        ),
    ),
    Solo(
        "type", ("typing on a keyboard", "sitting and working at a desk"),
        ("a seated person seen from the side holds both forearms level ahead",),
        Pose(
            yaw=78, lean=4, left_arm=Aim((16, 90), (84, 90)), right_arm=Aim((16, 90), (84, 90)), left_leg=SEAT,
            right_leg=SEAT, nod=14, elevation=4,
        ),
        spread=10,
    ),
    Solo(
        "doze", ("dozing in an armchair", "slumping in a seat with outstretched legs"),
        ("a person leans far back in a seat with folded hands, asleep",),
        Pose(
            yaw=62, lean=-36, nod=30, tilt=14, left_arm=hold("left_hip", -7, 7, 8, (50, 0)),
            right_arm=hold("right_hip", -7, 8, 9, (50, 0)), left_leg=Aim((74, 88), (52, 90)),
            right_leg=Aim((72, 88), (58, 90)), elevation=8,
        ),
    ),
    Solo(
        "head_in_hands", ("sitting with the head in both hands", "sitting bent over in despair"),
        ("a seated person rests the elbows on the knees and hides the face",),
        Pose(
            yaw=30, lean=52, nod=20, left_arm=hold("same_eye", 1, -2, 4, (20, 40)),
            right_arm=hold("same_eye", 1, -2, 4, (20, 40)), left_leg=Aim((88, 75), (6, 90)),
            right_leg=Aim((88, 75), (6, 90)), elevation=8,
        ),
    ),
    Solo(
        "ask", ("sitting and raising a hand", "raising a hand to ask a question from a seat"),
        ("a seated person stretches one arm straight up",),
        Pose(
            yaw=-25, right_arm=Aim((172, 0), (176, 0)), left_arm=hold("same_knee", -4, 5, -8, (50, -40)), left_leg=SEAT,
            right_leg=SEAT, elevation=10,
        ),
    ),
    Solo(
        "drive", ("driving with both hands on the wheel", "sitting behind a steering wheel"),
        ("a seated person holds an unseen wheel with lifted arms",),
        Pose(
            yaw=48, lean=-12, left_arm=hold("chest", 4, 2, 30, (30, 0)), right_arm=hold("chest", 4, 2, 30, (30, 0)),
            left_leg=Aim((82, 85), (42, 90)), right_leg=Aim((82, 88), (42, 90)), elevation=8,
        ),
    ),
    Solo(
        "fish", ("fishing with a rod", "sitting and holding a fishing rod"),
        ("a person sits on the bank with dangling legs and holds a rod ahead",),
        Pose(
            yaw=70, lean=10, left_arm=Aim((40, 85), (78, 90)), right_arm=Aim((10, 80), (100, 85)),
            left_leg=Aim((84, 90), (10, 90)), right_leg=Aim((84, 90), (22, -90)), elevation=12,
        ),
    ),
    Solo(
        "beg", ("begging on both knees with open arms", "kneeling and spreading the arms in despair"),
        ("a person on both knees looks up and lifts open arms",),
        Pose(
            yaw=-20, lean=-12, nod=-20, left_arm=Aim((72, 30), (108, 30)), right_arm=Aim((72, 30), (108, 30)),
            left_leg=Aim((6, 0), (90, -90)), right_leg=Aim((6, 0), (90, -90)), elevation=6,
        ),
    ),
    Solo(
        "squat_point", ("crouching and drawing in the sand", "squatting and touching the ground ahead"),
        ("a person squats on the heels, one hand on the ground and one on the knee",),
        Pose(
            yaw=62, lean=62, left_leg=Aim((112, 86), (36, -90)), right_leg=Aim((88, 86), (52, -90)),
            right_arm=Aim((32, 90), (24, 90), world=True), left_arm=hold("same_knee", 0, 2, 2, (50, -30)), nod=14,
        ),
    ),
)  # fmt: skip
