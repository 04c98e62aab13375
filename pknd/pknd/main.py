"""The command line of pknd: from arguments to a running daemon, and to its end in order."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version

from pkn_protocol.control.status import LogLevel
from pknd import log
from pknd.config import SETTINGS
from pknd.config_file import ConfigFile
from pknd.errors import DomainError
from pknd.home import Home, home_folder, open_home
from pknd.log import LogFormat
from pknd.memory import share_one_heap
from pknd.store.errors import HomeInUse
from pknd.store.lock import HomeLock

# A daemon in health ends far sooner. What was acknowledged is on disk in any case, so a part that hangs may
# be cancelled, and a thread that hangs be left behind.
CANCEL_AFTER_SECONDS = 2.0
EXIT_AFTER_SECONDS = 5.0
_PRIVATE_UMASK = 0o077
# EX_TEMPFAIL of sysexits.h: who started us at the same moment as somebody else can wait for the other one.
HOME_IN_USE = 75

Run = Callable[[ConfigFile, Home, asyncio.Event], Awaitable[None]]
"""The daemon: it runs until the event is set, or sets it itself, and returns when all is closed."""


def main(arguments: Sequence[str] | None = None, run: Run | None = None) -> int:
    """Run pknd in the foreground until SIGTERM, SIGINT or `pkn down`; the exit status.

    0 when asked to stop, 1 when it could not start or failed (one line on stderr says what to do), 2 for
    wrong usage, 75 when another daemon serves this home.
    """
    given = _parser().parse_args(arguments)
    os.umask(_PRIVATE_UMASK)
    share_one_heap()
    try:
        home = open_home(home_folder(given.home))
        lock = HomeLock(home.folder)
        try:
            config = ConfigFile(home.config, _settings(given))
            log.configure(
                config.config.log_level,
                LogFormat(given.log_format),
                file=home.log if given.background else None,
            )
            # In the foreground the log is stderr, where a refusal stands alone.
            log.event(
                "daemon.starting",
                LogLevel.INFO if given.background else LogLevel.DEBUG,
                version=version("pknd"),
                home=home.folder,
                pid=os.getpid(),
            )
            asyncio.run(_supervised(run or _daemon(), config, home))
            log.event("daemon.stopped")
        finally:
            lock.release()
    except KeyboardInterrupt:
        return 1
    except Exception as error:
        return _failed(error, background=given.background)
    return 0


def _daemon() -> Run:
    # Here and not above: --help and wrong usage need none of what the daemon loads.
    from pknd.daemon import run

    # What was loaded stays. When much has come, the collector would go through all of it, and for 40 ms
    # nothing else could run.
    gc.freeze()
    # Records that come in thousands are no cycles: looking for those after every 700 objects took a tenth of
    # an import's processor time.
    gc.set_threshold(10_000, 20, 20)
    return run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pknd",
        description="The daemon of a personal knowledge network. It runs in the foreground; "
        "`pkn up` starts it in the background.",
        allow_abbrev=False,
    )
    parser.add_argument("--home", metavar="DIR", help="where everything is kept (default: $PKN_HOME)")
    parser.add_argument("--name", help="the name that others see")
    parser.add_argument("--listen", metavar="HOST:PORT", help=f"default {SETTINGS['listen'].default}")
    parser.add_argument("--no-mdns", action="store_true", help="neither announce nor look around")
    parser.add_argument("--log-level", choices=[level.value for level in LogLevel])
    parser.add_argument(
        "--log-format", choices=[form.value for form in LogFormat], default=LogFormat.LOGFMT.value
    )
    parser.add_argument(
        "--background", action="store_true", help="log into the home's pknd.log instead of stderr"
    )
    parser.add_argument("--version", action="version", version=f"pknd {version('pknd')}")
    return parser


def _settings(given: argparse.Namespace) -> dict[str, str]:
    """The settings that the command line gives for this run."""
    texts = {"name": given.name, "listen": given.listen, "log_level": given.log_level}
    if given.no_mdns:
        texts["mdns"] = "false"
    return {key: text for key, text in texts.items() if text is not None}


async def _supervised(run: Run, config: ConfigFile, home: Home) -> None:
    """Run the daemon; on the first signal ask it to stop, on the second cancel it."""
    stop = asyncio.Event()
    daemon = asyncio.ensure_future(run(config, home, stop))
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        log.event("daemon.signal", signal=number.name)
        if stop.is_set():
            daemon.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    asked = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((daemon, asked), return_when=asyncio.FIRST_COMPLETED)
        if not daemon.done():
            _leave_in_time()
            _, late = await asyncio.wait((daemon,), timeout=CANCEL_AFTER_SECONDS)
            if late:
                log.event("daemon.stop_late", LogLevel.WARNING, after_s=CANCEL_AFTER_SECONDS)
                daemon.cancel()
        try:
            await daemon
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
    finally:
        asked.cancel()


def _leave_in_time() -> None:
    """End the process by force when closing hangs, so that `pkn down` and a service manager need not wait."""

    def leave() -> None:
        log.event("daemon.stop_forced", LogLevel.ERROR, after_s=EXIT_AFTER_SECONDS)
        os._exit(1)

    timer = threading.Timer(EXIT_AFTER_SECONDS, leave)
    timer.daemon = True
    timer.start()


def _failed(error: Exception, *, background: bool) -> int:
    """Say in one line what was wrong and what to do, and in the log where that is not stderr as well; the
    exit status."""
    told = _told(error)
    if told is None:
        told = DomainError(
            "internal", f"it failed: {type(error).__name__}: {error}", "--log-level debug says where"
        )
        log.traceback_of(error)
    if background:
        log.event("daemon.failed", LogLevel.ERROR, code=told.code, error=told.message, hint=told.hint)
    print(f"pknd: {log.one_line(told.line())}", file=sys.stderr)
    return HOME_IN_USE if isinstance(told, HomeInUse) else 1


def _told(error: BaseException) -> DomainError | None:
    """The first error in words for the user, where task groups wrap several."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            found = _told(inner)
            if found is not None:
                return found
    if isinstance(error, OSError) and error.filename is not None:
        return DomainError("system", f"{error.filename}: {error.strerror}", "check its owner and free space")
    return None
