"""Where the bytes of a run went: by purpose, in the first phase and later, for one byte of new records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.sim.meter import Early, Meter

_PURPOSES: Mapping[str, tuple[str, ...]] = {
    "records in full": ("Push", "Records"),
    "ids and questions beside the tree": ("Announce", "Graft"),
    "changes of the tree": ("Prune",),
    "handshakes": ("Handshake",),
    "wants, floors and proofs": ("Want", "Circles", "Grants"),
    "checks whether all is in step": ("Compare", "Same", "Stale"),
    "finding differences": ("Rows", "MoreRows", "Groups", "MoreIds", "Parts", "Lacks"),
    "asking for differences": ("Fetch", "Refused"),
}
"""By type of message. Addresses come with devices' records, and a connection that lives is known by its
comparisons: there are neither shuffles nor keepalives to count."""


def traffic(meter: Meter) -> dict[str, Any]:
    """By phase. Of records in full, what is neither new nor repeated is their messages' frames."""
    whole = Early(meter.bytes, meter.new_bytes, meter.full_bytes)
    early = meter.early or whole
    later = Early(
        Counter(meter.bytes) - Counter(early.bytes),
        whole.new_bytes - early.new_bytes,
        whole.full_bytes - early.full_bytes,
    )
    return {"first_two_minutes": _of(early), "later": _of(later), "in_all": _of(whole)}


def _of(phase: Early) -> dict[str, Any]:
    new = max(1, phase.new_bytes)
    found = {
        purpose: round(sum(phase.bytes.get(name, 0) for name in names) / new, 4)
        for purpose, names in _PURPOSES.items()
    }
    known = {name for names in _PURPOSES.values() for name in names}
    other = sum(size for name, size in phase.bytes.items() if name not in known)
    return {
        "new_record_bytes": phase.new_bytes,
        "ratio": round(sum(phase.bytes.values()) / new, 4),
        "records repeated": round((phase.full_bytes - phase.new_bytes) / new, 4),
        **found,
        "other": round(other / new, 4),
    }
