"""The lines of the streaming routes: one JSON object a line, told apart by `event`.

A stream ends with exactly one `summary`, `final` or `error` line; a stream that ends without one was cut
off. News and matches have no end; log entries come bare (`LogEntry`) as well.
"""

from __future__ import annotations

from enum import StrEnum


class StreamEvent(StrEnum):
    PROGRESS = "progress"  # {"event", "progress": Progress}
    SNAPSHOT = "snapshot"  # {"event", "result": QueryResult so far}
    FINAL = "final"  # {"event", "result": QueryResult}
    SUMMARY = "summary"  # {"event", "summary": ImportSummary | VerifySummary}
    ERROR = "error"  # {"event", "error": ErrorBody}
    WATCHING = "watching"  # {"event"}: whatever is stored from now on is looked at
    MATCH = "match"  # {"event", "match": WatchMatch}
    MISSED = "missed"  # {"event", "missed": how many matches found no room, since nobody read}
    NEWS = "news"  # {"event", "news": News that came}


# The key under which each event carries its shape; `watching` says nothing but that it is so.
STREAM_KEY: dict[StreamEvent, str] = {
    StreamEvent.PROGRESS: "progress",
    StreamEvent.SNAPSHOT: "result",
    StreamEvent.FINAL: "result",
    StreamEvent.SUMMARY: "summary",
    StreamEvent.ERROR: "error",
    StreamEvent.MATCH: "match",
    StreamEvent.MISSED: "missed",
    StreamEvent.NEWS: "news",
}
