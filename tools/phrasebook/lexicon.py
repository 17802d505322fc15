"""The words of the phrasebook: what must be looked up because no rule gives it.

Every table is a literal; `german` and `english` inflect its rows, `draw` and the templates combine them.
"""

from dataclasses import dataclass
from typing import Literal

Gender = Literal["m", "f", "n"]
Aspect = Literal["action", "state", "timeless"]
TimeKind = Literal["now", "habit", "future", "past"]

ICH, DU, ER, WIR, IHR, SIE = range(6)  # the columns of every table of German verb forms


@dataclass(frozen=True)
class Noun:
    """A noun in both languages. No plural (`plural == "-"`) marks a mass noun: Wasser, water."""

    de: str
    gender: Gender
    plural: str
    en: str
    adjectives: tuple[str, ...] = ()  # the German adjectives that go well with it

    @property
    def is_mass(self) -> bool:
        return self.plural == "-"


@dataclass(frozen=True)
class Verb:
    """A verb in both languages. Empty fields are regular and left to `german` and `english`."""

    stem: str  # the infinitive without its separable prefix: "stehen" of "aufstehen"
    en: str  # base form; inflected at its first word: "get up"
    prefix: str = ""
    er_stem: str = ""  # the stem of du and er, where its vowel changes: "lies" of "lesen"
    participle: str = ""  # without the separable prefix: "standen" of "aufgestanden" is given as "gestanden"
    auxiliary: Literal["haben", "sein"] = "haben"
    en_past: str = ""
    aspect: Aspect = "action"  # an action is progressive in English; a timeless verb takes no time and no past

    @property
    def infinitive(self) -> str:
        return self.prefix + self.stem


@dataclass(frozen=True)
class Modal:
    """A German modal; in English an auxiliary ("can"), a plain verb ("have to"), or both ("would" + "like to")."""

    de: str
    en_auxiliary: str
    en_verb: str


@dataclass(frozen=True)
class Subject:
    """Who acts. `person` indexes the German verb tables; `en` is third person singular exactly when that is ER."""

    de: str
    en: str
    person: int
    words: tuple[str, ...] = ()  # its content words, for the key of a pair
    pronoun: str = ""  # the German pronoun that refers back to it; its own form for a pronoun


@dataclass(frozen=True)
class Time:
    """An adverb of time, and when it puts a German present tense. `word` is its content word for the key."""

    de: str
    en: str
    kind: TimeKind
    word: str


def _nouns(adjectives: str, rows: str) -> tuple[Noun, ...]:
    """Rows `German gender plural English`, one noun between two semicolons."""
    nouns = []
    for row in rows.split(";"):
        de, gender, plural, en = row.split()
        assert gender in ("m", "f", "n"), row
        nouns.append(Noun(de, gender, plural, en, tuple(adjectives.split())))  # type: ignore[arg-type]
    return tuple(nouns)


FOOD = _nouns(
    "frisch groß klein", "Apfel m Äpfel apple; Tomate f Tomaten tomato; Ei n Eier egg; Banane f Bananen banana"
)
BREAD = _nouns("frisch", "Brot n - bread; Käse m - cheese; Fisch m - fish")
COLD_DRINKS = _nouns("kalt", "Wasser n - water; Bier n - beer; Saft m - juice")
HOT_DRINKS = _nouns("heiß", "Kaffee m - coffee; Tee m - tea")
READING = _nouns("neu alt", "Buch n Bücher book; Zeitung f Zeitungen newspaper; Brief m Briefe letter")
GOODS = _nouns(
    "neu alt klein groß schön teuer billig rot blau",
    "Schlüssel m Schlüssel key; Tasche f Taschen bag; Uhr f Uhren watch; Fahrrad n Fahrräder bicycle; "
    "Auto n Autos car; Lampe f Lampen lamp; Stuhl m Stühle chair; Bild n Bilder picture",
)
CLOTHES = _nouns(
    "neu alt schön teuer billig rot blau schwarz",
    "Hut m Hüte hat; Mantel m Mäntel coat; Jacke f Jacken jacket; Hemd n Hemden shirt; Kleid n Kleider dress",
)
ANIMALS = _nouns("groß klein alt schwarz", "Hund m Hunde dog; Katze f Katzen cat; Pferd n Pferde horse")
RELATIVES = _nouns(
    "",
    "Vater m Väter father; Mutter f Mütter mother; Bruder m Brüder brother; "
    "Schwester f Schwestern sister; Onkel m Onkel uncle; Tante f Tanten aunt",
)
STRANGERS = _nouns("", "Lehrer m Lehrer teacher; Arzt m Ärzte doctor; Kind n Kinder child")
OPENINGS = _nouns("", "Tür f Türen door; Fenster n Fenster window")
FURNITURE = _nouns("", "Tisch m Tische table; Bett n Betten bed; Stuhl m Stühle chair; Tasche f Taschen bag")
# "in den Park" against "zum Bahnhof": German enters the first kind and goes to the second.
ENTERED = _nouns(
    "neu alt klein groß",
    "Park m Parks park; Kino n Kinos cinema; Hotel n Hotels hotel; Museum n Museen museum; "
    "Restaurant n Restaurants restaurant",
)
REACHED = _nouns(
    "neu alt klein groß",
    "Bahnhof m Bahnhöfe station; Apotheke f Apotheken pharmacy; Markt m Märkte market; Kirche f Kirchen church; "
    "Bank f Banken bank",
)
CAFE_CUPS = _nouns(
    "", "Kaffee m Kaffees coffee; Tee m Tees tea; Bier n Biere beer; Wasser n Wasser water; Saft m Säfte juice"
)
CAFE_PLATES = _nouns(
    "",
    "Kuchen m Kuchen cake; Suppe f Suppen soup; Salat m Salate salad; Ei n Eier egg; Apfel m Äpfel apple; "
    "Brötchen n Brötchen roll",
)
TRANSPORT = _nouns("", "Zug m Züge train; Bus m Busse bus")
MUSIC = Noun("Musik", "f", "-", "music")

