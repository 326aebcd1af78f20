"""Playing instruments, singing, painting: one person with hands at work."""

from __future__ import annotations

from data.pose_library.actions.base import Solo, hold
from data.pose_library.kinematics import Aim, Pose

SEAT = Aim((88, 80), (6, 90))

MUSIC = (
    Solo(
        "guitar", ("playing the guitar", "strumming a guitar"),
        ("a musician holds a guitar, one hand at its neck and one at its strings",),
        Pose(
            yaw=14, lean=6, nod=12, left_arm=Aim((34, 20), (102, 30)), right_arm=hold("chest", -1, -16, 14, (62, -30)),
            left_leg=Aim((16, 40), (6, -60)),
        ),
    ),
    Solo(
        "violin", ("playing the violin", "bowing a violin"),
        ("a musician holds a violin under the chin and draws a bow",),
        Pose(
            yaw=-10, turn=28, tilt=14, left_arm=hold("left_shoulder", 9, 4, 24, (30, 30)),
            right_arm=hold("nose", 8, -12, 22, (75, 0)), left_leg=Aim((8, 20), (4, 0)),
        ),
    ),
    Solo(
        "flute", ("playing the flute", "holding a flute to the lips"),
        ("a musician holds a flute sideways at the mouth with both hands",),
        Pose(
            yaw=12, turn=20, tilt=8, left_arm=hold("nose", -12, -6, 8, (80, 60)),
            right_arm=hold("nose", 25, -6, 5, (45, 0)), right_leg=Aim((14, 40), (6, -60)),
        ),
    ),
    Solo(
        "trumpet", ("playing the trumpet", "blowing a trumpet"),
        ("a musician leans back and lifts a trumpet with both hands",),
        Pose(
            yaw=52, lean=-14, nod=-14, left_arm=hold("nose", 4, -3, 22, (80, 20)),
            right_arm=hold("nose", 4, -2, 27, (80, 20)), left_leg=Aim((18, 80), (6, -90)),
            right_leg=Aim((10, -90), (10, -90)),
        ),
    ),
    Solo(
        "drums", ("playing the drums", "drumming with two sticks"),
        ("a seated drummer lifts one stick high and strikes with the other",),
        Pose(
            yaw=28, lean=8, left_arm=Aim((36, 50), (70, 80)), right_arm=Aim((76, 20), (158, 50)),
            left_leg=Aim((84, 62), (10, 60)), right_leg=Aim((84, 62), (10, 60)), elevation=8,
        ),
    ),
    Solo(
        "piano", ("playing the piano", "sitting at a piano"),
        ("a seated pianist bends over the keys with outstretched arms",),
        Pose(
            yaw=66, lean=26, nod=10, left_arm=Aim((48, 80), (82, 88)), right_arm=Aim((40, 80), (84, 88)),
            left_leg=Aim((84, 88), (18, 90)), right_leg=Aim((84, 88), (14, -90)), elevation=6,
        ),
        spread=10,
    ),
    Solo(
        "cello", ("playing the cello", "bowing a cello between the knees"),
        ("a seated musician holds one hand at the neck of a cello and sweeps the bow aside",),
        Pose(
            yaw=12, lean=6, tilt=8, left_arm=hold("left_shoulder", 6, -2, 14, (60, 0)),
            right_arm=Aim((44, 30), (52, 20)), left_leg=Aim((84, 48), (12, 100)), right_leg=Aim((84, 48), (12, 100)),
            elevation=10,
        ),
    ),
    Solo(
        "sing", ("singing into a microphone", "singing with one arm thrown out"),
        ("a singer holds a microphone and opens the other arm high",),
        Pose(
            yaw=-14, lean=-12, nod=-10, right_arm=hold("nose", 3, -4, 7, (50, 10)), left_arm=Aim((106, 20), (120, 20)),
            left_leg=Aim((24, 40), (8, -40)), right_leg=Aim((10, -40), (22, -60)),
        ),
    ),
    Solo(
        "dj", ("mixing music as a DJ", "holding one headphone to the ear at a mixing desk"),
        ("a DJ bends over the desk, one hand at the ear and one on a record",),
        Pose(
            lean=26, tilt=-16, nod=16, right_arm=hold("same_ear", 4, 0, 1, (70, 0)),
            left_arm=Aim((30, 60), (60, 80), world=True), left_leg=Aim((16, 0), (12, 0)),
            right_leg=Aim((16, 0), (12, 0)),
        ),
    ),
    Solo(
        "accordion", ("playing the accordion", "squeezing an accordion"),
        ("a seated musician spreads both forearms before the belly",),
        Pose(
            left_arm=Aim((58, 10), (92, 40)), right_arm=Aim((58, 10), (92, 40)), left_leg=Aim((82, 56), (8, 80)),
            right_leg=Aim((82, 56), (8, 80)), tilt=12, elevation=10,
        ),
    ),
    Solo(
        "tambourine", ("shaking a tambourine", "playing a tambourine above the head"),
        ("a musician strikes a tambourine held high at one side",),
        Pose(
            yaw=8, left_arm=Aim((140, 10), (150, 20)), right_arm=hold("left_ear", -12, 14, 6, (70, 120)), turn=24,
            side=-10, left_leg=Aim((6, 0), (4, 0)), right_leg=Aim((30, 20), (40, -60)),
        ),
    ),
    Solo(
        "paint", ("painting on a canvas", "painting at an easel"),
        ("an artist holds a palette in one arm and lifts a brush ahead",),
        Pose(
            yaw=40, left_arm=hold("chest", 3, -12, 18, (20, -10)), right_arm=Aim((84, 70), (124, 80)),
            left_leg=Aim((14, 60), (4, -60)), right_leg=Aim((12, -40), (14, -60)),
        ),
    ),
    Solo(
        "juggle", ("juggling balls", "juggling with both hands"),
        ("a juggler looks up, one hand higher than the other, palms open",),
        Pose(
            nod=-26, left_arm=Aim((12, 0), (120, 70)), right_arm=Aim((16, 0), (78, 50)),
            left_leg=Aim((24, 40), (8, -50)), right_leg=Aim((24, 40), (8, -50)),
        ),
    ),
    Solo(
        "magic", ("performing a magic trick", "casting a spell with both hands ahead"),
        ("a magician lunges and thrusts both hands forward at different heights",),
        Pose(
            yaw=36, lean=16, side=-8, left_arm=Aim((96, 70), (106, 80)), right_arm=Aim((46, 20), (66, 70)),
            left_leg=Aim((58, 60), (10, -80)), right_leg=Aim((36, -30), (38, -30)),
        ),
    ),
    Solo(
        "harp", ("playing the harp", "plucking the strings of a harp"),
        ("a seated musician reaches ahead with both arms to pluck a harp",),
        Pose(
            yaw=50, tilt=10, left_arm=Aim((64, 70), (92, 80)), right_arm=Aim((52, 80), (86, 120)),
            left_leg=Aim((86, 70), (10, 60)), right_leg=Aim((80, 80), (24, -80)), elevation=8,
        ),
    ),
)  # fmt: skip
