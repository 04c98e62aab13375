"""What is remembered of people, circles and peers, and who may change it."""

from __future__ import annotations

import sqlite3

import pytest

from pkn_protocol.records.circles import EpochKey
from pkn_protocol.records.ids import DeviceId
from pkn_protocol.records.model import Profile, Vouch
from pknd.store import peers
from pknd.store.circles import add_epoch, end_epoch, epoch_of, epochs_of
from pknd.store.ingest import ingest
from pknd.store.people import claimed_name, claimed_names, holder_of_petname, set_opinion, vouches
from pknd.store.settings import get_setting, put_setting, remove_setting
from tests.pknd.store.people import NOW, Person


def test_only_its_author_replaces_a_vouch_or_a_profile(
    db: sqlite3.Connection, anna: Person, bruno: Person, chiara: Person
) -> None:
    for person in (anna, bruno):
        person.join(db)
    given = anna.record("vouch", Vouch(chiara.author))
    name = anna.record("profile", Profile("Anna"))
    attack = bruno.record("vouch", Vouch(chiara.author), replaces=(given.id,), time=NOW + 1)
    mockery = bruno.record("profile", Profile("Bruno"), replaces=(name.id,), time=NOW + 1)
    for record in (given, name, attack, mockery):
        ingest(db, record, now=NOW)
    assert vouches(db, now=NOW) == {
        anna.author: frozenset({chiara.author}),
        bruno.author: frozenset({chiara.author}),
    }
    assert claimed_names(db) == {anna.author: "Anna", bruno.author: "Bruno"}
    taken_back = anna.record("vouch", Vouch(chiara.author, vouched=False), replaces=(given.id,), time=NOW - 9)
    renamed = anna.record("profile", Profile("Anna B."), replaces=(name.id,), time=NOW - 9)
    for record in (taken_back, renamed):
        ingest(db, record, now=NOW)
    assert anna.author not in vouches(db, now=NOW)
    assert claimed_names(db)[anna.author] == claimed_name(db, anna.author) == "Anna B."


def test_a_petname_means_one_person_however_it_is_written(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    set_opinion(db, anna.author, "trusted", "Anna", NOW)
    assert holder_of_petname(db, "ANNA") == anna.author
    with pytest.raises(sqlite3.IntegrityError):
        set_opinion(db, bruno.author, "trusted", "anna", NOW)


def test_a_circle_has_one_current_epoch(db: sqlite3.Connection, anna: Person) -> None:
    first, second = EpochKey(b"1" * 32), EpochKey(b"2" * 32)
    assert add_epoch(db, first, anna.author, "trusted", now=1, current=True)
    assert add_epoch(db, second, anna.author, "trusted", now=2, current=True)
    assert [epoch.key for epoch in epochs_of(db, anna.author, "trusted")] == [second, first]
    assert [epoch.current for epoch in epochs_of(db, anna.author, "trusted")] == [True, False]
    # The grant comes once more: nothing changes.
    assert not add_epoch(db, second, anna.author, "trusted", now=3, current=True)
    assert not add_epoch(db, first, anna.author, "trusted", now=3, current=False)
    assert [epoch.current for epoch in epochs_of(db, anna.author, "trusted")] == [True, False]
    end_epoch(db, anna.author, "trusted")
    known = epoch_of(db, second.tag)
    assert known is not None and known.key == second and not known.current


def meet(db: sqlite3.Connection, device: bytes, person: Person, now: int, address: str | None = None) -> None:
    device_id = DeviceId(device.ljust(32, b"\0"))
    peers.met(db, device_id, person.author, address=address, found="mdns", version="1", now=now)


def test_a_peer_is_remembered_with_the_latest_working_address_first(
    db: sqlite3.Connection, anna: Person
) -> None:
    for number in range(peers.MOST_ADDRESSES + 3):
        meet(db, b"d", anna, NOW + number, f"127.0.0.1:{number}")
    meet(db, b"d", anna, NOW + 99, "127.0.0.1:5")
    peers.left(db, DeviceId(b"d".ljust(32, b"\0")), now=NOW + 100, rtt_ms=1.5, bytes_in=10, bytes_out=20)
    assert fault(db, b"d", anna, NOW) == NOW + 500
    [peer] = peers.peers(db)
    assert peer.addresses[:2] == ("127.0.0.1:5", f"127.0.0.1:{peers.MOST_ADDRESSES + 2}")
    assert len(peer.addresses) == peers.MOST_ADDRESSES
    assert (peer.last_seen, peer.rtt_ms, peer.bytes_in, peer.bytes_out) == (NOW + 100, 1.5, 10, 20)
    assert (peer.violations, peer.refused_until, peer.found) == (1, NOW + 500, "mdns")


def fault(db: sqlite3.Connection, device: bytes, person: Person, now: int) -> int:
    device_id = DeviceId(device.ljust(32, b"\0"))
    return peers.violated(
        db, device_id, person.author, now=now, refusal_ms=lambda n: 500 * n, forgiven_after_ms=10_000
    )


def test_faults_in_a_row_are_counted_and_old_ones_are_not(db: sqlite3.Connection, anna: Person) -> None:
    device = DeviceId(b"d".ljust(32, b"\0"))
    assert [fault(db, b"d", anna, NOW + n) - NOW - n for n in range(3)] == [500, 1000, 1500]
    assert peers.refused_devices(db, now=NOW + 1500) == {device: NOW + 2 + 1500}
    assert peers.refused_devices(db, now=NOW + 1502) == {}
    assert fault(db, b"d", anna, NOW + 1502 + 10_000) == NOW + 1502 + 10_000 + 500


def test_new_keys_do_not_push_out_known_people(
    db: sqlite3.Connection, anna: Person, bruno: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "MOST_PEERS", 5)
    set_opinion(db, anna.author, "trusted", None, NOW)
    meet(db, b"anna", anna, NOW)
    for number in range(20):
        meet(db, bytes([number]), bruno, NOW + 1 + number)
    found = peers.peers(db)
    assert len(found) == 5
    assert {peer.device[:1] for peer in found} == {b"a", bytes([16]), bytes([17]), bytes([18]), bytes([19])}


def test_settings_are_values_by_name(db: sqlite3.Connection) -> None:
    assert get_setting(db, "port") is None
    put_setting(db, "port", b"7867")
    put_setting(db, "port", b"7868")
    assert get_setting(db, "port") == b"7868"
    remove_setting(db, "port")
    assert get_setting(db, "port") is None
