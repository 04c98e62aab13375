"""A second language: Node reads our records with other people's libraries, and we read Node's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pkn_protocol.records.codec import decode_record, verify_record
from pkn_protocol.records.ids import cid_text

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors"
INSTALL_SECONDS = 110


@pytest.mark.needs("node")
def test_node_reads_our_records_and_we_read_those_of_node(tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json", "check.mjs", "reconciliation.mjs", "channel.mjs"):
        shutil.copy(HERE / name, tmp_path)
    run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], tmp_path)
    output = tmp_path / "records.json"
    said = run(["node", "check.mjs", str(VECTORS), str(output)], tmp_path)
    assert "checks passed" in said
    written = json.loads(output.read_text())
    assert len(written) == 5
    for one in written:
        record = decode_record(bytes.fromhex(one["block"]))
        verify_record(record)
        assert cid_text(record.id) == one["id"]


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
