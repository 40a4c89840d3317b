"""Find the hosts of a network that listen on the Modbus port, for a gateway without a configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from adapters.modbus.client.buses import MODBUS_PORT, parse_host

PARALLEL_CONNECTIONS: Final = 64
CONNECT_SECONDS: Final = 1.0

COMMON_UNITS: Final = "1-16, 255"
"""The unit ids that a first scan probes: makers deliver their devices with the lowest ones; 255 is a TCP host itself."""


async def listening_hosts(hosts: Sequence[str]) -> list[str]:
    """Return the hosts that accept a connection within a second; it is closed again, and nothing is sent.

    Args:
        hosts: `192.168.1.20`, `meter.local` or `192.168.1.20:1502`; any other form is left out.
    """
    free = asyncio.Semaphore(PARALLEL_CONNECTIONS)

    async def listens(written: str) -> bool:
        host = _parsed(written)
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

    listening = await asyncio.gather(*(listens(host) for host in hosts))
    return [host for host, is_listening in zip(hosts, listening, strict=True) if is_listening]


def _parsed(written: str) -> dict[str, Any] | None:
    try:
        host = parse_host(written)
    except ValueError:
        return None
    return host if isinstance(host, dict) else None
