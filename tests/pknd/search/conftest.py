"""The store's database and people, and what a service of the daemon stands on."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pknd.environment import Environment
from pknd.people.keys import open_keys
from pknd.store.store import Store
from tests.pknd.store.conftest import anna, bruno, chiara, db
from tests.pknd.store.people import NOW

__all__ = ["anna", "bruno", "chiara", "db", "env"]


@pytest.fixture
async def env(tmp_path: Path) -> AsyncIterator[Environment]:
    (tmp_path / "keys").mkdir()
    keys, _ = open_keys(tmp_path / "keys", random_bytes=os.urandom)
    store = Store.open(tmp_path)
    yield Environment(tmp_path, store, keys, lambda: NOW, time.monotonic, os.urandom)
    await store.close()
