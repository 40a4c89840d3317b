"""Simulate a GPS receiver that sends unasked: NMEA 0183, sentences GGA and RMC once a second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

from gateway.testing.serial.device import SerialDevice

_HARBOUR = (52.3776, 4.9123)
"""Latitude and longitude of its mooring."""


class Gps(SerialDevice):
    """A receiver on a boat at its mooring.

    Args:
        sends_every_seconds: interval of its messages.
        talker: talker ID: `GP`, `GN`.
        clock: the time that its movement depends on.
    """

    def __init__(
        self, *, sends_every_seconds: float = 1.0, talker: str = "GP", clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__("GPS receiver", sends_every_seconds=sends_every_seconds)
        self._talker = talker
        self._clock = clock

    def unsolicited(self) -> bytes:
        """Return its position: a GGA and an RMC sentence."""
        turn = math.tau * self._clock() / 97
        moment = datetime.now(UTC)
        place = ",".join([*self._angle("latitude", _HARBOUR[0] + 2e-5 * math.sin(turn), "NS", 2), *self._longitude(turn)])
        altitude = self.record("altitude", round(3.2 + math.sin(turn), 1))
        satellites = self.record("satellites", 9 + round(math.sin(turn)))
        knots = self.record("speed_knots", round(0.3 + 0.2 * math.cos(turn), 1))
        hdop = self.record("hdop", 0.9)
        gga = f"{moment:%H%M%S}.00,{place},{self.record('fix', 1)},{satellites:02d},{hdop:.1f},{altitude:.1f},M,46.9,M,,"
        self.record("time", f"{moment:%Y-%m-%dT%H:%M:%S}Z")
        rmc = f"{moment:%H%M%S}.00,A,{place},{knots:.1f},{self.record('course', 84.4):.1f},{moment:%d%m%y},,,A"
        return self._sentence("GGA", gga) + self._sentence("RMC", rmc)

    def _longitude(self, turn: float) -> list[str]:
        return self._angle("longitude", _HARBOUR[1] + 2e-5 * math.cos(turn), "EW", 3)

    def _angle(self, metric: str, degrees: float, letters: str, digits: int) -> list[str]:
        """Return degrees and minutes with four decimals, and the letter of the hemisphere; record the value."""
        tens_of_thousandths = round(abs(degrees) * 60 * 10_000)
        whole, minutes = divmod(tens_of_thousandths, 600_000)
        self.record(metric, math.copysign(whole + minutes / 600_000, degrees))
        return [f"{whole:0{digits}d}{minutes / 10_000:07.4f}", letters[degrees < 0]]

    def _sentence(self, kind: str, fields: str) -> bytes:
        covered = f"{self._talker}{kind},{fields}".encode("ascii")
        checksum = 0
        for byte in covered:
            checksum ^= byte
        return b"$" + covered + f"*{checksum:02X}\r\n".encode("ascii")
