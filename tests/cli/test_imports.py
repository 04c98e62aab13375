"""What `pkn query` must not load: start-up time is most of what it costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pkn_protocol.control.codec import to_json
from pkn_protocol.control.query import QueryResult
from tests.cli.daemon import FakeDaemon
from tests.cli.shapes import HIT

FORBIDDEN = {
    *("aiohttp", "asyncio", "sqlite3", "sqlite_utils", "zeroconf", "cryptography", "yaml"),
    *("nacl", "cbrrr", "base58", "mnemonic", "Stemmer", "puremagic", "tomlkit", "tomllib"),
    *("rich", "tabulate", "wcwidth", "platformdirs", "importlib.metadata"),
    *("subprocess", "tempfile", "unittest", "logging", "multiprocessing", "concurrent.futures", "difflib"),
    *("pknd", "pkn_protocol.records", "pkn_protocol.text", "pkn_protocol.sync", "pkn_protocol.channel"),
}


def test_query_loads_only_what_it_needs(home: Path, daemon: FakeDaemon) -> None:
    result = to_json(QueryResult("drag", True, 1, 1, 1, 2.5, (HIT,)))
    daemon.stream("POST", "/v1/query", {"event": "final", "result": result})
    code = (
        "import sys, json\nfrom pkn_cli.main import main\n"
        "try: main()\nexcept SystemExit as end: assert end.code == 0, end.code\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "query", "drag"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PKN_HOME": str(home)},
    )
    assert "Boundary layers" in done.stdout
    loaded = json.loads(done.stderr)
    assert not FORBIDDEN & set(loaded)
    assert [name for name in loaded if name.startswith("pkn_cli.commands.")] == ["pkn_cli.commands.query"]
