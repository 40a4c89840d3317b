"""One conversation: the bytes of a client in, the answers of the units on this wire out, each in its unit's manner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from gateway.testing.modbus.exception_codes import ExceptionCode, exception_answer
from gateway.testing.modbus.framing import Frame, Framing, NotModbus
from gateway.testing.modbus.functions import WRITES
from gateway.testing.modbus.unit import HEALTHY, Faults, SimulatedUnit

log = logging.getLogger(__name__)

Send: TypeAlias = Callable[[bytes], Awaitable[None]]
WireTime: TypeAlias = Callable[[Frame, bytes], float]
"""How many seconds a request and the bytes of its answer spend on the wire."""

BROADCAST = 0
"""The unit id that means all units, of which none answers (Modbus over Serial Line V1.02, section 2.1)."""
_CHUNK_BYTES = 4096


class Wire:
    """The units on one wire, and how one talks there.

    Args:
        units: who is there; no two with the same id.
        framing: how frames stand in the stream.
        silence_seconds: what ends a frame that was not complete; `None` when nothing does.
        unknown_unit: what a gateway answers for a unit that is not there; `None` is silence.
        has_broadcast: unit id 0 means everybody.
        wire_time: how long an exchange takes; answers come no sooner.

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
        wire_time: WireTime = lambda request, answer: 0,
    ) -> None:
        self.units: dict[int, SimulatedUnit] = {}
        for unit in units:
            self.plug_in(unit)
        self._framing = framing
        self._silence_seconds = silence_seconds
        self._unknown_unit = unknown_unit
        self._has_broadcast = has_broadcast
        self._wire_time = wire_time

    def plug_in(self, unit: SimulatedUnit) -> None:
        """Add a unit.

        Raises:
            ValueError: its id is taken.
        """
        if unit.unit_id in self.units:
            raise ValueError(f"{unit.name} and {self.units[unit.unit_id].name} both have unit id {unit.unit_id}")
        self.units[unit.unit_id] = unit

    def unplug(self, unit_id: int) -> SimulatedUnit:
        """Take a unit away and return it."""
        return self.units.pop(unit_id)

    async def converse(self, reader: asyncio.StreamReader, send: Send) -> None:
        """Answer until the client leaves or talks nonsense. A late answer holds up no other."""
        buffer = bytearray()
        async with asyncio.TaskGroup() as late_answers:
            try:
                while (chunk := await self._next_chunk(reader, is_waiting=bool(buffer))) != b"":
                    buffer += chunk or b""
                    for request in self._framing.take(buffer, after_silence=chunk is None):
                        await self._respond(request, send, late_answers)
            except (NotModbus, ConnectionError) as error:
                log.debug("a conversation ended early: %s", error)

    async def _next_chunk(self, reader: asyncio.StreamReader, *, is_waiting: bool) -> bytes | None:
        """Return what came next: nothing at the end of the stream, `None` when a silence came."""
        if not is_waiting or self._silence_seconds is None:
            return await reader.read(_CHUNK_BYTES)
        try:
            async with asyncio.timeout(self._silence_seconds):
                return await reader.read(_CHUNK_BYTES)
        except TimeoutError:
            return None

    async def _respond(self, request: Frame, send: Send, late_answers: asyncio.TaskGroup) -> None:
        if self._has_broadcast and request.unit_id == BROADCAST:
            self._tell_all(request)
            return
        unit = self.units.get(request.unit_id)
        faults = HEALTHY if unit is None else unit.faults
        answer = self._for_nobody(request) if unit is None else unit.answer(request.pdu)
        if answer is None:
            return
        told = self._told(request, answer, faults)
        delay_seconds = faults.delay_seconds + self._wire_time(request, told)
        if delay_seconds > 0:
            late_answers.create_task(_send_later(told, send, delay_seconds))
        else:
            await send(told)

    def _tell_all(self, request: Frame) -> None:
        if request.pdu[0] in WRITES:
            for unit in self.units.values():
                unit.answer(request.pdu)

    def _for_nobody(self, request: Frame) -> bytes | None:
        return None if self._unknown_unit is None else exception_answer(request.pdu, self._unknown_unit)

    def _told(self, request: Frame, answer: bytes, faults: Faults) -> bytes:
        unit_id = request.unit_id if faults.answers_as is None else faults.answers_as
        told = self._framing.bytes_of(Frame(unit_id, answer, request.transaction), wrong_crc=faults.wrong_crc)
        return faults.garbage + (told[: len(told) // 2] if faults.truncated else told)


async def end(conversations: Iterable[asyncio.Task[None]]) -> None:
    """Cancel conversations and wait for their end. What broke one of them, a wave that raises for instance, is raised here."""
    ending = tuple(conversations)
    for conversation in ending:
        conversation.cancel()
    for outcome in await asyncio.gather(*ending, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


async def _send_later(told: bytes, send: Send, delay_seconds: float) -> None:
    await asyncio.sleep(delay_seconds)
    await send(told)
