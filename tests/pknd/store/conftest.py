"""A real database, a store that is closed in order, and three people."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pknd.store.database import open_database
from pknd.store.store import Store
from tests.pknd.store.people import Person


@pytest.fixture(scope="session")
def anna() -> Person:
    return Person("Anna")


@pytest.fixture(scope="session")
def bruno() -> Person:
    return Person("Bruno")


@pytest.fixture(scope="session")
def chiara() -> Person:
    return Person("Chiara")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A real database, without the threads of a store."""
    with closing(open_database(tmp_path / "pkn.db")) as connection:
        yield connection


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store.open(tmp_path)
    try:
        yield opened
    finally:
        await opened.close()
