"""Simulate a display that is controlled over RS-232C: Samsung's Multiple Display Control (MDC Protocol, 15.0 of 2020-11-06).

A frame is `AA`, a command, the display's id, a length, data of that length, and the sum of all bytes but the first. An answer has
the command `FF`; its data are `A` (done) or `N` (refused), the answered command, and the values.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

from gateway.testing.serial.device import SerialDevice

HEADER, ANSWER, DONE, REFUSED = 0xAA, 0xFF, 0x41, 0x4E
BROADCAST = 0xFE
"""The id of a broadcast to all displays, which most of them do not answer."""

STATUS, SERIAL_NUMBER, ERRORS, SOFTWARE, POWER, VOLUME, MUTE, INPUT, MODEL = 0x00, 0x0B, 0x0D, 0x0E, 0x11, 0x12, 0x13, 0x14, 0x8A

HDMI1, HDMI2, DISPLAY_PORT, PC = 0x21, 0x23, 0x25, 0x14
INPUTS = frozenset({HDMI1, HDMI2, DISPLAY_PORT, PC})
MAX_VOLUME = 100

_HEAD_BYTES = 4
_UNKNOWN, _OUT_OF_RANGE = b"\x01", b"\x02"


class Display(SerialDevice):
    """A Samsung display.

    Args:
        display_id: its id on the line, 0 to 253.
        serial_number: its serial number.
        model: its model name.
        software: its firmware version.
        answers_broadcast: it also answers what is sent to all displays, with its own id, as some models do.
        clock: the time that its temperature depends on.
    """

    def __init__(
        self,
        display_id: int = 1,
        *,
        serial_number: str = "Z1ABH4CT300057",
        model: str = "QM55R",
        software: str = "M-KTM2LAKUC-2114.3",
        answers_broadcast: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(f"Samsung {model}")
        self.display_id = display_id
        self.is_on, self.volume, self.is_muted, self.input = True, 30, False, HDMI1
        self.commands: list[tuple[int, bytes]] = []
        """Received commands with their values, in order."""
        self._texts = {SERIAL_NUMBER: serial_number, SOFTWARE: software, MODEL: model}
        self._clock = clock
        self._answers_broadcast = answers_broadcast
        self._buffer = b""
        self._reads: Mapping[int, Callable[[], bytes]] = {
            STATUS: self._status,
            ERRORS: self._errors,
            POWER: lambda: bytes([self.record("power", int(self.is_on))]),
            VOLUME: lambda: bytes([self.record("volume", self.volume)]),
            MUTE: lambda: bytes([self.record("mute", int(self.is_muted))]),
            INPUT: lambda: bytes([self.record("input", self.input)]),
        }
        self._writes: Mapping[int, Callable[[int], bool]] = {
            POWER: self._set_power,
            VOLUME: self._set_volume,
            MUTE: self._set_mute,
            INPUT: self._set_input,
        }

    @property
    def temperature(self) -> int:
        """Temperature in the case, in degrees Celsius."""
        return round(38 + 3 * math.sin(math.tau * self._clock() / 71))

    def receive(self, data: bytes) -> Sequence[bytes]:
        """Return the answers to the frames that these bytes complete."""
        self._buffer += data
        answers = []
        while (frame := self._next_frame()) is not None:
            command, display_id, value = frame[1], frame[2], frame[_HEAD_BYTES:-1]
            if display_id in {self.display_id, BROADCAST}:
                answer = self._answer(command, value)
                answers += [answer] if display_id != BROADCAST or self._answers_broadcast else []
        return answers

    def _next_frame(self) -> bytes | None:
        """Remove a whole frame with a valid checksum from the buffer; leave an incomplete one there."""
        while True:
            start = self._buffer.find(HEADER)
            self._buffer = self._buffer[start:] if start >= 0 else b""
            if len(self._buffer) < _HEAD_BYTES or len(self._buffer) < (whole := _HEAD_BYTES + self._buffer[3] + 1):
                return None
            frame = self._buffer[:whole]
            if frame[-1] == sum(frame[1:-1]) & 0xFF:
                self._buffer = self._buffer[whole:]
                return frame
            self._buffer = self._buffer[1:]

    def _answer(self, command: int, value: bytes) -> bytes:
        if value and (write := self._writes.get(command)) is not None:
            self.commands.append((command, value))
            return self._frame(DONE, command, value) if write(value[0]) else self._frame(REFUSED, command, _OUT_OF_RANGE)
        if value:
            return self._frame(REFUSED, command, _UNKNOWN)
        if command in self._texts:
            return self._frame(DONE, command, self._texts[command].encode("ascii"))
        read = self._reads.get(command)
        return self._frame(REFUSED, command, _UNKNOWN) if read is None else self._frame(DONE, command, read())

    def _frame(self, outcome: int, command: int, value: bytes) -> bytes:
        covered = bytes([ANSWER, self.display_id, len(value) + 2, outcome, command]) + value
        return bytes([HEADER]) + covered + bytes([sum(covered) & 0xFF])

    def _status(self) -> bytes:
        """Return power, volume, mute, input, picture aspect, and two obsolete values."""
        power, mute = self.record("power", int(self.is_on)), self.record("mute", int(self.is_muted))
        return bytes([power, self.record("volume", self.volume), mute, self.record("input", self.input), 0x10, 0, 0])

    def _errors(self) -> bytes:
        """Return lamp, temperature, brightness sensor, input signal, degrees, fan: 0 is no error."""
        return bytes([0, 0, 2, 0, self.record("temperature", self.temperature), 0])

    def _set_power(self, value: int) -> bool:
        if value <= 1:
            self.is_on = bool(value)
        return value <= 1

    def _set_volume(self, value: int) -> bool:
        if value <= MAX_VOLUME:
            self.volume = value
        return value <= MAX_VOLUME

    def _set_mute(self, value: int) -> bool:
        if value <= 1:
            self.is_muted = bool(value)
        return value <= 1

    def _set_input(self, value: int) -> bool:
        if value in INPUTS:
            self.input = value
        return value in INPUTS
