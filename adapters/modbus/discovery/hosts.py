"""Find the hosts of a network that listen on a Modbus port, for a gateway without a configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from adapters.modbus.client.buses import MODBUS_PORT, parse_host
from adapters.modbus.client.tls_settings import TLS_PORT

PARALLEL_CONNECTIONS: Final = 64
CONNECT_SECONDS: Final = 1.0

COMMON_UNITS: Final = "1-16, 255"
"""The unit ids that a first scan probes: makers deliver their devices with the lowest ones; 255 is a TCP host itself."""


async def listening_hosts(hosts: Sequence[str]) -> list[str | dict[str, Any]]:
    """Return the hosts that accept a connection within a second; it is closed again, and nothing is sent.

    A host that listens on the port of Modbus over TLS is returned with `tls`; whoever looks learns then which certificates it
    wants. Over UDP a host cannot be found without sending it something.

    Args:
        hosts: `192.168.1.20`, `meter.local` or `192.168.1.20:1502`; any other form is left out.
    """
    free = asyncio.Semaphore(PARALLEL_CONNECTIONS)

    async def entry_of(written: str) -> str | dict[str, Any] | None:
        host = _parsed(written)
        if host is None:
            return None
        for port in (host["port"],) if "port" in host else (MODBUS_PORT, TLS_PORT):
            async with free:
                listens = await _listens(host["host"], port)
            if listens:
                return {"host": host["host"], "tls": {}} if port == TLS_PORT else written
        return None

    entries = await asyncio.gather(*map(entry_of, hosts))
    return [entry for entry in entries if entry is not None]


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _parsed(written: str) -> dict[str, Any] | None:
    try:
        host = parse_host(written)
    except ValueError:
        return None
    return host if isinstance(host, dict) else None
