"""The words of the vector files: bases of each language with its endings, and words that are not regular.

Some of the forms are in no dictionary. That does not matter: what counts is that every rule of a stemmer
meets words that it changes, so that a release that changes a rule changes a vector.
"""

from __future__ import annotations

WORDS_A_LANGUAGE = 2000

# Language to groups of (bases, endings); every base takes every ending of its group; a dash is no ending.
GROUPS: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (
        (
            "abandon accept adapt answer argu arriv attach bak balanc bind boil borrow break brew "
            "bubbl build burn carv cast chang charg climb cod collect compar comput connect "
            "consider construct cook cool copi cover creat cultivat cycl danc decid deliver "
            "depend describ design develop digit discover divid draw dri driv edit educat employ "
            "encrypt engrav enter estimat examin exchang expand explain explor express fail farm "
            "ferment filter find fish fold form freez garden gather generat govern graft grind "
            "grow harvest heal hik hop improv index inform install invent investigat knit",
            "- e ed es er ers ing ings able ability ment ments ation ations ative ator",
        ),
        (
            "active actual aware bitter bold brave brief bright calm careful cheerful clever "
            "common curious deep electric final formal fresh general gentle happy hopeful hot "
            "ideal joyous legal logical loyal mad magnetic modern moral national nervous noble "
            "normal numerous orderly pale personal",
            "- ly ness er est ity ities ize ized izes ization ism ist ists",
        ),
        (
            "bridge church city class day eye family fly foot hand horse knife lady language leaf "
            "library life mountain museum ocean orchard page party people photo river school "
            "shelf sky star story tomato valley watch wolf world yard",
            "- s es 's like less ful ship hood",
        ),
    ),
    "de": (
        (
            "arbeit bau beobacht berechn beschreib beweg bild brauch brenn dreh druck einführ "
            "entdeck entwickl erklär erzähl fahr fertig find flieg forsch frag führ gärtner glaub "
            "grab handl heil heiz hör kauf keim klär kleb koch kreuz lach lehr leit lern lieb lös "
            "mahl mess misch näh nenn ordn pflanz pflück prüf rechn rett richt röst ruf sammel "
            "säg schneid schreib schütz seh setz spiel stärk stör such trag trockn üb verbind "
            "vergleich verkauf versteh wander wechsl",
            "en e est et te ten test tet end ende enden ung ungen er ern erin erinnen bar lich",
        ),
        (
            "abhängig alt breit bunt dünn ehrlich einfach eng fein feucht flach freundlich früh "
            "ganz gefährlich gesund gleich glücklich grob groß grün günstig häufig heiß hell hoch "
            "jung kalt klug kräftig kühl",
            "- e em en er es ere eren erem erer heit heiten keit keiten lich igkeit",
        ),
        (
            "apfel bahn baum berg blatt brief brücke buch dorf erde fenster fluss freund garten "
            "geist glas haus herz himmel hund insel jahr kind kirche korn kraft land licht meer "
            "mensch mutter nacht schloss straße tisch vogel wald wasser weg welt wolke zahl zeit "
            "zelt",
            "- e en er es n s chen lein los haft schaft",
        ),
    ),
    "fr": (
        (
            "accept achet aid aim ajout amus appel apport arriv attach avanc bais bâti bross "
            "calcul chang chant charg cherch coll command compar compt connect conserv construis "
            "coup cré crois cultiv dans décid déclar demand dépens dessin détermin écout élev "
            "emport encourag enseign entr envoy étudi examin expliqu ferm form gagn gard goût "
            "grav grill habit imagin import invent jardin jou lanc lav lev mang march mélang "
            "mesur montr nag observ organis parl partag pass pens plant port prépar",
            "er e es ons ez ent ais ait ions iez aient ai a âmes èrent erai eras era erons erez "
            "eront erait ant é ée és ées ation ations eur eurs euse ement able ables",
        ),
        (
            "actif ancien beau bleu bon cher clair courageux doux égal étroit facile fier fin "
            "fort grand heureux léger long naturel petit",
            "- s e es ement ité ités eux euses esse issime",
        ),
    ),
    "es": (
        (
            "abrig acab acept acompañ ador agreg alcanz am anunci apag aprend arregl ayud bail "
            "baj barr beb busc calent cambi camin cant carg cen cerr cocin com compar compr "
            "conect conoc contest corr cort cre crec cuid cultiv debat decid dej descans describ "
            "descubr dibuj divid ech educ elev emple encontr enseñ entend escrib escuch esper "
            "estudi evit explic form funcion gan gast",
            "ar er ir o as a amos áis an aba abas ábamos aban é aste ó aron aré ará aremos arán "
            "aría arían ando iendo ado ada ados adas ido idos ación aciones ador adores able "
            "ables amente amiento",
        ),
        (
            "activo alegre alto amable antiguo bajo blanco bueno claro común corto débil dulce "
            "fácil feliz fuerte grande joven lento libre",
            "- s es mente idad idades ísimo ísima ito itas ote azo",
        ),
    ),
    "ru": (
        (
            "багаж берег бюджет верх вид воздух ветер вопрос год город гриб двор день дом друг "
            "завод закон звук знак интерес климат корабль край круг лес лист мир мост народ нож "
            "образ огород ответ парк пирог план плод поезд порог пример путь рассвет рынок сад "
            "свет снег сон стол сыр театр труд урожай хлеб холод центр час чай шаг язык",
            "- а у ом е ы ов ам ами ах ик ики ный ского ость",
        ),
        (
            "бега варива вид выбира говор гото гуля дава дела дума дыша жела жив завер закрыва "
            "игра иска кача кида копа корм леж лета лови люб меша мечта мысл наблюда назва начина "
            "обеща обраща ожида откры пек писа плава помога понима посыла предлага пробова работа "
            "разбира реша риско сажа слуша собира созда спраши стро суши счита танцева терп толка "
            "убира",
            "ть л ла ли ет ют ешь ем ете ла́ ло й йте вший вшая вшие ющий ющего емый ние ния нием тель",
        ),
        (
            "бел больш быстр важн весёл высок глубок горяч древн жёлт",
            "ый ая ое ые ого ому ым ых ыми ейший о",
        ),
    ),
}

