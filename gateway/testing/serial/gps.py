"""Simulate a GPS receiver that sends unasked: NMEA 0183, sentences GGA, RMC, GLL and VTG once a second, with or without a fix."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum

from gateway.testing.serial.device import SerialDevice

_HARBOUR = (52.3776, 4.9123)
"""Latitude and longitude of its mooring."""


class NoFix(Enum):
    """What a receiver without a fix sends in the fields of position, speed and course, as different makers decided."""

    EMPTY = "empty fields"
    ZEROS = "zeros"
    LAST = "the values of its last fix"


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
        self.no_fix: NoFix | None = None
        """It has no fix (quality 0, status V, mode N, no satellites), and sends this in the other fields; `None`: it has one."""
        self.checksums = True
        """Its sentences end in `*hh`, as those of every receiver that ever sends a checksum."""
        self.lost_checksum_every: int | None = None
        """In every n-th sentence, characters were lost on the line: one digit is another one, and the checksum is missing."""
        self._talker = talker
        self._clock = clock
        self._sentences = 0

    def unsolicited(self) -> bytes:
        """Return its position: sentences GGA, RMC, GLL and VTG. Values without a fix are not recorded as sent."""
        turn = math.tau * self._clock() / 97
        moment = datetime.now(UTC)
        place = self._place(turn)
        altitude, knots, course = round(3.2 + math.sin(turn), 1), round(0.3 + 0.2 * math.cos(turn), 1), 84.4
        satellites, hdop = 9 + round(math.sin(turn)), 0.9
        quality, status, mode = 1, "A", "A"
        if self.no_fix is not None:
            quality, status, mode, satellites, hdop = 0, "V", "N", 0, 99.9
        if self.no_fix is NoFix.ZEROS:
            place, altitude, knots, course = "0000.0000,N,00000.0000,E", 0.0, 0.0, 0.0
        self.record("fix", quality)
        self.record("satellites", satellites)
        if self.no_fix is None:
            self.record("altitude", altitude)
            self.record("speed_knots", knots)
            self.record("course", course)
            self.record("hdop", hdop)
            self.record("time", f"{moment:%Y-%m-%dT%H:%M:%S}Z")
        empty = self.no_fix is NoFix.EMPTY
        place = ",,," if empty else place
        height, speed, heading, over_ground = (
            ("", "", "", "") if empty else (f"{altitude:.1f}", f"{knots:.1f}", f"{course:.1f}", f"{knots * 1.852:.1f}")
        )
        at = f"{moment:%H%M%S}.00"
        return b"".join(
            [
                self._sentence("GGA", f"{at},{place},{quality},{satellites:02d},{hdop:.1f},{height},M,46.9,M,,"),
                self._sentence("RMC", f"{at},{status},{place},{speed},{heading},{moment:%d%m%y},,,{mode}"),
                self._sentence("GLL", f"{place},{at},{status},{mode}"),
                self._sentence("VTG", f"{heading},T,,M,{speed},N,{over_ground},K,{mode}"),
            ]
        )

    def _place(self, turn: float) -> str:
        latitude = self._angle("latitude", _HARBOUR[0] + 2e-5 * math.sin(turn), "NS", 2)
        longitude = self._angle("longitude", _HARBOUR[1] + 2e-5 * math.cos(turn), "EW", 3)
        return ",".join([*latitude, *longitude])

    def _angle(self, metric: str, degrees: float, letters: str, digits: int) -> list[str]:
        """Return degrees and minutes with four decimals, and the letter of the hemisphere; record the value."""
        tens_of_thousandths = round(abs(degrees) * 60 * 10_000)
        whole, minutes = divmod(tens_of_thousandths, 600_000)
        if self.no_fix is None:
            self.record(metric, math.copysign(whole + minutes / 600_000, degrees))
        return [f"{whole:0{digits}d}{minutes / 10_000:07.4f}", letters[degrees < 0]]

    def _sentence(self, kind: str, fields: str) -> bytes:
        covered = f"{self._talker}{kind},{fields}".encode("ascii")
        self._sentences += 1
        if self.lost_checksum_every and self._sentences % self.lost_checksum_every == 0:
            return b"$" + _with_another_digit(covered) + b"\r\n"
        checksum = 0
        for byte in covered:
            checksum ^= byte
        return b"$" + covered + (f"*{checksum:02X}" if self.checksums else "").encode("ascii") + b"\r\n"


def _with_another_digit(covered: bytes) -> bytes:
    """Return the sentence with another digit in its second half; without its last character if there is no digit."""
    at = next((at for at in range(len(covered) // 2, len(covered)) if 0x30 <= covered[at] <= 0x38), None)
    return covered[:-1] if at is None else covered[:at] + bytes([covered[at] + 1]) + covered[at + 1 :]
