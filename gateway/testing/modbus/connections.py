"""Treat TCP connections as some devices do: serve them late, for a while or only a few; and connect to a host in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gateway.tasks import loop_time


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFaults:
    """How a host treats its connections; the faults combine. Those of `ModbusTcpHost` hold for connections that begin then."""

    ready_after_seconds: float = 0
    """Requests that arrive sooner after the connection was accepted are lost, as in the dongles of some inverters."""
    idle_limit_seconds: float | None = None
    """A connection on which no request arrived for so long is closed; `None`: none is."""
    served_requests: int | None = None
    """After so many requests a connection stays open, and nothing on it is answered any more; a new one is. `None`: no limit."""
    closes_after_answers: int | None = None
    """A connection is closed instead of the answer after so many, 0 for the first one; `None`: none is."""
    resets: bool = False
    """The connections that it closes are reset, as by a device that is short of memory; without effect in memory."""
    max_clients: int | None = None
    """Further connections are accepted and closed at once; `None`: any number is served."""


HEALTHY_CONNECTIONS = ConnectionFaults()


class ServedConnection:
    """One connection of a client, seen from the host.

    Args:
        faults: returns the faults of the host as they are now.
    """

    def __init__(self, faults: Callable[[], ConnectionFaults]) -> None:
        self._faults = faults
        self._accepted_at = loop_time()
        self._requested = asyncio.Event()
        self._served = 0

    def serves_request(self) -> bool:
        """Count a request that has arrived now, and return whether the host answers it.

        Raises:
            ConnectionAbortedError: the host closes the connection instead.
        """
        self._requested.set()
        faults = self._faults()
        if loop_time() - self._accepted_at < faults.ready_after_seconds:
            return False
        self._served += 1
        if faults.closes_after_answers is not None and self._served > faults.closes_after_answers:
            raise ConnectionAbortedError("the host closes the connection instead of an answer")
        return faults.served_requests is None or self._served <= faults.served_requests

    async def close_when_idle(self, limit_seconds: float, close: Callable[[], Awaitable[None]]) -> None:
        """Close the connection when no request has arrived for so long."""
        with suppress(TimeoutError):
            while True:
                self._requested.clear()
                async with asyncio.timeout(limit_seconds):
                    await self._requested.wait()
        await close()


class MemoryConnection(asyncio.Transport):
    """The client's end of a connection to a host in this process, which needs no socket and works in simulated time.

    Args:
        protocol: the client's asyncio protocol.
    """

    def __init__(self, protocol: Any) -> None:  # noqa: ANN401 - whatever the client's factory made
        super().__init__()
        self.reader = asyncio.StreamReader()
        """What the client has sent."""
        self._protocol: Any = protocol
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes to the host."""
        if not self._is_closing:
            self.reader.feed_data(bytes(data))

    async def deliver(self, data: bytes) -> None:
        """Send bytes to the client."""
        if not self._is_closing:
            asyncio.get_running_loop().call_soon(self._deliver_now, data)

    def close(self) -> None:
        """Close the connection, from either end."""
        if self._is_closing:
            return
        self._is_closing = True
        self.reader.feed_eof()
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """Close the connection at once."""
        self.close()

    def is_closing(self) -> bool:
        """Return whether the connection is closed."""
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        """Return 0: nothing waits."""
        return 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Use another protocol of the client."""
        self._protocol = protocol

    def get_protocol(self) -> Any:  # noqa: ANN401 - as above
        """Return the protocol of the client."""
        return self._protocol

    def _deliver_now(self, data: bytes) -> None:
        if not self._is_closing:
            self._protocol.data_received(data)
