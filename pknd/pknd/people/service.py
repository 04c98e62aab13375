"""People as the control API has them: who is known, whom the user trusts, blocks, vouches for."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.people import People as PeopleShape
from pkn_protocol.control.people import Person, Trust
from pkn_protocol.records.ids import AuthorId, did_key
from pkn_protocol.records.limits import NAME_BYTES
from pkn_protocol.records.model import Vouch
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.publisher import Publisher
from pknd.people.circles import TRUSTED, members_changed, write_grants
from pknd.people.references import begins_a_key, find_person, looks_like_a_key
from pknd.people.view import PeopleView, read_view
from pknd.people.words import fingerprint
from pknd.store.peers import peers
from pknd.store.people import (
    current_vouch,
    devices_of,
    forget_opinion,
    holder_of_petname,
    known_authors,
    set_opinion,
    withdraw_opinion,
)
from pknd.store.records import items_by_author
from pknd.store.removal import Removal, remove_author
from pknd.store.versions import set_near

_RESERVED = ("me", "self", "you")


class People:
    """Holds the current view; `changed` is awaited after each change, with the view already new."""

    def __init__(self, env: Environment, *, max_disk: Callable[[], int]) -> None:
        self._env = env
        self._max_disk = max_disk
        self._publisher: Publisher | None = None
        self._changed: Callable[[], Awaitable[None]] | None = None
        self._online: Callable[[], frozenset[AuthorId]] = frozenset
        self.view = PeopleView(env.keys.author, {}, {}, {env.keys.author: 0}, {}, {}, {})

    def wire(
        self,
        publisher: Publisher,
        *,
        changed: Callable[[], Awaitable[None]],
        online: Callable[[], frozenset[AuthorId]],
    ) -> None:
        """Join what needs this service itself; called once, by the daemon."""
        self._publisher, self._changed, self._online = publisher, changed, online

    async def refresh(self) -> None:
        """Read the view anew: after own changes, and when vouches or profiles of others arrived."""
        me, ceiling = self._env.keys.author, self._max_disk()
        before = self.view.near
        self.view = view = await self._env.store.read(lambda db: read_view(db, me, max_disk=ceiling))
        if view.near != before:
            # Whose versions of others' pages count has changed with it.
            await self._env.store.write(lambda db: set_near(db, view.near))

    async def people(self) -> PeopleShape:
        view, online = self.view, self._online()

        def work(db: sqlite3.Connection) -> PeopleShape:
            counts = items_by_author(db)
            everybody = {*known_authors(db), view.me}
            ordered = sorted(everybody, key=lambda a: (view.distances.get(a, 9), view.name(a)[0], a))
            return PeopleShape(tuple(_person(db, a, view, online, counts.get(a, 0)) for a in ordered))

        return await self._env.store.read(work)

    async def person(self, ref: str) -> Person:
        return await self._shown(await self._found(ref))

    async def trust(self, ref: str, *, petname: str | None) -> Person:
        author = await self._found(ref)
        self._not_me(author, "trust")
        name = _checked_petname(petname)
        kept = name if name is not None else self.view.petname(author)

        def work(db: sqlite3.Connection) -> None:
            if name is not None and begins_a_key(db, name, self.view.me):
                raise DomainError(
                    ErrorCode.CONFLICT,
                    f"{name} is the beginning of somebody's key",
                    "choose another petname",
                )
            holder = None if kept is None else holder_of_petname(db, kept)
            if holder is not None and holder != author:
                if self.view.trust(holder) is not Trust.NONE:
                    raise DomainError(
                        ErrorCode.CONFLICT,
                        f"the petname {kept} already means somebody else",
                        "choose another petname",
                    )
                # All that was left of somebody: perhaps the wrong key was trusted first.
                forget_opinion(db, holder)
            set_opinion(db, author, Trust.TRUSTED, kept, self._env.now())

        await self._env.store.write(work)
        await self.refresh()
        await self.admit_members()
        await self._tell()
        return await self._shown(author)

    async def untrust(self, ref: str) -> Person:
        author = await self._found(ref)
        self._not_me(author, "untrust")
        if (trust := self.view.trust(author)) is not Trust.TRUSTED:
            blocked = trust is Trust.BLOCKED
            raise DomainError(
                ErrorCode.CONFLICT,
                f"{self.view.name(author)[0]} is not trusted" + (" but blocked" if blocked else ""),
                "pkn unblock ends that" if blocked else "",
            )

        def work(db: sqlite3.Connection) -> None:
            withdraw_opinion(db, author, self._env.now())
            members_changed(db, self._env)

        await self._env.store.write(work)
        await self.refresh()
        await self._tell()
        return await self._shown(author)

    async def block(self, ref: str) -> Person:
        author = await self._found(ref)
        self._not_me(author, "block")
        petname = self.view.petname(author)

        def work(db: sqlite3.Connection) -> Removal:
            set_opinion(db, author, Trust.BLOCKED, petname, self._env.now())
            members_changed(db, self._env)
            # What they claim of themselves stays, so that the list of blocked people can be read.
            return remove_author(db, author, keep_standing=True)

        await self._env.store.write(work)
        await self.refresh()
        await self._tell()
        return await self._shown(author)

    async def unblock(self, ref: str) -> Person:
        author = await self._found(ref)
        if self.view.trust(author) is not Trust.BLOCKED:
            raise DomainError(ErrorCode.CONFLICT, f"{self.view.name(author)[0]} is not blocked")
        await self._env.store.write(lambda db: withdraw_opinion(db, author, self._env.now()))
        await self.refresh()
        await self._tell()
        return await self._shown(author)

    async def vouch(self, ref: str, *, withdraw: bool) -> Person:
        author = await self._found(ref)
        self._not_me(author, "vouch for")
        if not withdraw and self.view.trust(author) is not Trust.TRUSTED:
            raise DomainError(
                ErrorCode.CONFLICT,
                f"you do not trust {self.view.name(author)[0]} yourself",
                "pkn trust them first: to vouch says so to everybody",
            )
        me = self._env.keys.author
        before = await self._env.store.read(lambda db: current_vouch(db, me, author))
        if self._publisher is not None:
            await self._publisher.write_record(
                "vouch", Vouch(author, not withdraw), replaces=() if before is None else (before,)
            )
        await self.refresh()
        return await self._shown(author)

    async def admit_members(self) -> None:
        """Give the trusted circle's current key to all devices that its members have now."""
        members = self.view.trusted
        grants = await self._env.store.write(lambda db: write_grants(db, self._env, TRUSTED, members))
        if grants and self._publisher is not None:
            self._publisher.announce_wire(grants)

    async def _found(self, ref: str) -> AuthorId:
        view = self.view
        return await self._env.store.read(lambda db: find_person(db, view, ref))

    async def _shown(self, author: AuthorId) -> Person:
        view, online = self.view, self._online()
        return await self._env.store.read(
            lambda db: _person(db, author, view, online, items_by_author(db).get(author, 0))
        )

    async def _tell(self) -> None:
        if self._changed is not None:
            await self._changed()

    def _not_me(self, author: AuthorId, verb: str) -> None:
        if author == self._env.keys.author:
            raise DomainError(ErrorCode.CONFLICT, f"that is you; there is no need to {verb} yourself")


