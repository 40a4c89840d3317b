"""Simulate an Extron switcher (IN1606 and IN1608 Series User Guide: SIS Configuration and Control).

A command is executed when its last character arrives. In the verbose modes 1 and 3 the switcher tells changes unasked; in 2
and 3 it puts a tag in front of its answers: `Pno60-1238-01` instead of `60-1238-01`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.testing.serial.device import SerialDevice

_COMMAND = re.compile(rb"\x1b20STAT\r|(\d+)([!B])|[NQ!B]|.", re.DOTALL)
_BEGINNING = re.compile(rb"\x1b(?:2(?:0(?:S(?:T(?:AT?)?)?)?)?)?|\d+")
_INPUTS = range(1, 9)


class Switcher(SerialDevice):
    """A switcher.

    Args:
        verbose: its verbose mode, 0 to 3.
        part: its part number.
        firmware: its firmware version.
    """

    def __init__(self, *, verbose: int = 1, part: str = "60-1238-01", firmware: str = "1.04") -> None:
        super().__init__("Extron IN1608", sends_every_seconds=0.05)
        self.verbose = verbose
        self.input, self.video_mute, self.temperature = 3, 0, 42.0
        self._part, self._firmware = part, firmware
        self._buffer = b""
        self._changes: list[str] = []

    def press(self, number: int) -> None:
        """Select an input at the front panel."""
        self.input = number
        if self.verbose in {1, 3}:
            self._changes.append(f"In{number} All")

    def unsolicited(self) -> bytes:
        """Return the changes at the front panel since the last time."""
        changes, self._changes = self._changes, []
        return b"".join(f"{change}\r\n".encode() for change in changes)

    def receive(self, data: bytes) -> Sequence[bytes]:
        """Return the answers to the commands that these bytes complete."""
        self._buffer += data
        answers: list[bytes] = []
        while self._buffer and _BEGINNING.fullmatch(self._buffer) is None and (found := _COMMAND.match(self._buffer)):
            self._buffer = self._buffer[found.end() :]
            if found[0].strip(b"\r\n "):
                answers.append(f"{self._answer(found)}\r\n".encode())
        return answers

    def _answer(self, found: re.Match[bytes]) -> str:
        if found[1] is not None:
            return self._set(int(found[1]), found[2])
        answers = {
            b"N": ("Pno", self._part),
            b"Q": ("Ver01-", self._firmware),
            b"!": ("In", f"{self.input} All" if self._is_tagged else str(self.input)),
            b"B": ("Vmt", str(self.video_mute)),
            b"\x1b20STAT\r": ("20Stat ", f"{self.temperature:.2f}"),
        }
        if found[0] not in answers:
            return "E10"
        tag, value = answers[found[0]]
        return tag + value if self._is_tagged else value

    def _set(self, number: int, command: bytes) -> str:
        if command == b"!":
            if number not in _INPUTS:
                return "E01"
            self.input = number
            return f"In{number} All"
        if number > 2:
            return "E13"
        self.video_mute = number
        return f"Vmt{number}"

    @property
    def _is_tagged(self) -> bool:
        return self.verbose in {2, 3}
