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
COLOURS = _words("black white red blue green yellow pink brown gray grey orange purple")
CLOTHES = _words(
    "shirt shirts t-shirt jacket jackets coat coats suit suits dress dresses hat hats cap caps helmet helmets uniform "
    "uniforms pants jeans shorts tie ties skirt sweater hoodie clothes clothing outfit outfits costume costumes robe "
    "vest vests scarf glasses sunglasses goggles shoes boots sandals heels gear attire wetsuit wetsuits bikini bikinis "
    "bathing-suit swimsuit trunks jersey jerseys apron tuxedo gown hoodies gloves top bandana headband"
)
# What somebody looks like, after "with".
LOOKS = _words("hair beard mustache moustache ponytail tattoo tattoos dreadlocks eyes earrings necklace")
# Where something happens. Furniture, vehicles and what carries a body (floor, wave, bench) are no places: they are
# part of a pose.
PLACES = _words(
    "field fields beach beaches shore seashore park parks street streets road roads sidewalk sidewalks pavement city "
    "town village area room kitchen bathroom bedroom classroom office yard backyard garden lawn grass snow sand water "
    "ocean sea lake river pool mountain mountains mountainside hill hills hillside slope slopes sky skies court courts "
    "pitch stadium arena rink stage forest woods tree trees palm building buildings background foreground house home "
    "store shop restaurant cafe market airport station platform lot bridge desert jungle path trail track plaza dock "
    "pier church museum school gym barn farm pasture meadow zoo countryside neighborhood driveway parade day night "
    "morning evening afternoon sunset sunrise sun sunlight rain fog cloud clouds window windows fence wall distance "
    "scenery landscape crowd audience"
)
# What is done somewhere: these words stay when the place goes ("on a tennis court").
PURSUITS = _words(
    "tennis baseball soccer football basketball volleyball hockey golf rugby cricket softball ski skiing snowboard "
    "skate skateboard skateboarding surf surfing swimming racing dance wrestling boxing"
)
PLACED = _words(
    "in on at near by beside along down up through inside outside behind across around over under above from into onto "
    "to toward towards against with next during off past"
)
ANIMALS = _words(
    "elephant elephants bear bears panda pandas giraffe giraffes zebra zebras cow cows sheep lamb goat goats horse "
    "horses dog dogs cat cats kitten bird birds duck ducks goose geese swan lion lions tiger monkey monkeys deer "
    "pig pigs calf doll dolls"
)
