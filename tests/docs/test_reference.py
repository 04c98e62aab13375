"""Pages that follow from the code follow it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_generated_parts_of_the_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "reference.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_route_is_documented() -> None:
    page = (DOCS / "control-api.md").read_text("utf-8")
    source = "".join(path.read_text("utf-8") for path in (DOCS.parent / "pknd/pknd/control").glob("*.py"))
    routes = re.findall(r'web\.(get|post|put|delete)\("(/v1/[^"]*)"', source)
    assert len(routes) > 25
    for method, path in routes:
        assert f"| {method.upper()} {path}" in page
