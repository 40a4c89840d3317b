"""Send requests to the units of one bus, with the time-out and the tries that each needs, and learn from their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from adapters.modbus.client.pdu import ExceptionResponse, ReadRequest, Request, WriteRequest
from adapters.modbus.client.transport import RetryPolicy, Transport
from adapters.modbus.polling.part_reads import read_in_parts
from adapters.modbus.polling.units import KnownUnits
from gateway.adapter import DeviceUnreachable, OutcomeUnknown


@dataclass(frozen=True, slots=True)
class UnitRequests:
    """Requests to the units of one bus."""

    transport: Transport
    units: KnownUnits
    """What is known of the units, and learned from their answers."""
    timeout_seconds: float
    """The time-out of the settings, for a unit whose turnaround is not learned yet."""
    retries: int
    """How often a request without an answer is sent again."""
    first_tries: int
    """How often a request is sent that may well not be answered: once, and twice where it may get lost on the way."""

    async def ask(
        self, unit: int, request: Request, policy: RetryPolicy | None = None, *, at_once: int | None = None
    ) -> bytes | Mapping[int, bytes]:
        """Send a request with the time-out that the unit needs, and learn from its answer.

        A write gets the whole time-out of the settings: a unit may take longer for it than for a read. A read of more registers
        than `at_once`, by default as many as the unit is known to return, is sent in parts.

        Raises:
            ExceptionResponse: it answered with a Modbus exception.
            DeviceUnreachable: it did not answer.
            OutcomeUnknown: it did not answer a write, which may have been executed.
            BusUnavailable: the bus was lost.
        """
        limit = self.units.of(unit).at_once if at_once is None else at_once
        if limit is not None and isinstance(request, ReadRequest) and request.count > limit and not request.table.holds_bits:
            return await read_in_parts(request, limit, partial(self._ask_part, unit, policy=policy))
        return await self._ask_whole(unit, request, policy)

    def single_try(self, unit: int) -> RetryPolicy:
        """Return the policy for a request that the unit may well not answer."""
        return replace(self._retry_policy(unit), tries=self.first_tries)

    async def _ask_part(self, unit: int, read: ReadRequest, policy: RetryPolicy | None) -> bytes:
        return cast("bytes", await self._ask_whole(unit, read, policy))

    async def _ask_whole(self, unit: int, request: Request, policy: RetryPolicy | None) -> bytes | Mapping[int, bytes]:
        if policy is None:
            policy = RetryPolicy(self.timeout_seconds) if isinstance(request, WriteRequest) else self._retry_policy(unit)
        try:
            answer = await self.transport.ask(unit, request, policy)
        except ExceptionResponse:
            self.units.answered(unit, self.transport.answer_seconds)
            raise
        except (DeviceUnreachable, OutcomeUnknown):
            self.units.of(unit).turnaround.missed()
            raise
        self.units.answered(unit, self.transport.answer_seconds)
        return answer

    def _retry_policy(self, unit: int) -> RetryPolicy:
        """Return the learned time-out of this unit, and one try for a unit that has just failed to answer."""
        turnaround = self.units.of(unit).turnaround
        tries = 1 if turnaround.misses else self.retries + 1
        return RetryPolicy(turnaround.timeout_seconds(self.timeout_seconds), tries, self.timeout_seconds)


@dataclass(slots=True)
class ProbeSender:
    """Sends requests to one unit: with the probe's policy until it has answered, then with its own."""

    requests: UnitRequests
    first_policy: RetryPolicy
    has_answered: bool = False

    async def ask(self, unit: int, request: Request) -> bytes | Mapping[int, bytes]:
        """Return the answer, or raise as `UnitRequests.ask` does."""
        try:
            answer = await self.requests.ask(unit, request, None if self.has_answered else self.first_policy)
        except ExceptionResponse:
            self.has_answered = True
            raise
        self.has_answered = True
        return answer
