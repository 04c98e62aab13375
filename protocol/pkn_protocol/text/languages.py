"""Languages with stemming, their stop words, and a guess at a text's language (SPEC, Text).

Stop words are compared after case folding and before stemming. They are part of analysis version 1: a list
may not change without a new analyser number.
"""

from __future__ import annotations

from collections.abc import Iterable

STEMMERS = {"en": "english", "de": "german", "fr": "french", "es": "spanish", "ru": "russian"}
"""Language to Snowball algorithm; words of other languages are not stemmed."""

_ENGLISH = """
a about above after again against all also am an and any are aren as at be because been before being below
between both but by can could couldn d did didn do does doesn doing don down during each few for from
further had hadn has hasn have haven having he her here hers herself him himself his how i if in into is
isn it its itself just ll m me more most my myself no nor not now of off on once only or other our ours
ourselves out over own re s same she should shouldn so some such t than that the their theirs them
themselves then there these they this those through to too under until up ve very was wasn we were weren
what when where which while who whom why will with would wouldn you your yours yourself yourselves
"""
_GERMAN = """
aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes auch auf aus
bei bin bis bist da damit dann das dass dasselbe dazu dein deine deinem deinen deiner dem den denn der
derselbe des dessen dich die dies diese diesem diesen dieser dieses dir doch dort du durch ein eine einem
einen einer eines er es euch euer eure für gegen gewesen hab habe haben hat hatte hatten hier hin hinter
ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in indem ins ist ja jede jedem jeden jeder jedes jener
jetzt kann kein keine keinem keinen keiner können könnte man manche mein meine meinem meinen meiner mich
mir mit muss nach nicht nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner selbst sich
sie sind so solche soll sollte sondern sonst über um und uns unser unsere unter viel vom von vor war waren
warst was weg weil weiter welche welchem welchen welcher welches wenn werde werden wie wieder will wir
wird wirst wo wollen wollte während würde würden zu zum zur zwar zwischen
"""
_FRENCH = """
ai aie ait alors après as au aucun aura aussi autre aux avaient avait avant avec avez avoir avons ayant
bien c car ce ceci cela celle celles celui ces cet cette ceux chaque chez comme comment d dans de des deux
donc dont du elle elles en encore entre es est et étaient était étant été être eu eux fait faire fois
furent fut ici il ils j je jusqu l la là le les leur leurs lorsque lui m ma mais me même mes moi moins mon
n ne ni nos notre nous on ont ou où par parce pas peu peut plus pour pourquoi qu quand que quel quelle
quelles quels qui s sa sans se sera ses si son sont sous soit suis sur t ta te tes toi ton tous tout toute
toutes très tu un une vers vos votre vous y
"""
_SPANISH = """
a al algo algunas alguno algunos ante antes aquel aquella aun aunque bien cada como con contra cual cuando
de del desde donde dos durante e el él ella ellas ellos en entre era eran eres es esa esas ese eso esos
esta está estaba estado están estar estas este esto estos fue fueron ha había habían han hasta hay he la
las le les lo los más me mi mí mientras mis mucho muchos muy nada ni no nos nosotros nuestra nuestro o os
otra otras otro otros para pero poco por porque que qué quien quienes se sea ser si sí sido sin sobre sois
somos son soy su sus también tan tanto te tener tiene tienen todo todos tu tú tus un una uno unos vosotros
y ya yo
"""
_RUSSIAN = """
а без более больше будет будто бы был была были было быть в вам вас ведь весь во вот все всегда всего всех
вы где да даже для до его ее ей ему если есть еще ж же за здесь и из или им их к как какая какой когда
конечно кто куда ли между меня мне много может можно мой моя мы на над надо нас не него нее ней нельзя нет
ни них но ну о об один он она они опять от перед по под после потом потому почти при про с сам себе себя
сейчас со так такой там тебя тем теперь то тогда того тоже только том тот три тут ты у уж уже хоть чего
чем через что чтобы чуть эта эти этого этой этом этот эту я
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS: dict[str, frozenset[str]] = {
    "en": _words(_ENGLISH),
    "de": _words(_GERMAN),
    "fr": _words(_FRENCH),
    "es": _words(_SPANISH),
    "ru": _words(_RUSSIAN),
}

_SCRIPTS = (
    # The language that a script without spaces between words, or with one main language, speaks for.
    (0x3040, 0x30FF, "ja"),
    (0xAC00, 0xD7A3, "ko"),
    (0x0E00, 0x0E7F, "th"),
    (0x3400, 0x4DBF, "zh"),
    (0x4E00, 0x9FFF, "zh"),
)
_LEAST_VOTES = 2
_READ_WORDS = 2000
_READ_CHARS = 4000


def primary(lang: str) -> str:
    """The primary subtag of a language tag (RFC 5646): `de` of `de-CH`."""
    return lang.partition("-")[0].lower()


def guess_language(text: str, default: str) -> str:
    """The language of a text: by its script where that decides, else by its stop words, else `default`.

    A hint for the writer's own machine; what counts on the wire is the record's `lang`.
    """
    by_script = _by_script(text[:_READ_CHARS])
    if by_script is not None:
        return by_script
    votes = _votes(text.casefold().split()[:_READ_WORDS])
    ranked = sorted(votes, key=lambda lang: (-votes[lang], lang))
    best, second = ranked[0], ranked[1]
    if votes[best] < _LEAST_VOTES or votes[best] == votes[second]:
        return default
    return best


def _by_script(text: str) -> str | None:
    counts: dict[str, int] = {}
    letters = 0
    for char in text:
        if not char.isalpha():
            continue
        letters += 1
        point = ord(char)
        for low, high, lang in _SCRIPTS:
            if low <= point <= high:
                counts[lang] = counts.get(lang, 0) + 1
    if not counts or sum(counts.values()) * 3 < letters:
        return None
    # Japanese text is Han with Kana between; Chinese has none.
    if counts.get("ja", 0) * 20 >= counts.get("zh", 0) and "ja" in counts:
        counts["ja"] += counts.pop("zh", 0)
    return max(counts, key=lambda lang: counts[lang])


def _votes(words: Iterable[str]) -> dict[str, int]:
    votes = dict.fromkeys(STOP_WORDS, 0)
    for word in words:
        plain = word.strip(".,;:!?()[]\"'«»„“”…")
        for lang, stop in STOP_WORDS.items():
            if plain in stop:
                votes[lang] += 1
    return votes
