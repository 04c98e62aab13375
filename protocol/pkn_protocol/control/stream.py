"""The lines of the streaming routes: one JSON object a line, told apart by `event`.

A stream ends with exactly one `summary`, `final` or `error` line; a stream that ends without one was cut
off. Log entries come bare (`LogEntry`), because a log has no end.
"""

from __future__ import annotations

from enum import StrEnum


class StreamEvent(StrEnum):
    PROGRESS = "progress"  # {"event", "progress": Progress}
    SNAPSHOT = "snapshot"  # {"event", "result": QueryResult so far}
    FINAL = "final"  # {"event", "result": QueryResult}
    SUMMARY = "summary"  # {"event", "summary": ImportSummary | VerifySummary}
    ERROR = "error"  # {"event", "error": ErrorBody}


# The key under which each event carries its shape.
STREAM_KEY: dict[StreamEvent, str] = {
    StreamEvent.PROGRESS: "progress",
    StreamEvent.SNAPSHOT: "result",
    StreamEvent.FINAL: "result",
    StreamEvent.SUMMARY: "summary",
    StreamEvent.ERROR: "error",
}
