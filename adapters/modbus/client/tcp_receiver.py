"""Sort the answers that arrive on a Modbus TCP connection: the awaited one, late ones, and those with a wrong header. Pure.

The transaction id says what an answer belongs to. Some hosts return its neighbour, its bytes swapped, or always the same. Their
answer is taken for what it fits, as on RTU, where this is unambiguous: no answer on this connection had a right id, the unit and
the size are those of the request, and no unanswered request to that unit has an answer of the same form.

Where it is not unambiguous, the answer is not taken, and the link connects anew: no late answer arrives on a new connection. Over
UDP no wrong id is accepted: the network may deliver an answer twice, and there is no connection that could be renewed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from adapters.modbus.client.late_answers import LateAnswer, UnansweredRequest, can_be_confused, fits, is_absence
from adapters.modbus.client.mbap_frames import HOST_UNITS, SHORTEST_FRAME_BYTES, UNIT_AT, Deviation, MbapFrame, cut, is_header
from adapters.modbus.client.pdu import EXCEPTION_BIT, Request
from adapters.modbus.client.rtu_search import frames_in

REMEMBERED_REQUESTS = 512
"""How many unanswered requests are remembered on a connection: more than a scan of all unit ids leaves."""

_Renumbering: TypeAlias = Callable[[int], int]

_RENUMBERINGS: Sequence[_Renumbering] = (
    lambda number: number + 1,  # the answer has the id of the request before
    lambda number: number - 1,  # or of the next one
    lambda number: (number >> 8) | (number & 0xFF) << 8,  # or its bytes are swapped
)
"""From the id of an answer, the id of its request, for hosts that return another one."""

LATE_SECONDS = 10.0
"""How late an answer may be, at least, that is not to be taken for another one by its content."""

FIRST_TRANSACTION = 1
"""pymodbus counts from here on each connection."""


@dataclass(frozen=True, slots=True)
class _SentRequest:
    transaction: int
    unit: int
    sent: UnansweredRequest


@dataclass(frozen=True, slots=True)
class TcpReception:
    """What the bytes contain that have arrived."""

    used: int
    """How many bytes are done with."""
    transaction: int = 0
    unit: int = 0
    """The ids of the request that is answered."""
    pdu: bytes = b""
    """The answer; empty without one."""
    since: float = 0.0
    """When the request was sent that it answers."""
    late: Sequence[LateAnswer] = ()
    """The answers to abandoned requests."""
    new_deviations: Sequence[Deviation] = ()
    """What the host was not known to do wrong."""


class TcpReceiver:
    """The receiver of one host. All times are seconds of one clock.

    Args:
        takes_wrong_ids: an answer with a wrong transaction id is taken where its content is unambiguous.
    """

    def __init__(self, *, takes_wrong_ids: bool = True) -> None:
        self._takes_wrong_ids = takes_wrong_ids
        self.deviations: set[Deviation] = set()
        """What the host does wrong in its headers."""
        self.is_confused = False
        """An answer arrived of which cannot be said whether it is to the last request, which nothing else has answered."""
        self._requests: OrderedDict[int, _SentRequest] = OrderedDict()
        self._awaited: int | None = None
        self._has_ids = False
        """An answer on this connection had an id other than 0."""
        self._has_right_ids = False
        self._strange: tuple[int, _SentRequest | None] = (-1, None)
        """The last id that no request had, and the request during which it came."""
        self._renumbering: _Renumbering | None = None
        """In which way the ids are wrong; `None` while that is not known."""

    def sent(self, packet: bytes, unit: int, sent: UnansweredRequest) -> None:
        """Record the request that is sent with this packet."""
        transaction = int.from_bytes(packet[:2])
        if transaction == FIRST_TRANSACTION:  # a new connection: nothing that was sent on another is answered here
            self._requests.clear()
            self._has_ids = self._has_right_ids = False  # in which way ids are wrong is kept: the host is the same
        self._requests[transaction] = _SentRequest(transaction, unit, sent)
        self._awaited = transaction
        self.is_confused = False
        while len(self._requests) > REMEMBERED_REQUESTS:
            self._requests.popitem(last=False)

    def ended(self) -> None:
        """Record that nobody waits for the answer any more; it may arrive late."""
        self._awaited = None

    def forget_ids(self) -> None:
        """Forget in which way the ids of the host are wrong: it does not fit what arrives."""
        self._renumbering = None

    def receive(self, data: bytes, now: float) -> TcpReception:
        """Return what is in the received bytes.

        Args:
            data: everything that arrived since the request, and was not used by an earlier call.
            now: the time.
        """
        result, known = TcpReception(0), frozenset(self.deviations)
        late: list[LateAnswer] = []
        at = self._header_from(data, 0)
        while at is not None and (frame := cut(data, at, self._request_for(data, at))) is not None:
            at += frame.size
            result = replace(result, used=at)
            if (answered := self._answered_by(frame, now)) is not None:
                result = replace(result, transaction=self._awaited or 0, unit=answered.unit)
                result = replace(result, pdu=frame.pdu, since=answered.sent.since)
                del self._requests[answered.transaction]
                self._awaited = None
            elif (answer := self._late_by(frame, now)) is not None:
                late.append(answer)
            self._has_ids |= frame.transaction != 0
            at = self._header_from(data, at)
        return replace(result, late=late, new_deviations=sorted(self.deviations - known))

    def _header_from(self, data: bytes, at: int) -> int | None:
        """Return the offset of the next frame; bytes before it belong to none. `None` where there is none, or not yet."""
        if len(data) - at < SHORTEST_FRAME_BYTES:
            return None
        if self._may_begin(data, at):
            return at
        places = range(at + 1, len(data) - SHORTEST_FRAME_BYTES + 1)
        return next((place for place in places if self._transaction_at(data, place) and is_header(data, place)), None)

    def _may_begin(self, data: bytes, at: int) -> bool:
        """Return whether a frame may begin here: with a right header, or with ours and another protocol id."""
        if is_header(data, at):
            return True
        awaited = self._transaction_at(data, at) if int.from_bytes(data[at : at + 2]) == self._awaited else None
        frame = None if awaited is None else cut(data, at, awaited.sent.request)
        return frame is not None and frame.fits

    def _meant(self, transaction: int) -> int:
        """Return the id of the request that an answer with this id is to."""
        if self._renumbering is None:
            return transaction
        meant = self._renumbering(transaction)
        is_right = transaction == self._awaited and meant not in self._requests  # so the ids are right after all
        return transaction if is_right else meant

    def _transaction_at(self, data: bytes, at: int) -> _SentRequest | None:
        """Return the request whose transaction id and unit stand here."""
        request = self._requests.get(self._meant(int.from_bytes(data[at : at + 2])))
        is_from_unit = request is not None and (data[at + UNIT_AT] == request.unit or data[at + UNIT_AT] in HOST_UNITS)
        return request if is_from_unit else None

    def _request_for(self, data: bytes, at: int) -> Request | None:
        """Return the request by whose answer the frame here is cut."""
        named = self._transaction_at(data, at) or self._requests.get(self._awaited or 0)
        return None if named is None else named.sent.request

    def _answered_by(self, frame: MbapFrame, now: float) -> _SentRequest | None:
        """Return the request that a frame answers, if somebody waits for that: the last one, or an earlier one that was equal."""
        awaited = self._requests.get(self._awaited or 0)
        if awaited is None:
            return None
        deviations = set(frame.deviations)
        transaction = self._meant(frame.transaction)
        earlier = self._requests.get(transaction)
        if transaction == self._awaited:
            is_host = bool(HOST_UNITS & {frame.unit, awaited.unit}) and frame.fits
            if frame.unit != awaited.unit and not is_host:
                self.is_confused |= self._may_be_to_another(frame, awaited)
                return None
            if self._renumbering is None or self._renumbering(frame.transaction) != self._awaited:
                self._renumbering = None
                self._has_right_ids = self._has_right_ids or not self._has_rival(awaited, now)
            deviations |= {Deviation.UNIT} if frame.unit != awaited.unit and awaited.unit not in HOST_UNITS else set()
        elif frame.unit != awaited.unit or not fits(awaited.sent.request, frame.pdu):
            return None
        elif earlier is not None and (earlier.unit, earlier.sent.request) == (awaited.unit, awaited.sent.request):
            if now - earlier.sent.since > LATE_SECONDS:
                return None  # its value is not true any more
            awaited = earlier
        elif self._has_right_ids or self._has_rival(awaited, now) or not self._is_wrong_id(frame.transaction, awaited):
            is_surely_late = self._has_right_ids or self._renumbering is not None
            self.is_confused |= earlier is None or not is_surely_late or frame.transaction == self._awaited
            return None
        else:
            deviations.add(Deviation.TRANSACTION)
        self.deviations |= deviations
        self.is_confused = not fits(awaited.sent.request, frame.pdu) and self._may_be_to_another(frame, awaited)
        return awaited

    def _is_wrong_id(self, transaction: int, awaited: _SentRequest) -> bool:
        """Return whether a host that returns wrong ids may return this one, and learn in which way it is wrong."""
        if not self._takes_wrong_ids:
            return False
        self._renumbering = next((one for one in _RENUMBERINGS if one(transaction) == self._awaited), None)
        before, self._strange = self._strange, (transaction, awaited)
        is_constant = (transaction == 0 and not self._has_ids) or (before[0] == transaction and before[1] is not awaited)
        return self._renumbering is not None or is_constant

    def _may_be_to_another(self, frame: MbapFrame, awaited: _SentRequest) -> bool:
        """Return whether a frame answers another request that is not answered yet, although it has the id of the awaited one."""
        others = (one for one in self._requests.values() if one is not awaited and one.unit == frame.unit)
        return any(fits(one.sent.request, frame.pdu) for one in others)

    def _has_rival(self, awaited: _SentRequest, now: float) -> bool:
        """Return whether the answer to another request to this unit would look the same and may still arrive."""
        rivals = (one.sent for one in self._requests.values() if one.unit == awaited.unit and one is not awaited)
        return any(
            can_be_confused(one, awaited.sent.request) and now < max(one.until, one.since + LATE_SECONDS) for one in rivals
        )

    def _late_by(self, frame: MbapFrame, now: float) -> LateAnswer | None:
        """Return the late answer that a frame is, and forget its request."""
        transaction = self._meant(frame.transaction)
        late = self._requests.get(transaction)
        if late is None or transaction == self._awaited or (frame.unit != late.unit and frame.unit not in HOST_UNITS):
            return None
        del self._requests[transaction]
        return LateAnswer(late.unit, late.sent.since, now, is_absence(frame.pdu))


def host_remark(deviations: Collection[Deviation]) -> str | None:
    """Return a sentence for the operator about these mistakes of a host; `None` without any."""
    if not deviations:
        return None
    what = ", and ".join(sorted(deviations))
    return f"the answers of this host are not as Modbus TCP wants them: {what}; they are read by their content"


def advice(received: bytes) -> str:
    """Return what to change when these bytes arrived instead of an answer over Modbus TCP; empty when nothing is known."""
    if frames_in(received):
        return 'it is answered with an RTU frame: set framing = "rtu" for this host'
    if len(received) == SHORTEST_FRAME_BYTES and received[-1] & EXCEPTION_BIT:
        return "no answer that can be used: an exception without a code"
    return ""
