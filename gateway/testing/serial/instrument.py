"""Simulate a laboratory power supply with SCPI, whose measurements may be out of range or undefined. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.testing.serial.device import SerialDevice

NOT_A_NUMBER = "9.91E37"
"""SCPI-1999, volume 1, 7.2.1.5."""

INFINITE = "9.9E37"
"""SCPI-1999, volume 1, 7.2.1.4; with a sign for minus infinity."""


class PowerSupply(SerialDevice):
    """A GW Instek PSU: answers `*IDN?`, and the queries and commands of its output.

    Args:
        serial_number: the third field of `*IDN?`.
    """

    def __init__(self, serial_number: str = "TW123456") -> None:
        super().__init__("power supply")
        self.voltage, self.current = 12.0, 1.25
        """Setpoint and measured value in volts, measured amperes."""
        self.current_limit = 3.0
        self.is_on = True
        self.overload: str | None = None
        """What it sends instead of a measured number: `9.91E37`, `+9.90000000E+37`, `-9.9E37`, `OL`; `None`: the number."""
        self._serial_number = serial_number
        self._incomplete = b""
        self._answers: Mapping[str, Callable[[], str]] = {
            "*IDN?": lambda: f"GW-INSTEK,PSU-20-76,{self._serial_number},01.00.20110101",
            "MEAS:VOLT?": lambda: self._measured("voltage", self.voltage if self.is_on else 0.0),
            "MEAS:CURR?": lambda: self._measured("current", self.current if self.is_on else 0.0),
            "VOLT?": lambda: f"{self.record('voltage_set_point', self.voltage):+.3f}",
            "CURR?": lambda: f"{self.record('current_limit', self.current_limit):+.3f}",
            "OUTP?": lambda: str(int(self.record("output", self.is_on))),
        }

    def receive(self, data: bytes) -> Sequence[bytes]:
        """Return the answers to the lines that these bytes complete; a command has none."""
        *lines, self._incomplete = (self._incomplete + data.replace(b"\r", b"\n")).split(b"\n")
        answers = (self._answer(line.decode("latin-1").strip().upper()) for line in lines)
        return [answer.encode() + b"\n" for answer in answers if answer is not None]

    def _answer(self, line: str) -> str | None:
        if (answer := self._answers.get(line)) is not None:
            return answer()
        word, _, value = line.partition(" ")
        if word == "OUTP":
            self.is_on = value in {"1", "ON"}
        elif word in {"VOLT", "CURR"} and _is_number(value):
            setattr(self, "voltage" if word == "VOLT" else "current_limit", float(value))
        return None

    def _measured(self, metric: str, value: float) -> str:
        return f"{self.record(metric, value):+.3f}" if self.overload is None else self.overload


def _is_number(written: str) -> bool:
    return written.replace(".", "", 1).isdigit()
