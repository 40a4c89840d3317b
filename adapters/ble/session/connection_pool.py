"""The connections of one radio: as many as it has slots, one to a device, and those that stay give way."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol
from weakref import WeakValueDictionary

from adapters.ble.radio.radio import Connection


class Connector(Protocol):
    """What opens connections: the radio."""

    async def connect(self, address: str) -> Connection:
        """Connect to a device that was heard, or raise `DeviceUnreachable`."""


class Connections:
    """Who is connected.

    A device that wants to stay connected keeps its slot between visits as long as nobody else needs it: the one that was visited
    longest ago gives way first.

    Args:
        connector: opens connections.
        slots: how many there may be at once.
    """

    def __init__(self, connector: Connector, slots: int) -> None:
        self.slots = slots
        self._connector = connector
        self._free = asyncio.Semaphore(slots)
        self._staying: OrderedDict[str, Connection] = OrderedDict()
        self._visited: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._visits = 0

    @property
    def used(self) -> int:
        """How many slots are taken."""
        return self._visits + len(self._staying)

    def is_staying(self, address: str) -> bool:
        """Whether this device is connected between its visits."""
        kept = self._staying.get(address)
        return kept is not None and kept.is_open

    @asynccontextmanager
    async def visit(self, address: str, *, stays: bool = False) -> AsyncIterator[Connection]:
        """Have this device connected for the block; it stays connected afterwards if it is to, and all went well.

        Raises:
            DeviceUnreachable: it takes no connection.
        """
        lock = self._visited.setdefault(address, asyncio.Lock())
        async with lock, self._free:
            self._visits += 1
            connection, went_well = None, False
            try:
                connection = await self._open(address)
                yield connection
                went_well = True
            finally:
                self._visits -= 1
                if connection is not None:
                    await self._leave(connection, stays=stays and went_well)

    async def close(self) -> None:
        """Disconnect from everybody."""
        while self._staying:
            await self._staying.popitem()[1].close()

    async def _open(self, address: str) -> Connection:
        kept = self._staying.pop(address, None)
        if kept is not None:
            if kept.is_open:
                return kept
            await kept.close()
        while self.used > self.slots:
            await self._staying.popitem(last=False)[1].close()
        return await self._connector.connect(address)

    async def _leave(self, connection: Connection, *, stays: bool) -> None:
        if stays and connection.is_open:
            self._staying[connection.address] = connection
        else:
            await connection.close()
