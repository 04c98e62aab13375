"""The store's database and somebody who writes."""

from tests.pknd.store.conftest import anna, db

__all__ = ["anna", "db"]
