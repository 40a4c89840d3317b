"""Send the queries of polled devices, and keep what their answers say: readings, refusals, and which queries follow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from adapters.serial.discovery.identity import parse_address
from adapters.serial.discovery.probe_answers import is_asked
from adapters.serial.profile.grammar import Query
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol, QueryAnswer, Request
from adapters.serial.session.digest_login import LoginNeeded
from gateway.adapter import ChildDevice, DeviceUnreachable, Reading, Value

REFUSED: Final = "refused"
"""The state of a query that was refused; that of an answered one is a tuple of values."""


@dataclass(frozen=True, slots=True)
class QueryLine:
    """The line of a port, as far as queries use it."""

    protocol_of: Callable[[Profile], Awaitable[DeviceProtocol]]
    """Makes the protocol of a profile the active one, and returns it."""
    ask: Callable[[Profile, Request], Awaitable[QueryAnswer]]
    """Sends a request and returns its answer."""


class QueryReading:
    """The queries to the devices on one port."""

    def __init__(self, line: QueryLine) -> None:
        self._line = line
        self._remarks: dict[str, dict[str, str]] = {}
        """What an operator should know of the queries of each child, by its key."""
        self._states: dict[str, dict[str, Hashable]] = {}
        """What the latest answers of each child show, by query: a change may mean that it wakes up."""
        self._conditions: dict[str, dict[str, Mapping[str, Value]]] = {}
        """Answers that decide which further queries a device is asked, by its address and query."""

    async def read(self, child: ChildDevice, profile: Profile, due: frozenset[str]) -> AsyncGenerator[Sequence[Reading], None]:
        """Send each query of these groups, and yield after each that was answered, or that failed after others were."""
        has_answered = False
        refused: set[str] = set()
        for query in profile.queries:
            if query.group in due and query.points and await self._is_asked(child, profile, query, refused):
                try:
                    readings = await self.read_query(child, profile, query)
                except LoginNeeded:
                    raise
                except DeviceUnreachable as error:
                    if not has_answered:
                        raise
                    self._remark(child, query.name, f"{query.name}: {error}")
                    yield ()
                else:
                    has_answered = True
                    yield readings

    async def read_query(self, child: ChildDevice, profile: Profile, query: Query) -> Sequence[Reading]:
        """Send one query and return its readings; none where the device refuses it."""
        protocol = await self._line.protocol_of(profile)
        answer = await self._line.ask(profile, protocol.query_request(query.name, parse_address(child.address)[1]))
        states = self._states.setdefault(child.key, {})
        if answer.refusal is not None:
            self._remark(child, query.name, None if query.optional else f"{query.name}: {answer.refusal}")
            states[query.name] = REFUSED
            return ()
        self._remark(child, query.name, None)
        readings = protocol.readings_of(query.name, answer, child.key, datetime.now(UTC))
        states[query.name] = tuple(reading.value for reading in readings if reading.metric.urgent)
        return readings

    def remarks(self, child: ChildDevice) -> list[str]:
        """Return which queries a child refused or did not answer, one sentence each."""
        return [*self._remarks.get(child.key, {}).values()]

    def why_no_values(self, child: ChildDevice) -> str | None:
        """Return that a child refused each query that it was asked last, if so."""
        states = self._states.get(child.key, {})
        if not states or any(state != REFUSED for state in states.values()):
            return None
        refusals = dict.fromkeys(self.remarks(child))
        return f"it answers, and refuses everything it is asked{': ' if refusals else ''}{', '.join(refusals)}"

    def state_of(self, child: ChildDevice) -> Hashable:
        """Return what the latest answers of a child show; it changes, for example, when the device wakes up."""
        return frozenset(self._states.get(child.key, {}).items())

    def forget_conditions(self, address: str | None = None) -> None:
        """Ask again what decides about further queries: the device at this address, or every one."""
        if address is None:
            self._conditions.clear()
        else:
            self._conditions.pop(address, None)

    async def _is_asked(self, child: ChildDevice, profile: Profile, query: Query, refused: set[str]) -> bool:
        """Return whether this child is asked this query, as its earlier answers show.

        Args:
            child: the device.
            profile: its profile.
            query: the query.
            refused: the queries that it refused to answer in this round, to which those are added that it refuses now.
        """
        answers = self._conditions.setdefault(child.address, {})
        for name in {place.partition(".")[0] for place in query.only_if} - answers.keys() - refused:
            try:
                protocol = await self._line.protocol_of(profile)
                answer = await self._line.ask(profile, protocol.query_request(name, parse_address(child.address)[1]))
            except DeviceUnreachable:
                refused.add(name)
                continue
            if answer.refusal is None:
                answers[name] = answer.values
            else:
                refused.add(name)
        return is_asked(query, answers)

    def _remark(self, child: ChildDevice, query: str, text: str | None) -> None:
        remarks = self._remarks.setdefault(child.key, {})
        if text is None:
            remarks.pop(query, None)
        else:
            remarks[query] = text
