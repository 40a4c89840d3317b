"""Decide when the next request can be sent to a bus, and whether its connection still works. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping

from adapters.modbus.client.buses import Bus, TcpHost
from adapters.modbus.client.connection_start import ConnectionStart
from adapters.modbus.client.pdu import Request, WriteRequest
from adapters.modbus.client.request_pauses import RequestPauses
from adapters.modbus.client.session_health import Confusions, SessionHealth
from gateway.adapter import seconds_text


class Session:
    """The knowledge about the connections and the pauses of one bus. Times are seconds of one clock.

    Args:
        bus: the host or line.
        memory: gives what the adapter remembers.
        pauses: unit -> the configured pause between two requests to it, in seconds.
    """

    def __init__(
        self, bus: Bus, memory: Callable[[], MutableMapping[str, str]], pauses: Mapping[int, float] | None = None
    ) -> None:
        self._is_host = isinstance(bus, TcpHost)
        self.start = ConnectionStart(bus, memory)
        self.health = SessionHealth()
        self.confusions = Confusions()
        self.pauses = RequestPauses(bus.label, memory, bus_seconds=bus.request_pause.total_seconds(), unit_seconds=pauses)

    def send_at(self, unit: int, request: Request) -> float:
        """Return when this request can be sent."""
        is_write = isinstance(request, WriteRequest)
        return max(self.start.send_at(unit, is_write=is_write), self.pauses.send_at(unit, request, is_write=is_write))

    def sent(self, unit: int, request: Request, now: float) -> None:
        """Record that a request is sent."""
        self.start.sent(now)
        self.pauses.sent(unit, request, now)

    def answered(self, unit: int, now: float, *, by_unit: bool, is_late: bool) -> None:
        """Record an answer to the request that was sent last.

        Args:
            unit: who was asked.
            now: the current time.
            by_unit: the unit answered, and not a gateway that did not reach it.
            is_late: the answer is to an earlier try of the same request, so it does not show that waiting has helped.
        """
        if is_late:
            self.start.heard()
        else:
            self.start.answered(unit)
        self.confusions.answered()
        if by_unit:
            self.health.answered(unit)
            self.pauses.answered(unit, now, is_late=is_late)
        else:
            self.health.heard()

    def unanswered(self, unit: int, now: float, *, heard: bool) -> None:
        """Record that the request that was sent last was not answered; `heard`: something else was received meanwhile."""
        self.pauses.unanswered(unit, now)
        if heard:
            self.start.heard()
            self.health.heard()
        else:
            self.start.unanswered(unit, now)
            self.health.unanswered(unit, now)

    def remarks(self) -> list[str]:
        """Return what an operator should know about the connections, one sentence each."""
        remarks = []
        if (seconds := self.start.learned_seconds) > 0:
            remarks.append(
                f"answers {seconds_text(seconds)} after connecting, which was learned; `connect_delay` sets another time"
            )
        if times := self.health.renewals:
            requests = self.health.unanswered_at_renewal
            how_often = "once" if times == 1 else f"{times} times, the last one"
            remarks.append(
                f"the connection was closed and opened again {how_often} after {requests} unanswered requests of all units"
            )
        if times := self.confusions.renewals:
            how_often = "once" if times == 1 else f"{times} times"
            remarks.append(f"the connection was closed and opened again {how_often} because its answers could not be told apart")
        return remarks

    def needs_new_connection(self, now: float) -> bool:
        """Return whether nothing is answered on the connection any more, although the host had the time to become ready."""
        return self._is_host and self.health.is_silent(now) and self.start.is_over(now)
