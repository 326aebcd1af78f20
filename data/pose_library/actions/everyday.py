"""Moving about, working and riding: one person."""

from __future__ import annotations

from data.pose_library.actions.base import Solo, hold
from data.pose_library.kinematics import Aim, Pose, mirror

FORTH = Aim((26, 90), (12, 90))
BACK = Aim((18, -90), (36, -90))
_RUN = Pose(
    yaw=78, lean=16, left_arm=Aim((42, -90), (30, 90)), right_arm=Aim((40, 90), (118, 90)),
    left_leg=Aim((68, 90), (6, -90)), right_leg=Aim((28, -90), (84, -90)), air=0.03,
)  # fmt: skip

EVERYDAY = (
    Solo(
        "walk", ("walking", "strolling along"), ("a person takes a step, arms swinging",),
        Pose(
            yaw=66, left_leg=FORTH, right_leg=BACK, left_arm=Aim((22, -90), (14, -60)),
            right_arm=Aim((20, 90), (38, 90)),
        ),
    ),
    Solo(
        "run_right", ("running to the right", "sprinting towards the right side"),
        ("a runner seen from the side heads right",), _RUN, mirror=False, spread=8,
    ),
    Solo(
        "run_left", ("running to the left", "sprinting towards the left side"),
        ("a runner seen from the side heads left",), mirror(_RUN), mirror=False, spread=8,
    ),
    Solo(
        "jog", ("jogging towards the viewer", "running straight ahead, seen from the front"),
        ("a jogger lifts one knee with both elbows bent",),
        Pose(
            lean=10, left_leg=Aim((62, 88), (24, -90)), right_leg=Aim((10, -90), (18, -90)),
            left_arm=Aim((24, -30), (62, 100)), right_arm=Aim((30, 30), (128, 120)), elevation=4,
        ),
    ),
    Solo(
        "sneak", ("sneaking on tiptoe", "creeping along quietly"),
        ("a person tiptoes with a raised knee and lifted paws",),
        Pose(
            yaw=58, lean=26, left_leg=Aim((88, 85), (16, -90)), right_leg=Aim((4, -90), (20, -90)),
            left_arm=Aim((38, 80), (124, 85)), right_arm=Aim((52, 80), (118, 85)),
        ),
    ),
    Solo(
        "march", ("marching", "marching in a parade"),
        ("a person marches with one knee high and straight arms swinging",),
        Pose(
            yaw=50, left_leg=Aim((88, 88), (2, 90)), right_leg=Aim((2, 0), (2, 0)), right_arm=Aim((82, 88), (86, 88)),
            left_arm=Aim((32, -90), (32, -90)),
        ),
    ),
    Solo(
        "climb_stairs", ("climbing stairs", "walking up a staircase"),
        ("a person sets one foot high on a step, one hand on the rail",),
        Pose(
            yaw=72, lean=18, left_leg=Aim((82, 90), (4, -90)), right_leg=Aim((4, -90), (12, -90)),
            right_arm=Aim((50, 85), (88, 88)), left_arm=Aim((20, -80), (10, 60)),
        ),
    ),
    Solo(
        "climb_ladder", ("climbing a ladder", "going up a ladder"),
        ("a person holds on overhead and lifts one foot to the next rung",),
        Pose(
            yaw=66, lean=6, left_arm=Aim((148, 88), (162, 88)), right_arm=Aim((80, 88), (135, 90)),
            left_leg=Aim((30, 90), (20, -90)), right_leg=Aim((104, 88), (12, -90)), nod=-20, air=0.06,
        ),
    ),
    Solo(
        "push", ("pushing something heavy", "leaning forward to push hard"),
        ("a person pushes with straight arms and one leg far back",),
        Pose(
            yaw=76, lean=44, left_arm=Aim((84, 90), (86, 90), world=True),
            right_arm=Aim((80, 90), (86, 90), world=True), left_leg=Aim((44, 90), (24, -90)),
            right_leg=Aim((36, -90), (42, -90)), nod=-10,
        ),
        spread=10,
    ),
    Solo(
        "pull", ("pulling on a rope", "leaning back to pull hard"),
        ("a person pulls with the whole weight, heels dug in",),
        Pose(
            yaw=74, lean=-34, left_arm=Aim((78, 90), (86, 90), world=True),
            right_arm=Aim((60, 90), (95, 90), world=True), left_leg=Aim((52, 90), (34, 90)),
            right_leg=Aim((62, 90), (10, 90)),
        ),
        spread=10,
    ),
    Solo(
        "dig", ("digging with a shovel", "shovelling the ground"),
        ("a person bends over a shovel, one foot on its blade",),
        Pose(
            yaw=56, lean=42, left_arm=hold("chest", 2, -28, 22, (40, -30)),
            right_arm=hold("chest", 4, -6, 16, (80, -30)), left_leg=Aim((62, 86), (14, -90)),
            right_leg=Aim((14, -90), (20, -90)), nod=16,
        ),
    ),
    Solo(
        "sweep", ("sweeping the floor", "sweeping with a broom"),
        ("a person holds a broom, one hand high and one low",),
        Pose(
            yaw=-30, lean=34, side=10, left_arm=Aim((38, 40), (46, 60)), right_arm=hold("chest", -8, 4, 16, (70, 0)),
            left_leg=Aim((26, 50), (4, -90)), nod=16,
        ),
    ),
    Solo(
        "hammer", ("hammering a nail", "swinging a hammer"),
        ("a person lifts a hammer overhead and steadies the work with the other hand",),
        Pose(
            yaw=58, lean=24, right_arm=Aim((150, 60), (200, 80)), left_arm=Aim((48, 80), (72, 90)),
            left_leg=Aim((34, 85), (8, -90)), right_leg=Aim((18, -90), (22, -90)), nod=10,
        ),
    ),
    Solo(
        "reach_shelf", ("reaching for a high shelf", "reaching up with both arms on tiptoe"),
        ("a person seen from the side stretches both arms up ahead",),
        Pose(
            yaw=70, lean=6, left_arm=Aim((150, 90), (156, 90)), right_arm=Aim((142, 90), (152, 90)),
            left_leg=Aim((2, -90), (2, -90)), right_leg=Aim((12, -90), (44, -90)), nod=-25,
        ),
    ),
    Solo(
        "push_pram", ("pushing a pram", "walking behind a shopping cart"),
        ("a person walks with both hands low on a handle",),
        Pose(
            yaw=72, lean=10, left_arm=Aim((22, 90), (72, 90)), right_arm=Aim((22, 90), (72, 90)),
            left_leg=Aim((28, 90), (10, 90)), right_leg=Aim((20, -90), (34, -90)),
        ),
        spread=10,
    ),
    Solo(
        "walk_dog", ("walking a dog on a leash", "being pulled along by a dog"),
        ("a person leans back on a leash held in one straight arm",),
        Pose(
            yaw=68, lean=-18, right_arm=Aim((66, 90), (62, 90)), left_arm=Aim((46, -60), (44, -40)),
            left_leg=Aim((44, 90), (20, 90)), right_leg=Aim((6, 90), (10, 90)),
        ),
    ),
    Solo(
        "zombie", ("walking like a zombie", "staggering with both arms stretched ahead"),
        ("a person shuffles forward, arms level and head tilted",),
        Pose(
            yaw=48, lean=8, tilt=24, left_arm=Aim((96, 88), (84, 88)), right_arm=Aim((88, 88), (98, 88)),
            left_leg=Aim((26, 80), (2, 0)), right_leg=Aim((22, -80), (26, -80)),
        ),
    ),
    Solo(
        "balance", ("balancing on one leg", "walking a tightrope with spread arms"),
        ("a person keeps the balance, arms wide and one leg lifted to the side",),
        Pose(
            side=8, left_arm=Aim((98, 0), (104, 0)), right_arm=Aim((80, 0), (84, 0)), right_leg=Aim((38, 0), (30, 0)),
            left_leg=Aim((4, 180), (2, 180)),
        ),
    ),
    Solo(
        "slip", ("slipping and falling backward", "losing balance on a slippery ground"),
        ("a person falls backward with the legs flying up",),
        Pose(
            yaw=68, lean=-52, left_arm=Aim((128, -60), (140, -40)), right_arm=Aim((92, 40), (112, 60)),
            left_leg=Aim((92, 88), (70, 90)), right_leg=Aim((50, 88), (32, 90)), air=0.06,
        ),
    ),
    Solo(
        "trip", ("tripping over", "stumbling and falling forward"),
        ("a person falls forward with outstretched hands, one foot in the air",),
        Pose(
            yaw=70, lean=62, nod=-35, left_arm=Aim((72, 85), (80, 90), world=True),
            right_arm=Aim((58, 85), (76, 90), world=True), left_leg=Aim((28, 90), (26, -90)),
            right_leg=Aim((52, -90), (94, -90)),
        ),
    ),
    Solo(
        "knock", ("knocking on a door", "raising a fist to knock"),
        ("a person seen from the side lifts a bent arm ahead of the face",),
        Pose(
            yaw=74, right_arm=Aim((58, 90), (140, 90)), left_arm=Aim((2, -90), (16, 90)),
            left_leg=Aim((34, 90), (10, -90)), right_leg=Aim((16, -90), (24, -90)),
        ),
        spread=10,
    ),
    Solo(
        "hike", ("hiking with a backpack", "holding the straps of a backpack"),
        ("a hiker leans forward, hands at the shoulders, and strides on",),
        Pose(
            yaw=44, lean=20, left_arm=hold("same_shoulder", -2, -8, 6, (20, -20)),
            right_arm=hold("same_shoulder", -2, -8, 6, (20, -20)), left_leg=Aim((46, 88), (6, -90)),
            right_leg=Aim((16, -90), (34, -90)),
        ),
    ),
    Solo(
        "pick_up", ("picking something up from the ground", "bending down to the floor"),
        ("a person bends the knees and reaches for the ground with one hand",),
        Pose(
            yaw=66, lean=86, right_arm=Aim((14, 90), (6, 90), world=True),
            left_arm=hold("same_knee", 1, 3, 0, (60, -50)), left_leg=Aim((46, 88), (24, -90)),
            right_leg=Aim((40, 88), (28, -90)), nod=-10,
        ),
    ),
    Solo(
        "ride_bike", ("riding a bicycle", "cycling"), ("a cyclist leans over the handlebar, one knee up",),
        Pose(
            yaw=76, lean=42, left_arm=Aim((58, 90), (66, 90), world=True),
            right_arm=Aim((58, 90), (66, 90), world=True), left_leg=Aim((92, 90), (14, -90)),
            right_leg=Aim((36, 90), (4, -90)), nod=-30,
        ),
        spread=10,
    ),
    Solo(
        "ride_horse", ("riding a horse", "sitting astride and holding the reins"),
        ("a rider sits with spread bent legs and both hands in front",),
        Pose(
            yaw=32, left_arm=hold("chest", -2, -14, 20, (20, -30)), right_arm=hold("chest", -2, -14, 20, (20, -30)),
            left_leg=Aim((66, 22), (10, -120)), right_leg=Aim((66, 22), (10, -120)), air=0.12,
        ),
    ),
    Solo(
        "ride_scooter", ("riding a kick scooter", "pushing off on a scooter"),
        ("a person holds a low bar and kicks one leg back",),
        Pose(
            yaw=74, lean=14, left_arm=Aim((48, 90), (70, 90)), right_arm=Aim((48, 90), (70, 90)),
            left_leg=Aim((24, 90), (14, -90)), right_leg=Aim((46, -90), (62, -90)),
        ),
        spread=10,
    ),
    Solo(
        "skateboard", ("skateboarding", "riding a skateboard with bent knees"),
        ("a skater crouches sideways with the arms out for balance",),
        Pose(
            yaw=-12, lean=20, twist=24, turn=30, left_arm=Aim((78, 0), (92, 10)), right_arm=Aim((62, 0), (100, -20)),
            left_leg=Aim((58, 15), (8, -60)), right_leg=Aim((52, 15), (18, 0)),
        ),
    ),
    Solo(
        "surf", ("surfing a wave", "standing on a surfboard"),
        ("a surfer crouches low, one arm pointing ahead and one behind",),
        Pose(
            yaw=18, side=20, lean=26, turn=50, left_arm=Aim((82, 10), (80, 10)), right_arm=Aim((112, 0), (128, 0)),
            left_leg=Aim((78, 8), (12, 180)), right_leg=Aim((64, 60), (64, -20)),
        ),
    ),
    Solo(
        "row", ("rowing a boat", "pulling on the oars"), ("a rower sits with bent legs and stretches both arms ahead",),
        Pose(
            yaw=74, lean=26, left_arm=Aim((74, 88), (80, 90), world=True),
            right_arm=Aim((74, 88), (80, 90), world=True), left_leg=Aim((112, 90), (62, 90)),
            right_leg=Aim((112, 90), (62, 90)), elevation=6,
        ),
        spread=10,
    ),
    Solo(
        "kayak", ("paddling a kayak", "sitting and paddling with a double paddle"),
        ("a paddler sits low with one hand high and one hand low",),
        Pose(
            yaw=25, twist=16, left_arm=Aim((66, 30), (36, 60)), right_arm=Aim((88, 60), (120, 80)),
            left_leg=Aim((96, 70), (80, 95)), right_leg=Aim((96, 70), (80, 95)), elevation=10,
        ),
    ),
    Solo(
        "lean_wall", ("leaning against a wall", "leaning back with one foot against the wall"),
        ("a person leans back, one sole on the wall, hands in the pockets",),
        Pose(
            yaw=58, lean=-14, left_leg=Aim((14, 90), (12, 90)), right_leg=Aim((48, 85), (54, -90)),
            left_arm=hold("same_hip", 3, 1, 2, (60, -60)), right_arm=hold("same_hip", 3, 1, 2, (60, -60)),
        ),
    ),
    Solo(
        "hail", ("hailing a taxi", "stretching up an arm to be seen"),
        ("a person on one leg stretches a straight arm up and out",),
        Pose(
            yaw=20, side=-10, right_arm=Aim((132, 15), (136, 15)), left_arm=Aim((30, 0), (36, 0)),
            left_leg=Aim((28, -60), (60, -90)), right_leg=Aim((6, 0), (6, 0)),
        ),
    ),
    Solo(
        "upside_down", ("looking between the legs", "bending over to look upside down"),
        ("a person bends far down with straight legs apart and hands on the shins",),
        Pose(
            lean=150, nod=15, left_arm=hold("same_knee", 1, 12, 4, (60, 0)),
            right_arm=hold("same_knee", 1, 12, 4, (60, 0)), left_leg=Aim((20, 0), (18, 0)),
            right_leg=Aim((20, 0), (18, 0)),
        ),
    ),
)  # fmt: skip
