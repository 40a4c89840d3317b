"""Ask the units of one host or line: open the connection, send each request as often as its policy allows, check the answer."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import replace
from typing import overload

from adapters.modbus.client.answer_quality import AnswerQuality, unreachable
from adapters.modbus.client.buses import Bus, TcpHost
from adapters.modbus.client.closed_connections import ClosedConnections
from adapters.modbus.client.connection import ConnectionLost, Dial, InvalidResponse
from adapters.modbus.client.exchange import RequestExchange
from adapters.modbus.client.late_answers import LateAnswer
from adapters.modbus.client.open_errors import why_all_closed, why_closed
from adapters.modbus.client.pdu import (
    FIRST_REGISTER,
    ExceptionResponse,
    IdentificationLevel,
    NoSuchUnit,
    ReadDeviceIdentification,
    ReadRequest,
    ReportServerId,
    Request,
    WriteRequest,
    parse_identification,
)
from adapters.modbus.client.responses import ResponsePDU, checked_response
from adapters.modbus.client.session import Session
from adapters.modbus.client.transport import RetryPolicy
from gateway.adapter import BusUnavailable, Cause, DeviceUnreachable, OutcomeUnknown, RecentFrames, loop_time, seconds_text

log = logging.getLogger("adapters.modbus")

PAGES_BOUND = 32
"""The most pages read of a device identification; a unit that still says "more follows" is wrong."""

SCAN_STARTUP_SECONDS = 3.0
"""A scan asks only those units again that it asked so soon after connecting: hosts that need longer are rare."""

UNASKED_SECONDS = 0.3
"""How long a connection is left alone to see whether the host closes it by itself."""


class Link:
    """The connection to one host or line, used by one adapter.

    Args:
        bus: the host or line.
        dial: opens something else instead, for tests.
        memory: gives what the adapter remembers, for what is learned about connections and pauses.
        pauses: unit -> the configured pause between two requests to it, in seconds.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        dial: Dial | None = None,
        memory: Callable[[], MutableMapping[str, str]] | None = None,
        pauses: Mapping[int, float] | None = None,
    ) -> None:
        self.bus = bus
        memory_of_link: MutableMapping[str, str] = {}
        self.session = Session(bus, memory if memory is not None else lambda: memory_of_link, pauses)
        self._closed = ClosedConnections()
        self.quality = AnswerQuality(bus)
        self._exchange = RequestExchange(bus, dial, self._on_heard)
        self.has_answered = False
        """Something was answered since the start, if only by another unit."""

    @property
    def echoes(self) -> bool:
        """Whether the line returns each request to the sender."""
        return self._exchange.echoes

    @property
    def answer_seconds(self) -> float | None:
        """The turnaround of the last answer, as `Transport` has it."""
        return self._exchange.answer_seconds

    @property
    def late(self) -> deque[LateAnswer]:
        """The answers to abandoned requests that arrived last."""
        return self._exchange.late

    @property
    def frames(self) -> RecentFrames:
        """The frames that were sent and received last, also before the last reopening."""
        return self._exchange.frames

    @property
    def is_silence_doubtful(self) -> bool:
        """Whether silence says nothing about a unit: the host has not answered yet on this connection, and may not be ready."""
        return self.session.start.is_doubtful(loop_time(), within_seconds=SCAN_STARTUP_SECONDS)

    def pause_seconds(self, unit: int) -> float:
        """Return the pause that is kept before each request to this unit."""
        return self.session.pauses.seconds(unit)

    async def open(self) -> None:
        """Connect, or raise `BusUnavailable` with what to check; on failure nothing stays open."""
        await self._exchange.open()
        self.session.start.opened(loop_time())

    def close(self) -> None:
        """Close at once. Harmless when nothing is open."""
        self._exchange.close()

    async def listen(self, seconds: float) -> bytes:
        """Return what others send on an open line within this time, and send nothing; at most the last few kilobytes."""
        return await self._exchange.listen(seconds)

    @overload
    async def ask(self, unit: int, request: ReadRequest | ReportServerId | WriteRequest, policy: RetryPolicy) -> bytes: ...
    @overload
    async def ask(self, unit: int, request: ReadDeviceIdentification, policy: RetryPolicy) -> dict[int, bytes]: ...
    @overload
    async def ask(self, unit: int, request: Request, policy: RetryPolicy) -> bytes | dict[int, bytes]: ...
    async def ask(self, unit: int, request: Request, policy: RetryPolicy) -> bytes | dict[int, bytes]:
        """Return what the unit answered: the bytes of a read or a server id, the objects of a device identification.

        A write is sent once, however many tries are allowed, and returns no bytes: a second one could be executed twice.

        Raises:
            ExceptionResponse: it answered with a Modbus exception.
            DeviceUnreachable: it did not answer, or not in a way that can be trusted.
            OutcomeUnknown: the same for a write, which may have been executed.
            BusUnavailable: the connection was lost and could not be opened again.
        """
        if isinstance(request, ReadDeviceIdentification):
            return await self._read_identification(unit, request, policy)
        if isinstance(request, WriteRequest):
            await self._write(unit, request, policy)
            return b""
        answer = await self._transact(unit, request, policy)
        wanted = request.payload_bytes if isinstance(request, ReadRequest) else len(answer.payload)
        if not answer.announced == len(answer.payload) == wanted:
            raise DeviceUnreachable(
                f"unit {unit} answered {request} with {len(answer.payload)} bytes and announced {answer.announced}, not {wanted}",
                cause=Cause.WRONG_ANSWER,
            )
        return answer.payload

    async def _read_identification(self, unit: int, request: ReadDeviceIdentification, policy: RetryPolicy) -> dict[int, bytes]:
        """Return the objects of all pages."""
        objects: dict[int, bytes] = {}
        for _ in range(PAGES_BOUND):
            answer = await self._transact(unit, request, policy)
            page = parse_identification(answer.payload)
            if page is None:
                raise DeviceUnreachable(f"unit {unit} answered {request} with something else", cause=Cause.WRONG_ANSWER)
            objects = page.objects | objects
            if request.level is IdentificationLevel.ONE_OBJECT:
                break
            if page.next_object is None or page.next_object <= request.object_id:
                break
            request = ReadDeviceIdentification(request.level, page.next_object)
        return objects

    async def _write(self, unit: int, write: WriteRequest, policy: RetryPolicy) -> None:
        await self._be_ready_for_write(unit, policy)
        try:
            answer = await self._transact(unit, write, replace(policy, tries=1))
        except NoSuchUnit as error:
            if error.was_forwarded:
                raise OutcomeUnknown(f"{error}; it is not known whether the write was executed") from error
            raise
        except DeviceUnreachable as error:
            raise OutcomeUnknown(f"{error}; it is not known whether the write was executed") from error
        if answer.payload != write.confirmation:
            raise OutcomeUnknown(
                f"unit {unit} confirmed {write} as something else; it is not known whether the write was executed"
            )

    async def _be_ready_for_write(self, unit: int, policy: RetryPolicy) -> None:
        """Read something first on a connection whose host may not be ready: a write that is lost cannot be sent again."""
        if not self._exchange.connection.is_open:
            await self.open()
        if self.session.start.is_doubtful(loop_time()):
            with suppress(ExceptionResponse, DeviceUnreachable):
                await self._transact(unit, FIRST_REGISTER, replace(policy, tries=1))

    async def _transact(self, unit: int, request: Request, policy: RetryPolicy) -> ResponsePDU:
        """Return the response to a request that is sent as often as the policy allows."""
        reason = ""
        tries = policy.tries
        was_closed = False
        while tries > 0:
            tries -= 1
            try:
                return self._take_response(unit, request, await self._send(unit, request, policy))
            except TimeoutError:
                reason = self._exchange.describe_bad_frame(unit) or f"no answer within {seconds_text(policy.timeout_seconds)}"
                self.quality.failed(unit, self._exchange.cause_of_bad_frame(unit))
                self.session.unanswered(unit, loop_time(), heard=self._exchange.has_heard)
                tries += not tries and self._takes_extra_try(unit, request, policy)
            except ConnectionLost:
                reason = f"the connection was closed instead of an answer{why_closed(self.bus)}"
                self.quality.failed(unit, Cause.HOST_CLOSES)
                if not self._exchange.has_heard:
                    self._closed.closed()
                if was_closed:
                    await self._exchange.connection.check_for_tls()
                await self.open()
                if was_closed and not self._exchange.has_heard and isinstance(self.bus, TcpHost) and self.bus.tls is None:
                    await self._check_for_full_host()
                # hosts close idle connections, which says nothing about the unit; a write could have been executed before
                tries += not was_closed and not isinstance(request, WriteRequest)
                was_closed = True
            except InvalidResponse as error:
                reason = str(error)
                self.quality.failed(unit, Cause.WRONG_ANSWER)
                self.session.unanswered(unit, loop_time(), heard=True)
        raise unreachable(self.quality, unit, [f"unit {unit}: {reason}"])

    async def _check_for_full_host(self) -> None:
        """Raise `BusUnavailable` where a host closes a connection on which nothing was sent: it serves no further client."""
        await asyncio.sleep(UNASKED_SECONDS)
        if not self._exchange.connection.is_open:
            self._raise_all_closed(at_once=True)

    @property
    def is_always_closed(self) -> bool:
        """Whether the host has closed the last connections, each one instead of an answer."""
        return self._closed.are_all

    def check_not_all_closed(self) -> None:
        """Raise `BusUnavailable` if it `is_always_closed`."""
        if self.is_always_closed:
            self._raise_all_closed(at_once=False)

    def _raise_all_closed(self, *, at_once: bool) -> None:
        if isinstance(self.bus, TcpHost):
            why = why_all_closed(self.bus, self._exchange.connection.others_open, at_once=at_once)
            raise BusUnavailable(why, cause=Cause.HOST_CLOSES)

    def _on_heard(self) -> None:
        self._closed.heard()
        self.session.health.heard()

    def _takes_extra_try(self, unit: int, request: Request, policy: RetryPolicy) -> bool:
        """Return whether a request is sent again regardless of the policy: the host or the unit may not have been ready."""
        if isinstance(request, WriteRequest):
            return False
        return (policy.waits_for_start and self.session.start.is_doubtful(loop_time())) or self.session.pauses.takes_extra_try(
            unit
        )

    async def _send(self, unit: int, request: Request, policy: RetryPolicy) -> ResponsePDU:
        """Send a request once and return its response, or raise `TimeoutError`."""
        await self._ensure_works()
        if (send_at := self.session.send_at(unit, request)) > (now := loop_time()):
            await asyncio.sleep(send_at - now)
        await self._exchange.wait_until_free(unit, request)
        self.session.sent(unit, request, loop_time())
        response = await self._exchange.run(unit, request, policy)
        self.has_answered = True
        return response

    async def _ensure_works(self) -> None:
        """Open the connection if it is closed, and a new one if nothing was answered on it lately."""
        health = self.session.health
        if self._exchange.connection.is_open and self.session.needs_new_connection(loop_time()):
            health.renewed()
            log.log(
                logging.WARNING if health.renewals == 1 else logging.DEBUG,
                "%s: closed and opened the connection again after %d unanswered requests of all units",
                *(self.bus.label, health.unanswered_at_renewal),
            )
            self.close()
        if self._exchange.tcp.is_confused and not self.bus.loses_requests:
            self._exchange.tcp.is_confused = False
            self._end_confusion()
        if not self._exchange.connection.is_open:
            await self.open()

    def _end_confusion(self) -> None:
        """Close the connection where an answer may belong to the last request or to another one, so that no late one is left."""
        if self.session.confusions.take():
            log.log(
                logging.WARNING if self.session.confusions.renewals == 1 else logging.DEBUG,
                "%s: closed and opened the connection again because its answers could not be told apart",
                self.bus.label,
            )
            if self.session.confusions.is_repeated:
                self._exchange.tcp.forget_ids()
            self.close()

    def _take_response(self, unit: int, request: Request, response: ResponsePDU) -> ResponsePDU:
        """Return a response that answers this request, or raise what it means."""
        by_unit = True
        try:
            checked = checked_response(unit, request, response)
        except NoSuchUnit:
            by_unit = False
            self.quality.host_answered()
            self.quality.failed(unit, Cause.NO_ANSWER)
            raise
        except ExceptionResponse:
            self.quality.answered(unit)
            raise
        except DeviceUnreachable:
            self.quality.failed(unit, Cause.WRONG_ANSWER)
            raise
        else:
            self.quality.answered(unit)
            return checked
        finally:
            self.session.answered(unit, loop_time(), by_unit=by_unit, is_late=self._exchange.is_late(response))

    # for the operator -------------------------------------------------------------------------------------------------

    def remarks(self) -> list[str]:
        """Return what a person should know about the bus: another master, stray bytes, odd answers, its connections."""
        return [*self._exchange.remarks(), *self.session.remarks()]

    def traffic_summary(self) -> str:
        """Return what was set aside on the line since the start, in one line."""
        return self._exchange.traffic_summary()
