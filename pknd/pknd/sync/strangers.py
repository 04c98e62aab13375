"""Which strangers were met: among so many the room for their records is divided (SPEC, Trust)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

from pkn_protocol.records.ids import AuthorId

MOST_STRANGERS = 1024
"""The longest unseen is forgotten then, as its records are when room is needed. With more of them a
stranger's share would be of no use."""


class StrangersMet:
    """Bounded, since anybody can come with ever new keys."""

    def __init__(self) -> None:
        self._met: OrderedDict[AuthorId, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._met)

    def met(self, author: AuthorId) -> None:
        self._met[author] = None
        self._met.move_to_end(author)
        while len(self._met) > MOST_STRANGERS:
            self._met.popitem(last=False)

    def forget(self, known: Collection[AuthorId]) -> None:
        """These are strangers no more."""
        for author in [author for author in self._met if author in known]:
            del self._met[author]
