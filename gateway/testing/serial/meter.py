"""Simulate an electricity meter with a P1 port that sends telegrams unasked: channels, placeholders, countries, encryption.

Written from the P1 companion standard 5.0.2 of Netbeheer Nederland, the eMUCS P1 standard (Belgium) and the E-Meter P1
Specification of Luxmetering, not from the codec that it tests.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from gateway.testing.serial.device import SerialDevice

GAS, HEAT, WATER, SLAVE_ELECTRICITY = 3, 4, 7, 2
"""Types of connected meters (companion standard, device types)."""

AUTHENTICATION_KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
"""The authentication key of the specification of Luxembourg (3.2.5)."""

_SYSTEM_TITLE = b"SAGgp" + bytes.fromhex("00A1B2")
_TAG_BYTES = 12
_POLYNOMIAL = 0xA001

Country = Literal["nl", "be", "lu"]


class ChannelState(StrEnum):
    """What a channel tells instead of a reading, as meters in public reports do."""

    UNUSED = "pairing failed: no number, a time of 1970 and zeros without a unit"
    NOT_READ = "a meter that is not received: an impossible time and a zero"


@dataclass(frozen=True, slots=True)
class MeterChannel:
    """One channel for a connected meter."""

    kind: int
    """`GAS`, `HEAT`, `WATER`, `SLAVE_ELECTRICITY`, or another type."""
    reading: float = 0.0
    unit: str = "m3"
    state: ChannelState | None = None
    """`None`: the meter is read."""


class P1Meter(SerialDevice):
    """A three-phase meter, 230 V and some load.

    Args:
        channels: the connected meters, on the channels from 1 on.
        country: whose codes it uses: `nl` (DSMR 5), `be` (gas as 24.2.3, average and peak demand), `lu` (no tariffs, reactive
            power, the number in 0-0:42.0.0).
        crc: whether its telegrams end in a CRC, as from DSMR 4 on.
        decryption_key: encrypts its telegrams with this key of 16 bytes, as in Luxembourg; `None`: they are plain.
        authentication_key: the key of 16 bytes that authenticates encrypted telegrams; real meters may have another than the
            published one.
        sends_every_seconds: interval of its telegrams: 1 s from DSMR 5 on, 10 s before.
        clock: the time that its values depend on.
    """

    def __init__(
        self,
        channels: Sequence[MeterChannel] = (),
        *,
        country: Country = "nl",
        crc: bool = True,
        decryption_key: bytes | None = None,
        authentication_key: bytes = AUTHENTICATION_KEY,
        sends_every_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("P1 meter", sends_every_seconds=sends_every_seconds)
        self.channels = list(channels)
        self.country: Country = country
        self.crc = crc
        self.decryption_key = decryption_key
        self.authentication_key = authentication_key
        self._clock = clock
        self._frames = 0

    def unsolicited(self) -> bytes:
        """Return the telegram of this moment."""
        telegram = self.telegram()
        return telegram if self.decryption_key is None else self._encrypted(telegram, self.decryption_key)

    def telegram(self) -> bytes:
        """Return the telegram of this moment in plain text."""
        head = {"nl": "ISK5\\2M550T-1012", "be": "FLU5\\253769484_A", "lu": "Lux5\\253663629_D"}[self.country]
        lines = [f"/{head}", "", *self._electricity(), *self._connected(), "!"]
        text = "\r\n".join(lines).encode("ascii")
        return text + (b"%04X" % _crc16(text) if self.crc else b"") + b"\r\n"

    def _electricity(self) -> list[str]:
        hours = self._clock() / 3600
        power = self.record("active_power_import", 1.234)
        common = [f"0-0:1.0.0({_now()})", f"1-0:1.7.0({power:06.3f}*kW)", "1-0:2.7.0(00.000*kW)"]
        phases = [f"1-0:{code}.7.0({0.4 + code / 1000:06.3f}*kW)" for code in (21, 41, 61)]
        phases += [f"1-0:{code}.7.0({229 + code / 10:05.1f}*V)" for code in (32, 52, 72)]
        if self.country == "lu":
            energy = self.record("energy_import", round(273.764 + hours, 3))
            return [
                *("1-3:0.2.8(42)", "0-0:42.0.0(53414731303330373030303132373031)", *common),
                *(f"1-0:1.8.0({energy:010.3f}*kWh)", "1-0:3.8.0(000462.590*kvarh)", "1-0:4.7.0(00.154*kvar)", *phases),
            ]
        energy = self.record("energy_import_tariff_1", round(2601.234 + hours, 3))
        lines = ["0-0:96.1.1(4530303434303037333832323436303139)", *common, f"1-0:1.8.1({energy:010.3f}*kWh)", *phases]
        if self.country == "be":
            peak = "0-0:98.1.0(1)(1-0:1.6.0)(1-0:1.6.0)(230101000000W)(632525252525W)(00.000*kW)"
            lines += ["1-0:1.4.0(00.012*kW)", "1-0:1.6.0(250501101500S)(01.194*kW)", peak]
        return lines

    def _connected(self) -> list[str]:
        return [line for number, channel in enumerate(self.channels, 1) for line in self._channel(number, channel)]

    def _channel(self, number: int, channel: MeterChannel) -> list[str]:
        is_belgian_gas = self.country == "be" and channel.kind == GAS
        code = "24.2.3" if is_belgian_gas else "24.2.1"
        number_code = "96.1.1" if self.country == "be" else "96.1.0"
        identification = "" if channel.state is ChannelState.UNUSED else f"473030333235363132363831393134313{number}"
        reading = {
            None: f"({_now()})({channel.reading:09.3f}*{channel.unit})",
            ChannelState.UNUSED: "(700101010000W)(00000000)",
            ChannelState.NOT_READ: "(632525252525S)(00000.000)",
        }[channel.state]
        if channel.state is None:
            self.record(f"channel_{number}", channel.reading)
        return [
            f"0-{number}:24.1.0({channel.kind:03d})",
            f"0-{number}:{number_code}({identification})",
            f"0-{number}:{code}{reading}",
        ]

    def _encrypted(self, telegram: bytes, key: bytes) -> bytes:
        """Return a frame of general global ciphering, security suite 0 (IEC 62056-5-3)."""
        self._frames += 1
        counter, control = struct.pack(">I", self._frames), b"\x30"
        encryptor = Cipher(AES(key), GCM(_SYSTEM_TITLE + counter)).encryptor()
        encryptor.authenticate_additional_data(control + self.authentication_key)
        encrypted = encryptor.update(telegram) + encryptor.finalize()
        body = control + counter + encrypted + encryptor.tag[:_TAG_BYTES]
        return b"\xdb\x08" + _SYSTEM_TITLE + b"\x82" + struct.pack(">H", len(body)) + body


def _now() -> str:
    return f"{datetime.now(UTC):%y%m%d%H%M%S}W"


def _crc16(covered: bytes) -> int:
    """Return the CRC of the companion standard (5.2.2): polynomial x16 + x15 + x2 + 1, least significant bit first."""
    crc = 0
    for byte in covered:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc
