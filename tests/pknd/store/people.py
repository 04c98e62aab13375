"""People who sign real records, for the tests of the store."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any

from pkn_protocol.records.circles import EpochKey, seal_record
from pkn_protocol.records.codec import countersign_device, sign_record
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.model import Body, Device, Item, Record, Retraction
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pknd.store.ingest import Outcome, ingest

NOW = 1_790_000_000_000


class Person:
    """An author with one device; all records are real ones."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = Ed25519Key.from_seed(hashlib.sha256(f"{name} author".encode()).digest())
        self.device = Ed25519Key.from_seed(hashlib.sha256(f"{name} device".encode()).digest())
        self.author = AuthorId(self.key.public)

    def device_record(self) -> Record:
        body = Device(
            DeviceId(self.device.public), self.name, countersign_device(self.author, self.device, NOW)
        )
        return sign_record(author=self.author, key=self.key, time=NOW, kind="device", body=body)

    def record(self, kind: str, body: Body, *, time: int = NOW, **fields: Any) -> Record:
        return sign_record(author=self.author, key=self.device, time=time, kind=kind, body=body, **fields)

    def note(self, title: str, *, time: int = NOW, kind: str = "note", **fields: Any) -> Record:
        item = {name: fields.pop(name) for name in ("tags", "excerpt", "payload", "links") if name in fields}
        sketch = make_sketch(analyse(title, "en"))
        return self.record(kind, Item(title, lang="en", sketch=sketch, **item), time=time, **fields)

    def retraction(self, item: Cid, *, time: int = NOW) -> Record:
        return self.record("retraction", Retraction(), time=time, item=item)

    def sealed(self, inner: Record, epoch: EpochKey, number: int = 0) -> Record:
        return seal_record(inner, epoch=epoch, key=self.device, nonce=number.to_bytes(24, "big"))

    def join(self, db: sqlite3.Connection) -> Outcome:
        return ingest(db, self.device_record(), now=NOW)
