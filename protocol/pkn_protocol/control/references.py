"""What may stand behind a reference to an item, as people type it."""

from __future__ import annotations

FIRST_VERSION = "@1"
"""Its first version. Without it the id of the first version, which is the item's, means the newest."""
