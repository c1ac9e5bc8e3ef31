"""The words of the toy language and how often each is used.

Tables only, in order of use: a word's chance falls with its rank (`Zipf`), as in real speech. The generator draws from
these tables and the checker looks words up in them; neither knows how the other uses them.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

FIRST, THIRD, PLURAL = "first", "third", "plural"  # what a finite verb agrees with: I; he, the dog; we, you, the dogs


class Zipf(Generic[T]):
    """Draws items with a chance proportional to 1 / (rank + offset).

    It uses nothing of `Random` but `random()`, whose sequence Python guarantees for all versions.
    """

    def __init__(self, items: Sequence[T], offset: float = 4.0) -> None:
        self.items = tuple(items)
        self._bounds = list(accumulate(1.0 / (rank + offset) for rank in range(len(self.items))))

    def draw(self, rng: Random) -> T:
        """One item."""
        return self.items[bisect(self._bounds, rng.random() * self._bounds[-1], hi=len(self.items) - 1)]


class Weighted(Zipf[T]):
    """Draws items with given weights."""

    def __init__(self, weights: Sequence[tuple[T, float]]) -> None:
        self.items = tuple(item for item, _ in weights)
        self._bounds = list(accumulate(weight for _, weight in weights))


class Noun(NamedTuple):
    """A count noun; `kind` is one of male, female, person, animal, food, thing, clothes, place."""

    singular: str
    plural: str
    kind: str

    @property
    def irregular(self) -> bool:
        """Its plural is not made by adding -s, -es or -ies."""
        return self.plural not in (self.singular + "s", self.singular + "es", self.singular[:-1] + "ies")


class Verb(NamedTuple):
    """A verb with all its forms; `objects` is the kind of its objects, or - for an intransitive verb."""

    base: str
    third: str
    past: str
    participle: str
    ing: str
    objects: str

    def present(self, agreement: str) -> str:
        """The form for a subject of that agreement."""
        return self.third if agreement == THIRD else self.base


_NOUNS = """
dog dogs animal; ball balls thing; boy boys male; girl girls female; baby babies person; cat cats animal
book books thing; man men male; apple apples food; shoe shoes clothes; bear bears animal; car cars thing
child children person; mouse mice animal; house houses place; woman women female; duck ducks animal
cookie cookies food; bird birds animal; truck trucks thing; hat hats clothes; tree trees place; cow cows animal
egg eggs food; friend friends person; spoon spoons thing; tooth teeth thing; bed beds place; horse horses animal
banana bananas food; box boxes place; goose geese animal; sock socks clothes; foot feet thing; cup cups thing
king kings male; chair chairs place; pig pigs animal; doctor doctors person; leaf leaves thing
rabbit rabbits animal; queen queens female; table tables place; carrot carrots food; brother brothers male
sister sisters female; knife knives thing; teacher teachers person; toy toys thing; frog frogs animal
wolf wolves animal; block blocks thing; coat coats clothes; door doors place; train trains thing
elephant elephants animal; sandwich sandwiches food; farmer farmers person; boat boats thing; bag bags place
uncle uncles male; aunt aunts female; fox foxes animal; flower flowers thing; monkey monkeys animal
orange oranges food; bowl bowls thing; window windows place; prince princes male; princess princesses female
lion lions animal; blanket blankets thing; policeman policemen male; bike bikes thing; scarf scarves clothes
fireman firemen male; butterfly butterflies animal; pea peas food; drum drums thing; glove gloves clothes
bridge bridges place; ox oxen animal; picture pictures thing; snake snakes animal; turtle turtles animal
plate plates thing; grandson grandsons male; granddaughter granddaughters female; potato potatoes food
shelf shelves place; kite kites thing; sweater sweaters clothes; tiger tigers animal
"""

_MASS = "milk water juice bread cake soup rice cheese sand snow paint soap butter honey grass mud"
_DRINKS = "milk water juice soup"

_MALE_NAMES = "Daddy Tom Ben Jack Peter Grandpa David Max Adam"
_FEMALE_NAMES = "Mommy Anna Mary Lucy Emma Grandma Sarah Jane Nina"

_TRANSITIVE = """
see sees saw seen seeing any; have has had had having thing; want wants wanted wanted wanting any
like likes liked liked liking any; eat eats ate eaten eating food; find finds found found finding any
take takes took taken taking thing; make makes made made making thing; hold holds held held holding any
love loves loved loved loving any; get gets got gotten getting thing; break breaks broke broken breaking thing
need needs needed needed needing any; push pushes pushed pushed pushing any; drink drinks drank drunk drinking drink
chase chases chased chased chasing animate; wash washes washed washed washing any
bring brings brought brought bringing thing; catch catches caught caught catching any
throw throws threw thrown throwing thing; wear wears wore worn wearing clothes
kiss kisses kissed kissed kissing animate; hug hugs hugged hugged hugging animate; draw draws drew drawn drawing any
touch touches touched touched touching any; bite bites bit bitten biting any
carry carries carried carried carrying any; fix fixes fixed fixed fixing thing
hear hears heard heard hearing animate; buy buys bought bought buying thing
drop drops dropped dropped dropping thing; tickle tickles tickled tickled tickling animate
build builds built built building thing; steal steals stole stolen stealing thing
lick licks licked licked licking any; hide hides hid hidden hiding thing; tear tears tore torn tearing clothes
help helps helped helped helping animate; choose chooses chose chosen choosing thing
cover covers covered covered covering any; shake shakes shook shaken shaking thing
forgive forgives forgave forgiven forgiving animate
"""

_INTRANSITIVE = """
go goes went gone going -; play plays played played playing -; sleep sleeps slept slept sleeping -
run runs ran run running -; fall falls fell fallen falling -; cry cries cried cried crying -
come comes came come coming -; jump jumps jumped jumped jumping -; laugh laughs laughed laughed laughing -
sit sits sat sat sitting -; dance dances danced danced dancing -; swim swims swam swum swimming -
sing sings sang sung singing -; smile smiles smiled smiled smiling -; walk walks walked walked walking -
wait waits waited waited waiting -; fly flies flew flown flying -; talk talks talked talked talking -
sneeze sneezes sneezed sneezed sneezing -; work works worked worked working -; hop hops hopped hopped hopping -
giggle giggles giggled giggled giggling -; grow grows grew grown growing -; cough coughs coughed coughed coughing -
listen listens listened listened listening -; shrink shrinks shrank shrunk shrinking -
crawl crawls crawled crawled crawling -; yawn yawns yawned yawned yawning -
"""

_DATIVE = "give gives gave given giving thing; show shows showed shown showing thing"

_SPEECH = """
know knows knew known knowing -; think thinks thought thought thinking -; say says said said saying -
remember remembers remembered remembered remembering -; forget forgets forgot forgotten forgetting -
"""

_STATIVE = "see have want like love need hear know think remember forget"
_TAKE_INFINITIVES = "want like love need"
_REFLEXIVE = "see wash like love hug tickle bite draw touch cover help hear forgive"

_ADJECTIVES = (
    "big little red good nice old blue funny pretty green new yellow soft enormous dirty tiny clean ugly brown huge"
)
_STATES = "hungry happy tired sad sleepy cold sick wet angry ready scared busy thirsty quiet"
_ADVERBS = "here now again outside today there inside upstairs"

FORMS_OF_BE = {FIRST: ("am", "was"), THIRD: ("is", "was"), PLURAL: ("are", "were")}
NEGATED = {
    **{word: word + "n't" for word in ("is", "are", "was", "were", "has", "have", "do", "does", "did", "should")},
    "am": "am not",
    "can": "can't",
    "will": "won't",
}
MODALS = ("can", "will", "should")
PREPOSITIONS = ("near", "behind", "beside", "under", "with")

# What a determiner goes with: singular, plural or mass nouns.
DETERMINERS = {
    **dict.fromkeys(("the", "my", "your", "his", "her", "our", "their", "no"), ("singular", "plural", "mass")),
    **dict.fromkeys(("a", "an", "every", "each", "another"), ("singular",)),
    **dict.fromkeys(("this", "that"), ("singular", "mass")),
    **dict.fromkeys(("these", "those", "many", "two", "three", "four"), ("plural",)),
    **dict.fromkeys(("some", "any"), ("plural", "mass")),
}
POSSESSIVES = ("my", "your", "his", "her", "our", "their")

# Nominative, accusative, reflexive, agreement.
PRONOUNS = (
    ("you", "you", "yourself", PLURAL),
    ("I", "me", "myself", FIRST),
    ("he", "him", "himself", THIRD),
    ("she", "her", "herself", THIRD),
    ("they", "them", "themselves", PLURAL),
    ("we", "us", "ourselves", PLURAL),
)
SELF_OF_KIND = {"male": "himself", "female": "herself", "animal": "itself"}

FIXED = """
oh no!; good job!; all right.; yes, please.; no, thank you.; uh oh!; bye-bye!; good night!; hello!; thank you.
what happened?; peekaboo!; ready, steady, go!; well done!; what a mess!; upsy daisy!; night night!; one, two, three!
"""
INTERJECTIONS = ("oh", "look", "yes", "well", "hey", "okay", "wow")


def _verbs(table: str) -> tuple[Verb, ...]:
    return tuple(Verb(*entry.split()) for entry in table.strip().replace("\n", ";").split(";"))


NOUNS = tuple(Noun(*entry.split()) for entry in _NOUNS.strip().replace("\n", ";").split(";"))
MASS_NOUNS, DRINKS = tuple(_MASS.split()), tuple(_DRINKS.split())
MALE_NAMES, FEMALE_NAMES = tuple(_MALE_NAMES.split()), tuple(_FEMALE_NAMES.split())
TRANSITIVE, INTRANSITIVE, SPEECH = _verbs(_TRANSITIVE), _verbs(_INTRANSITIVE), _verbs(_SPEECH)
DATIVE = _verbs(_DATIVE)
REFLEXIVE = frozenset(_REFLEXIVE.split())
STATIVE = frozenset(_STATIVE.split())
TAKE_INFINITIVES = tuple(verb for verb in TRANSITIVE if verb.base in _TAKE_INFINITIVES.split())
ADJECTIVES, STATES, ADVERBS = tuple(_ADJECTIVES.split()), tuple(_STATES.split()), tuple(_ADVERBS.split())
FIXED_UTTERANCES = tuple(entry.strip() for entry in FIXED.strip().replace("\n", ";").split(";"))

_ANIMATE = ("male", "female", "person", "animal")
KINDS: dict[str, tuple[str, ...]] = {
    **{kind: (kind,) for kind in ("male", "female", "person", "animal", "food", "thing", "clothes", "place")},
    "animate": _ANIMATE,
    "gendered": ("male", "female"),
    "any": (*_ANIMATE, "food", "thing", "clothes"),
}
NOUNS_OF_KIND = {kind: Zipf([n for n in NOUNS if n.kind in members]) for kind, members in KINDS.items()}
