"""The vector files: they come out the same, and are judged as they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pkn_protocol.records.cbor import BadEncoding
from pkn_protocol.records.codec import decode_record, verify_record
from pkn_protocol.records.fields import RecordError
from pkn_protocol.records.ids import cid_text, did_key
from tests.vectors import generate

FOLDER = Path(generate.__file__).parent


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("utf-8"))


@pytest.mark.parametrize(
    "name",
    [
        "records-valid.json",
        "records-invalid.json",
        "payloads.json",
        "circles.json",
        "reconciliation.json",
        "channel.json",
    ],
)
def test_the_code_still_makes_the_same_vectors(name: str) -> None:
    assert generate.text_of(generate.files()[name]) == (FOLDER / name).read_text("utf-8")


@pytest.mark.parametrize("vector", read("records-valid.json"), ids=lambda v: v["name"])
def test_valid_records_decode_and_verify(vector: dict[str, Any]) -> None:
    record = decode_record(bytes.fromhex(vector["block"]))
    verify_record(record)
    assert (cid_text(record.id), did_key(record.author)) == (vector["id"], vector["author"])
    assert record.understood is vector["understood"]


@pytest.mark.parametrize("vector", read("records-invalid.json"), ids=lambda v: v["name"])
def test_invalid_records_are_refused_for_the_reason_given(vector: dict[str, Any]) -> None:
    with pytest.raises((RecordError, BadEncoding)) as error:
        verify_record(decode_record(bytes.fromhex(vector["block"])))
    assert getattr(error.value, "code", None) == vector["error"]