def _checked_petname(petname: str | None) -> str | None:
    if petname is None:
        return None
    name = " ".join(petname.split())
    if not name or not name.isprintable() or len(name.encode()) > NAME_BYTES:
        raise DomainError(ErrorCode.BAD_REQUEST, "a petname is one line of text", "choose a short name")
    if name.lower() in _RESERVED:
        raise DomainError(ErrorCode.BAD_REQUEST, f"{name} means yourself", "choose another petname")
    if name.startswith(("did:", "z6Mk")) or looks_like_a_key(name):
        raise DomainError(
            ErrorCode.BAD_REQUEST, f"{name} looks like the beginning of a key", "choose another petname"
        )
    return name


def _person(
    db: sqlite3.Connection, author: AuthorId, view: PeopleView, online: frozenset[AuthorId], items: int
) -> Person:
    seen = [row.last_seen for row in peers(db) if row.author == author and row.last_seen is not None]
    return Person(
        id=did_key(author),
        name=view.names.get(author),
        petname=view.petname(author),
        trust=view.trust(author),
        distance=view.distances.get(author),
        fingerprint=fingerprint(author),
        items=items,
        devices=len(devices_of(db, author)),
        online=author in online or author == view.me,
        last_seen=max(seen, default=None),
        vouched=author in view.vouches.get(view.me, frozenset()),
        vouched_by=tuple(
            did_key(other) for other in sorted(view.trusted) if author in view.vouches.get(other, frozenset())
        ),
        doubted=author in view.doubted,
    )
