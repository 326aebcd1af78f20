"""English words that speak of people, for `people_words`. Our decision, grown from COCO's captions."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


IRREGULAR = {
    "person": "people", "man": "men", "woman": "women", "child": "children", "baby": "babies", "lady": "ladies",
    "gentleman": "gentlemen", "policeman": "policemen", "policewoman": "policewomen", "fireman": "firemen",
    "fisherman": "fishermen", "wife": "wives", "actress": "actresses", "princess": "princesses",
    "waitress": "waitresses", "businessman": "businessmen", "businesswoman": "businesswomen",
}  # fmt: skip
# Who somebody is. These words say nothing of a pose.
IDENTITY = _words(
    "boy girl kid toddler teenager teen adult guy human male female player friend brother sister mother father son "
    "daughter husband bride groom mom dad parent grandmother grandfather grandma grandpa aunt uncle athlete worker "
    "soldier doctor nurse teacher student musician singer actor chef cook waiter farmer firefighter officer cowboy "
    "knight king queen prince passenger pedestrian spectator tourist model figure subject wizard astronaut"
)
# What somebody does. The noun stays in the action text.
ACTIVE = _words(
    "dancer skier surfer skater skateboarder snowboarder rider cyclist biker runner jogger swimmer batter pitcher "
    "catcher umpire hiker climber golfer boxer gymnast fisherman"
)
SINGULAR = frozenset(IRREGULAR) | IDENTITY | ACTIVE
PLURAL = {f"{noun}s": noun for noun in SINGULAR if noun not in IRREGULAR}
PLURAL |= {plural: noun for noun, plural in IRREGULAR.items()} | {"persons": "person", "folks": "person"}
GENERIC = frozenset({"person", "friend", "figure", "subject", "human", "adult", "player"})

NUMBERS = {
    word: n
    for n, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
}
NUMBERS |= {"no": 0, "both": 2, "couple": 2, "pair": 2, "trio": 3, "duo": 2}
# Nouns that stand for several people by themselves; None: nobody says how many.
SETS = {"couple": 2, "twins": 2, "trio": 3, "duo": 2, "group": None, "crowd": None, "family": None, "team": None,
        "audience": None, "class": None}  # fmt: skip
PARTS = frozenset(SETS) | {"pair", "bunch", "line", "row", "number", "set"}  # "a row of men"
ORDINALS = frozenset({"first", "second", "third", "fourth", "other", "last", "next"})
ARTICLES = frozenset({"a", "an", "the"})
POSSESSIVES = frozenset({"his", "her", "their", "its", "my", "your", "our"})
DETERMINERS = ARTICLES | POSSESSIVES | {"one", "another", "this", "that", "these", "those", "some", "several",
                                           "many", "few", "all", "every", "each", "single", "various"}  # fmt: skip
PREPOSITIONS = _words(
    "with in on at of to for from by near behind beside over under into onto through off up down without like across "
    "against around between above below along beneath inside outside toward towards"
)
BREAKS = PREPOSITIONS | {"and", "or", "while", "as", "who", "is", "are", "was", "were", "has", "have", "it", "but"}
# No actions, though they end like one.
NO_VERB = _words(
    "clothing wedding swimming ring earring matching something anything nothing everything thing king string morning "
    "evening building ceiling railing living interesting"
)
CLOTHES = _words(
    "shirt shirts t-shirt jacket coat suit suits dress dresses hat cap helmet uniform uniforms pants jeans shorts tie "
    "skirt sweater hoodie clothes clothing outfit costume robe vest scarf glasses sunglasses shoes boots gear attire "
    "wetsuit bikini trunks jersey apron tuxedo gown hoodies black white red blue green yellow pink brown gray grey "
    "orange purple"
)
