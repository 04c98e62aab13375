"""Scores: BM25 from the asker's figures, recomputed from signed records, and the factors of the rank."""

from __future__ import annotations

import hashlib
from math import isclose, log, prod
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.payloads import text_payload
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import AuthorId, raw_cid
from pkn_protocol.records.model import Comment, Item, Payload, Record
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.search.documents import terms_of, text_score
from pkn_protocol.search.query import parse_query
from pkn_protocol.search.rank import DAY_MS, DEFAULT_WEIGHTS, claims_much, rank
from pkn_protocol.search.scoring import Statistics, bm25, rounded
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pkn_protocol.trust.graph import weights

NOW = 1_790_000_000_000
AUTHOR = Ed25519Key.from_seed(hashlib.sha256(b"author").digest())
DEVICE = Ed25519Key.from_seed(hashlib.sha256(b"device").digest())
SOME_CID = raw_cid(b"")
STATISTICS = Statistics(1000, 50.0, (10, 100))


def note(title: str, *, text: str | None = None, lang: str | None = "en", **fields: Any) -> Record:
    if text is not None:
        fields = {"payload": text_payload(text), **fields}
        fields["sketch"] = make_sketch(analyse(f"{title}\n{text}", lang or ""))
    body = Item(title, lang=lang, **fields)
    return sign_record(author=AuthorId(AUTHOR.public), key=DEVICE, time=NOW, kind="note", body=body)


def test_a_score_is_bm25_by_the_book() -> None:
    # One term, once, in a document of mean length: idf times (k1 + 1) / (1 + k1).
    expected = log(1 + (1000 - 10 + 0.5) / 10.5)
    assert isclose(bm25([0, None], 50, STATISTICS), expected)
    assert bm25([None, None], 50, STATISTICS) == 0


def test_rare_frequent_and_short_count_for_more() -> None:
    assert bm25([0, None], 50, STATISTICS) > bm25([None, 0], 50, STATISTICS)
    assert bm25([0, None], 50, STATISTICS) < bm25([1, None], 50, STATISTICS) < bm25([3, None], 50, STATISTICS)
    assert bm25([0, None], 20, STATISTICS) > bm25([0, None], 200, STATISTICS)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.floats(0, 1e9), st.integers(0, 2**40))
@example(0, 2**64 - 1, 1.0, 1)
def test_whatever_figures_a_peer_sends_scores_are_positive_and_finite(
    documents: int, frequency: int, mean: float, length: int
) -> None:
    score = bm25([3], length, Statistics(documents, mean, (frequency,)))
    assert 0 < score < 200


def test_counts_are_rounded_down_to_four_bits() -> None:
    assert [rounded(number) for number in (0, 1, 15, 16, 17, 31, 1400, 123_456)] == [
        *(0, 1, 15, 16, 16, 30, 1408 - 128, 122_880)
    ]


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_rounding_keeps_order_and_an_eighth(one: int, other: int) -> None:
    assert (one <= other) <= (rounded(one) <= rounded(other))
    assert one * 7 / 8 <= rounded(one) <= one


def test_a_record_is_scored_by_what_was_signed() -> None:
    query = parse_query("boundary layer", {"en"})
    good, poor = note("Flow", text="boundary layer boundary layer"), note("Flow", text="a layer")
    scores = [text_score(record, query, STATISTICS) for record in (good, poor)]
    assert scores[0] is not None and scores[1] is not None
    assert scores[0] > scores[1] > 0


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("layer", True),
        ("layer -turbulent", False),
        ('"layer wing"', False),
        ('"layer of turbulent"', True),
        ("wing", False),
    ],
)
def test_a_record_that_does_not_match_has_no_score(query: str, matches: bool) -> None:
    record = note("Flow", text="a turbulent layer")
    parsed = parse_query(query, {"en"})
    found = text_score(record, parsed, Statistics(10, 5.0, (1,) * len(parsed.terms)))
    assert (found is not None) is matches


def test_without_a_sketch_an_item_is_found_by_title_tags_and_file_name() -> None:
    record = note("Sunset", tags=("travel/norway",), name="fjord.jpg")
    found = terms_of(record)
    for word in ("sunset", "travel", "norway", "fjord"):
        assert set(analyse(word, "en")) <= found.classes.keys()
    assert found.length == 5


def test_tags_are_added_to_a_sketch_and_do_not_outweigh_it() -> None:
    found = terms_of(note("Wing", text="wing wing wing", tags=("wing", "lift")))
    assert [found.classes[stem] for stem in analyse("wing lift", "en")] == [2, 0]


