"""Texts for property tests: what people write, and what only attackers do."""

from __future__ import annotations

from hypothesis import strategies as st

_INTERESTING = (
    "aZ09 _-'’.,\n\t\u00a0\u200b"
    "éÉßœŒøŁİıſﬁ½²①ǅΣςΐᾳЁйщ"
    "\u00ad\u034f\u200c\u200d\ufe0f\ufeff"
    "\u0300\u0301\u0308\u0323\u0345\u0327\u1ab0\u20dd"
    "漢字東々〇ひらカー゛ﾊﾞﾟ㍿한국ᄒ\u1161\u11ab가ไทยั้ำ"
    "\u09c7\u09be\u0bc6\u0bbe\u0915\u094d\u0937שָׁעَﷺ"
    "\U0001f600\u2764\u0378\U0001fae8\ud800\U000e0100\U00020000"
)
_WORDS = (
    *(
        "The",
        "children's",
        "Abteilungen",
        "über",
        "Straße",
        "l’été",
        "naturellement",
        "jardineros",
        "столами",
    ),
    *("東京タワー", "한국어", "ภาษาไทย", "e-mail", "x86", "ﬁnance", "and", "und", "et", "y", "и"),
)
TEXTS = st.one_of(
    st.text(st.sampled_from(_INTERESTING), max_size=60),
    st.text(st.characters(), max_size=60),
    st.lists(st.sampled_from(_WORDS), max_size=20).map(" ".join),
)
LANGUAGE_TAGS = st.sampled_from(("en", "de", "de-CH", "FR", "es-419", "ru", "ja", "x-none", ""))
