"""Shapes as a daemon would fill them, for tests to change with dataclasses.replace."""

from __future__ import annotations

import time

from pkn_protocol.control.items import ItemDetail, Published, Ratings, TextState
from pkn_protocol.control.people import Found, Peer, PeerState, Person, Trust
from pkn_protocol.control.query import Hit, Mark
from pkn_protocol.control.status import Identity, Status

ITEM = "bafyreih2kq7xmv3afnp2hh6zk4vbn7yqmxc5w3qnsz6o7l7kqyl2ecu7m4"
ADA = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
BEA = "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
DEVICE = "3f" * 32
NOW = time.time_ns() // 1_000_000

STATUS = Status(
    id=ADA,
    name="Ada",
    device=DEVICE,
    home="/home/ada/pkn",
    version="0.1.0",
    uptime_s=7200.0,
    records=40,
    items=12,
    authors=3,
    peers_online=2,
    listen=("192.168.1.5:7867",),
    author_secret_on_disk=True,
    own_bytes=1_200_000,
    held_bytes=3_400,
    max_disk_bytes=2 * 2**30,
    pid=4711,
)
IDENTITY = Identity(ADA, DEVICE, "Ada", "one two three four five six", True)
BEA_PERSON = Person(
    id=BEA,
    name="Bea",
    petname=None,
    trust=Trust.NONE,
    distance=None,
    fingerprint="six words that they read out",
    items=4,
    devices=1,
    online=True,
    last_seen=NOW,
    vouched=False,
)
PEER = Peer(
    device=DEVICE,
    author=BEA,
    name="Bea",
    petname=None,
    trust=Trust.NONE,
    distance=None,
    state=PeerState.ONLINE,
    found=Found.MDNS,
    addresses=("192.168.1.6:7867",),
    last_seen=NOW,
    rtt_ms=1.25,
    version="0.1.0",
    items=4,
    bytes_in=1000,
    bytes_out=2000,
)
PUBLISHED = Published(ITEM, "note", "Drag", NOW, 1200, "trusted", ITEM, readers=3)
HIT = Hit(
    id=ITEM,
    item=ITEM,
    kind="note",
    title="Boundary layers",
    author=BEA,
    author_name="Bea",
    author_claimed=True,
    trust=Trust.NONE,
    distance=2,
    time=NOW - 3 * 86_400_000,
    tags=("physics/fluids", "drag"),
    excerpt="",
    audience="public",
    lang="en",
    media_type="text/markdown",
    size=1200,
    have_payload=True,
    sources=(DEVICE,),
    verified=True,
    doubted=False,
    score=3.25,
    passage="The boundary layer turns turbulent.",
    marks=(Mark(4, 12), Mark(13, 18)),
)
DETAIL = ItemDetail(
    id=ITEM,
    item=ITEM,
    kind="note",
    title="Boundary layers",
    author=BEA,
    author_name="Bea",
    author_claimed=True,
    by=DEVICE,
    trust=Trust.NONE,
    distance=2,
    time=NOW,
    dated=None,
    expires=None,
    tags=("physics",),
    lang="en",
    excerpt="",
    audience="public",
    url=None,
    name="layers.md",
    media_type="text/markdown",
    size=1200,
    payload_cid=None,
    have_payload=True,
    sources=(DEVICE,),
    verified=True,
    replaces=(),
    derived_from=None,
    links=(),
    heads=(ITEM,),
    versions=1,
    contributors=(),
    comments=(),
    ratings=Ratings(None, 0),
    backlinks=(),
    text="# Boundary layers\n\nThin, and decisive.\n",
    text_state=TextState.WHOLE,
)
