"""A GPS receiver that talks unasked: NMEA 0183, sentences GGA and RMC once a second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

from gateway.testing.serial.device import SerialDevice

_HARBOUR = (52.3776, 4.9123)
"""Latitude and longitude around which it drifts."""


class Gps(SerialDevice):
    """A receiver on a boat at its mooring.

    Args:
        speaks_every_seconds: how often it says where it is.
        talker: who speaks: `GP`, `GN`.
        clock: what its drifting goes by.
    """

    def __init__(
        self, *, speaks_every_seconds: float = 1.0, talker: str = "GP", clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__("GPS receiver", speaks_every_seconds=speaks_every_seconds)
        self._talker = talker
        self._clock = clock

    def speak(self) -> bytes:
        """Return where it is: a GGA and an RMC sentence."""
        turn = math.tau * self._clock() / 97
        moment = datetime.now(UTC)
        place = ",".join([*self._angle("latitude", _HARBOUR[0] + 2e-5 * math.sin(turn), "NS", 2), *self._longitude(turn)])
        altitude = self.says("altitude", round(3.2 + math.sin(turn), 1))
        satellites = self.says("satellites", 9 + round(math.sin(turn)))
        knots = self.says("speed_knots", round(0.3 + 0.2 * math.cos(turn), 1))
        hdop = self.says("hdop", 0.9)
        gga = f"{moment:%H%M%S}.00,{place},{self.says('fix', 1)},{satellites:02d},{hdop:.1f},{altitude:.1f},M,46.9,M,,"
        self.says("time", f"{moment:%Y-%m-%dT%H:%M:%S}Z")
        rmc = f"{moment:%H%M%S}.00,A,{place},{knots:.1f},{self.says('course', 84.4):.1f},{moment:%d%m%y},,,A"
        return self._sentence("GGA", gga) + self._sentence("RMC", rmc)

    def _longitude(self, turn: float) -> list[str]:
        return self._angle("longitude", _HARBOUR[1] + 2e-5 * math.cos(turn), "EW", 3)

    def _angle(self, metric: str, degrees: float, letters: str, digits: int) -> list[str]:
        """Return degrees and minutes with four decimals, and the letter of the side; remember what can be read out of it."""
        tens_of_thousandths = round(abs(degrees) * 60 * 10_000)
        whole, minutes = divmod(tens_of_thousandths, 600_000)
        self.says(metric, math.copysign(whole + minutes / 600_000, degrees))
        return [f"{whole:0{digits}d}{minutes / 10_000:07.4f}", letters[degrees < 0]]

    def _sentence(self, kind: str, fields: str) -> bytes:
        covered = f"{self._talker}{kind},{fields}".encode("ascii")
        checksum = 0
        for byte in covered:
            checksum ^= byte
        return b"$" + covered + f"*{checksum:02X}\r\n".encode("ascii")
