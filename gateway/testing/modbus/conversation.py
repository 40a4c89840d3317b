"""Serve the requests of a client: bytes in, answers of the simulated units out, with the faults of each unit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from gateway.tasks import loop_time
from gateway.testing.modbus.exception_codes import ExceptionCode, exception_response
from gateway.testing.modbus.framing import Frame, Framing, NotModbus
from gateway.testing.modbus.functions import WRITES
from gateway.testing.modbus.gateway_queue import GatewayQueue
from gateway.testing.modbus.pauses import AnswerTimes
from gateway.testing.modbus.unit import HEALTHY, Faults, SimulatedUnit

log = logging.getLogger(__name__)

Send: TypeAlias = Callable[[bytes], Awaitable[None]]
ExchangeTime: TypeAlias = Callable[[Frame, bytes], float]
"""Returns the seconds that a request and the bytes of its answer need on the bus."""
ServesRequest: TypeAlias = Callable[[], bool]
"""Returns whether the connection on which a request has arrived is served."""

BROADCAST = 0
"""The unit id that means all units, of which none answers (Modbus over Serial Line V1.02, section 2.1)."""
_CHUNK_BYTES = 4096


class SimulatedBus:
    """The units of one bus, and how they answer there.

    Args:
        units: the units; no two with the same id.
        framing: the framing of requests and answers.
        silence_seconds: the pause that ends an incomplete frame; `None` when no pause does.
        unknown_unit: the exception code for a unit that is not there, as of a Modbus gateway; `None` is no answer.
        has_broadcast: unit id 0 addresses all units.
        exchange_time: how long an exchange takes; an answer is sent no sooner.

    Raises:
        ValueError: two units have the same id.
    """

    def __init__(
        self,
        units: Iterable[SimulatedUnit],
        framing: Framing,
        *,
        silence_seconds: float | None = None,
        unknown_unit: ExceptionCode | None = None,
        has_broadcast: bool = False,
        exchange_time: ExchangeTime = lambda request, answer: 0,
    ) -> None:
        self.units: dict[int, SimulatedUnit] = {}
        for unit in units:
            self.plug_in(unit)
        self._framing = framing
        self._silence_seconds = silence_seconds
        self._unknown_unit = unknown_unit
        self._has_broadcast = has_broadcast
        self._exchange_time = exchange_time
        self._answer_times = AnswerTimes()
        self._queue = GatewayQueue()

    @property
    def absent_seconds(self) -> float | None:
        """How long the bus waits for a unit that is not there or silent, before it serves the next request; `None`: not at all.

        A gateway with a serial line behind it does so, and a radio bridge; answers then come late by several requests.
        """
        return self._queue.absent_seconds

    @absent_seconds.setter
    def absent_seconds(self, seconds: float | None) -> None:
        self._queue.absent_seconds = seconds

    def plug_in(self, unit: SimulatedUnit) -> None:
        """Add a unit.

        Raises:
            ValueError: its id is taken.
        """
        if unit.unit_id in self.units:
            raise ValueError(f"{unit.name} and {self.units[unit.unit_id].name} both have unit id {unit.unit_id}")
        self.units[unit.unit_id] = unit

    def unplug(self, unit_id: int) -> SimulatedUnit:
        """Remove a unit and return it."""
        return self.units.pop(unit_id)

    async def converse(self, reader: asyncio.StreamReader, send: Send, serves: ServesRequest = lambda: True) -> None:
        """Answer until the client disconnects or sends something other than Modbus. A late answer delays no other."""
        buffer = bytearray()
        async with asyncio.TaskGroup() as late_answers:
            try:
                while (chunk := await self._next_chunk(reader, is_waiting=bool(buffer))) != b"":
                    buffer += chunk or b""
                    for request in self._framing.take(buffer, after_silence=chunk is None):
                        if serves():
                            await self._respond(request, send, late_answers)
            except (NotModbus, ConnectionError) as error:
                log.debug("a conversation ended early: %s", error)

    async def _next_chunk(self, reader: asyncio.StreamReader, *, is_waiting: bool) -> bytes | None:
        """Return the next bytes: none at the end of the stream, `None` after a pause."""
        if not is_waiting or self._silence_seconds is None:
            return await reader.read(_CHUNK_BYTES)
        try:
            async with asyncio.timeout(self._silence_seconds):
                return await reader.read(_CHUNK_BYTES)
        except TimeoutError:
            return None

    async def _respond(self, request: Frame, send: Send, late_answers: asyncio.TaskGroup) -> None:
        if self._has_broadcast and request.unit_id == BROADCAST:
            self._broadcast(request)
            return
        unit = self.units.get(request.unit_id)
        faults = HEALTHY if unit is None else unit.faults
        if self.absent_seconds is None and self._answer_times.misses(request.unit_id, faults, loop_time()):
            return  # where requests wait for each other, they reach the unit later
        answer = self._answer_for_missing_unit(request) if unit is None else unit.answer(request.pdu)
        sent = b"" if answer is None else self._frame(request, answer, faults)
        needed_seconds = faults.delay_seconds + self._exchange_time(request, sent)
        is_absent = unit is None or answer is None
        delay_seconds = self._queue.served_in(loop_time(), needed_seconds, is_absent=is_absent)
        if answer is None:
            return
        self._answer_times.answered(request.unit_id, loop_time() + delay_seconds)
        if delay_seconds > 0:
            late_answers.create_task(_send_later(sent, send, delay_seconds))
        else:
            await send(sent)

    def _broadcast(self, request: Frame) -> None:
        if request.pdu[0] in WRITES:
            for unit in self.units.values():
                unit.answer(request.pdu)

    def _answer_for_missing_unit(self, request: Frame) -> bytes | None:
        return None if self._unknown_unit is None else exception_response(request.pdu, self._unknown_unit)

    def _frame(self, request: Frame, answer: bytes, faults: Faults) -> bytes:
        unit_id = request.unit_id if faults.answers_as is None else faults.answers_as
        frame = self._framing.bytes_of(Frame(unit_id, answer, request.transaction), wrong_crc=faults.wrong_crc)
        return faults.garbage + (frame[: len(frame) // 2] if faults.truncated else frame) + faults.garbage_after


async def end(conversations: Iterable[asyncio.Task[None]]) -> None:
    """Cancel conversations and wait for their end. An error in one of them, such as a wave that raises, is raised here."""
    ending = tuple(conversations)
    for conversation in ending:
        conversation.cancel()
    for outcome in await asyncio.gather(*ending, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


async def _send_later(frame: bytes, send: Send, delay_seconds: float) -> None:
    await asyncio.sleep(delay_seconds)
    await send(frame)
