"""What a user typed for a person: a petname, a key, or the beginning of one."""

from __future__ import annotations

import re
import sqlite3

from pkn_protocol.control.errors import Candidate, ErrorCode
from pkn_protocol.records.ids import AuthorId, BadId, did_key, parse_did_key
from pknd.errors import DomainError
from pknd.people.view import PeopleView
from pknd.store.people import holder_of_petname, known_authors

_BEGINNING = "z6Mk"
_LEAST_CHARS = 8
_ME = ("me", "self")
# What is typed of a key has 8 characters or more; somebody's name with a number at its end is none.
_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]{8,}")
_SHORTEST_KEY = 55
"""A whole did:key of an Ed25519 key has 56 or 57 characters; a shorter one is a beginning."""


def find_person(db: sqlite3.Connection, view: PeopleView, typed: str) -> AuthorId:
    """The person that a reference names. A claimed name names nobody: it only brings suggestions.

    Raises:
        DomainError: unknown, ambiguous, too short for a key, or only a claimed name.
    """
    text = typed.strip()
    if (holder := holder_of_petname(db, text)) is not None:
        return holder
    if text.lower() in _ME:
        return view.me
    everybody = {did_key(author): author for author in {*known_authors(db), view.me}}
    if text.startswith("did:key:") and len(text) > _SHORTEST_KEY:
        # A whole key names its person even before anything of theirs is here.
        try:
            return parse_did_key(text)
        except BadId as error:
            raise DomainError(ErrorCode.BAD_REFERENCE, f"{typed} is no person's key: {error}") from error
    start = text.removeprefix("did:key:").removeprefix(_BEGINNING)
    if len(start) >= _LEAST_CHARS:
        found = [key for key in sorted(everybody) if _begins(key, start)]
        if len(found) == 1:
            return everybody[found[0]]
        if found:
            raise DomainError(
                ErrorCode.AMBIGUOUS,
                f"{typed} may mean {len(found)} people",
                "type more of it",
                tuple(_candidate(view, everybody[key]) for key in found[:10]),
            )
    claimed = [author for author, name in view.names.items() if name.casefold() == text.casefold()]
    if claimed:
        raise DomainError(
            ErrorCode.NO_SUCH_PERSON,
            f"{typed} is only what somebody claims to be called",
            "use the key, and give a petname with `pkn trust KEY PETNAME`",
            tuple(_candidate(view, author) for author in claimed[:10]),
        )
    if len(start) < _LEAST_CHARS and (start != text or any(_begins(key, start) for key in everybody)):
        raise DomainError(
            ErrorCode.BAD_REFERENCE,
            f"{typed!r} is too short for a person's key",
            f"type {_LEAST_CHARS} or more characters behind {_BEGINNING}, as in `pkn people`",
        )
    raise DomainError(
        ErrorCode.NO_SUCH_PERSON,
        f"nobody here is called {typed}",
        "`pkn people` and `pkn peers` show whom this machine knows",
    )


def begins_a_key(db: sqlite3.Connection, name: str, me: AuthorId) -> bool:
    """Whether a name could be typed for the key of somebody who is known here."""
    return len(name) >= _LEAST_CHARS and any(
        _begins(did_key(author), name) for author in {*known_authors(db), me}
    )


def _begins(key: str, start: str) -> bool:
    return key.startswith(f"did:key:{_BEGINNING}{start}")


def looks_like_a_key(name: str) -> bool:
    """Whether a name might be taken for the beginning of a key: base58, with a digit among letters of both
    cases that do not follow how words are written."""
    return (
        _BASE58.fullmatch(name) is not None
        and re.search(r"[a-z]", name) is not None
        and re.search(r".[A-Z]", name) is not None
        and re.search(r"\d.*[A-Za-z]", name) is not None
    )


def short_key(author: AuthorId) -> str:
    """The beginning of a key as tables show it: after `did:key:`, long enough to be typed."""
    return did_key(author).removeprefix("did:key:")[: len(_BEGINNING) + _LEAST_CHARS]


def _candidate(view: PeopleView, author: AuthorId) -> Candidate:
    return Candidate(short_key(author), view.names.get(author, ""))
