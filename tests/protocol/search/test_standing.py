"""Standing queries match what a query would find."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.payloads import text_payload
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import AuthorId
from pkn_protocol.records.model import Item, Record
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.search.documents import terms_of, text_score
from pkn_protocol.search.query import parse_query
from pkn_protocol.search.scoring import Statistics
from pkn_protocol.search.standing import StandingQueries
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch

AUTHOR = Ed25519Key.from_seed(hashlib.sha256(b"author").digest())
DEVICE = Ed25519Key.from_seed(hashlib.sha256(b"device").digest())
WORDS = ("drag", "layer", "boundary", "turbulent", "keel", "the", "Grenzschicht", "winglets")


def note(text: str, lang: str = "en", **fields: tuple[str, ...]) -> Record:
    sketch, payload = make_sketch(analyse(text, lang)), text_payload(text)
    body = Item(text[:40], lang=lang, sketch=sketch, payload=payload, **fields)  # type: ignore[arg-type]
    return sign_record(author=AuthorId(AUTHOR.public), key=DEVICE, time=1, kind="note", body=body)


def matching(queries: dict[str, str | None], record: Record) -> list[str]:
    parsed = {k: None if typed is None else parse_query(typed, {"en", "de"}) for k, typed in queries.items()}
    lang = getattr(record.body, "lang", "")
    return StandingQueries(parsed).matching(terms_of(record), lang)


@pytest.mark.parametrize(
    ("typed", "matches"),
    [
        ("drags", True),
        ("drag zeppelin", True),
        ("zeppelin", False),
        ("drag -turbulence", False),
        ('"layer boundary"', True),  # on a summary a phrase is all of its words
        ('"boundary zeppelin"', False),
        ('"the boundary layer"', True),
        ("physics", True),  # its tag
        (None, True),
    ],
)
def test_a_standing_query_matches_as_a_query_does(typed: str | None, matches: bool) -> None:
    record = note("The boundary layer turns turbulent, and drag falls.", tags=("physics",))
    assert matching({"one": typed}, record) == (["one"] if matches else [])


_TYPED = st.lists(
    st.tuples(st.sampled_from(["", "-", '"']), st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)),
    min_size=1,
    max_size=3,
).map(
    lambda parts: " ".join(
        f'"{" ".join(words)}"' if mark == '"' else " ".join(mark + word for word in words)
        for mark, words in parts
    )
)


@given(st.lists(_TYPED, min_size=1, max_size=8), st.lists(st.sampled_from(WORDS), max_size=6), st.booleans())
def test_of_many_queries_those_match_that_would_score(
    typed: list[str], words: list[str], german: bool
) -> None:
    record = note(" ".join([*words, "zebra"]), "de" if german else "en")
    queries = {f"{number}": one for number, one in enumerate(typed)}
    expected = []
    for name, one in queries.items():
        query = parse_query(one, {"en", "de"}) if _has_plain(one) else None
        if query is None:
            continue
        statistics = Statistics(10, 5.0, (2,) * len(query.terms))
        if text_score(record, query, statistics) is not None:
            expected.append(name)
    asked = {name: one for name, one in queries.items() if _has_plain(one)}
    assert matching(dict(asked), record) == expected


def _has_plain(typed: str) -> bool:
    return any(not part.startswith("-") for part in typed.split())
