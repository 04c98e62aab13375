"""What the parts cost that everything else is made of: signatures, records, text analysis, sketches."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from statistics import median

from bench.documents import texts
from bench.report import Figure
from pkn_protocol.records.codec import decode_record, sign_record, verify_record
from pkn_protocol.records.ids import AuthorId
from pkn_protocol.records.model import Item, Record
from pkn_protocol.records.signing import Ed25519Key, verify
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import decode_sketch, make_sketch

ROUNDS = 7
MESSAGES = 1000
_AUTHOR = Ed25519Key.from_seed(hashlib.sha256(b"bench author").digest())
_TIME = 1_790_000_000_000


def run() -> list[Figure]:
    name, documents = texts()
    held = list(documents.values())
    details = {"documents": f"{len(held)} of {name}", "one_sample": "a pass over all of them"}
    key = Ed25519Key.from_seed(hashlib.sha256(b"bench device").digest())
    messages = [number.to_bytes(8, "big") * 32 for number in range(MESSAGES)]
    signatures = [key.sign(message) for message in messages]

    def verify_all() -> None:
        if not all(
            verify(key.public, message, signature)
            for message, signature in zip(messages, signatures, strict=True)
        ):
            raise RuntimeError("a good signature was refused")

    stems = [analyse(text, "en") for text in held]
    sketches = [make_sketch(found) for found in stems]
    records = [_record(key, text, sketch) for text, sketch in zip(held, sketches, strict=True)]
    distinct = sum(len(set(found)) for found in stems)
    sketch_bytes = sum(map(len, sketches))
    return [
        _rate("signatures made", MESSAGES, lambda: [key.sign(message) for message in messages]),
        _rate("signatures verified", MESSAGES, verify_all),
        _rate("texts analysed", len(held), lambda: [analyse(text, "en") for text in held], details),
        _rate("sketches made of stems", len(held), lambda: [make_sketch(found) for found in stems]),
        _rate("sketches decoded", len(held), lambda: [decode_sketch(blob) for blob in sketches]),
        Figure("sketch, a distinct stem", sketch_bytes / distinct, "bytes", details=details),
        Figure("sketch, a document", sketch_bytes / len(held), "bytes", details=details),
        Figure("record, a document", sum(len(r.block) for r in records) / len(records), "bytes"),
        _rate("records decoded", len(records), lambda: [decode_record(r.block) for r in records]),
        _rate("records verified", len(records), lambda: deque(map(verify_record, records), maxlen=0)),
    ]


def _record(key: Ed25519Key, text: str, sketch: bytes) -> Record:
    title = text.partition("\n")[0][:200] or "Untitled"
    body = Item(title, lang="en", sketch=sketch)
    return sign_record(author=AuthorId(_AUTHOR.public), key=key, time=_TIME, kind="note", body=body)


def _rate(
    name: str, count: int, work: Callable[[], object], details: Mapping[str, object] | None = None
) -> Figure:
    """How often a second, by the median of several passes after one that warms the caches."""
    work()
    samples = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        samples.append(count / (time.perf_counter() - began))
    return Figure(name, median(samples), "1/s", samples=samples, details=details or {})
