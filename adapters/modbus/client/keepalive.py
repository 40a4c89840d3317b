"""Have the operating system detect a TCP peer that is gone, on connections that are idle and on those that wait for an answer."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Final

log = logging.getLogger("adapters.modbus")

IDLE_SECONDS: Final = 30
"""How long a connection is idle before it is probed."""

PROBE_SECONDS: Final = 10
PROBES: Final = 3
"""The connection is lost after so many probes without an answer."""

UNACKNOWLEDGED_SECONDS: Final = 30
"""The connection is lost when what was sent is not acknowledged for so long; by default Linux sends it again for 15 minutes."""

_OPTIONS: Final = (
    ("TCP_KEEPIDLE", IDLE_SECONDS),
    ("TCP_KEEPINTVL", PROBE_SECONDS),
    ("TCP_KEEPCNT", PROBES),
    ("TCP_USER_TIMEOUT", 1000 * UNACKNOWLEDGED_SECONDS),
)


def detect_dead_peer(transport: asyncio.BaseTransport) -> None:
    """Set keepalive probes and the time-out of unacknowledged data on a TCP connection; harmless on anything else."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.type != socket.SOCK_STREAM or connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _OPTIONS:
            if hasattr(socket, name):  # not every system has all of them
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except OSError as error:
        log.debug("keepalive could not be set: %s", error)
