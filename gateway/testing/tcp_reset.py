"""Reset a TCP connection of a simulated host, as a device does that is short of memory or of connections."""

from __future__ import annotations

import asyncio
import socket
import struct

_NO_LINGER = struct.pack("ii", 1, 0)
"""The connection is not kept open for what is still to be sent: closing it sends a reset."""


def reset_when_closed(writer: asyncio.StreamWriter) -> None:
    """Have the connection reset, and not ended in order, when it is closed."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