def test_what_is_no_sketch_counts_as_none() -> None:
    record = note("Wing", sketch=b"\x63 of a later analyser")
    assert terms_of(record).classes.keys() == set(analyse("wing", "en"))


@pytest.mark.parametrize(
    "payload",
    [None, Payload("image/png", 9, SOME_CID), Payload("text/plain", 0, SOME_CID)],
    ids=["none", "no text", "an empty one"],
)
def test_a_sketch_that_no_text_could_ever_refute_counts_as_none(payload: Payload | None) -> None:
    lie = note("zzzz", sketch=make_sketch(analyse("boundary layer", "en")), payload=payload, tags=("tag",))
    assert terms_of(lie) == terms_of(note("zzzz", tags=("tag",)))
    assert text_score(lie, parse_query("boundary layer", {"en"}), STATISTICS) is None
    assert text_score(lie, parse_query("zzzz", {"en"}), Statistics(10, 5.0, (1,))) is not None


def test_many_stems_claimed_where_there_is_no_text_are_no_long_text() -> None:
    sketch = make_sketch(analyse(" ".join(f"word{number}" for number in range(400)), "en"))
    assert not claims_much(note("A list", sketch=sketch))
    assert claims_much(note("A list", sketch=sketch, payload=text_payload("word1")))


def test_without_a_text_the_sketch_is_that_of_title_and_address() -> None:
    url = "https://example.org/boundary"
    mark = note("Layers of layers", sketch=make_sketch(analyse(f"Layers of layers\n\n{url}", "en")), url=url)
    found = terms_of(mark)
    assert [found.classes[stem] for stem in analyse("layer boundary", "en")] == [1, 0]
    moved = note("Layers of layers", sketch=mark.body.sketch, url="https://example.org/wing")  # type: ignore[union-attr]
    assert terms_of(moved) == terms_of(note("Layers of layers"))


def test_only_items_are_found() -> None:
    item = note("Wing").id
    body = Comment(item, "wing")
    author = AuthorId(AUTHOR.public)
    comment = sign_record(author=author, key=DEVICE, time=NOW, kind="comment", body=body, item=item)
    assert terms_of(comment).classes == {}


@given(
    st.floats(0.01, 100),
    st.sampled_from([0, 1, 2, 3, None]),
    st.sampled_from(["note", "page", "file", "bookmark"]),
    st.integers(0, 2 * NOW),
    st.none() | st.floats(1e-6, 1),
)
def test_the_rank_is_the_product_of_the_factors_that_are_shown(
    text: float, distance: int | None, kind: str, time: int, weight: float | None
) -> None:
    ranked = rank(
        text, distance=distance, kind=kind, claimed=time, received=NOW, now=NOW + DAY_MS, weight=weight
    )
    assert isclose(ranked.score, prod(ranked.explained().values()))
    assert 0 < ranked.score <= text * DEFAULT_WEIGHTS.most()


def rank_of(**changed: Any) -> float:
    usual: dict[str, Any] = {"distance": 1, "kind": "note", "claimed": NOW, "received": NOW, "now": NOW}
    return rank(1.0, **usual | changed).score


def test_nearer_people_rank_higher_and_strangers_lowest() -> None:
    ranks = [rank_of(distance=distance) for distance in (0, 1, 2, 3, None)]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[0] == ranks[1] > ranks[2] > ranks[3] > ranks[4]


def test_age_counts_from_the_earlier_of_claimed_and_first_seen_but_not_for_pages_and_files() -> None:
    year = 365 * DAY_MS
    assert isclose(rank_of(claimed=NOW - year), 0.95)
    assert rank_of(received=NOW - year) == rank_of(claimed=NOW - year)
    assert rank_of(claimed=NOW + year, received=NOW) == 1.0
    assert rank_of(kind="page", claimed=0) == rank_of(kind="file", claimed=0) == 1.0
    assert rank_of(claimed=0) >= 0.9


def test_a_crowd_behind_one_voucher_ranks_hardly_above_strangers() -> None:
    me, voucher = AuthorId(b"m" * 32), AuthorId(b"v" * 32)

    def lift(people: int) -> float:
        crowd = [AuthorId(number.to_bytes(32, "big")) for number in range(people)]
        weight = weights(me, {voucher}, set(), {voucher: crowd})[crowd[0]]
        return rank_of(distance=2, weight=weight) - rank_of(distance=None)

    assert isclose(lift(1), lift(8))
    assert isclose(lift(8), rank_of(distance=2) - rank_of(distance=None))
    assert lift(10_000) * 10_000 <= lift(1) * DEFAULT_WEIGHTS.crowd * 1.001
