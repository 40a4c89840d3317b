"""Simulate an LG display that is controlled over RS-232C (49SH7DB-M owner's manual, 2.1: control of multiple products).

A command is two letters, a blank, the set id in two hexadecimal digits, a blank and a value, ended by a carriage return; the
answer is the second letter, the set id, `OK` or `NG` with the value, and an `x`. The value FF asks. All displays answer the set
id 00.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.testing.serial.device import SerialDevice

EVERYONE = 0
QUERY = 0xFF


class LgDisplay(SerialDevice):
    """A display, on a line of its own or in a chain.

    Args:
        set_id: its id on the line, 1 to 255.
        serial_number: its serial number.
        end: the end of its answers: some models send `x`, others `x`, a carriage return and a line feed.
    """

    def __init__(self, set_id: int = 1, *, serial_number: str = "912MXNU5Y123", end: bytes = b"x") -> None:
        super().__init__(f"LG display {set_id}")
        self.set_id = set_id
        self.is_on, self.volume, self.input = True, 20, 0x90
        self._serial_number = serial_number
        self._end = end
        self._buffer = b""

    def receive(self, data: bytes) -> Sequence[bytes]:
        """Return the answers to the commands that these bytes complete."""
        *lines, self._buffer = (self._buffer + data).split(b"\r")
        return [answer for line in lines if (answer := self._answer(line.decode("latin-1").split())) is not None]

    def _answer(self, words: Sequence[str]) -> bytes | None:
        if len(words) != 3 or int(words[1], 16) not in {self.set_id, EVERYONE}:
            return None
        command, value = words[0], int(words[2], 16)
        outcome = self._outcome(command, value)
        return f"{command[1]} {self.set_id:02x} {outcome}".encode() + self._end

    def _outcome(self, command: str, value: int) -> str:
        if command == "ka":
            self.is_on = self.is_on if value == QUERY else bool(value)
            return f"OK{int(self.is_on):02x}"
        if not self.is_on:
            return "NG00"
        if command == "kf":
            self.volume = self.volume if value == QUERY else value
            return f"OK{self.volume:02x}"
        if command == "xb":
            self.input = self.input if value == QUERY else value
            return f"OK{self.input:02x}"
        return f"OK{self._serial_number}" if command == "fy" and value == QUERY else "NG00"
