"""Simulate units behind one UDP port, on a network that loses, doubles and misdirects datagrams on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, cast

from gateway.testing.modbus.ascii import serial_framing
from gateway.testing.modbus.conversation import SimulatedBus
from gateway.testing.modbus.exception_codes import ExceptionCode
from gateway.testing.modbus.framing import Mbap, NotModbus
from gateway.testing.modbus.tcp import TcpFraming
from gateway.testing.modbus.unit import SimulatedUnit


@dataclass(slots=True)
class DatagramFaults:
    """The faults of the network and the host with datagrams; change it at any time."""

    lost_requests: int = 0
    """How many of the next requests are lost; counts down."""
    lost_answers: int = 0
    """How many of the next answers are lost; counts down. The unit has executed the request."""
    copies: int = 1
    """How often each answer is delivered."""
    copy_delay_seconds: float = 0.0
    """How much later each further copy is delivered."""
    answers_from_other_port: bool = False
    """Answers come from another port than the one that was asked."""
    answers_from: str = ""
    """Answers come from this address of the machine, as of a host with several."""
    answers_to_port: int | None = None
    """Answers go to this port, whatever port asked, as of a device server that is set up so."""
    in_pieces_of: int | None = None
    """Each answer comes in datagrams of at most so many bytes, as RTU and ASCII frames do from a device server."""


class ModbusUdpHost(SimulatedBus):
    """A host with Modbus units, open while entered. A datagram to it is refused with an ICMP message afterwards.

    The answers of slow units (`Faults.delay_seconds`) come late and overtake each other, as datagrams do.

    Args:
        units: the units behind it.
        host: the address to listen on.
        port: 0 takes a free one.
        framing: `tcp` for frames with the header of Modbus TCP, `rtu` or `ascii` for those of serial lines.
        unknown_unit: the exception for a unit that is not there, 0A or 0B; `None` is no answer.

    Raises:
        ValueError: two units have the same id.
        OSError: on entering, when the port is taken.
    """

    def __init__(
        self,
        units: Iterable[SimulatedUnit],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        framing: TcpFraming = "tcp",
        unknown_unit: ExceptionCode | None = None,
    ) -> None:
        super().__init__(
            units,
            Mbap() if framing == "tcp" else serial_framing(framing),
            unknown_unit=unknown_unit,
            has_broadcast=framing != "tcp",
        )
        self.host = host
        self.port = port
        """The port to send to; known once entered."""
        self.faults = DatagramFaults()
        self.requests: list[bytes] = []
        """The datagrams that arrived, lost ones not among them."""
        self._served: asyncio.DatagramTransport | None = None
        self._others: dict[str, asyncio.DatagramTransport] = {}
        self._binding = asyncio.Lock()
        self._answering: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._served = await self._bind(self.host, self.port)
        self.port = self._served.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the port; what is not answered yet never is."""
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        for endpoint in (self._served, *self._others.values()):
            if endpoint is not None:
                endpoint.close()
        self._served = None
        self._others.clear()
        await asyncio.sleep(0)  # asyncio closes the sockets in the next round of the loop

    async def _bind(self, host: str, port: int) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        endpoint, _ = await loop.create_datagram_endpoint(lambda: _Requests(self), local_addr=(host, port))
        return endpoint

    def receive(self, datagram: bytes, client: tuple[Any, ...]) -> None:
        """Answer what arrived from a client."""
        if self.faults.lost_requests > 0:
            self.faults.lost_requests -= 1
            return
        self.requests.append(datagram)
        task = asyncio.create_task(self._answer(datagram, client), name=f"modbus datagram to port {self.port}")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, datagram: bytes, client: tuple[Any, ...]) -> None:
        async def send(answer: bytes) -> None:
            await self._send(answer, client)

        try:
            async with asyncio.TaskGroup() as late_answers:
                for request in self._framing.take(bytearray(datagram), after_silence=True):
                    await self._respond(request, send, late_answers)
        except* NotModbus:
            pass  # a datagram of another protocol is dropped

    async def _send(self, answer: bytes, client: tuple[Any, ...]) -> None:
        faults = self.faults
        if faults.lost_answers > 0:
            faults.lost_answers -= 1
            return
        sender = await self._sender()
        port = client[1] if faults.answers_to_port is None else faults.answers_to_port
        size = faults.in_pieces_of or max(len(answer), 1)
        for copy in range(faults.copies):
            if copy and faults.copy_delay_seconds > 0:
                await asyncio.sleep(faults.copy_delay_seconds)
            for start in range(0, len(answer), size):
                sender.sendto(answer[start : start + size], (client[0], port, *client[2:]))

    async def _sender(self) -> asyncio.DatagramTransport:
        other = self.faults.answers_from or (self.host if self.faults.answers_from_other_port else "")
        if not other:
            return cast("asyncio.DatagramTransport", self._served)
        async with self._binding:  # of two answers at the same time, one opens the port
            if other not in self._others:
                port = 0 if self.faults.answers_from_other_port else self.port
                self._others[other] = await self._bind(other, port)
        return self._others[other]


class _Requests(asyncio.DatagramProtocol):
    def __init__(self, host: ModbusUdpHost) -> None:
        self._host = host

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._host.receive(data, addr)
