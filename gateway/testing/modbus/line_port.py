"""Connect a master to a simulated serial line through an asyncio transport."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol


class Line(Protocol):
    """The line that a port is on."""

    def receive_from_master(self, payload: bytes, *, is_understood: bool) -> None:
        """Transmit the bytes that the master writes."""

    def close_port(self, port: asyncio.Transport) -> None:
        """Record that a port was closed."""


class LinePort(asyncio.Transport):
    """The port of the master.

    Args:
        line: the line that it is on.
        protocol: receives the connection, the bytes and the end.
        is_understood: the units understand what is written, since the port has the settings of the line.
        settings: what the master may ask the transport for as `settings`: speed, parity and stop bits.
    """

    def __init__(self, line: Line, protocol: Any, *, is_understood: bool, settings: object) -> None:  # noqa: ANN401 - any asyncio protocol
        super().__init__({"settings": settings})
        self.is_understood = is_understood
        self.bytesize = 0
        """The data bits with which it takes characters apart; 0 where they are garbage to it."""
        self._line = line
        self._protocol: Any = protocol
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send these bytes over the line."""
        if not self._closing and data:
            self._line.receive_from_master(bytes(data), is_understood=self.is_understood)

    def receive(self, data: bytes) -> None:
        """Deliver characters that arrived to the master."""
        if not self._closing:
            self._protocol.data_received(data)

    def close(self) -> None:
        """Close the port."""
        self.lose(None)

    def abort(self) -> None:
        """Close the port."""
        self.lose(None)

    def lose(self, error: Exception | None) -> None:
        """Close the port with this reason; `None` when the master closes it."""
        if self._closing:
            return
        self._closing = True
        self._line.close_port(self)
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)

    def is_closing(self) -> bool:
        """Return whether the port is closed."""
        return self._closing

    def get_write_buffer_size(self) -> int:
        """Return 0: nothing is kept back."""
        return 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver to this protocol from now on."""
        self._protocol = protocol

    def get_protocol(self) -> Any:  # noqa: ANN401 - whatever the factory made
        """Return the protocol."""
        return self._protocol
