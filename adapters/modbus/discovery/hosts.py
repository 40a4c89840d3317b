"""Which hosts of a network listen on the port of Modbus: for a machine that has no configuration yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from adapters.modbus.client.buses import MODBUS_PORT, parse_host

AT_ONCE: Final = 64
CONNECT_SECONDS: Final = 1.0

USUAL_UNITS: Final = "1-16, 255"
"""Unit ids that a first look asks for: makers deliver their devices with the lowest ones; 255 is a TCP host itself."""


async def listening_hosts(hosts: Sequence[str]) -> list[str]:
    """Return those that take a connection within a second; it is closed again, and nothing is sent.

    Args:
        hosts: `192.168.1.20`, `meter.local` or `192.168.1.20:1502`; one that is written otherwise is left out.
    """
    free = asyncio.Semaphore(AT_ONCE)

    async def listens(written: str) -> bool:
        host = _table(written)
        if host is None:
            return False
        async with free:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    _, writer = await asyncio.open_connection(host["host"], host.get("port", MODBUS_PORT))
            except (OSError, TimeoutError):
                return False
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            return True

    heard = await asyncio.gather(*(listens(host) for host in hosts))
    return [host for host, is_there in zip(hosts, heard, strict=True) if is_there]


def _table(written: str) -> dict[str, Any] | None:
    try:
        table = parse_host(written)
    except ValueError:
        return None
    return table if isinstance(table, dict) else None
