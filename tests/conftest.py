"""What every test may ask for: the `needs` marker, and the seed of hypothesis printed on failure."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent

# `make test` draws the same examples each time, so that its answer is about the change alone; `make
# test-long` explores, with new ones each time and many more.
settings.register_profile(
    "pkn",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=60,
)
settings.register_profile(
    "explore",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=600,
)
settings.load_profile("pkn")


@cache
def _lacks(what: str) -> str | None:
    """Why this machine cannot run a test that needs `what`; None where it can."""
    if what == "node":
        return None if shutil.which("node") and shutil.which("npm") else "Node.js and npm are not installed"
    if what == "root":
        return None if os.geteuid() == 0 else "it needs root"
    if what == "namespaces":
        if os.geteuid() != 0 or not shutil.which("ip"):
            return "network namespaces need root and iproute2"
        probe = subprocess.run(["ip", "netns", "list"], capture_output=True, check=False)
        return None if probe.returncode == 0 else "network namespaces do not work here"
    if what == "avahi":
        programs = ("avahi-daemon", "avahi-browse", "dbus-daemon", "unshare")
        missing = [name for name in programs if shutil.which(name) is None]
        return f"{', '.join(missing)}: not installed" if missing else None
    if what.startswith("shared:"):
        folder = REPOSITORY.parent / "shared" / what.removeprefix("shared:")
        return None if folder.is_dir() else f"{folder} is absent"
    raise ValueError(f"a test needs {what!r}, which tests/conftest.py does not know")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        reason = _lacks(marker.args[0])
        if reason is None:
            continue
        if os.environ.get("PKN_REQUIRE_ALL") == "1":
            pytest.fail(f"PKN_REQUIRE_ALL=1, but {reason}", pytrace=False)
        pytest.skip(reason)