ADJECTIVES: dict[str, str] = {
    "neu": "new",
    "alt": "old",
    "klein": "small",
    "groß": "big",
    "schön": "beautiful",
    "teuer": "expensive",
    "billig": "cheap",
    "frisch": "fresh",
    "kalt": "cold",
    "heiß": "hot",
    "rot": "red",
    "blau": "blue",
    "schwarz": "black",
}
COMPARATIVES: dict[str, str] = {
    "älter": "older",
    "jünger": "younger",
    "kleiner": "smaller",
    "größer": "bigger",
    "schöner": "more beautiful",
    "teurer": "more expensive",
    "billiger": "cheaper",
}

NAMES: dict[str, Gender] = {"Anna": "f", "Paul": "m", "Maria": "f", "Peter": "m", "Lena": "f", "Max": "m"}
CITIES: dict[str, str] = {
    "Berlin": "Berlin",
    "Hamburg": "Hamburg",
    "Köln": "Cologne",
    "München": "Munich",
    "Wien": "Vienna",
}
MOODS: dict[str, str] = {"müde": "tired", "krank": "ill", "hungrig": "hungry", "glücklich": "happy"}
DAYS: dict[str, str] = {
    "Montag": "Monday",
    "Dienstag": "Tuesday",
    "Mittwoch": "Wednesday",
    "Donnerstag": "Thursday",
    "Freitag": "Friday",
    "Samstag": "Saturday",
    "Sonntag": "Sunday",
}
MONTHS: dict[str, str] = {
    "Januar": "January",
    "März": "March",
    "April": "April",
    "Mai": "May",
    "Juni": "June",
    "Juli": "July",
    "August": "August",
    "Oktober": "October",
    "Dezember": "December",
}

# The past of sein and haben is the preterite, as a speaker has it; every other verb takes the perfect.
BE = Verb("sein", "be", aspect="state")
HAVE = Verb("haben", "have", aspect="timeless")
PRESENT: dict[str, tuple[str, ...]] = {
    "sein": ("bin", "bist", "ist", "sind", "seid", "sind"),
    "haben": ("habe", "hast", "hat", "haben", "habt", "haben"),
    "können": ("kann", "kannst", "kann", "können", "könnt", "können"),
    "müssen": ("muss", "musst", "muss", "müssen", "müsst", "müssen"),
    "wollen": ("will", "willst", "will", "wollen", "wollt", "wollen"),
    "möchten": ("möchte", "möchtest", "möchte", "möchten", "möchtet", "möchten"),
}
PRETERITE: dict[str, tuple[str, ...]] = {
    "sein": ("war", "warst", "war", "waren", "wart", "waren"),
    "haben": ("hatte", "hattest", "hatte", "hatten", "hattet", "hatten"),
}
MODALS = (
    Modal("können", "can", ""),
    Modal("müssen", "", "have to"),
    Modal("wollen", "", "want to"),
    Modal("möchten", "would", "like to"),
)
LIKE_TO = Modal("", "", "like to")  # German says it with an adverb, gern

