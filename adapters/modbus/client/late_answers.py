"""Track answers that may still arrive late, so that none is taken for the answer to another request. Pure.

An RTU answer does not name its request (Modbus over Serial Line V1.02, section 2.5.1): it only has a unit, a function and a
length. After a time-out, the request stays on the list until its answer can no longer arrive, and the link sends the unit nothing
whose answer could be confused with it.

A request that was sent twice may be answered twice. The unit's usual turnaround decides which answer arrived: one with the usual
turnaround after the second request belongs to that, and the first was lost; any other belongs to the first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from adapters.modbus.client.pdu import ABSENT_UNIT_CODES, EXCEPTION_BIT, ReadRequest, Request, WriteRequest

LATE_ANSWERS_BOUND = 32
"""The most unanswered requests kept for one unit. Each costs a time-out, so no more answers can be late at once."""

USUAL_TOLERANCE_SECONDS = 0.01
"""A turnaround differs from one time to the next by at most this, or by half of itself, whichever is more."""


@dataclass(slots=True, eq=False)
class UnansweredRequest:
    """A request that was sent and is not answered yet."""

    request: Request
    since: float
    """When its last character was sent."""
    until: float
    """No answer arrives after this time."""
    may_be_refused: bool = True
    """The answer may be an exception: the unit has not answered this request with a value since."""


@dataclass(frozen=True, slots=True)
class LateAnswer:
    """An answer that arrived after its request was given up."""

    unit: int
    sent_at: float
    """When its request was sent."""
    arrived_at: float
    is_absence: bool
    """A Modbus gateway reported that the unit is not there."""


class LateAnswers:
    """The unanswered requests to the units of one line. All times are seconds of one clock."""

    def __init__(self) -> None:
        self._unanswered: dict[int, deque[UnansweredRequest]] = {}
        self._usual_seconds: dict[int, float] = {}

    def add(self, unit: int, sent: UnansweredRequest) -> None:
        """Add a request that is sent to this unit."""
        self._unanswered.setdefault(unit, deque(maxlen=LATE_ANSWERS_BOUND)).append(sent)

    def discard(self, unit: int, sent: UnansweredRequest) -> None:
        """Remove a request that never reached the unit, so that no answer can arrive."""
        if sent in self._unanswered.get(unit, ()):
            self._unanswered[unit].remove(sent)

    def answered(self, unit: int, request: Request, *, began: float, with_value: bool) -> float:
        """Remove the request that this answer belongs to, and return the seconds that the unit took.

        Args:
            unit: who answered.
            request: what the answer is to; it is on the list.
            began: when the answer began.
            with_value: the answer is not an exception.
        """
        same = [sent for sent in self._unanswered[unit] if sent.request == request]
        for sent in same:
            sent.may_be_refused &= not with_value  # a unit that answers with a value now did not refuse it a moment ago
        is_answer_to_last = len(same) > 1 and self._is_usual(unit, began - same[-1].since)
        answered = same[-1] if is_answer_to_last else same[0]
        self._unanswered[unit].remove(answered)
        if len(same) == 1:
            self._usual_seconds[unit] = began - answered.since
        return began - answered.since

    def take_late(self, unit: int, pdu: bytes, *, began: float) -> UnansweredRequest | None:
        """Remove the request that a frame belongs to which nobody waits for, and return it, if there is one.

        Args:
            unit: who sent it.
            pdu: the frame from its function code on.
            began: when it began.
        """
        late = next((sent for sent in self._unanswered.get(unit, ()) if fits(sent.request, pdu)), None)
        if late is not None:
            self._unanswered[unit].remove(late)
            self._usual_seconds[unit] = began - late.since
        return late

    def _is_usual(self, unit: int, seconds: float) -> bool:
        usual = self._usual_seconds.get(unit)
        return usual is not None and abs(seconds - usual) <= max(usual / 2, USUAL_TOLERANCE_SECONDS)

    def only(self, unit: int, request: Request) -> bool:
        """Return whether the unit has no unanswered request but this one."""
        return all(sent.request == request for sent in self._unanswered.get(unit, ()))

    def blocked_until(self, unit: int, request: Request, now: float) -> float:
        """Return when this request can be sent without taking a late answer for its own; 0 when it can be sent now."""
        waiting = self._unanswered.get(unit)
        if not waiting:
            return 0.0
        for expired in [sent for sent in waiting if sent.until <= now]:
            waiting.remove(expired)
        return max((sent.until for sent in waiting if can_be_confused(sent, request)), default=0.0)


def fits(request: Request, pdu: bytes) -> bool:
    """Return whether a frame, from its function code on, can answer this request: a value of its size, or an exception."""
    if pdu[0] == request.function | EXCEPTION_BIT:
        return True
    if pdu[0] != request.function:
        return False
    match request:
        case ReadRequest():
            return pdu[1:2] == bytes([request.payload_bytes]) and len(pdu) == 2 + request.payload_bytes
        case WriteRequest():
            return pdu[1:] == request.confirmation
        case _:
            return True


def is_absence(pdu: bytes) -> bool:
    """Return whether an answer is the exception of a Modbus gateway that did not find the unit."""
    return bool(pdu[0] & EXCEPTION_BIT) and pdu[1:2] in {bytes([code]) for code in ABSENT_UNIT_CODES}


def can_be_confused(sent: UnansweredRequest, request: Request) -> bool:
    """Return whether a late answer would look like an answer to this request, and would be a wrong one."""
    if request == sent.request or request.function != sent.request.function:
        return False
    return sent.may_be_refused or _answer_form(request) == _answer_form(sent.request)


def _answer_form(request: Request) -> object:
    """Return what is equal for two requests of one function whose answers look alike."""
    match request:
        case ReadRequest():
            return request.payload_bytes
        case WriteRequest():
            return request.confirmation
        case _:
            return None
