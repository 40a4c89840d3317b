"""Simulate what a projector with PJLink class 2 answers to a search by UDP (JBMIA: PJLink Specifications 2.10, class 2).

async with SearchedProjector("127.0.0.2", port=40001) as projector:
...                     # send %2SRCH to UDP port 40001 of 127.0.0.2
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Self

SEARCH = b"%2SRCH\r"


class SearchedProjector(asyncio.DatagramProtocol):
    """A UDP port that answers a search, open within its `async with` block.

    Args:
        host: the address to listen on.
        port: the port.
        mac: its MAC address.
        answers: what it sends for each search; left out, its MAC address as the specification has it.

    Raises:
        OSError: on entering, when the port is taken.
    """

    def __init__(
        self, host: str, *, port: int = 4352, mac: str = "00:1B:C5:00:B0:01", answers: Sequence[bytes] | None = None
    ) -> None:
        self.received: list[bytes] = []
        """All datagrams that arrived."""
        self.host = host
        self._port = port
        self._answers = [f"%2ACKN={mac}\r".encode()] if answers is None else answers
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(self.host, self._port)
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)  # asyncio closes the socket in the next round of the loop

    def datagram_received(self, data: bytes, sender: tuple[str | Any, int]) -> None:
        """Answer a search."""
        self.received.append(data)
        if data == SEARCH and self._transport is not None:
            for answer in self._answers:
                self._transport.sendto(answer, sender)
