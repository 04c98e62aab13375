"""The long works of the control API."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from pkn_protocol.control.work import ImportRequest, ImportSummary, Progress, VerifyRequest, VerifySummary
from pknd.items.importing import Importer
from pknd.items.verifying import Verifier


class LongWork:
    def __init__(self, importer: Importer, verifier: Verifier) -> None:
        self._importer = importer
        self._verifier = verifier

    def import_paths(self, request: ImportRequest) -> AsyncGenerator[Progress | ImportSummary, None]:
        return self._importer.run(request)

    def verify(self, request: VerifyRequest) -> AsyncGenerator[Progress | VerifySummary, None]:
        return self._verifier.run(request)
