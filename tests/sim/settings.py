"""What a simulation is made of: every option of the command, with its unit. A seed and these say all."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_MS = 60_000.0


@dataclass(frozen=True, slots=True)
class Partition:
    """From `start` on, in minutes, for so many minutes, the nodes are divided into so many parts."""

    start: float
    minutes: float
    parts: int = 2

    @classmethod
    def parse(cls, text: str) -> Partition:
        """START:MINUTES[:PARTS].

        Raises:
            ValueError: it is not that.
        """
        fields = text.split(":")
        if len(fields) not in (2, 3):
            raise ValueError(f"{text!r} is not START:MINUTES[:PARTS]")
        partition = cls(float(fields[0]), float(fields[1]), int(fields[2]) if len(fields) == 3 else 2)
        if partition.start < 0 or partition.minutes <= 0 or partition.parts < 2:
            raise ValueError(f"{text!r}: START is not negative, MINUTES positive, PARTS at least 2")
        return partition


@dataclass(frozen=True, slots=True)
class Settings:
    """`loss`: probability that an attempt to deliver a message fails; `breaks`: that a message breaks its
    connection. `churn`: the part of the nodes that restart during the run, each once or more, their stores
    kept; `down_minutes`: how long they are away in the mean. `clock_minutes`: how far a clock is off at most.

    People: each trusts and is trusted by `friends` in the mean, in a small world where `rewired` of the ties
    lead anywhere, vouches for at most `vouches` of those, and trusts all `hubs`, who vouch for nobody. A node
    looks for `neighbours` and takes twice as many. `acquainted`: the part of the nodes that begin with the
    standing records of all within their horizon, as after earlier meetings; the others find out whom there
    is. `in_step`: of the acquainted, the part that has all else that its quotas admit too. `strangers`: the
    part of the nodes that somebody unknown is connected to by hand; `newcomers`: the part that begins with an
    empty store in the middle of the run.

    Records: each writes `before` before the run (newcomers too) and `live` during its first `minutes`, hubs
    `hub_live`; a part `retracted`, `expiring`, `versions` of items is taken back, short-lived, or replaced.
    `prolific`: the part of the authors who write more than a quota of `max_disk` bytes holds.
    """

    nodes: int = 200
    seed: int = 1
    loss: float = 0.1
    breaks: float = 0.0005
    delay_ms: float = 40.0
    spread: float = 0.5
    bandwidth: float | None = None
    churn: float = 0.2
    down_minutes: float = 1.0
    partitions: tuple[Partition, ...] = ()
    clock_minutes: float = 10.0
    friends: int = 4
    rewired: float = 0.2
    vouches: int = 8
    hubs: int = 2
    neighbours: int = 8
    acquainted: float = 0.8
    in_step: float = 0.0
    strangers: float = 0.05
    newcomers: float = 0.03
    before: int = 8
    live: float = 3.0
    hub_live: int = 20
    retracted: float = 0.05
    expiring: float = 0.05
    versions: float = 0.1
    prolific: float = 0.02
    max_disk: int = 24 * 1024 * 1024
    minutes: float = 10.0
    settle_minutes: float = 30.0
    decode: bool = True
