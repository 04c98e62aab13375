"""The vector file of the channel: frames are read as it says, in both versions, and refused as it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pkn_protocol.channel.codec import Stage, decode_message
from pkn_protocol.channel.errors import ChannelError
from tests.vectors import channel

VECTORS: Any = json.loads(Path(channel.__file__).with_name("channel.json").read_text("utf-8"))


def read(frame: str) -> Any:
    envelope = decode_message(bytes.fromhex(frame), Stage.OPEN)
    return channel.plain(envelope.message)


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=lambda v: v["name"])
def test_both_forms_say_the_same(vector: dict[str, Any]) -> None:
    assert read(vector["version_1"]) == read(vector["version_2"]) == vector["message"]


@pytest.mark.parametrize("vector", VECTORS["also_read"], ids=lambda v: v["name"])
def test_forms_that_others_may_write_are_read(vector: dict[str, Any]) -> None:
    assert read(vector["frame"]) == vector["message"]


@pytest.mark.parametrize("vector", VECTORS["malformed"], ids=lambda v: v["name"])
def test_malformed_short_forms_are_refused_with_the_code_given(vector: dict[str, Any]) -> None:
    with pytest.raises(ChannelError) as error:
        read(vector["frame"])
    assert error.value.code.name == vector["error"]
