"""Simulate a sensor of a microcontroller that prints lines: `temp=21.5,hum=40.2`, or one JSON object per line."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Literal

from gateway.testing.serial.device import SerialDevice


class TextSensor(SerialDevice):
    """A sensor of temperature and humidity.

    Args:
        style: how it prints: `pairs` for `temp=21.5,hum=40.2`, `json` for `{"temp":21.5,"hum":40.2}`.
        sends_every_seconds: interval of its lines.
        clock: the time that its values depend on.
    """

    def __init__(
        self,
        style: Literal["pairs", "json"] = "pairs",
        *,
        sends_every_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("text sensor", sends_every_seconds=sends_every_seconds)
        self.style = style
        self.failed: str | None = None
        """What it prints for the humidity when that sensor fails: `nan`, `inf`, `-nan`, `1e400`, `ERR`; `None`: the number."""
        self._clock = clock

    def unsolicited(self) -> bytes:
        """Return one line."""
        turn = math.tau * self._clock() / 97
        temperature = self.record("temp", round(21.5 + math.sin(turn), 1))
        humidity = str(self.record("hum", round(40.2 + math.cos(turn), 1))) if self.failed is None else self.failed
        if self.style == "json":
            return f'{{"temp":{temperature},"hum":{humidity}}}\r\n'.encode()
        return f"temp={temperature},hum={humidity}\r\n".encode()
