"""Read registers of a unit that is probed, also where it does not return so many at once. Pure.

Some devices are silent to a read of more registers than they return, or refuse it with exception 03; others do so for registers
that they do not have. One register alone tells the two apart, and the long read is sent once more, since an answer can be lost.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final

from adapters.modbus.client.pdu import ExceptionResponse, NoResponse, ReadRequest, Request, Response

ILLEGAL_VALUE: Final = 0x03
"""The exception code for a read that is too long (Modbus Application Protocol V1.1b3, section 6.3)."""

SILENCES_BOUND: Final = 2
"""How often in one probe a single register is asked for in vain after a long read failed: each may cost a time-out."""

SUSPICIONS_FOR_LIMIT: Final = 2
"""Long reads that were not answered twice, where their first register alone was refused: after so many, they are too long."""


@dataclass(slots=True)
class LongReads:
    """The result of one probe about long reads."""

    at_once: int | None = None
    """How many registers are read at once; `None` for as many as are wanted."""
    _longest: int = 1
    """The longest read that returned its registers."""
    _silences: int = 0
    _suspicions: set[ReadRequest] = field(default_factory=set)
    _failed: set[ReadRequest] = field(default_factory=set)

    def read(self, request: Request, *, is_repeated: bool = False) -> Generator[Request, Response, Response]:
        """Yield what has to be sent, and return the answer to the request.

        Args:
            request: what is wanted.
            is_repeated: it is sent again anyway where it is not answered; so it is doubted the second time.
        """
        if not isinstance(request, ReadRequest) or request.table.holds_bits or request.count == 1:
            return (yield request)
        if self.at_once is not None and request.count > self.at_once:
            return (yield from self._in_parts(request, self.at_once))
        answer = yield request
        if isinstance(answer, bytes):
            self._longest = max(self._longest, request.count)
        if not _may_be_too_long(answer) or request.count <= self._longest or self._silences >= SILENCES_BOUND:
            return answer
        has_failed = request in self._failed
        self._failed.add(request)
        if has_failed != is_repeated:
            return answer
        return (yield from self._doubted(request, answer, is_confirmed=has_failed))

    def _doubted(self, request: ReadRequest, answer: Response, *, is_confirmed: bool) -> Generator[Request, Response, Response]:
        """Find out whether a read failed for its length; if so, return its registers read in parts."""
        single = yield ReadRequest(request.table, request.address, 1)
        if _failed_alike(single, answer):
            self._silences += isinstance(single, NoResponse)
            return answer
        again = answer if is_confirmed else (yield request)
        if not _may_be_too_long(again):
            return again
        self._suspicions.add(request)
        if not isinstance(single, bytes) and len(self._suspicions) < SUSPICIONS_FOR_LIMIT:
            return again
        self.at_once = self._longest
        return (yield from self._in_parts(request, self.at_once))

    @staticmethod
    def _in_parts(request: ReadRequest, at_once: int) -> Generator[Request, Response, Response]:
        """Return the bytes of all registers, or the first answer that has none."""
        content, end = b"", request.address + request.count
        for address in range(request.address, end, at_once):
            answer = yield ReadRequest(request.table, address, min(at_once, end - address))
            if not isinstance(answer, bytes):
                return answer
            content += answer
        return content


def _may_be_too_long(answer: Response) -> bool:
    if isinstance(answer, NoResponse):
        return not answer.is_absent
    return isinstance(answer, ExceptionResponse) and answer.code == ILLEGAL_VALUE


def _failed_alike(single: Response, answer: Response) -> bool:
    """Return whether a single register says nothing else than the long read did."""
    return isinstance(single, NoResponse) or (not isinstance(answer, NoResponse) and _may_be_too_long(single))
