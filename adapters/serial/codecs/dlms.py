"""Decrypt telegrams that a meter sends in frames of DLMS general global ciphering, security suite 0 (AES-128-GCM). Pure.

A frame is the tag DB, the system title of the meter with its length, the length of the rest, a security control byte, a frame
counter, the encrypted telegram and an authentication tag of 12 bytes (IEC 62056-5-3, general-glo-ciphering). Meters in Luxembourg
(Luxmetering, E-Meter P1 Specification, 3.2.5) and Sagemcom T210-D-r meters in Austria send a P1 telegram in that way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from adapters.serial.codec import DecryptionKeys
from adapters.serial.framing.checksums import CHECKSUMS

TAG_SIZE = 12
COUNTER_SIZE = 4
HEADER_SIZE = 14
"""Bytes up to the security control byte, included."""

AUTHENTICATED = 0x10
"""Bit of the security control byte: the frame ends with an authentication tag."""


class WrongKey(ValueError):
    """A key does not fit; the text is a sentence for the operator and contains no key."""


@dataclass(frozen=True, slots=True)
class CipheredTelegram:
    """One encrypted telegram."""

    system_title: bytes
    control: int
    counter: bytes
    encrypted: bytes
    tag: bytes
    """Empty if the frame is encrypted only."""

    @classmethod
    def parse(cls, frame: bytes) -> Self | None:
        """Return the parts of a frame as the framer finds it; `None` if it is too short for them."""
        control = frame[HEADER_SIZE - 1] if len(frame) >= HEADER_SIZE else 0
        tag_size = TAG_SIZE if control & AUTHENTICATED else 0
        body = frame[HEADER_SIZE + COUNTER_SIZE : len(frame) - tag_size]
        if len(frame) <= HEADER_SIZE + COUNTER_SIZE + tag_size:
            return None
        return cls(frame[2:10], control, frame[HEADER_SIZE : HEADER_SIZE + COUNTER_SIZE], body, frame[len(frame) - tag_size :])

    @property
    def maker_and_number(self) -> str:
        """The system title for people: the three letters of the maker and the digits of the rest, `SAG6770000A1B2`."""
        maker = self.system_title[:3]
        is_readable = maker.isascii() and maker.isalpha()
        return maker.decode("ascii") + self.system_title[3:].hex().upper() if is_readable else self.system_title.hex().upper()

    def decrypted(self, keys: DecryptionKeys) -> bytes:
        """Return the telegram, verified by its authentication tag or by its own CRC.

        Some meters have another authentication key than the published one, and nobody tells it: the CRC proves enough then.

        Raises:
            WrongKey: one of the keys does not fit.
        """
        decryptor = Cipher(AES(keys.decryption), GCM(self.system_title + self.counter, min_tag_length=TAG_SIZE)).decryptor()
        decryptor.authenticate_additional_data(bytes([self.control]) + keys.authentication)
        telegram = decryptor.update(self.encrypted)
        try:
            decryptor.finalize_with_tag(self.tag)
        except (InvalidTag, ValueError):
            if not telegram.startswith(b"/"):
                raise WrongKey("its telegrams do not decrypt with this `decryption_key`: it is that of another meter") from None
            if not _has_right_crc(telegram):
                raise WrongKey("its telegrams are damaged, or not authenticated by this `authentication_key`") from None
        return telegram


def _has_right_crc(telegram: bytes) -> bool:
    end = telegram.rfind(b"!") + 1
    return end > 0 and CHECKSUMS["crc16-arc"].matches(telegram[:end], telegram[end : end + 4], "hex")
