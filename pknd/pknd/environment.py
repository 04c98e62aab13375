"""What every service of the daemon works with; time and randomness come from here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pknd.people.keys import Keys
from pknd.store.store import Store


@dataclass(frozen=True, slots=True)
class Environment:
    """`now` gives milliseconds since the epoch, `monotonic` seconds; `random_bytes` is the system's."""

    home: Path
    store: Store
    keys: Keys
    now: Callable[[], int]
    monotonic: Callable[[], float]
    random_bytes: Callable[[int], bytes]
