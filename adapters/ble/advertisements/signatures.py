"""Check the signature of an EnOcean telegram, which shows that its sender has the key and that it is new. Pure.

EnOcean's sensors and switches send their values in clear text, followed by four bytes of AES-CCM (RFC 3610) over what is sent,
which is the length of the manufacturer data, its type 0xFF, the company and the payload. The nonce is the address of the sender,
its last byte first, the sequence counter that the payload begins with, and three zeros.
"""

from __future__ import annotations

from adapters.ble.advertisements.advertisement import address_bytes, ccm_tag_fits
from adapters.ble.advertisements.parser import MalformedAdvertisement

SIGNATURE_BYTES = 4
COUNTER_BYTES = 4

_MANUFACTURER_DATA = 0xFF


class SignatureCheck:
    """The check of one sender's telegrams, which remembers the last counter.

    Args:
        key: the key that the device was made with, 16 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._last_counter = -1
        self.has_fitted = False
        """Whether the key was that of this sender at least once."""

    def check(self, address: str, company: int, payload: bytes) -> None:
        """Accept a telegram that its sender has signed, and that is not an older one.

        Args:
            address: the address of the sender: `E2:15:00:00:19:B8`.
            company: the company id of the manufacturer data.
            payload: the manufacturer data after the company id.

        Raises:
            MalformedAdvertisement: somebody else has sent it, or sends an old one again.
        """
        signed, signature = payload[:-SIGNATURE_BYTES], payload[-SIGNATURE_BYTES:]
        counter = signed[:COUNTER_BYTES].ljust(COUNTER_BYTES, b"\0")
        sent = bytes([1 + 2 + len(payload), _MANUFACTURER_DATA]) + company.to_bytes(2, "little") + signed
        nonce = address_bytes(address)[::-1] + counter + bytes(3)
        if len(payload) <= SIGNATURE_BYTES or not ccm_tag_fits(self._key, nonce, sent, signature):
            raise MalformedAdvertisement(
                "its signature does not fit the configured key: another device has sent it, or the key is wrong"
            )
        number = int.from_bytes(counter, "little")
        if number < self._last_counter:
            raise MalformedAdvertisement("its counter is older than the last one: somebody repeats an old telegram")
        self._last_counter = number
        self.has_fitted = True
