"""A status line on stderr for whatever takes longer than half a second, on a terminal only."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Self

from pkn_cli.output.foreign import harmless
from pkn_cli.output.terminal import clip, is_terminal

_PATIENCE_SECONDS = 0.5
_REDRAW_SECONDS = 0.1
_BAR_CELLS = 24
_CLEAR = "\r\x1b[K"  # ECMA-48 EL: from here to the line's end


class StatusLine:
    """Shows `text` after half a second, redraws it as it changes, and takes it away at the end.

    A thread draws, so that a call which waits for the daemon shows that something goes on.
    """

    def __init__(self, text: str, *, enabled: bool = True) -> None:
        self._text = text
        self._enabled = enabled and is_terminal(sys.stderr)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._enabled:
            self._thread = threading.Thread(target=self._draw, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, text: str) -> None:
        self._text = text

    def step(self, done: int, total: int | None, what: str = "") -> None:
        """Progress of counted work, as a bar when the total is known."""
        head = f"{done}" if not total else f"{_bar(done, total)} {done}/{total}"
        self.update(f"{head}  {what}")

    def amount(self, done: int, total: int, text: str) -> None:
        """Progress of something that has a size, which `text` tells in words."""
        self.update(f"{_bar(done, total)} {text}" if total else text)

    def close(self) -> None:
        """Take the line away; once is enough, again is harmless."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _draw(self) -> None:
        drawn = None
        wait = _PATIENCE_SECONDS
        while not self._over.wait(wait):
            wait = _REDRAW_SECONDS
            if self._text != drawn:
                drawn = self._text
                _write(_CLEAR + clip(harmless(drawn), _columns() - 1))
        if drawn is not None:
            _write(_CLEAR)


def _bar(done: int, total: int) -> str:
    full = min(done * _BAR_CELLS // total, _BAR_CELLS)
    return f"[{'#' * full}{' ' * (_BAR_CELLS - full)}]"


def _columns() -> int:
    import os

    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
