"""Files that hold a web address and nothing else: internet shortcuts of Windows, web locations of macOS."""

from __future__ import annotations

import configparser
import plistlib
from pathlib import PurePath

from pkn_protocol.records.limits import URL_BYTES

_SECTION, _KEY = "InternetShortcut", "URL"


def address_in(name: str, data: bytes) -> str | None:
    """The web address of a whole `.url` or `.webloc` file; None for other files, and where there is none."""
    match PurePath(name).suffix.lower():
        case ".url":
            address = _in_shortcut(data)
        case ".webloc":
            address = _in_location(data)
        case _:
            return None
    if not address.lower().startswith(("http://", "https://")) or not address.isprintable():
        return None
    return address if len(address.encode("utf-8", "replace")) <= URL_BYTES else None


def _in_shortcut(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Windows writes them in the code page of its user; addresses are ASCII in any.
        text = data.decode("latin-1")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return ""
    return parser.get(_SECTION, _KEY, fallback="").strip()


def _in_location(data: bytes) -> str:
    try:
        # It takes no XML that declares entities.
        found = plistlib.loads(data)
    except Exception:
        # The file is anybody's, and it is told nowhere what the parser raises: ExpatError, KeyError,
        # IndexError, LookupError for an encoding that nobody knows, and more. Then it is a file as any other.
        return ""
    address = found.get(_KEY) if isinstance(found, dict) else None
    return address.strip() if isinstance(address, str) else ""
