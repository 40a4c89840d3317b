"""Detect whether a serial line echoes requests, as some RS-485 adapters do, and remove the first echo. Pure.

An answer to a read never equals its request, so an echo of a read is certain. An answer to a write may equal its request, so a
write proves nothing.
"""

from __future__ import annotations


class EchoFilter:
    """Watches requests and received bytes; `echoes` is the result."""

    def __init__(self) -> None:
        self.echoes = False
        """The line returns each request to the sender."""
        self.is_missing = False
        """The line is known to echo, but did not echo the current request."""
        self._sent = b""
        self._received = b""

    def begin(self) -> None:
        """Start a new request."""
        self._received = b""
        self.is_missing = False

    def sent(self, packet: bytes) -> None:
        """Record the bytes of the request."""
        self._sent = packet

    def received(self, data: bytes, *, expected: bytes, is_read: bool) -> bytes:
        """Return the data without an echo that is detected by it; later echoes are left to pymodbus.

        Args:
            data: what the port delivered.
            expected: the echo that pymodbus still expects.
            is_read: the current request is a read.
        """
        self.is_missing |= self.echoes and not (data.startswith(expected) or expected.startswith(data))
        if self.echoes or not self._sent or not is_read:
            return data
        size = len(self._sent)
        self._received += data[:size]
        if not self._received.startswith(self._sent):
            return data
        self.echoes = True
        return self._received[size:] + data[size:]
