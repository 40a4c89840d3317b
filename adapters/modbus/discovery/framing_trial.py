"""Find out whether a host that never answers does so in another framing: Modbus TCP, RTU or ASCII."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from itertools import islice

from adapters.modbus.client.buses import Bus, TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import FIRST_REGISTER, ExceptionResponse, NoSuchUnit
from adapters.modbus.client.transport import RetryPolicy, Transport
from gateway.adapter import BusUnavailable, DeviceUnreachable

MOST_UNITS = 10
"""How many units are asked."""

FRAMINGS: Mapping[str, str] = {"tcp": "Modbus TCP", "rtu": "RTU frames", "ascii": "ASCII frames"}
"""The framings in the order in which they are tried, and what they are called."""


class FramingTrial:
    """The trial on one bus; does nothing on a serial line, and on a host that has answered.

    Args:
        bus: the bus as it is configured.
        transport: its link, which is closed meanwhile, because many hosts allow one connection only.
        link_to: makes the link for the trial.
    """

    def __init__(self, bus: Bus, transport: Transport, link_to: Callable[[TcpHost], Link] = Link) -> None:
        self._bus = bus
        self._transport = transport
        self._link_to = link_to
        self._advice: str | None = None
        self._has_run = False

    @property
    def advice(self) -> str | None:
        """What to set; `None` when nothing is known, or the configured framing was answered since."""
        return self._advice if self.is_silent_host else None

    @property
    def is_silent_host(self) -> bool:
        """Whether the bus is a host that has not answered anything."""
        is_host = isinstance(self._bus, TcpHost)
        return is_host and isinstance(self._transport, Link) and not self._transport.has_answered

    @property
    def is_quiet_host(self) -> bool:
        """Whether it is such a host and keeps its connections open."""
        return self.is_silent_host and isinstance(self._transport, Link) and not self._transport.is_always_closed

    async def run(self, units: Iterable[int], seconds: float) -> AsyncGenerator[str, None]:
        """Read one register of the first of these units in the other framings; yield what was asked after each request.

        Raises:
            BusUnavailable: the host could not be connected to again, or it has closed every connection instead of answering.
        """
        if not self.is_silent_host or not isinstance(self._bus, TcpHost) or self._bus.tls is not None:
            self._check_not_all_closed()
            return
        self._has_run = True
        self._transport.close()
        asked = tuple(islice(units, MOST_UNITS))
        for framing in FRAMINGS:
            if framing == self._bus.framing or self._advice is not None:
                continue
            link = self._link_to(self._bus.model_copy(update={"framing": framing}))
            async with aclosing(self._try(link, framing, asked, seconds)) as steps:
                async for step in steps:
                    yield step
        await self._transport.open()
        self._check_not_all_closed()

    def _check_not_all_closed(self) -> None:
        if self._advice is None and isinstance(self._transport, Link):
            self._transport.check_not_all_closed()

    async def _try(self, link: Link, framing: str, units: Iterable[int], seconds: float) -> AsyncGenerator[str, None]:
        try:
            await link.open()
            for unit in units:
                if await _answers(link, unit, seconds):
                    self._advice = f'unit {unit} answers {FRAMINGS[framing]}: set framing = "{framing}" for this host'
                    break
                yield f"unit {unit}, in another framing"
        except BusUnavailable:
            pass  # told where the configured framing is tried again
        finally:
            link.close()

    async def advise(self, unit: int, seconds: float) -> list[str]:
        """Return the advice for a unit that does not answer; it is asked for that once. Raises as `run` does."""
        if not self._has_run:
            async with aclosing(self.run((unit,), seconds)) as steps:
                async for _ in steps:
                    pass
        self._check_not_all_closed()
        return [self.advice] if self.advice else []


async def _answers(link: Link, unit: int, seconds: float) -> bool:
    try:
        await link.ask(unit, FIRST_REGISTER, RetryPolicy(seconds))
    except (ExceptionResponse, NoSuchUnit):
        return True
    except DeviceUnreachable:
        return False
    return True
