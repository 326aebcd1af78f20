"""Standing gestures of one person: arms and head."""

from __future__ import annotations

from data.pose_library.actions.base import AKIMBO, Solo, hold
from data.pose_library.kinematics import Aim, Pose

WIDE = Aim((14, 0), (10, 0))  # a leg set apart
STEP = Aim((14, 60), (4, -90))
REST = Aim((7, 0), (10, 60))

GESTURES = (
    Solo(
        "stand", ("standing upright", "standing still with both arms at the sides"),
        ("a person faces forward, arms hanging down",), Pose(),
    ),
    Solo(
        "wave", ("waving hello", "waving with one hand"), ("a person greets with one arm raised and the elbow bent",),
        Pose(right_arm=Aim((88, 15), (165, 0)), tilt=4),
    ),
    Solo(
        "wave_both", ("waving both arms overhead", "signalling with both arms above the head"),
        ("a person swings two raised arms to catch attention",),
        Pose(left_arm=Aim((150, 0), (204, 0)), right_arm=Aim((150, 0), (204, 0))),
    ),
    Solo(
        "hands_on_hips", ("standing with hands on hips", "posing with both hands on the hips"),
        ("a person stands with elbows out and hands at the waist",),
        Pose(left_arm=AKIMBO, right_arm=AKIMBO, left_leg=Aim((9, 0), (7, 0)), right_leg=Aim((9, 0), (7, 0))),
    ),
    Solo(
        "arms_crossed", ("standing with arms crossed", "folding both arms over the chest"),
        ("a person waits with crossed arms",),
        Pose(
            left_arm=hold("chest", -7, -3, 10, (60, 20)), right_arm=hold("chest", -6, 0, 11, (60, 20)),
            left_leg=Aim((8, 0), (6, 0)),
        ),
    ),
    Solo(
        "point_left", ("pointing to the left", "stretching the left arm out to point left"),
        ("a person looks and points to their own left side",), Pose(left_arm=Aim((92, 0), (92, 0)), turn=45),
        mirror=False, spread=8,
    ),
    Solo(
        "point_right", ("pointing to the right", "stretching the right arm out to point right"),
        ("a person looks and points to their own right side",), Pose(right_arm=Aim((92, 0), (92, 0)), turn=-45),
        mirror=False, spread=8,
    ),
    Solo(
        "point_up", ("pointing up at the sky", "looking up and pointing upward"),
        ("a person points a raised finger at something above, one hand on the hip",),
        Pose(right_arm=Aim((155, 60), (158, 60)), left_arm=AKIMBO, nod=-25, yaw=25, left_leg=STEP),
    ),
    Solo(
        "point_ahead", ("pointing straight ahead", "stretching an arm forward to point at something"),
        ("a person seen from the side points ahead",), Pose(yaw=62, right_arm=Aim((92, 88), (92, 88)), left_leg=STEP),
    ),
    Solo(
        "arms_wide", ("spreading both arms wide", "stretching both arms out to the sides"),
        ("a person stands like a scarecrow with level arms",),
        Pose(left_arm=Aim((92, 0), (92, 0)), right_arm=Aim((92, 0), (92, 0))),
    ),
    Solo(
        "cheer", ("cheering with both arms up", "celebrating with raised arms"),
        ("a person throws both arms up in a V of joy",),
        Pose(
            left_arm=Aim((148, 0), (156, 0)), right_arm=Aim((148, 0), (156, 0)), left_leg=WIDE, right_leg=WIDE, nod=-10,
        ),
    ),
    Solo(
        "salute", ("saluting", "standing to attention and saluting"),
        ("a person holds one hand to the brow in a salute",), Pose(right_arm=hold("same_eye", 5, 3, 3, (85, 10))),
    ),
    Solo(
        "shade_eyes", ("looking into the distance with a hand over the eyes", "shading the eyes to look far away"),
        ("a person leans forward and peers ahead under a raised hand",),
        Pose(
            yaw=48, lean=18, right_arm=hold("same_eye", 2, 4, 7, (90, 30)), left_arm=AKIMBO,
            left_leg=Aim((38, 80), (0, 0)), right_leg=Aim((16, -90), (22, -90)),
        ),
    ),
    Solo(
        "think", ("thinking with a hand on the chin", "pondering with one hand at the chin"),
        ("a person rests the chin on a hand, the other arm folded below",),
        Pose(
            left_arm=hold("nose", 1, -6, 3, (15, 40)), right_arm=hold("other_elbow", 1, 0, 3, (40, 0)), nod=16, tilt=12,
            yaw=-28, side=6, right_leg=Aim((20, 0), (14, 0)),
        ),
    ),
    Solo(
        "phone", ("talking on the phone", "holding a phone to the ear"),
        ("a person makes a phone call with one hand at the ear",),
        Pose(right_arm=hold("same_ear", 4, -3, 3, (35, 10)), tilt=-8, left_arm=Aim((8, 0), (60, 60))),
    ),
    Solo(
        "clap", ("clapping", "applauding with raised hands"), ("a person claps both hands in front of the face",),
        Pose(yaw=35, left_arm=hold("chest", 3, 10, 26, (50, 0)), right_arm=hold("chest", 3, 10, 26, (50, 0))),
    ),
    Solo(
        "shrug", ("shrugging with open hands", "giving a clueless shrug"),
        ("a person shrugs, forearms turned out and palms up",),
        Pose(left_arm=Aim((22, 0), (108, 15)), right_arm=Aim((22, 0), (108, 15)), tilt=14),
    ),
    Solo(
        "cover_eyes", ("covering the eyes with both hands", "hiding the face behind the hands"),
        ("a person counts with covered eyes",),
        Pose(left_arm=hold("same_eye", 1, 0, 5, (65, 10)), right_arm=hold("same_eye", 1, 0, 5, (65, 10)), nod=14),
    ),
    Solo(
        "cover_ears", ("covering both ears", "holding the hands over the ears"),
        ("a person shuts out the noise with hands on the ears",),
        Pose(
            left_arm=hold("same_ear", 3, -2, 2, (30, 30)), right_arm=hold("same_ear", 3, -2, 2, (30, 30)), lean=20,
            left_leg=Aim((58, 60), (34, -95)), right_leg=Aim((58, 60), (34, -95)),
        ),
    ),
    Solo(
        "hands_behind_head",
        ("standing with hands behind the head", "relaxing with both hands clasped behind the head"),
        ("a person holds the elbows out, hands behind the head",),
        Pose(
            left_arm=hold("same_ear", -2, -1, -5, (110, 0)), right_arm=hold("same_ear", -2, -1, -5, (110, 0)),
            left_leg=Aim((20, 20), (6, 0)), side=-8,
        ),
    ),
    Solo(
        "hands_on_head", ("putting both hands on top of the head", "holding the head in disbelief"),
        ("a person bends backward in shock, hands on the head",),
        Pose(
            lean=-12, left_arm=hold("same_eye", 0, 9, -2, (95, 10)), right_arm=hold("same_eye", 0, 9, -2, (95, 10)),
            left_leg=WIDE, right_leg=WIDE,
        ),
    ),
    Solo(
        "flex", ("flexing both biceps", "showing off the arm muscles"),
        ("a person holds both arms level and bends the elbows to show strength",),
        Pose(left_arm=Aim((92, 0), (160, 165)), right_arm=Aim((92, 0), (160, 165)), left_leg=WIDE, right_leg=WIDE),
    ),
    Solo(
        "drink", ("drinking from a bottle", "tilting the head back to drink"),
        ("a person drinks with the elbow raised",),
        Pose(yaw=35, right_arm=hold("nose", 1, 0, 11, (85, 40)), nod=-22, lean=-8),
    ),
    Solo(
        "eat", ("eating from a bowl", "eating with a spoon"),
        ("a person holds a bowl at the chest and lifts a bite to the mouth",),
        Pose(yaw=-18, left_arm=hold("chest", 1, -7, 18, (30, 0)), right_arm=hold("nose", 6, -6, 8, (65, 0)), nod=16),
    ),
    Solo(
        "read", ("reading a book", "looking down at an open book"),
        ("a person holds a book with both hands and reads",),
        Pose(yaw=38, left_arm=hold("chest", 6, -6, 22, (20, 0)), right_arm=hold("chest", 6, -6, 22, (20, 0)), nod=34),
    ),
    Solo(
        "selfie", ("taking a selfie", "holding a phone out for a selfie"),
        ("a person leans in and takes a picture at arm's length with a peace sign",),
        Pose(
            right_arm=Aim((118, 30), (122, 35)), left_arm=hold("same_ear", 10, -3, 5, (20, 0)), side=-12, tilt=-10,
            turn=-10,
        ),
    ),
    Solo(
        "carry_box", ("carrying a box", "carrying something bulky in both arms"),
        ("a person walks with a load held before the belly",),
        Pose(
            yaw=42, lean=-10, left_arm=Aim((10, -90), (82, 90)), right_arm=Aim((10, -90), (82, 90)),
            left_leg=Aim((24, 90), (6, 90)), right_leg=Aim((10, -90), (24, -90)),
        ),
    ),
    Solo(
        "carry_bag", ("carrying a heavy bag in one hand", "leaning sideways under the weight of a bag"),
        ("a person lugs a heavy load on one side, the free arm held out",),
        Pose(
            side=16, right_arm=Aim((0, 0), (0, 0), world=True), left_arm=Aim((62, 0), (58, 0)),
            left_leg=Aim((16, 0), (12, 0)), right_leg=Aim((0, 0), (2, 0)),
        ),
    ),
    Solo(
        "umbrella", ("holding an umbrella", "walking under an open umbrella"),
        ("a person carries an umbrella upright in one hand",),
        Pose(
            yaw=30, right_arm=hold("chest", 9, 6, 18, (20, 0)), left_leg=Aim((22, 90), (4, 90)),
            right_leg=Aim((12, -90), (26, -90)),
        ),
    ),
    Solo(
        "stretch_up", ("stretching with both hands joined overhead", "reaching up on tiptoe with clasped hands"),
        ("a person stretches tall, hands together above the head",),
        Pose(left_arm=hold("nose", 2, 25, -3, (90, 0)), right_arm=hold("nose", 2, 25, -3, (90, 0))),
    ),
    Solo(
        "side_stretch", ("doing a side stretch", "bending sideways with one arm over the head"),
        ("a person leans to the side, one hand on the hip and the other arm overhead",),
        Pose(side=30, right_arm=Aim((165, 180), (150, 180)), left_arm=AKIMBO, left_leg=WIDE, right_leg=WIDE),
    ),
    Solo(
        "bow", ("bowing deeply", "taking a bow"), ("a person bends at the waist in a low bow with arms at the sides",),
        Pose(yaw=66, lean=68, left_arm=Aim((4, 0), (4, 0)), right_arm=Aim((4, 0), (4, 0))),
    ),
    Solo(
        "curtsy", ("making a curtsy", "curtsying with arms held low to the sides"),
        ("a person dips with crossed legs and spread arms",),
        Pose(
            lean=14, left_arm=Aim((48, 0), (62, 0)), right_arm=Aim((48, 0), (62, 0)), left_leg=Aim((42, 55), (28, 225)),
            right_leg=Aim((22, 150), (52, -115)), nod=15,
        ),
    ),
    Solo(
        "conduct", ("conducting an orchestra", "conducting with a baton"),
        ("a person leads the music with both arms lifted at different heights",),
        Pose(right_arm=Aim((75, 20), (140, 40)), left_arm=Aim((40, 70), (86, 110)), turn=12, lean=6),
    ),
    Solo(
        "hug_self", ("hugging themselves", "shivering with hands on the shoulders"),
        ("a person feels cold and wraps both arms around the body",),
        Pose(
            left_arm=hold("other_shoulder", 0, -3, 6, (40, 60)), right_arm=hold("other_shoulder", 0, -3, 6, (40, 60)),
            lean=10, nod=12, left_leg=Aim((4, 180), (0, 0)), right_leg=Aim((4, 180), (0, 0)),
        ),
    ),
    Solo(
        "facepalm", ("doing a facepalm", "hiding the face in one hand"),
        ("a person lowers the head into a hand in embarrassment, the other hand on the hip",),
        Pose(right_arm=hold("nose", 2, 2, 4, (40, 20)), left_arm=AKIMBO, nod=30, lean=8, left_leg=Aim((12, 0), (9, 0))),
    ),
    Solo(
        "scratch_head", ("scratching the head", "wondering with a hand on the head"),
        ("a confused person tilts the head and scratches it",),
        Pose(right_arm=hold("same_ear", 1, 8, -2, (100, 0)), tilt=-18, left_arm=hold("chest", -3, -6, 12, (50, 10))),
    ),
    Solo(
        "listen", ("cupping a hand to the ear to listen", "leaning in to listen closely"),
        ("a person bends sideways with one hand behind the ear",),
        Pose(
            right_arm=hold("same_ear", 6, 0, -1, (70, -10)), side=-22, tilt=-12, left_arm=AKIMBO,
            right_leg=Aim((22, 0), (16, 0)), left_leg=Aim((4, 0), (4, 0)),
        ),
    ),
    Solo(
        "shout", ("shouting through cupped hands", "calling out with both hands around the mouth"),
        ("a person leans forward to shout far away",),
        Pose(
            yaw=50, lean=16, left_arm=hold("nose", 6, -4, 6, (45, 10)), right_arm=hold("nose", 6, -4, 6, (45, 10)),
            left_leg=Aim((30, 85), (2, 0)), right_leg=Aim((14, -90), (22, -90)),
        ),
    ),
    Solo(
        "yawn", ("yawning and stretching one arm", "stretching sleepily with a hand over the mouth"),
        ("a tired person lifts one bent arm and yawns",),
        Pose(left_arm=Aim((135, 0), (140, 180)), right_arm=hold("nose", 1, -4, 4, (60, 10)), nod=-10, side=-8),
    ),
    Solo(
        "dab", ("doing a dab", "dabbing with the face in the elbow"),
        ("a person throws one arm up to the side and buries the face in the other elbow",),
        Pose(
            left_arm=Aim((122, 0), (122, 0)), right_arm=Aim((105, 110), (122, 172)), nod=30, turn=25, tilt=12,
            left_leg=WIDE, right_leg=WIDE,
        ),
    ),
    Solo(
        "refuse", ("refusing with both palms held out", "pushing both hands forward to say stop"),
        ("a person leans back and holds both hands up in defence",),
        Pose(
            yaw=40, lean=-14, left_arm=Aim((72, 80), (105, 85)), right_arm=Aim((72, 80), (105, 85)), turn=-20,
            right_leg=Aim((22, -90), (28, -90)),
        ),
    ),
    Solo(
        "check_watch", ("checking a wristwatch", "looking at the watch on the wrist"),
        ("a person holds a forearm across the chest to read the time",),
        Pose(
            left_arm=hold("chest", -4, 4, 20, (80, 0)), right_arm=Aim((6, -40), (8, -60)), nod=24, turn=6,
            right_leg=Aim((10, 0), (8, 0)),
        ),
    ),
    Solo(
        "arms_back", ("stretching both arms behind the back", "standing with chest out and arms pulled back"),
        ("a person pulls both straight arms backward to open the chest",),
        Pose(yaw=68, left_arm=Aim((48, -90), (52, -90)), right_arm=Aim((48, -90), (52, -90)), nod=-14, lean=-6),
    ),
    Solo(
        "tip_hat", ("tipping a hat", "lifting a hat in greeting"),
        ("a person greets politely with a hand above the brow and the other arm behind",),
        Pose(
            right_arm=hold("same_eye", 14, 16, 6, (80, 10)), left_arm=hold("other_hip", 8, 8, -8, (50, -40)), lean=12,
            nod=10, left_leg=Aim((16, 0), (2, 0)), right_leg=Aim((6, 150), (10, -90)),
        ),
    ),
    Solo(
        "orate", ("giving a speech with one arm stretched to the side", "addressing an audience with an open arm"),
        ("a person holds one hand on the chest and sweeps the other arm out",),
        Pose(
            left_arm=Aim((70, 20), (100, 10)), right_arm=hold("chest", -1, 2, 8, (45, 0)), turn=15,
            left_leg=Aim((12, 30), (4, 0)),
        ),
    ),
)  # fmt: skip
