"""Ball games, fights, jumps and other sports: one person."""

from __future__ import annotations

from data.pose_library.actions.base import Solo, hold
from data.pose_library.kinematics import Aim, Pose

BENT = Aim((44, 60), (24, -95))  # a leg bent at the knee, foot below the hip

SPORTS = (
    Solo(
        "kick_ball", ("kicking a ball", "swinging a leg to shoot a ball"),
        ("a player kicks with a straight leg and opposite arm ahead",),
        Pose(
            yaw=58, lean=-14, right_leg=Aim((72, 88), (80, 90)), left_leg=Aim((8, 90), (16, -90)),
            left_arm=Aim((74, 55), (86, 60)), right_arm=Aim((58, -60), (52, -70)),
        ),
    ),
    Solo(
        "header", ("heading a ball", "jumping to head a ball"), ("a player jumps with an arched back and bent legs",),
        Pose(
            yaw=52, lean=-16, nod=14, air=0.22, left_arm=Aim((72, 10), (84, 60)), right_arm=Aim((72, 10), (84, 60)),
            left_leg=Aim((14, -90), (78, -90)), right_leg=Aim((4, -90), (62, -90)),
        ),
    ),
    Solo(
        "dive_save", ("diving sideways to catch a ball", "making a flying save as a goalkeeper"),
        ("a goalkeeper flies sideways with both arms stretched",),
        Pose(
            side=62, hip_roll=48, air=0.26, left_arm=Aim((160, 0), (168, 0)), right_arm=Aim((176, 0), (172, 180)),
            left_leg=Aim((52, 180), (72, 180)), right_leg=Aim((82, 0), (58, -30)),
        ),
    ),
    Solo(
        "throw", ("throwing a ball", "winding up to throw"),
        ("a pitcher cocks one arm behind the head and strides forward",),
        Pose(
            yaw=52, lean=-8, right_arm=Aim((98, -25), (165, -40)), left_arm=Aim((84, 80), (88, 85)),
            left_leg=Aim((52, 88), (24, 90)), right_leg=Aim((16, -90), (26, -90)),
        ),
    ),
    Solo(
        "ready", ("crouching ready to catch", "standing ready with bent knees and open arms"),
        ("a player waits with legs wide, arms low and open",),
        Pose(
            lean=50, nod=-40, left_arm=Aim((48, 35), (66, 60)), right_arm=Aim((48, 35), (66, 60)),
            left_leg=Aim((52, 42), (16, -70)), right_leg=Aim((52, 42), (16, -70)),
        ),
    ),
    Solo(
        "serve", ("serving in tennis", "tossing a ball up to serve"),
        ("a tennis player stretches one arm up and bends the racket arm behind",),
        Pose(
            yaw=36, lean=-16, nod=-22, left_arm=Aim((166, 40), (170, 40)), right_arm=Aim((104, -30), (60, -120)),
            left_leg=Aim((20, 70), (14, -90)), right_leg=Aim((12, -60), (34, -90)),
        ),
    ),
    Solo(
        "forehand", ("hitting a forehand", "swinging a tennis racket"),
        ("a tennis player turns and swings the racket from far behind, knees bent",),
        Pose(
            yaw=22, twist=-32, turn=30, lean=10, right_arm=Aim((72, -25), (80, -15)),
            left_arm=Aim((70, 100), (80, 120)), left_leg=Aim((40, 20), (16, -60)), right_leg=Aim((34, 10), (8, -60)),
        ),
    ),
    Solo(
        "backhand", ("hitting a two-handed backhand", "swinging a racket with both hands across the body"),
        ("a player lunges and swings both arms to one side",),
        Pose(
            yaw=8, twist=26, lean=18, side=12, left_arm=Aim((60, 10), (72, 10)), right_arm=Aim((66, 145), (74, 155)),
            left_leg=Aim((58, 15), (4, 0)), right_leg=Aim((24, 0), (34, 0)),
        ),
    ),
    Solo(
        "golf", ("swinging a golf club", "finishing a golf swing"),
        ("a golfer follows through with both hands over one shoulder",),
        Pose(
            yaw=14, twist=30, side=-6, left_arm=hold("left_ear", 14, 12, -4, (60, 20)),
            right_arm=hold("left_ear", -10, 12, -2, (60, 150)), left_leg=Aim((6, 0), (2, 0)),
            right_leg=Aim((26, 40), (36, -50)),
        ),
    ),
    Solo(
        "putt", ("putting a golf ball", "bending over a putter"),
        ("a golfer bends over with straight arms together in front",),
        Pose(
            yaw=28, lean=44, nod=20, left_arm=hold("chest", -1, -22, 22, (50, 0)),
            right_arm=hold("chest", -1, -25, 22, (50, 0)), left_leg=Aim((14, 25), (10, -40)),
            right_leg=Aim((14, 25), (10, -40)),
        ),
    ),
    Solo(
        "bat", ("batting in baseball", "waiting with a raised bat"),
        ("a batter holds the bat behind one shoulder with bent knees",),
        Pose(
            yaw=28, twist=-14, turn=40, lean=14, left_arm=hold("right_shoulder", -2, 2, 12, (70, 60)),
            right_arm=hold("right_shoulder", 6, 5, 10, (90, -20)), left_leg=Aim((36, 20), (10, -40)),
            right_leg=Aim((42, 10), (14, -90)),
        ),
    ),
    Solo(
        "shoot_hoop", ("shooting a basketball", "taking a jump shot"),
        ("a player jumps and pushes a ball up from the forehead",),
        Pose(
            yaw=46, air=0.14, nod=-14, left_arm=hold("nose", 8, 18, 12, (60, 50)),
            right_arm=hold("nose", 6, 22, 10, (60, 50)), left_leg=Aim((18, 88), (44, -90)),
            right_leg=Aim((14, 88), (52, -90)),
        ),
    ),
    Solo(
        "dribble", ("dribbling a ball", "dribbling past an opponent"),
        ("a player runs low, bouncing a ball with one hand",),
        Pose(
            yaw=58, lean=36, nod=-20, right_arm=Aim((16, 60), (70, 80), world=True),
            left_arm=Aim((62, 40), (92, 90), world=True), left_leg=Aim((62, 86), (18, -90)),
            right_leg=Aim((22, -90), (66, -90)),
        ),
    ),
    Solo(
        "dunk", ("slam dunking", "leaping to dunk a ball with one hand"),
        ("a player flies with one arm straight up and the knees tucked",),
        Pose(
            yaw=62, lean=14, air=0.36, right_arm=Aim((152, 88), (160, 88)), left_arm=Aim((52, 60), (70, 80)),
            left_leg=Aim((98, 88), (22, -90)), right_leg=Aim((38, 80), (88, -90)),
        ),
    ),
    Solo(
        "dig_ball", ("passing a volleyball", "bumping a ball with joined forearms"),
        ("a player squats with straight joined arms in front",),
        Pose(
            yaw=44, lean=26, nod=-20, left_arm=hold("chest", 0, -14, 30, (40, 0)),
            right_arm=hold("chest", 0, -14, 30, (40, 0)), left_leg=Aim((72, 60), (30, -95)),
            right_leg=Aim((72, 60), (30, -95)),
        ),
    ),
    Solo(
        "spike", ("spiking a volleyball", "jumping to smash a ball"),
        ("a player jumps with an arched body, one arm ahead and one cocked",),
        Pose(
            yaw=62, lean=-20, air=0.3, left_arm=Aim((132, 80), (138, 85)), right_arm=Aim((120, -40), (190, -60)),
            left_leg=Aim((18, -90), (92, -90)), right_leg=Aim((12, -90), (74, -90)),
        ),
    ),
    Solo(
        "bowl", ("bowling", "releasing a bowling ball"), ("a bowler lunges low with one arm swung back",),
        Pose(
            yaw=68, lean=48, nod=-34, right_arm=Aim((56, -88), (56, -88), world=True), left_arm=Aim((76, 10), (84, 20)),
            left_leg=Aim((82, 90), (14, -90)), right_leg=Aim((52, -90), (72, -80)),
        ),
    ),
    Solo(
        "box_guard", ("boxing with raised guard", "standing in a boxing stance"),
        ("a boxer keeps both fists at the chin, legs apart",),
        Pose(
            yaw=30, lean=8, nod=10, left_arm=hold("nose", 4, -5, 14, (15, 20)),
            right_arm=hold("nose", 4, -7, 6, (15, 20)), left_leg=Aim((32, 50), (10, -70)),
            right_leg=Aim((34, -20), (24, -60)),
        ),
    ),
    Solo(
        "punch", ("throwing a punch", "punching straight ahead"),
        ("a fighter stretches one fist forward and keeps the other at the chin",),
        Pose(
            yaw=58, lean=14, twist=24, right_arm=Aim((92, 100), (92, 95)), left_arm=hold("nose", 4, -8, 6, (15, 20)),
            left_leg=Aim((46, 88), (4, -90)), right_leg=Aim((30, -90), (38, -90)),
        ),
    ),
    Solo(
        "fence", ("fencing", "lunging forward in a fencing bout"),
        ("a fencer lunges with one arm straight ahead and the other lifted behind",),
        Pose(
            yaw=64, lean=10, left_arm=Aim((94, 90), (94, 90)), right_arm=Aim((92, -80), (160, -90)),
            left_leg=Aim((72, 90), (2, -90)), right_leg=Aim((54, -80), (56, -80)),
        ),
        spread=10,
    ),
    Solo(
        "archery", ("drawing a bow", "aiming with bow and arrow"),
        ("an archer holds one arm out level and pulls the string to the chin",),
        Pose(
            turn=70, left_arm=Aim((91, 5), (91, 5)), right_arm=hold("chest", 9, 13, 4, (98, 0)),
            left_leg=Aim((12, 0), (10, 0)), right_leg=Aim((12, 0), (10, 0)),
        ),
    ),
    Solo(
        "side_kick", ("kicking high to the side", "doing a martial arts side kick"),
        ("a fighter leans away and kicks one straight leg sideways",),
        Pose(
            side=34, hip_roll=-18, left_arm=hold("chest", 4, 6, 16, (30, 0)), right_arm=Aim((30, 0), (50, 30)),
            right_leg=Aim((106, 0), (106, 0)), left_leg=Aim((4, 180), (2, 0)),
        ),
    ),
    Solo(
        "flying_kick", ("doing a flying kick", "leaping with one leg stretched forward"),
        ("a fighter flies with one leg straight ahead and the other tucked",),
        Pose(
            yaw=72, lean=-6, air=0.36, left_arm=Aim((40, 60), (110, 90)), right_arm=Aim((62, -60), (70, -70)),
            left_leg=Aim((90, 90), (94, 90)), right_leg=Aim((62, 84), (58, -90)),
        ),
        spread=10,
    ),
    Solo(
        "sumo", ("squatting like a sumo wrestler", "squatting wide with hands on the knees"),
        ("a wrestler spreads the bent legs wide and leans on the thighs",),
        Pose(
            lean=14, left_leg=Aim((72, 12), (4, 0)), right_leg=Aim((72, 12), (4, 0)),
            left_arm=hold("same_knee", -2, 3, 2, (80, -20)), right_arm=hold("same_knee", -2, 3, 2, (80, -20)),
        ),
    ),
    Solo(
        "swim", ("swimming front crawl", "swimming face down"),
        ("a swimmer lies flat, one arm reaching ahead and one sweeping back",),
        Pose(
            yaw=80, lean=84, nod=-30, left_arm=Aim((98, 88), (94, 90), world=True),
            right_arm=Aim((64, -90), (70, -90), world=True), left_leg=Aim((82, -90), (86, -90)),
            right_leg=Aim((96, -90), (102, -90)), elevation=8, air=0.2,
        ),
        spread=8,
    ),
    Solo(
        "dive", ("diving head first", "plunging into water with arms ahead"),
        ("a diver points arms and head downwards, body stretched",),
        Pose(
            yaw=76, lean=138, left_arm=Aim((176, 90), (178, 90)), right_arm=Aim((176, 90), (178, 90)),
            left_leg=Aim((128, -90), (132, -90)), right_leg=Aim((134, -90), (138, -90)), air=0.3,
        ),
        spread=10,
    ),
    Solo(
        "cannonball", ("jumping in a tuck", "doing a cannonball jump"),
        ("a person flies curled up, arms around the knees",),
        Pose(
            yaw=60, lean=30, nod=20, air=0.4, left_arm=hold("same_knee", -2, -10, 6, (60, 0)),
            right_arm=hold("same_knee", -2, -10, 6, (60, 0)), left_leg=Aim((132, 90), (4, -90)),
            right_leg=Aim((132, 90), (4, -90)),
        ),
    ),
    Solo(
        "hurdle", ("jumping over a hurdle", "clearing a hurdle in a race"),
        ("a hurdler stretches one leg ahead and folds the other aside",),
        Pose(
            yaw=70, lean=40, nod=-24, air=0.26, left_leg=Aim((98, 90), (92, 90)), right_leg=Aim((80, -40), (88, -120)),
            right_arm=Aim((84, 90), (84, 90), world=True), left_arm=Aim((56, -80), (40, 60), world=True),
        ),
        spread=10,
    ),
    Solo(
        "long_jump", ("doing a long jump", "flying through the air with both legs ahead"),
        ("a jumper swings legs and arms forward in flight",),
        Pose(
            yaw=76, lean=34, air=0.22, left_arm=Aim((74, 90), (80, 90), world=True),
            right_arm=Aim((66, 90), (74, 90), world=True), left_leg=Aim((94, 90), (58, 90)),
            right_leg=Aim((86, 90), (52, 90)),
        ),
        spread=8,
    ),
    Solo(
        "star_jump", ("doing a star jump", "jumping with arms and legs spread"),
        ("a person in the air makes the shape of a star",),
        Pose(
            air=0.2, left_arm=Aim((124, 0), (124, 0)), right_arm=Aim((124, 0), (124, 0)),
            left_leg=Aim((36, 0), (36, 0)), right_leg=Aim((36, 0), (36, 0)),
        ),
    ),
    Solo(
        "jump", ("jumping for joy", "leaping up with both arms raised"),
        ("a person jumps with bent legs and the arms in the air",),
        Pose(
            yaw=20, air=0.26, left_arm=Aim((150, 20), (164, 20)), right_arm=Aim((140, 20), (150, 20)),
            left_leg=Aim((26, 20), (100, -70)), right_leg=Aim((42, 60), (70, -90)), nod=-12,
        ),
    ),
    Solo(
        "sprint_start", ("getting set in the starting blocks", "crouching for a sprint start"),
        ("a sprinter puts both hands on the line, hips high",),
        Pose(
            yaw=76, lean=104, nod=-30, left_arm=Aim((8, 90), (4, 90), world=True),
            right_arm=Aim((8, 90), (4, 90), world=True), left_leg=Aim((64, 90), (44, -90)),
            right_leg=Aim((26, 90), (64, -90)), elevation=4,
        ),
        spread=8,
    ),
    Solo(
        "javelin", ("throwing a javelin", "running up with a javelin"),
        ("an athlete draws one straight arm far back, the other pointing up ahead",),
        Pose(
            yaw=62, lean=-18, right_arm=Aim((102, -60), (112, -60)), left_arm=Aim((122, 85), (126, 85)),
            left_leg=Aim((44, 88), (30, 90)), right_leg=Aim((28, 60), (64, -90)),
        ),
    ),
    Solo(
        "shot_put", ("putting the shot", "crouching with a weight at the neck"),
        ("an athlete squats on one leg, one hand at the neck and one arm out",),
        Pose(
            yaw=-38, lean=34, right_arm=hold("same_ear", 3, -4, 4, (80, 20)), left_arm=Aim((86, 40), (96, 40)),
            right_leg=Aim((66, 70), (24, -95)), left_leg=Aim((46, -30), (40, -30)),
        ),
    ),
    Solo(
        "weightlift", ("lifting a barbell overhead", "holding a heavy weight above the head"),
        ("a weightlifter squats wide with straight arms locked overhead",),
        Pose(
            left_arm=Aim((148, 0), (176, 180)), right_arm=Aim((148, 0), (176, 180)), left_leg=Aim((58, 20), (14, -60)),
            right_leg=Aim((58, 20), (14, -60)),
        ),
    ),
    Solo(
        "deadlift", ("lifting a weight from the ground", "doing a deadlift"),
        ("a person bends the knees and hips with straight arms hanging down",),
        Pose(
            yaw=34, lean=58, nod=-34, left_arm=Aim((4, 60), (2, 60), world=True),
            right_arm=Aim((4, 60), (2, 60), world=True), left_leg=Aim((62, 78), (30, -95)),
            right_leg=Aim((62, 78), (30, -95)),
        ),
    ),
    Solo(
        "ski", ("skiing downhill", "going down a slope on skis"),
        ("a skier tucks with bent knees and bent arms ahead",),
        Pose(
            yaw=64, lean=54, nod=-40, left_arm=Aim((30, 80), (104, 85)), right_arm=Aim((30, 80), (104, 85)),
            left_leg=Aim((66, 86), (30, -90)), right_leg=Aim((58, 86), (28, -90)),
        ),
    ),
    Solo(
        "speed_skate", ("speed skating", "gliding on skates with long strides"),
        ("a skater bends low, swings one arm and pushes one leg aside",),
        Pose(
            yaw=40, lean=66, nod=-44, left_arm=Aim((64, 0), (72, 0)), right_arm=hold("chest", 3, -12, -14, (70, -60)),
            left_leg=Aim((66, 80), (26, -90)), right_leg=Aim((52, -10), (54, -10)),
        ),
    ),
    Solo(
        "hockey", ("playing hockey", "hitting a puck with a stick"),
        ("a player leans over a stick held low on one side",),
        Pose(
            yaw=-16, lean=42, side=18, nod=-16, left_arm=Aim((42, 30), (38, 30)),
            right_arm=hold("chest", -9, -16, 16, (60, 60)), left_leg=Aim((50, 30), (10, -60)),
            right_leg=Aim((32, -10), (36, -20)),
        ),
    ),
    Solo(
        "rope_climb", ("climbing a rope", "pulling up on a rope"),
        ("a climber hangs on a rope with both hands overhead and the knees drawn up",),
        Pose(
            yaw=55, air=0.3, nod=-20, left_arm=hold("nose", -1, 20, 10, (40, 30)),
            right_arm=hold("nose", 0, 10, 10, (40, 30)), left_leg=Aim((92, 88), (24, -95)),
            right_leg=Aim((84, 88), (10, -90)),
        ),
    ),
    Solo(
        "pull_up", ("doing a pull-up", "hanging on a bar with bent arms"),
        ("an athlete pulls the chin up to a bar, feet crossed behind",),
        Pose(
            air=0.3, left_arm=Aim((96, 0), (176, 180)), right_arm=Aim((96, 0), (176, 180)),
            left_leg=Aim((4, 180), (70, -100)), right_leg=Aim((4, 180), (58, -100)), nod=-10,
        ),
    ),
    Solo(
        "rock_climb", ("rock climbing", "climbing a wall with spread limbs"),
        ("a climber reaches up with one arm, one knee pulled high to the side",),
        Pose(
            yaw=10, air=0.1, right_arm=Aim((158, 10), (166, 10)), left_arm=Aim((96, 10), (158, 10)),
            left_leg=Aim((102, 10), (10, 180)), right_leg=Aim((20, 0), (12, 0)), nod=-16, turn=-20,
        ),
    ),
    Solo(
        "jump_rope", ("jumping rope", "skipping rope"),
        ("a person hops with tucked feet, turning a rope with both wrists",),
        Pose(
            air=0.1, left_arm=Aim((10, 0), (62, 10)), right_arm=Aim((10, 0), (62, 10)),
            left_leg=Aim((30, 80), (50, -90)), right_leg=Aim((30, 80), (50, -90)),
        ),
    ),
    Solo(
        "hula_hoop", ("spinning a hula hoop", "swinging the hips with lifted arms"),
        ("a person pushes the hips aside with both elbows up",),
        Pose(
            side=-20, hip_roll=12, left_arm=Aim((98, 10), (128, 90)), right_arm=Aim((98, 10), (128, 90)),
            left_leg=Aim((14, 180), (10, 180)), right_leg=Aim((22, 0), (10, 0)),
        ),
    ),
)  # fmt: skip
