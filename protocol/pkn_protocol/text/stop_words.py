"""Stop words: left out of sketches and of scores (SPEC, Text, which repeats the lists).

They are compared with words that are normalised and not yet stemmed. The lists are part of analysis version
1: a change is another analyser number. Words that also name a thing (French `été`, German `weg`) stay out.
"""

from __future__ import annotations

_ENGLISH = """
a about above after again against all also although am an and any are aren as at be because been before
being below between both but by can cannot could couldn d did didn do does doesn doing don down during e
each else etc few for from further g had hadn has hasn have haven having he her here hers herself him
himself his how however i if in into is isn it its itself just ll m me more most my myself no nor not now of
off on once only or other our ours ourselves out over own re s same shall she should shouldn since so some
such t than that the their theirs them themselves then there these they this those though through thus to
too under until up upon ve very was wasn we were weren what when where whether which while who whom whose
why will with within without would wouldn yet you your yours yourself yourselves
"""
_GERMAN = """
aber alle allem allen aller alles als also am an andere anderem anderen anderer anderes auch auf aus b bei
beim bereits bin bis bist bzw d da dabei daher damit dann das dass dazu dein deine deinem deinen deiner dem
den denen denn der deren des deshalb dessen dich die dies diese diesem diesen dieser dieses dir doch dort du
durch ein eine einem einen einer eines er es etc etwas euch euer eure für gegen gewesen h hab habe haben hat
hatte hatten hier hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in indem ins ist ja jede jedem
jeden jeder jedes jener jetzt kann kein keine keinem keinen keiner können könnte man manche mein meine
meinem meinen meiner mich mir mit muss nach nicht nichts noch nun nur ob oder ohne sehr sein seine seinem
seinen seiner selbst sich sie sind so solche soll sollte sondern sonst sowie um und uns unser unsere unter
usw viel vom von vor war waren warst was weil weiter welche welchem welchen welcher welches wenn werde
werden wie wieder will wir wird wirst wo wobei wollte wurde wurden während würde würden z zu zum zur zwar
zwischen über
"""
_FRENCH = """
a afin ai aie ainsi ait alors après as au aucun aucune aura aussi autre autres aux avaient avait avant avec
avez avoir avons ayant bien c ce ceci cela celle celles celui ces cet cette ceux chaque chez comme comment d
dans de des donc dont du dès déjà elle elles en encore entre es est et etc eu eux fait furent fut ici il ils
j je jusqu l la laquelle le lequel les leur leurs lorsque lui là m ma mais me mes moi moins mon même mêmes n
ne ni nos notre nous on ont ou où par parce pas peu peut plus plusieurs pour pourquoi puis qu quand que quel
quelle quelles quels qui s sa sans se selon sera ses si sinon soit son sont sous suis sur t ta te tes toi
ton tous tout toute toutes très tu un une vers vos votre vous y à étaient était étant êtes être
"""
_SPANISH = """
a además ahora al algo algunas alguno algunos ante antes aquel aquella aquí así aun aunque bien cada como
con contra cual cuando cuál cuándo cómo de del desde donde dos durante dónde e el ella ellas ello ellos en
entre era eran eres es esa esas ese eso esos esta estaba estado estar estas este esto estos está están etc
fue fueron ha había habían han hasta hay he la las le les lo los me mi mientras mis mucho muchos muy más mí
nada ni no nos nosotros nuestra nuestras nuestro nuestros o os otra otras otro otros para pero poco por
porque pues que quien quienes quién qué se sea según ser si sido sin sino sobre sois solo somos son soy su
sus sí sólo también tan tanto te tener tiene tienen todo todos tu tus tú u un una unas uno unos vosotros y
ya yo él
"""
_RUSSIAN = """
а без более больше будет будто бы был была были было быть в вам вас ведь весь во вот все всегда всего всех
всё вы где да даже для до др е его ее ей ему если есть еще ещё её ж же за здесь и из или им их к как какая
какой когда конечно которая которого которое которой которые который которым которых кто куда ли лишь между
меня мне много может можно мой моя мы на над надо нас не него нее ней нельзя нет неё ни них но ну о об один
он она они опять от перед по под после потом потому почти при про с сам себе себя сейчас со т так также
такой там тебя тем теперь то тогда того тоже только том тот тут ты у уж уже хоть чего чем через что чтобы
чуть эта эти этого этой этом этот эту я
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS: dict[str, frozenset[str]] = {
    "de": _words(_GERMAN),
    "en": _words(_ENGLISH),
    "es": _words(_SPANISH),
    "fr": _words(_FRENCH),
    "ru": _words(_RUSSIAN),
}
"""Language (primary subtag) to its stop words; other languages have none."""
