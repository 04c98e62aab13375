"""Sizes in bytes, as they are typed and shown."""

from __future__ import annotations

import re

_UNITS = {
    "": 1, "b": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,3}))?\s*([A-Za-z]{0,3})")


def parse_size(text: str) -> int:
    """Bytes of a size such as `10 GiB`, `500MB` or `1.5 TiB`.

    Raises:
        ValueError: it is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[3].lower() not in _UNITS:
        raise ValueError(f"not a size: {text!r}")
    unit = _UNITS[match[3].lower()]
    fraction = match[2] or ""
    scale: int = 10 ** len(fraction)
    return (int(match[1]) * scale + int(fraction or 0)) * unit // scale


def format_size(size: int) -> str:
    """A size in the greatest binary unit that says it exactly."""
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


def rounded_size(size: int) -> str:
    """A size for a message: one decimal place."""
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"
