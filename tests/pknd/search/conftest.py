"""The store's database and people."""

from __future__ import annotations

from tests.pknd.store.conftest import anna, bruno, chiara, db

__all__ = ["anna", "bruno", "chiara", "db"]
