"""The schema, as migrations (SPEC, On disk). A migration that was released is never changed."""

from __future__ import annotations

from typing import cast

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from pkn_protocol.records.codec import decode_record
from pkn_protocol.records.model import Item
from pkn_protocol.search.believed import counted_sketch
from pknd.search.index import NewDocument, add_documents, remove_document, tidy_now
from pknd.store.rows import parts, select_in

SCHEMA_VERSION = 5
"""Raised with each migration: an older program refuses a home that a newer one has written."""
APPLICATION_ID = 0x706B6E31
MIGRATIONS = Migrations("pkn")

_FIRST = (
    # Every record held: what travels (wire = 1), and the inner records of sealed ones (wire = 0). A sealed
    # record that could be opened has its inner one's row in `inner`. head: no other version takes its place;
    # shown: it is understood and may stand under its item's name (SPEC, On disk, Invariants).
    """CREATE TABLE record (
        rowid INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        author BLOB NOT NULL,
        time INTEGER NOT NULL,
        kind TEXT NOT NULL,
        scope BLOB NOT NULL,
        period INTEGER NOT NULL,
        wire INTEGER NOT NULL,
        inner INTEGER REFERENCES record(rowid),
        item BLOB,
        audience TEXT,
        expires INTEGER,
        received INTEGER NOT NULL,
        understood INTEGER NOT NULL,
        head INTEGER NOT NULL DEFAULT 0,
        shown INTEGER NOT NULL DEFAULT 0,
        block BLOB NOT NULL
    )""",
    "CREATE INDEX record_period ON record(scope, author, period, time) WHERE wire",
    "CREATE INDEX record_item ON record(item) WHERE item IS NOT NULL",
    "CREATE INDEX record_listed ON record(time DESC) WHERE head AND shown",
    "CREATE INDEX record_kind ON record(kind, author)",
    "CREATE INDEX record_author ON record(author, time)",
    "CREATE INDEX record_inner ON record(inner) WHERE inner IS NOT NULL",
    "CREATE INDEX record_unopened ON record(scope) WHERE kind = 'sealed' AND inner IS NULL",
    "CREATE INDEX record_expires ON record(author, expires) WHERE expires IS NOT NULL",
    # What a version replaces: it may be here before what it replaces.
    """CREATE TABLE replaced (
        old BLOB NOT NULL, record INTEGER NOT NULL REFERENCES record(rowid) ON DELETE CASCADE,
        PRIMARY KEY (old, record)
    ) WITHOUT ROWID""",
    "CREATE INDEX replaced_record ON replaced(record)",
    """CREATE TABLE link (
        target BLOB NOT NULL, record INTEGER NOT NULL REFERENCES record(rowid) ON DELETE CASCADE,
        PRIMARY KEY (target, record)
    ) WITHOUT ROWID""",
    "CREATE INDEX link_record ON link(record)",
    """CREATE TABLE tag (
        tag TEXT NOT NULL, record INTEGER NOT NULL REFERENCES record(rowid) ON DELETE CASCADE,
        PRIMARY KEY (tag, record)
    ) WITHOUT ROWID""",
    "CREATE INDEX tag_record ON tag(record)",
    # owner: the author also wrote the first version, so that all versions are gone, not only their own.
    """CREATE TABLE retracted (
        item BLOB, author BLOB, retraction BLOB NOT NULL, owner INTEGER NOT NULL, PRIMARY KEY (item, author)
    ) WITHOUT ROWID""",
    # Ids of records that a retraction has deleted: they are answered with the retraction.
    "CREATE TABLE retracted_record (id BLOB PRIMARY KEY, retraction BLOB NOT NULL) WITHOUT ROWID",
    # What is to be deleted from the disk after the commit: files of blocks, and (empty) traces in pages.
    "CREATE TABLE erasure (cid BLOB PRIMARY KEY) WITHOUT ROWID",
    """CREATE TABLE period_sum (
        scope BLOB, author BLOB, period INTEGER, count INTEGER NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (scope, author, period)
    )""",
    # The lowest (time, id) wanted of an author since quotas made room.
    "CREATE TABLE floor (author BLOB PRIMARY KEY, time INTEGER NOT NULL, id BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE device (device BLOB PRIMARY KEY, author BLOB NOT NULL, record BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX device_author ON device(author)",
    # place: 0 in data, 1 a file named by its CID, 2 part `position` of an own file.
    """CREATE TABLE block (
        cid BLOB PRIMARY KEY, size INTEGER NOT NULL, place INTEGER NOT NULL, data BLOB,
        own_file INTEGER REFERENCES own_file(rowid), position INTEGER
    )""",
    "CREATE INDEX block_own_file ON block(own_file) WHERE own_file IS NOT NULL",
    """CREATE TABLE own_file (
        rowid INTEGER PRIMARY KEY, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        key BLOB
    )""",
    # Which items need a block: who may see one of them may have it.
    """CREATE TABLE block_use (
        cid BLOB NOT NULL, record INTEGER NOT NULL REFERENCES record(rowid) ON DELETE CASCADE,
        PRIMARY KEY (cid, record)
    ) WITHOUT ROWID""",
    "CREATE INDEX block_use_record ON block_use(record)",
    """CREATE TABLE payload (
        record INTEGER PRIMARY KEY REFERENCES record(rowid) ON DELETE CASCADE,
        cid BLOB NOT NULL, size INTEGER NOT NULL, complete INTEGER NOT NULL
    )""",
    "CREATE INDEX payload_cid ON payload(cid)",
    "CREATE INDEX payload_missing ON payload(complete) WHERE NOT complete",
    """CREATE TABLE peer (
        device BLOB PRIMARY KEY, author BLOB, addresses TEXT NOT NULL DEFAULT '[]', found TEXT NOT NULL,
        last_seen INTEGER, rtt_ms REAL, version TEXT, problem TEXT,
        bytes_in INTEGER NOT NULL DEFAULT 0, bytes_out INTEGER NOT NULL DEFAULT 0,
        violations INTEGER NOT NULL DEFAULT 0, refused_until INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    """CREATE TABLE person (
        author BLOB PRIMARY KEY, trust TEXT NOT NULL, petname TEXT UNIQUE COLLATE NOCASE,
        since INTEGER NOT NULL
    ) WITHOUT ROWID""",
    # Whose versions of other people's pages count: those within the reader's trust.
    "CREATE TABLE near (author BLOB PRIMARY KEY) WITHOUT ROWID",
    """CREATE TABLE epoch (
        tag BLOB PRIMARY KEY, secret BLOB NOT NULL, author BLOB NOT NULL, circle TEXT NOT NULL,
        made INTEGER NOT NULL, current INTEGER NOT NULL
    ) WITHOUT ROWID""",
    # Where own items came from, so that importing again makes no records.
    """CREATE TABLE source (
        path BLOB PRIMARY KEY, digest BLOB NOT NULL, item BLOB NOT NULL, record BLOB NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX source_digest ON source(digest)",
    "CREATE TABLE setting (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    # The search index: frequency classes of stems by document, a document being a shown head.
    """CREATE TABLE posting (
        stem INTEGER, doc INTEGER, class INTEGER NOT NULL, PRIMARY KEY (stem, doc)
    ) WITHOUT ROWID""",
    # Postings of the newest documents: sorted arrays of one document each, or joined ones of several, whose
    # documents lie within first and last.
    """CREATE TABLE recent_posting (
        rowid INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, joined INTEGER NOT NULL,
        entries BLOB NOT NULL
    )""",
    "CREATE INDEX recent_posting_joined ON recent_posting(joined)",
    """CREATE TABLE document (
        doc INTEGER PRIMARY KEY, length INTEGER NOT NULL, public INTEGER NOT NULL, lang TEXT NOT NULL
    )""",
    "CREATE INDEX document_lang ON document(lang)",
)


@MIGRATIONS(name="0001_first")
def first(db: Database) -> None:
    for statement in _FIRST:
        db.execute(statement)


@MIGRATIONS(name="0002_bytes_of_periods")
def bytes_of_periods(db: Database) -> None:
    """How many bytes a period's records have: what quotas count, kept instead of counted each time."""
    db.execute("ALTER TABLE period_sum ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0")
    db.execute(
        "UPDATE period_sum SET bytes = (SELECT coalesce(sum(length(block)), 0) FROM record WHERE wire"
        " AND record.scope = period_sum.scope AND record.author = period_sum.author"
        " AND record.period = period_sum.period)"
    )


_INDEX = (
    "DROP TABLE posting",
    "DROP TABLE recent_posting",
    "DROP TABLE document",
    """CREATE TABLE document (
        doc INTEGER PRIMARY KEY, length INTEGER NOT NULL, public INTEGER NOT NULL, lang TEXT NOT NULL
    )""",
    # Of the documents, by language: how many, and how long together.
    """CREATE TABLE document_total (
        public INTEGER, lang TEXT, documents INTEGER NOT NULL, length INTEGER NOT NULL,
        PRIMARY KEY (public, lang)
    ) WITHOUT ROWID""",
    # Documents that are no more, and of which there may be postings.
    "CREATE TABLE forgotten_document (doc INTEGER PRIMARY KEY)",
    """CREATE TABLE recent_posting (
        rowid INTEGER PRIMARY KEY, count INTEGER NOT NULL, stems BLOB NOT NULL, codes BLOB NOT NULL,
        entries BLOB NOT NULL
    )""",
    "CREATE TABLE posting_run (run INTEGER PRIMARY KEY, level INTEGER NOT NULL, target INTEGER)",
    # The large columns last: what is not asked for is not read.
    """CREATE TABLE posting (
        rowid INTEGER PRIMARY KEY, run INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
        count INTEGER NOT NULL, stems BLOB NOT NULL, ends BLOB NOT NULL, publics BLOB NOT NULL,
        codes BLOB NOT NULL, entries BLOB NOT NULL
    )""",
    "CREATE UNIQUE INDEX posting_first ON posting(run, first)",
)
_INDEXED_AT_ONCE = 1000


@MIGRATIONS(name="0003_runs_of_postings")
def runs_of_postings(db: Database) -> None:
    """Postings as sorted arrays in place of rows; the index is made anew from the records."""
    for statement in _INDEX:
        db.execute(statement)
    heads = "SELECT rowid, block, scope = x'' FROM record WHERE head AND shown ORDER BY rowid"
    found = db.conn.execute(heads)
    while rows := found.fetchmany(_INDEXED_AT_ONCE):
        add_documents(
            db.conn,
            [NewDocument(rowid, decode_record(block), bool(public)) for rowid, block, public in rows],
        )


_NEWS = (
    # Items that came and were not looked at for news. The number is never given twice.
    """CREATE TABLE arrival (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        record INTEGER NOT NULL REFERENCES record(rowid) ON DELETE CASCADE
    )""",
    "CREATE INDEX arrival_record ON arrival(record)",
    # seq is that of the arrival. reason: absent where it is news for what it matches alone.
    """CREATE TABLE news (
        seq INTEGER PRIMARY KEY,
        record INTEGER NOT NULL UNIQUE REFERENCES record(rowid) ON DELETE CASCADE, reason TEXT
    )""",
    """CREATE TABLE watch (
        number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        query TEXT NOT NULL, tags TEXT NOT NULL, author BLOB, kind TEXT, since INTEGER,
        made INTEGER NOT NULL, after INTEGER NOT NULL
    )""",
    """CREATE TABLE watch_match (
        watch INTEGER NOT NULL REFERENCES watch(number) ON DELETE CASCADE,
        record INTEGER NOT NULL REFERENCES record(rowid) ON DELETE CASCADE, PRIMARY KEY (watch, record)
    ) WITHOUT ROWID""",
    "CREATE INDEX watch_match_record ON watch_match(record)",
)


@MIGRATIONS(name="0004_news")
def news(db: Database) -> None:
    """What came from now on and was not looked at, and saved questions; what is here already is no news."""
    for statement in _NEWS:
        db.execute(statement)


@MIGRATIONS(name="0005_sketches_that_no_text_could_show")
def sketches_that_no_text_could_show(db: Database) -> None:
    """Documents whose sketch counts as none, for there is no text that it could be of, are found by it no
    more."""
    rows = db.conn.execute("SELECT record.rowid, block FROM document JOIN record ON record.rowid = doc")
    # Of many records only the numbers are kept at once, and runs are written anew once.
    found = [
        rowid
        for rowid, block in rows
        if isinstance(item := decode_record(block).body, Item)
        and item.sketch is not None
        and counted_sketch(item) is None
    ]
    for rowid in found:
        remove_document(db.conn, rowid)
    tidy_now(db.conn)
    for part in parts(found, _INDEXED_AT_ONCE):
        again = select_in(db.conn, "SELECT rowid, block, scope = x'' FROM record WHERE rowid IN", part)
        add_documents(
            db.conn,
            [
                NewDocument(cast(int, rowid), decode_record(cast(bytes, block)), bool(public))
                for rowid, block, public in again
            ],
        )
