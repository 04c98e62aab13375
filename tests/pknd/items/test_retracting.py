"""What is taken back is a whole item, with all its versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkn_protocol.control.items import EditRequest, PublishRequest
from pknd.errors import DomainError
from tests.e2e.inside import Inside


async def test_one_version_is_not_taken_back_alone_nor_all_for_one(tmp_path: Path) -> None:
    anna = Inside("Anna", tmp_path)
    async with anna.running() as daemon:
        first = await daemon.items.publish(PublishRequest(text="# Tides\n\nonce", audience="private"))
        await daemon.items.edit(first.id, EditRequest(text="# Tides\n\ntwice"))
        with pytest.raises(DomainError) as error:
            await daemon.items.retract(f"{first.id}@1")
        assert first.id in error.value.hint
        assert len((await daemon.items.history(first.id)).versions) == 2
        assert (await daemon.items.retract(first.id)).versions == 2
