"""Twenty hosts on one network, a daemon each: all meet, all get everything, whoever was away catches up."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest

from bench.documents import texts, write_folder
from pkn_protocol.records.ids import AuthorId, parse_did_key
from pkn_protocol.trust.quotas import stranger_quota
from tests.e2e.harness import running, wait_for
from tests.e2e.lan import HostNode, Lan, local_network

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("namespaces"), pytest.mark.long]

HOSTS = 20
ALL_MET_SECONDS = 10.0
"""For every host to have met the 19 others, from the moment the last daemon answers."""
ALL_HELD_SECONDS = 30.0
"""For everything to be everywhere, from the end of the last import."""
AWAY_SECONDS = 60.0
"""For a host that was away to have all that it missed: it is noticed within 15 s that it is back."""
SMALL_DISK = 16 * 1024 * 1024
WRITERS = 4


def hosts_of(lan: Lan, bridge: str, folder: Path, network: int) -> list[HostNode]:
    return [
        HostNode(f"Host{number}", folder, lan.host(bridge, f"10.{network}.1.{number + 1}"))
        for number in range(HOSTS)
    ]


def authors_of(nodes: Sequence[HostNode]) -> list[AuthorId]:
    return [parse_did_key(node.id) for node in nodes]


def notes_held(node: HostNode, authors: Collection[AuthorId]) -> tuple[int, int]:
    """How many notes of these authors are on its disk, and the bytes of their records; running or not."""
    marks = ",".join("?" * len(authors))
    [(count, size)] = node.asked_of_disk(
        "SELECT count(*), coalesce(sum(length(block)), 0) FROM record"
        f" WHERE kind = 'note' AND wire AND author IN ({marks})",
        *authors,
    )
    return int(count), int(size)


def waited(what: str, happened: Callable[[], bool], *, seconds: float) -> None:
    began = time.monotonic()
    wait_for(what, happened, seconds=seconds)
    print(f"{time.monotonic() - began:.1f} s for {what}")


def all_met(nodes: Sequence[HostNode]) -> bool:
    return all(node.online() == len(nodes) - 1 for node in nodes)


def import_shares(nodes: Sequence[HostNode], folder: Path) -> int:
    """Each gets a share of the documents, for all to read; how many notes there are then."""
    _, documents = texts()
    names = sorted(documents)
    for number, node in enumerate(nodes):
        write_folder(folder / f"in{number}", {name: documents[name] for name in names[number :: len(nodes)]})
        node.pkn("import", str(folder / f"in{number}"), "--to", "public", "--yes")
    own = zip(nodes, authors_of(nodes), strict=True)
    return sum(notes_held(node, [author])[0] for node, author in own)


def test_everything_is_everywhere_and_whoever_was_away_catches_up(tmp_path: Path) -> None:
    with local_network() as lan:
        first, second = lan.bridge(), lan.bridge()
        nodes = hosts_of(lan, first, tmp_path, 74)
        with running(*nodes):
            waited("each to meet the 19 others", lambda: all_met(nodes), seconds=ALL_MET_SECONDS)
            # A ring of trust: each vouches for the next.
            for one, other in zip(nodes, [*nodes[1:], nodes[0]], strict=True):
                one.trust(other)
                one.pkn("vouch", other.name)
            authors = authors_of(nodes)
            total = import_shares(nodes, tmp_path)
            assert total >= 1390

            def everywhere(count: int) -> bool:
                return all(notes_held(node, authors)[0] == count for node in nodes)

            waited("all notes on all hosts", lambda: everywhere(total), seconds=ALL_HELD_SECONDS)

            away, mover = nodes[5], nodes[10]
            away.host.pull_the_plug()
            for node in nodes[6:9]:
                node.publish(f"# While {away.name} was away\n\nby {node.name}", "--to", "public")
            away.publish("# Alone\n\nwritten while nobody was there", "--to", "public")
            away.host.join(first)
            waited("who was away to catch up", lambda: everywhere(total + 4), seconds=AWAY_SECONDS)

            # Zoe is on another network, and trusts the one who moves there: what he holds of people whom he
            # vouches for, or who are vouched for by them, comes to her, who has met none of them.
            zoe = HostNode("Zoe", tmp_path, lan.host(second, "10.75.1.1"))
            with running(zoe):
                zoe.trust(mover)
                mover.trust(zoe)
                mover.host.join(second)
                mover.host.give_address("10.75.1.2")
                near = [authors[10], authors[11], authors[12]]
                expected = notes_held(mover, near)[0]
                assert expected > 200
                waited(
                    "what was carried there",
                    lambda: notes_held(zoe, near)[0] == expected,
                    seconds=AWAY_SECONDS,
                )
                # Of those beyond the horizon nothing is passed on.
                assert notes_held(zoe, authors[:10])[0] == 0


def test_where_nobody_trusts_anybody_quotas_hold_and_nothing_is_relayed(tmp_path: Path) -> None:
    with local_network() as lan:
        first, second = lan.bridge(), lan.bridge()
        nodes = hosts_of(lan, first, tmp_path, 76)
        for node in nodes:
            node.home.mkdir(parents=True)
            (node.home / "config.toml").write_text(f"max_disk = {SMALL_DISK}\n")
        with running(*nodes):
            waited("each to meet the 19 others", lambda: all_met(nodes), seconds=ALL_MET_SECONDS)
            authors = authors_of(nodes)
            writers = authors[:WRITERS]
            import_shares(nodes[:WRITERS], tmp_path)
            quota = stranger_quota(HOSTS - 1, max_disk=SMALL_DISK)
            own = [notes_held(node, [author]) for node, author in zip(nodes, writers, strict=False)]
            assert min(size for _, size in own) > quota.bytes, "a quota that nobody exceeds"

            def within_quota() -> bool:
                return all(
                    quota.bytes // 2 < notes_held(node, [author])[1] <= quota.bytes
                    for node in nodes
                    for author in writers
                    if author != authors[nodes.index(node)]
                )

            waited("what quotas admit", within_quota, seconds=ALL_HELD_SECONDS)
            zoe = HostNode("Zoe", tmp_path, lan.host(second, "10.77.1.1"))
            with running(zoe):
                mover = nodes[0]
                mover.host.join(second)
                mover.host.give_address("10.77.1.2")
                waited(
                    "what he wrote himself",
                    lambda: notes_held(zoe, [authors[0]])[0] > 0,
                    seconds=AWAY_SECONDS,
                )
                wait_for("being in step", lambda: mover.online() == 1 and zoe.online() == 1)
                assert notes_held(zoe, authors[1:])[0] == 0
