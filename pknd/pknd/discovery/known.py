"""Which devices were met, in this run or before, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pkn_protocol.records.ids import AuthorId, DeviceId


class KnownDevices:
    """A bounded number: whoever comes under ever new keys pushes out others like them. `is_kept` says whose
    devices stay as long as there are others."""

    def __init__(self, most: int, is_kept: Callable[[DeviceId, AuthorId | None], bool]) -> None:
        self._most = most
        self._is_kept = is_kept
        self._authors: dict[DeviceId, AuthorId | None] = {}
        """The one met last comes last."""

    def __iter__(self) -> Iterator[DeviceId]:
        return iter(self._authors)

    def __len__(self) -> int:
        return len(self._authors)

    def author(self, device: DeviceId) -> AuthorId | None:
        return self._authors.get(device)

    def met(self, device: DeviceId, author: AuthorId | None) -> None:
        self._authors.pop(device, None)
        if len(self._authors) >= self._most:
            oldest = next(iter(self._authors))
            others = (one for one, whose in self._authors.items() if not self._is_kept(one, whose))
            del self._authors[next(others, oldest)]
        self._authors[device] = author
