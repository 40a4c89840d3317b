"""Simulate a port that is no device but the console of a computer: a log-in, a shell, a boot loader, a router."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.testing.serial.device import SerialDevice

GETTY = b"raspberrypi login: "
"""The prompt of a log-in on a serial port of Linux (agetty), whose next question is the password."""


class Console(SerialDevice):
    """A console that echoes what is typed and shows its prompt after each line.

    Args:
        prompt: its prompt; one that ends in `login: ` or `Username: ` is followed by a password, and a failure.
        refusal: what it shows for a line that is no command.
    """

    def __init__(self, prompt: bytes = GETTY, *, refusal: bytes = b"") -> None:
        super().__init__("console")
        self.prompt = prompt
        self.typed: list[bytes] = []
        """The lines that were typed, passwords included."""
        self._refusal = refusal
        self._line = b""
        self._wants_password = False

    @property
    def received(self) -> bytes:
        """All that was typed, with carriage returns between the lines."""
        return b"\r".join([*self.typed, self._line])

    def connected(self) -> bytes:
        """Return its prompt."""
        return b"\r\n" + self.prompt

    def receive(self, data: bytes) -> Sequence[bytes]:
        """Return the echo, and a prompt after each line."""
        shown = bytearray()
        for at in range(len(data)):
            one = data[at : at + 1]
            if one in {b"\r", b"\n"}:
                shown += b"\r\n" + self._next(self._line)
                self._line = b""
            else:
                self._line += one
                shown += one if not self._wants_password else b""
        return [bytes(shown)] if shown else []

    def _next(self, line: bytes) -> bytes:
        self.typed.append(line)
        if self._wants_password:
            self._wants_password = False
            return b"\r\nLogin incorrect\r\n" + self.prompt
        self._wants_password = bool(line) and self.prompt.lower().rstrip().endswith((b"login:", b"username:"))
        if self._wants_password:
            return b"Password: "
        return (self._refusal + b"\r\n" if line and self._refusal else b"") + self.prompt
