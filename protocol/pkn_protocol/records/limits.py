"""Limits of records (SPEC, Records). Lengths of text are in bytes of UTF-8.

They are part of the format: a record beyond one is invalid everywhere, so they can grow only with `v`.
"""

from __future__ import annotations

RECORD_BYTES = 16 * 1024
"""A whole signed block: small enough to gossip, to keep by the hundred thousand, and for one WAL page run."""
INNER_BYTES = 15 * 1024
"""A record to be sealed: the sealed record around it must stay within RECORD_BYTES."""

TITLE_BYTES = 512
NAME_BYTES = 512
"""File names have up to 255 bytes, or characters; titles and names of people fit as well."""
EXCERPT_BYTES = 1024
TAGS = 32
TAG_BYTES = 128
LANG_BYTES = 35
"""The longest tag of RFC 5646 that need be supported (section 4.4.1)."""
MEDIA_TYPE_BYTES = 255
"""Type and subtype of at most 127 characters each (RFC 6838, section 4.2)."""
URL_BYTES = 2048
SKETCH_BYTES = 6 * 1024
"""1,024 stems of 24 bits take less than 4 KiB; the rest is room for later analysers."""
LINKS = 64
REPLACES = 16
VECTORS = 2
VECTOR_BYTES = 1024
MODEL_BYTES = 64
TEXT_BYTES = 8 * 1024
"""A comment, or the note of a share; longer thoughts are items."""
DESCRIPTION_BYTES = 2048
KIND_BYTES = 32
AUDIENCE_BYTES = 64
SETTING_KEY_BYTES = 256
SETTING_VALUE_BYTES = 8 * 1024
PAYLOAD_BYTES = 2**40
"""One tebibyte: four levels of manifests, and integers exact everywhere."""
GRANT_BOXES = 128
"""Sealed boxes in one grant (80 bytes each); larger circles use several grants of one epoch."""
EARLIER_KEYS = 64
"""Earlier epoch keys in one grant; older ones are found through the grants of those epochs."""
TIME_MOST = 2**48
"""Milliseconds: some 8,900 years."""
