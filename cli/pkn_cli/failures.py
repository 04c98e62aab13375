"""What can go wrong in a command, as one error type with the words that the user reads."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple


class Exit(IntEnum):
    """The exit status. Ended by a signal it is 128 and the signal's number, as shells have it."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    NOT_RUNNING = 3
    INTERRUPTED = 130  # SIGINT
    READER_GONE = 141  # SIGPIPE: whoever read our output stopped


class Suggestion(NamedTuple):
    """What an ambiguous reference may mean: `ref` can be typed instead, `label` is foreign text."""

    ref: str
    label: str


class Failure(Exception):
    """A command could not be done. `message` says what was wrong in one line, `hint` what to do."""

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        *,
        candidates: Sequence[Suggestion] = (),
        status: Exit = Exit.FAILED,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.candidates = tuple(candidates)
        self.status = status


class NotRunning(Failure):
    """No daemon answers for this home."""

    def __init__(self, hint: str) -> None:
        super().__init__("not-running", "pknd is not running", hint, status=Exit.NOT_RUNNING)


class AlreadyTold(Failure):
    """The command printed its result, and the result is a failure (`verify` with bad records).

    `message` goes to stderr for people; under `--json` the document on stdout says it all.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("found-bad", message, hint)
