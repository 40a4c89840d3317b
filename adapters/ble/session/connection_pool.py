"""Limit the connections of one radio: one per device, and kept ones are closed when their slot is needed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol
from weakref import WeakValueDictionary

from adapters.ble.radio.connection import GattConnection


class Connector(Protocol):
    """Opens connections: the radio."""

    async def connect(self, address: str) -> GattConnection:
        """Connect to a device that was received, or raise `DeviceUnreachable`."""


class ConnectionPool:
    """The connections of one radio.

    A kept connection stays open between two uses as long as its slot is not needed: the least recently used one is closed first.

    Args:
        connector: opens connections.
        slots: the maximum number of connections.
    """

    def __init__(self, connector: Connector, slots: int) -> None:
        self.slots = slots
        self._connector = connector
        self._free = asyncio.Semaphore(slots)
        self._kept: OrderedDict[str, GattConnection] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._in_use = 0

    @property
    def used_slots(self) -> int:
        """The number of connections, in use or kept."""
        return self._in_use + len(self._kept)

    def is_kept(self, address: str) -> bool:
        """Return whether a connection to this device is kept and open."""
        kept = self._kept.get(address)
        return kept is not None and kept.is_open

    @asynccontextmanager
    async def acquire(self, address: str, *, keep: bool = False) -> AsyncIterator[GattConnection]:
        """Connect to a device for the block; with `keep`, the connection is kept afterwards if nothing failed.

        Raises:
            DeviceUnreachable: the connection fails.
        """
        lock = self._locks.setdefault(address, asyncio.Lock())
        async with lock, self._free:
            self._in_use += 1
            connection, has_succeeded = None, False
            try:
                connection = await self._open(address)
                yield connection
                has_succeeded = True
            finally:
                self._in_use -= 1
                if connection is not None:
                    await self._release(connection, keep=keep and has_succeeded)

    async def close(self) -> None:
        """Close all kept connections."""
        while self._kept:
            await self._kept.popitem()[1].close()

    async def _open(self, address: str) -> GattConnection:
        kept = self._kept.pop(address, None)
        if kept is not None:
            if kept.is_open:
                return kept
            await kept.close()
        while self.used_slots > self.slots:
            await self._kept.popitem(last=False)[1].close()
        return await self._connector.connect(address)

    async def _release(self, connection: GattConnection, *, keep: bool) -> None:
        if keep and connection.is_open:
            self._kept[connection.address] = connection
        else:
            await connection.close()
