"""The one place that turns errors into words on stderr and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import click

from pkn_cli.failures import AlreadyTold, Exit, Failure
from pkn_cli.output.foreign import harmless


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether `--json` stands among the arguments, also where they cannot be parsed."""
    for argument in arguments:
        if argument == "--":
            return False
        if argument == "--json":
            return True
    return False


def run_reported(run: Callable[[], object], *, as_json: bool) -> int:
    """Run a command and tell whatever went wrong; the exit status."""
    try:
        _survive_narrow_encodings()
        run()
        sys.stdout.flush()
    except AlreadyTold as failure:
        if not as_json:
            tell(failure, as_json=False)
        return failure.status
    except Failure as failure:
        tell(failure, as_json=as_json)
        return failure.status
    except click.UsageError as error:
        tell(_usage(error), as_json=as_json)
        return Exit.WRONG_USAGE
    except click.ClickException as error:
        tell(Failure("failed", error.format_message()), as_json=as_json)
        return Exit.FAILED
    except (click.Abort, KeyboardInterrupt, EOFError):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return Exit.READER_GONE
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        tell(Failure("system", f"{where}{error.strerror or error}"), as_json=as_json)
        return Exit.FAILED
    except Exception as error:
        tell(_unexpected(error), as_json=as_json)
        return Exit.FAILED
    return Exit.DONE


def _usage(error: click.UsageError) -> Failure:
    message = error.format_message().rstrip(".")
    path = error.ctx.command_path if error.ctx is not None else "pkn"
    return Failure("usage", message[:1].lower() + message[1:], f"see {path} --help", status=Exit.WRONG_USAGE)


def _unexpected(error: Exception) -> Failure:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return Failure(
        "internal", f"pkn failed: {type(error).__name__}: {error}{place}", "please report this line"
    )


def tell(failure: Failure, *, as_json: bool, about: str = "") -> None:
    """A failure on stderr; `about` names the one of several things that it concerns."""
    if as_json:
        import json

        body: dict[str, object] = {
            "code": failure.code,
            "message": failure.message,
            "hint": failure.hint,
            **({"about": about} if about else {}),
        }
        if failure.candidates:
            body["candidates"] = [candidate._asdict() for candidate in failure.candidates]
        _write(json.dumps({"error": body}))
        return
    joint = " " if failure.message.endswith("?") else "; "
    # A message may begin with the path that was given.
    named = f"{about}: " if about and about not in failure.message else ""
    line = f"pkn: {named}{failure.message}{joint if failure.hint else ''}{failure.hint}"
    _write(harmless(line))
    for ref, label in failure.candidates:
        _write(f"  {harmless(ref)}  {harmless(label)}")


def _write(line: str) -> None:
    with suppress(BrokenPipeError):
        click.echo(line, err=True)


def _survive_narrow_encodings() -> None:
    """On a terminal that is not UTF-8, and for file names that are not, a `?` is better than an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _silence_stdout() -> None:
    """Point stdout nowhere, so that the interpreter's last flush does not complain."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
