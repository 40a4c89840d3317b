"""Send one request over a connection at a time, and find its answer in what arrives: pauses, echoes, late answers.

- On RTU pymodbus keeps no pause between frames; here it lasts 3.5 characters from the last one on the line, of any sender.
- On ASCII no pause is needed, but up to a second may pass between two characters of a frame.
- On RTU and ASCII an answer does not name its request: the late answer to an abandoned request would be taken for the answer to
  the next one. Such a request is held back until the late answer arrived or cannot arrive any more (`late_answers.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from adapters.modbus.client import ascii_frames
from adapters.modbus.client.ascii_receiver import AsciiReceiver
from adapters.modbus.client.buses import Bus, TcpHost
from adapters.modbus.client.connection import Connection, ConnectionLost, Decoded, Dial, Hooks
from adapters.modbus.client.echo_filter import EchoFilter
from adapters.modbus.client.late_answers import LateAnswer, LateAnswers, UnansweredRequest
from adapters.modbus.client.pdu import ReadDeviceIdentification, ReadRequest, ReportServerId, Request, WriteRequest
from adapters.modbus.client.responses import ResponsePDU
from adapters.modbus.client.rtu_frames import (
    ANSWER_OVERHEAD_BYTES,
    LONGEST_FRAME_BYTES,
    cause_of_bad_frame,
    describe_bad_frame,
    longest_answer,
    request_bytes,
)
from adapters.modbus.client.rtu_receiver import RtuReceiver
from adapters.modbus.client.rtu_search import Awaited
from adapters.modbus.client.tcp_receiver import TcpReceiver, advice, host_remark
from adapters.modbus.client.transport import RetryPolicy
from adapters.modbus.client.udp import Doubts
from gateway.adapter import Cause, RecentFrames, loop_time

log = logging.getLogger("adapters.modbus")

OVERHEARD_BYTES = 4096
"""The bound of what is kept of the traffic of another master."""

LATE_BOUND = 256
"""The bound of late answers that are kept: one for each unit id."""

LATE_TOLERANCE_SECONDS = 0.005
"""The accuracy of the two times that tell to which try of a request an answer belongs."""

BUNDLE_BYTES = 16
"""A serial port delivers the characters that it received when it has this many, or when no more arrive."""

OTHER_ANSWER_SECONDS = 0.1
"""How long the line is left to another master that has just sent a request, unless its answer comes sooner."""

ASCII_GAPS_SECONDS = 10.0
"""How long all the pauses between the characters of one ASCII answer may be; each is at most a second."""

DELIVERY_SECONDS = 0.03
"""How much longer than its characters need an answer may take: USB adapters deliver characters in bundles, 16 ms apart."""


class RequestExchange:
    """The exchange of requests and answers over the connection to one bus.

    Args:
        bus: the host or line.
        dial: opens something else instead, for tests.
        on_heard: called when anything is received.
    """

    def __init__(self, bus: Bus, dial: Dial | None, on_heard: Callable[[], None]) -> None:
        self._bus = bus
        self._on_heard = on_heard
        self.doubts = Doubts(self._on_doubt, lambda: self._awaited is not None, self._may_ask_again, self._on_confirmed)
        hooks = Hooks(self._on_sent, self._on_received, self._find_answer, self._on_dropped, self._without_echo, self.doubts)
        self.connection = Connection(bus, hooks, dial)
        self._quiet_at = 0.0
        """When the pause after the last character on the line is over."""
        self._awaited: Request | None = None
        """The request that is not answered yet; `None` between two requests."""
        self._awaited_unit = 0
        self._deadline: asyncio.Timeout | None = None
        self._last_packet = b""
        self._overheard = b""
        self.has_heard = False
        """Anything was received since the request was sent."""
        self._begun_at: int | None = None
        """Where an answer began that is not complete yet, in bytes since the start."""
        self._give_up_at = 0.0
        """When an answer must have begun."""
        self._latest_end = 0.0
        """When an ASCII answer that has begun is given up, however long its characters go on."""
        self._late_answers = LateAnswers()
        receiver = AsciiReceiver if bus.framing == "ascii" else RtuReceiver
        self._receiver = receiver(self._late_answers, bus.character_seconds, bus.silence_seconds)
        self._late_arrived = asyncio.Event()
        self.tcp = TcpReceiver(takes_wrong_ids=not bus.loses_requests)
        self._sent: UnansweredRequest | None = None
        self._doubtful: UnansweredRequest | None = None
        """The same before it was sent again because its answer may have been an earlier one."""
        self.late: deque[LateAnswer] = deque(maxlen=LATE_BOUND)
        """The answers to abandoned requests that arrived last."""
        self._echo = EchoFilter()
        self.answer_seconds: float | None = None
        self.frames = RecentFrames()
        """The frames that were sent and received last, also before the last reopening."""

    @property
    def echoes(self) -> bool:
        """Whether the line returns each request to the sender."""
        return self._echo.echoes

    async def open(self) -> None:
        """Connect, or raise `BusUnavailable` with what to check; on failure nothing stays open."""
        await self.connection.open()
        self._quiet_at = loop_time() + self._bus.silence_seconds  # another master may have sent something just now

    def close(self) -> None:
        """Close at once. Harmless when nothing is open."""
        self.connection.close()

    async def listen(self, seconds: float) -> bytes:
        """Return what others send on an open line within this time, and send nothing; at most the last few kilobytes."""
        self._overheard = b""
        await asyncio.sleep(seconds)
        return self._overheard

    async def wait_until_free(self, unit: int, request: Request) -> None:
        """Wait for the pause between two frames, and until no late answer can be taken for the answer to this request."""
        while not self._bus.has_transaction_ids:
            now = loop_time()
            blocked_until = self._late_answers.blocked_until(unit, request, now)
            if max(self._quiet_at, blocked_until) <= now:
                return
            if blocked_until <= self._quiet_at:
                await asyncio.sleep(self._quiet_at - now)
                continue
            self._late_arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(blocked_until):
                    await self._late_arrived.wait()

    async def run(self, unit: int, request: Request, policy: RetryPolicy) -> ResponsePDU:
        """Send a request once and return its response.

        Raises:
            TimeoutError: it was not answered within the time of the policy.
            ConnectionLost: the connection was closed meanwhile.
            BusUnavailable: it was ended by an error that a new connection would have as well.
            InvalidResponse: the answer cannot be used.
        """
        sent, give_up_at = self._begin(unit, request, policy)
        try:
            async with asyncio.timeout_at(give_up_at) as self._deadline:
                response = await self.connection.exchange(unit, request)
        except ConnectionLost:
            self._forget_lost(unit, sent)
            raise
        except TimeoutError:
            if not self.connection.is_open:  # lost so early that pymodbus did not wait for the answer yet
                self._forget_lost(unit, sent)
                raise ConnectionLost from None
            raise
        finally:
            self._awaited = self._deadline = None
            self.tcp.ended()
        if self._echo.is_missing and not isinstance(request, WriteRequest):
            self._set_echoes(echoes=False)
        return response

    def is_late(self, response: ResponsePDU) -> bool:
        """Return whether a response is to an earlier try of the request that was sent last."""
        if self._sent is None or self.answer_seconds is None:
            return False
        characters = self._bus.characters(len(response.payload) + ANSWER_OVERHEAD_BYTES)
        seconds = loop_time() - self._sent.since - self._bus.character_seconds * characters - self._bus.silence_seconds
        return self.answer_seconds > seconds + LATE_TOLERANCE_SECONDS

    def describe_bad_frame(self, unit: int) -> str:
        """Return what is wrong with the last packet, as a sentence; empty where nothing arrived."""
        if self._bus.framing == "ascii":
            return ascii_frames.describe_bad_frame(self._last_packet, unit)
        about_host = advice(self._last_packet) if self._bus.has_transaction_ids else ""
        return about_host or describe_bad_frame(self._last_packet, unit, is_rtu=self._bus.is_rtu)

    def cause_of_bad_frame(self, unit: int) -> Cause:
        """Return what kind of fault the last packet shows."""
        if self._bus.framing == "ascii":
            return ascii_frames.cause_of_bad_frame(self._last_packet, unit)
        return cause_of_bad_frame(self._last_packet, unit, is_rtu=self._bus.is_rtu)

    def remarks(self) -> list[str]:
        """Return what a person should know about the answers: another master, stray bytes, wrong headers."""
        about_host = host_remark(self.tcp.deviations)
        return [*self._receiver.traffic.remarks(), *([about_host] if about_host else [])]

    def traffic_summary(self) -> str:
        """Return what was set aside on the line since the start, in one line."""
        return self._receiver.traffic.summary()

    def _begin(self, unit: int, request: Request, policy: RetryPolicy) -> tuple[UnansweredRequest, float]:
        """Record the request that is sent now; return it, and when to give it up unless its answer has begun."""
        self._echo.begin()
        self._last_packet = b""
        self.has_heard = False
        self._begun_at = None
        self._awaited, self._awaited_unit, self.answer_seconds = request, unit, None
        character = self._bus.character_seconds
        sent_at = loop_time() + character * self._bus.characters(request_bytes(request))
        late_seconds = max(policy.late_seconds, policy.timeout_seconds) + character * self._bus.characters(LONGEST_FRAME_BYTES)
        sent = UnansweredRequest(request, sent_at, sent_at + late_seconds)
        self._sent = sent
        if not self._bus.has_transaction_ids:
            self._late_answers.add(unit, sent)
        answer_seconds = character * self._bus.characters(longest_answer(request))
        self._latest_end = sent_at + policy.timeout_seconds + answer_seconds + ASCII_GAPS_SECONDS
        delivered_at = sent_at + self._bus.silence_seconds + min(answer_seconds, character * BUNDLE_BYTES)
        self._give_up_at = delivered_at + policy.timeout_seconds
        return sent, self._give_up_at

    def _forget_lost(self, unit: int, sent: UnansweredRequest) -> None:
        """Expect no answer to a request that was lost with its port; a device server may send it on the next connection."""
        if not isinstance(self._bus, TcpHost):
            self._late_answers.discard(unit, sent)

    # called by the connection -----------------------------------------------------------------------------------------

    def _on_sent(self, packet: bytes) -> None:
        """Start the pause that follows the request."""
        self.frames.sent(packet, str(self._awaited_unit))
        if self._bus.has_transaction_ids:
            self._last_packet = b""
            if self._sent is not None:
                self.tcp.sent(packet, self._awaited_unit, self._sent)
            return
        self._echo.sent(packet)
        self._receiver.sent(packet)
        self._quiet_at = loop_time() + len(packet) * self._bus.character_seconds + self._bus.silence_seconds

    def _on_received(self, packet: bytes) -> None:
        """Start the pause that follows these characters."""
        self.frames.received(packet)
        self.has_heard = True
        self._on_heard()
        if self._bus.has_transaction_ids:
            self._last_packet = packet
        else:
            self._quiet_at = loop_time() + self._bus.silence_seconds

    def _find_answer(self, data: bytes) -> Decoded:
        """Return the answer to the current request among all that arrived, and handle what else is there."""
        return self._find_tcp_answer(data) if self._bus.has_transaction_ids else self._find_line_answer(data)

    def _find_tcp_answer(self, data: bytes) -> Decoded:
        heard = self.tcp.receive(data, loop_time())
        self.late.extend(heard.late)
        if heard.new_deviations:
            log.warning("%s: %s", self._bus.label, host_remark(self.tcp.deviations))
        if heard.pdu:
            self.answer_seconds = loop_time() - heard.since
        return heard.used, heard.unit, heard.transaction, heard.pdu

    def _find_line_answer(self, data: bytes) -> Decoded:
        now = loop_time()
        awaited = None if self._awaited is None else Awaited(self._awaited_unit, self._awaited)
        knew_master = self._receiver.traffic.has_other_master
        heard = self._receiver.receive(data, awaited, now, echo_is_due=self._echo.is_missing)
        self._last_packet = heard.unexplained or self._last_packet
        if not knew_master and self._receiver.traffic.has_other_master:
            log.warning("%s: %s", self._bus.label, self.remarks()[0])
        if heard.late:
            self.late.extend(heard.late)
            self._late_arrived.set()
        if heard.has_echo:
            self._take_echo()
        if self._receiver.is_foreign_answer_due(now):
            self._quiet_at = max(self._quiet_at, now + OTHER_ANSWER_SECONDS)
        if heard.answer is None:
            self._await_the_rest(heard.begun_at, now)
            return heard.used, 0, 0, b""
        self.answer_seconds = heard.seconds
        self._awaited = None  # a second frame right behind it answers nothing any more
        return heard.used, heard.answer.unit, 0, heard.answer.pdu

    def _take_echo(self) -> None:
        """Record an echo behind a stray byte, which the filter did not recognize."""
        self._echo.is_missing = False
        is_read = isinstance(self._awaited, ReadRequest | ReadDeviceIdentification | ReportServerId)
        if is_read and not self._echo.echoes and not self._receiver.traffic.has_other_master:
            self._set_echoes(echoes=True)

    def _on_dropped(self, data: bytes) -> None:
        self._receiver.traffic.stray_bytes += len(data)

    def _on_doubt(self, asked_again_at: float) -> None:
        """Extend the time-out for a read that is sent again at this time."""
        if self._deadline is not None and self._sent is not None and not self._deadline.expired():
            until = asked_again_at + self._give_up_at - self._sent.since
            self._deadline.reschedule(max(until, self._deadline.when() or 0.0))

    def _may_ask_again(self) -> bool:
        """Return whether a request is not answered yet, and expect one answer more to it."""
        if self._awaited is None or self._sent is None:
            return False
        now, self._doubtful = loop_time(), self._sent
        self._sent = UnansweredRequest(self._awaited, now, now + self._sent.until - self._sent.since)
        self._late_answers.add(self._awaited_unit, self._sent)
        return True

    def _on_confirmed(self) -> None:
        """Expect no answer any more to a request that was sent again: what has arrived was the answer."""
        if self._doubtful is not None:
            self._late_answers.discard(self._awaited_unit, self._doubtful)

    def _await_the_rest(self, begun_at: int | None, now: float) -> None:
        """Extend the time-out for an answer that has begun in time by the time that its characters need."""
        was, self._begun_at = self._begun_at, begun_at
        if begun_at is None or self._deadline is None or self._awaited is None or self._deadline.expired():
            return
        if self._bus.framing == "ascii":  # by the pause that may follow each character
            until = min(now + ascii_frames.CHARACTER_GAP_SECONDS + DELIVERY_SECONDS, self._latest_end)
        elif begun_at == was or now > self._give_up_at:
            return
        else:
            until = now + self._bus.character_seconds * longest_answer(self._awaited) + DELIVERY_SECONDS
        self._deadline.reschedule(max(until, self._deadline.when() or 0.0))

    def _without_echo(self, data: bytes, expected: bytes) -> bytes:
        if self._awaited is None:
            self._overheard = (self._overheard + data)[-OVERHEARD_BYTES:]
        did_echo = self._echo.echoes
        is_read = isinstance(self._awaited, ReadRequest | ReadDeviceIdentification | ReportServerId)
        rest = self._echo.received(data, expected=expected, is_read=is_read)
        if self._echo.echoes and not did_echo:
            self._set_echoes(echoes=True)
        return rest

    def _set_echoes(self, *, echoes: bool) -> None:
        change = "echoes requests; the echoes are skipped" if echoes else "does not echo requests any more"
        log.info("%s: the line %s", self._bus.label, change)
        self._echo.echoes = echoes
        self.connection.expect_echo(expected=echoes)