# Irregular forms, stop words, compounds, words that look like their stems, other spellings and forms.
SPECIAL: dict[str, str] = {
    "en": (
        "the and children mice geese better worst went skies dying lying tying news inning outing "
        "canning howe proceed exceed succeed early only singly ugly idly gently andes atlas "
        "cosmos bias generously arsenal communism past universe university organization "
        "organisation colour color behaviour e-mail co-operate naïve café résumé façade coöperate "
        "don't rock'n'roll C3PO x86 42nd 3.14 NASA iPhone ﬁnance Ｗｉｄｅ I'm sky spied toy enjoyed "
        "yellow youth yes conveyed biology geology theology apology hyphenation evening evenings "
        "interring herring added dropped controlled falling hissing fizzed failing filing "
        "rational conditional valency hesitancy digitizer conformably radically vilely "
        "analogously vietnamization predication operator feudalism decisiveness hopefulness "
        "callousness formality sensitivity sensibility triplicate formative formalize electriciti "
        "electrical goodness revival allowance inference airliner gyroscopic adjustable "
        "defensible irritant replacement adjustment dependent adoption homologou communists "
        "activate angulariti homologous effective bowdlerize probate rate cease roll"
    ),
    "de": (
        "der die und ich über für Straße STRASSE Maß Masse Häuser Äpfel Größe größer größten "
        "Aufsätze Donaudampfschifffahrtsgesellschaft "
        "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz Mädchen Museen Themen "
        "Kakteen Lexika Atlanten Schülerinnen Sauerteigbrote Weizenmehle abgearbeitet ausgegangen "
        "angefangen eingeschlafen mitzubringen zuhören Aufbau Aufbauten Quelle bequem Qualität "
        "Bäuerinnen Feuerwehr feuern neuer neue bauen Bauer schauen freuen Kenntnis Kenntnisse "
        "Ereignissen Buße Füße Nüsse Flüsse Schlösser Kühlschränke ä ö ü ß Ärzte ueber Uebung "
        "Strasse Fruehling Maedchen Goethe System Systeme systemisch systematisch Politik "
        "politisch Physik Physiker Student Studenten Studierende interessant amüsant elegant "
        "Elemente Dokumente Momente Patienten Präsidenten Agenten"
    ),
    "fr": (
        "le les et à où été l'été aujourd'hui œuvre œuvres cœurs sœur bœufs chevaux yeux journaux "
        "travaux finissaient finissons choisirent prendrions vinrent naïf naïve Noël ambiguë maïs "
        "garçons français françaises qu'elle quelqu'un jusqu'à continuellement fréquemment "
        "constamment vraiment évidemment logiquement amoureusement majestueusement éternité "
        "généralité possibilités publicité actrices directeurs philosophie psychologie "
        "psychologues logies utilisateurs boulangerie boulangères pâtisseries ÉCOLE École "
        "écolières ingénieuses joyeuse peureux existence existences fréquence tendances récentes "
        "solution solutions résolution usage usages activement positivement relative relatives "
        "attractif capitalisme artistes critique critiques historiquement géographiques ils elle "
        "nous"
    ),
    "es": (
        "el la los y é ñandú niño niña niños pingüino pingüinos lingüística jóvenes árboles "
        "corazones luces dígamelo dándoselas comprándole haciéndolo decirles comérselo irse irnos "
        "vámonos logía biología psicologías solución soluciones resolución frecuencia presencias "
        "ciudades verdaderamente rápidamente difícilmente perezosa perezosos jardinero jardineros "
        "panaderías ESPAÑA España español españolas inglés inglesa franceses siguió sigue sigamos "
        "haya hayamos habremos hubiésemos tuvieran estuvimos fuéramos seríamos erais construyeron "
        "huyendo creyó oído leíste caído raíces maíz país países activamente históricamente "
        "curiosidad posibilidades realismo artista artistas importancia elegantes"
    ),
    "ru": (
        "и не что ещё ёж ежи ёлка елка её Москва МОСКВА мама маме людей дети детьми хорошо лучше "
        "лучший плохие красивейшая важнейшего сделавши прочитав улыбнувшись умывшись смеяться "
        "смеётся смеются одеваешься купались знание знания образование образовательный "
        "деятельность деятельности радость гость гости кость столами землёю семьёй третьего синий "
        "синяя синего весенние матерью дочерьми именами временем путями электростанция "
        "вертолётчик замо́к за́мок Ру́сский объединение подъезд съесть компьютеры интернет "
        "читающими построенный построенная нарисованные выученного пила пилил пилой стекло стёкла "
        "сестёр длинный длинная каменный раненый вселенная вселенные"
    ),
}
