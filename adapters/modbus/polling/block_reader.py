"""Read the blocks of one unit's plan; of a block that is refused or not answered, every part that can be read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol, cast

from adapters.modbus.client.pdu import FIRST_REGISTER, ExceptionResponse, NoSuchUnit, ReadRequest, Request
from adapters.modbus.client.transport import RetryPolicy
from adapters.modbus.polling.bisection import ILLEGAL_VALUE, Bisection, Part
from adapters.modbus.polling.plan import ReadBlock
from adapters.modbus.polling.read_plans import ReadPlans, Transaction
from adapters.modbus.polling.refusal_memory import now
from adapters.modbus.polling.refusals import is_about_addresses
from adapters.modbus.polling.unit_refusals import KnownLimit, UnitRefusals
from adapters.modbus.polling.units import KnownUnit
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.values import NO_SCALE_FACTOR
from gateway.adapter import ChildDevice, DeviceUnreachable, Reading

SILENT_ALTHOUGH_ANSWERED: Final = 3
"""After this many silences in a row to a block that the unit had answered before, the block is taken for the reason."""

ANSWERED_READS_BOUND: Final = 500
"""The most blocks of one unit that are kept: its plan changes now and then."""

TOGETHER_BOUND: Final = 2
"""A block of which nothing could be read this often is halved to the end the next time: then its unit is not just starting."""


class Ask(Protocol):
    """Sends a request to one unit, as `UnitRequests.ask` does."""

    async def __call__(
        self, unit: int, request: Request, policy: RetryPolicy | None = None, *, at_once: int | None = None
    ) -> bytes | Mapping[int, bytes]:
        """Return the answer, or raise `ExceptionResponse` or `DeviceUnreachable`."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """A block that was not read."""

    code: int | None
    """The exception code; `None` where the unit did not answer, and answers other requests."""


class BlockReader:
    """One reading of the poll groups of one child that are due.

    Args:
        child: the child.
        known: what is known of its unit.
        plans: the read plans of its bus.
        ask: sends a request.
        single_try: returns the policy for a request that may well not be answered.
    """

    def __init__(
        self, child: ChildDevice, known: KnownUnit, plans: ReadPlans, *, ask: Ask, single_try: Callable[[], RetryPolicy]
    ) -> None:
        self._child = child
        self._unit = int(child.address)
        self._known = known
        self._plans = plans
        self._ask = ask
        self._single_try = single_try
        self._refusals: UnitRefusals = plans.refusals.of(child)
        self._factors: dict[ReadRequest, bytes] = {}

    async def read(self, profile: Profile, due: frozenset[str]) -> AsyncGenerator[Sequence[Reading], None]:
        """Yield the readings of each block after its transactions."""
        busy_code: int | None = None
        is_any_read = False
        for transaction in self._plans.transactions(self._child, profile, due):
            block = transaction.block
            for factor in block.factors:
                if factor not in self._factors:
                    self._factors[factor] = await self._factor(factor)
                    yield ()
            outcome = await self._outcome(transaction)
            if isinstance(outcome, bytes):
                is_any_read = True
                self._was_read(block, transaction.at_once)
                payload = block.with_factors(outcome, self._factors)
                yield transaction.decoder.decode(payload, self._child.key, datetime.now(UTC))
                continue
            yield ()
            if outcome.code is None or is_about_addresses(outcome.code):
                async for readings in self._bisect(block, outcome.code):
                    yield readings
            else:
                busy_code = outcome.code
        self._plans.refusals.note_busy(self._child, None if is_any_read else busy_code)

    async def _outcome(self, transaction: Transaction) -> bytes | _Failure:
        """Return the bytes of a block, or how it failed; a block that is known to be too long by now is not asked for."""
        limit, read = self._refusals.limit, transaction.block.read
        if limit is not None and _is_too_long(transaction, limit):
            return _Failure(limit.refusal.code)
        try:
            return await self._payload(read, transaction.at_once)
        except ExceptionResponse as error:
            return _Failure(error.code)
        except DeviceUnreachable as error:
            if not await self._is_silent_to(read, error):
                raise
            return _Failure(None)

    async def _bisect(self, block: ReadBlock, code: int | None) -> AsyncGenerator[Sequence[Reading], None]:
        """Halve a block that failed until it is known which of its points do; yields after each transaction."""
        times = self._refusals.together_times(point.metric.name for point in block.points)
        limit = self._refusals.limit
        known = None if limit is None or limit.trials(now()) else limit.length
        bisection = Bisection(block, code, is_complete=times >= TOGETHER_BOUND, known=known)
        while (part := bisection.next()) is not None:
            try:
                policy = self._single_try() if code is None else None
                payload = await self._payload(part.block.read, part.at_once, policy)
            except ExceptionResponse as error:
                yield ()
                if not is_about_addresses(error.code):
                    return  # the unit is busy, which does not depend on the addresses; the next poll tries again
                bisection.failed(error.code)
            except DeviceUnreachable as error:
                if code is not None or _is_absent(error):
                    raise
                yield ()
                bisection.failed(None)
            else:
                bisection.was_read()
                yield self._decoded(part, payload)
        self._plans.refusals.learn(self._child, bisection)

    def _decoded(self, part: Part, payload: bytes) -> Sequence[Reading]:
        self._was_read(part.block, part.longest)
        payload = part.block.with_factors(payload, self._factors)
        return part.block.decoder().decode(payload, self._child.key, datetime.now(UTC))

    async def _payload(self, read: ReadRequest, at_once: int | None, policy: RetryPolicy | None = None) -> bytes:
        return cast("bytes", await self._ask(self._unit, read, policy, at_once=read.count if at_once is None else at_once))

    async def _factor(self, read: ReadRequest) -> bytes:
        """Return scale factors that are read separately; "not available", where the unit refuses them, also one by one."""
        try:
            return await self._payload(read, self._known.at_once)
        except ExceptionResponse as error:
            may_be_too_long = error.code == ILLEGAL_VALUE
        except DeviceUnreachable as error:
            if not await self._is_silent_to(read, error):
                raise
            may_be_too_long = True
        with suppress(ExceptionResponse, DeviceUnreachable):
            if may_be_too_long and read.count > 1:
                return await self._payload(read, 1)
        return NO_SCALE_FACTOR * read.count

    def _was_read(self, block: ReadBlock, at_once: int | None) -> None:
        known, refusals, count = self._known, self._refusals, block.read.count if at_once is None else at_once
        if known.unanswered_reads or block.read not in known.answered_reads:
            if len(known.answered_reads) >= ANSWERED_READS_BOUND:
                known.answered_reads.clear()
            known.answered_reads.add(block.read)
            known.unanswered_reads.pop(block.read, None)
        if refusals.has_any or count > refusals.longest_read:  # asked for each block that is read
            self._plans.refusals.was_read(self._child, refusals, block, count)

    async def _is_silent_to(self, read: ReadRequest, error: DeviceUnreachable) -> bool:
        """Return whether the unit answers something else right now, so that its silence is about this block."""
        if _is_absent(error):
            return False
        if read in self._known.answered_reads:
            times = self._known.unanswered_reads[read] = self._known.unanswered_reads.get(read, 0) + 1
            if times < SILENT_ALTHOUGH_ANSWERED:
                return False
        request = self._known.answered_request or FIRST_REGISTER
        if request == read:
            return False
        try:
            await self._ask(self._unit, request, self._single_try())
        except ExceptionResponse:
            return True
        except DeviceUnreachable:
            return False
        return True


def _is_absent(error: DeviceUnreachable) -> bool:
    """Return whether a Modbus gateway reported that it has no way to the unit; an unanswered request is silence."""
    return isinstance(error, NoSuchUnit) and not error.was_forwarded


def _is_too_long(transaction: Transaction, limit: KnownLimit) -> bool:
    """Return whether it was learned from a block before, of the same reading, that this one is too long."""
    at_once = transaction.at_once or transaction.block.read.count
    return at_once >= limit.length.fails and not transaction.block.read.table.holds_bits and not limit.trials(now())
