"""A daemon on a volume that fills up: it says so, lives, and goes on when there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.query import QueryRequest, Scope
from pkn_protocol.records.ids import dag_cbor_cid, did_key
from pknd.errors import DomainError
from pknd.store.records import is_held
from tests.e2e.inside import Inside, until
from tests.e2e.liar import Liar
from tests.pknd.store.test_disk_full import occupy

pytestmark = pytest.mark.needs("root")
VOLUME_BYTES = 16 * 1024 * 1024


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "volume"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={VOLUME_BYTES}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_daemon_outlives_a_full_volume(volume: Path) -> None:
    ann, peer = Inside("Ann", volume), Liar("peer")
    await peer.party.start()
    try:
        async with ann.running() as daemon:
            await daemon.items.publish(PublishRequest(text="# Before\n\nturbulence", audience="public"))
            link = await peer.party.network.dial("127.0.0.1", daemon.network.port)
            device = dag_cbor_cid(peer.party.device_record)
            await until("who the peer is", lambda: ann.env.store.read_now(lambda db: is_held(db, device)))
            ballast = occupy(volume)
            notes = [
                peer.note(f"Pushed {number}", time=ann.now() - 10_000 + number, excerpt="x" * 900)
                for number in range(200)
            ]
            await peer.push(link, notes)
            with pytest.raises(DomainError):
                for _ in range(50):
                    text = f"# While\n\n{'turbulence ' * 500}"
                    await daemon.items.publish(PublishRequest(text=text, audience="public"))
            with pytest.raises(DomainError):
                for _ in range(50):
                    await daemon.people.trust(did_key(peer.party.author), petname="peer")
                    await daemon.people.untrust("peer")
            await daemon.retention.maintain()
            request = QueryRequest(query="turbulence", scope=Scope.LOCAL)
            last = [update async for update in daemon.queries.query(request)][-1]
            assert "Before" in [hit.title for hit in last.result.hits]

            ballast.unlink()
            await daemon.items.publish(PublishRequest(text="# After\n\nturbulence", audience="public"))
            await peer.push(link, notes)
            await until(
                "what was pushed",
                lambda: ann.env.store.read_now(lambda db: all(is_held(db, note.id) for note in notes)),
            )
    finally:
        await peer.party.network.stop()
