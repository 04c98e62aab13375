"""One daemon a home: an advisory lock that the system releases when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pknd.store.errors import HomeInUse

LOCK_NAME = "lock"


class HomeLock:
    """Held from construction until `release`.

    Raises:
        HomeInUse: another process holds it.
    """

    def __init__(self, home: Path) -> None:
        self._descriptor = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._descriptor, 20).decode("ascii", errors="replace").strip() or "unknown"
            self.release()
            raise HomeInUse(home, holder) from error
        except OSError:
            self.release()
            raise
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode("ascii"), 0)

    def release(self) -> None:
        """Let the home go; once is enough, again is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
