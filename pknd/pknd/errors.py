"""The one error that a user gets to read: what was wrong, and what to do."""

from __future__ import annotations

from pkn_protocol.control.errors import Candidate, ErrorBody


class DomainError(Exception):
    """An act that could not be done, for a reason the user can understand.

    `code` is stable (`pkn_protocol.control.errors.ErrorCode`, or a finer one of a captured source), `message`
    says in one line what was wrong, `hint` what to do, `candidates` what an ambiguous reference may mean.
    """

    def __init__(
        self, code: str, message: str, hint: str = "", candidates: tuple[Candidate, ...] = ()
    ) -> None:
        super().__init__(message)
        self.code = str(code)
        self.message = message
        self.hint = hint
        self.candidates = candidates

    def body(self) -> ErrorBody:
        """The error as the control API shows it."""
        return ErrorBody(self.code, self.message, self.hint, self.candidates)

    def line(self) -> str:
        """The error in one line, for stderr."""
        return f"{self.message}; {self.hint}" if self.hint else self.message