BUY = Verb("kaufen", "buy", en_past="bought")
SELL = Verb("verkaufen", "sell", en_past="sold")
SEEK = Verb("suchen", "look for")
NEED = Verb("brauchen", "need", aspect="state")
SEE = Verb("sehen", "see", er_stem="sieh", participle="gesehen", en_past="saw", aspect="state")
KNOW = Verb("kennen", "know", aspect="timeless")
EAT = Verb("essen", "eat", er_stem="iss", participle="gegessen", en_past="ate")
DRINK = Verb("trinken", "drink", participle="getrunken", en_past="drank")
READ = Verb("lesen", "read", er_stem="lies", participle="gelesen", en_past="read")
WRITE = Verb("schreiben", "write", participle="geschrieben", en_past="wrote")
HEAR = Verb("hören", "listen to")
LOSE = Verb("verlieren", "lose", participle="verloren", en_past="lost")
FIND = Verb("finden", "find", participle="gefunden", en_past="found")
VISIT = Verb("besuchen", "visit")
HELP = Verb("helfen", "help", er_stem="hilf", participle="geholfen")
CALL = Verb("rufen", "call", prefix="an", participle="gerufen")
COLLECT = Verb("holen", "pick up", prefix="ab")
INVITE = Verb("laden", "invite", prefix="ein", er_stem="läd", participle="geladen")
PUT_ON = Verb("ziehen", "put on", prefix="an", participle="gezogen", en_past="put on")
OPEN = Verb("machen", "open", prefix="auf")
CLOSE = Verb("machen", "close", prefix="zu")
GIVE = Verb("geben", "give", er_stem="gib", participle="gegeben", en_past="gave")
SHOW = Verb("zeigen", "show")
BRING = Verb("bringen", "bring", participle="gebracht", en_past="brought")
LAY = Verb("legen", "put", en_past="put")
GO = Verb("gehen", "go", participle="gegangen", auxiliary="sein", en_past="went")
TRAVEL = Verb("fahren", "go", er_stem="fähr", participle="gefahren", auxiliary="sein", en_past="went")
FLY = Verb("fliegen", "fly", participle="geflogen", auxiliary="sein", en_past="flew")
STAY = Verb("bleiben", "stay", participle="geblieben", auxiliary="sein")
LIVE = Verb("wohnen", "live", aspect="state")
WORK = Verb("arbeiten", "work")
SLEEP = Verb("schlafen", "sleep", er_stem="schläf", participle="geschlafen", en_past="slept")
SHOP = Verb("kaufen", "go shopping", prefix="ein", en_past="went shopping")
WATCH_TV = Verb("sehen", "watch TV", prefix="fern", er_stem="sieh", participle="gesehen")
COME_ALONG = Verb("kommen", "come along", prefix="mit", participle="gekommen", auxiliary="sein", en_past="came along")
GET_UP = Verb("stehen", "get up", prefix="auf", participle="gestanden", auxiliary="sein", en_past="got up")
ARRIVE = Verb("kommen", "arrive", prefix="an", participle="gekommen", auxiliary="sein")
LEAVE = Verb("fahren", "leave", prefix="ab", er_stem="fähr", participle="gefahren", auxiliary="sein", en_past="left")

SEVERAL = FOOD + READING  # what one may have some of: Bücher, books
PEOPLE = RELATIVES + STRANGERS
FOOD_AND_DRINK = FOOD + BREAD + COLD_DRINKS + HOT_DRINKS
OBJECTS: dict[Verb, tuple[Noun, ...]] = {
    BUY: FOOD + BREAD + READING[:2] + GOODS + CLOTHES,
    SELL: GOODS + CLOTHES + ANIMALS,
    SEEK: GOODS + CLOTHES + ANIMALS,
    NEED: FOOD + BREAD + GOODS + CLOTHES,
    SEE: PEOPLE + ANIMALS + ENTERED + REACHED,
    EAT: FOOD + BREAD,
    DRINK: COLD_DRINKS + HOT_DRINKS,
    READ: READING,
    WRITE: READING[-1:],
    HEAR: (MUSIC,),
    VISIT: PEOPLE,
    CALL: PEOPLE,
    COLLECT: PEOPLE,
    INVITE: PEOPLE,
    PUT_ON: CLOTHES,
    OPEN: OPENINGS,
    CLOSE: OPENINGS,
}
TIMELESS_OBJECTS: dict[Verb, tuple[Noun, ...]] = {HAVE: GOODS + CLOTHES + ANIMALS, KNOW: STRANGERS + ENTERED}
PAST_OBJECTS: dict[Verb, tuple[Noun, ...]] = {LOSE: GOODS + CLOTHES, FIND: GOODS + CLOTHES, HAVE: GOODS + ANIMALS}
GIFTS: dict[Verb, tuple[Noun, ...]] = {GIVE: FOOD + READING + GOODS, SHOW: READING + GOODS, BRING: FOOD + READING}
INTRANSITIVE = (WORK, SLEEP, SHOP, WATCH_TV, COME_ALONG)
CITY_ERRANDS = (BUY, SELL, VISIT, COLLECT)
ERRANDS: dict[Noun, tuple[Verb, ...]] = {
    **dict.fromkeys((*ENTERED, *REACHED), (COLLECT,)),
    **{place: (EAT, DRINK) for place in ENTERED if place.de in ("Hotel", "Restaurant")},
    **{place: (BUY, SELL) for place in REACHED if place.de == "Markt"},
}
PLANS = (VISIT, CALL, INVITE, COLLECT, BUY, EAT, DRINK, READ)
HABITS = (EAT, DRINK, READ, WRITE, HEAR)  # what one may do every day, with any object of the verb

TIMES = (
    Time("heute", "today", "now", "heute"),
    Time("jetzt", "now", "now", "jetzt"),
    Time("jeden Tag", "every day", "habit", "jeden Tag"),
    Time("morgen", "tomorrow", "future", "morgen"),
    Time("heute Abend", "tonight", "future", "heute Abend"),
    Time("nächste Woche", "next week", "future", "nächste Woche"),
    Time("gestern", "yesterday", "past", "gestern"),
    Time("gestern Abend", "last night", "past", "gestern Abend"),
    Time("letzte Woche", "last week", "past", "letzte Woche"),
)
