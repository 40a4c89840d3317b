"""Frame answers for Modbus TCP with the mistakes that devices and gateways make in the header. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.testing.modbus.framing import Frame, Mbap, crc16

_HEADER = struct.Struct(">HHHB")


@dataclass(frozen=True, slots=True, kw_only=True)
class MbapFaults:
    """The mistakes of a host in the headers of its answers; they combine. Assign to `ModbusTcpHost.mbap_faults` at any time."""

    length_error: int = 0
    """What its length field is too large by; negative: too small."""
    checksum: Literal["none", "counted", "not counted"] = "none"
    """It appends the checksum of RTU to its answers, and counts it in the length field or does not."""
    transaction: Literal["right", "one behind", "one ahead", "swapped"] | int = "right"
    """The transaction id of its answers: that of the request, of the one before, one more, its bytes swapped, or always this."""
    protocol_id: int = 0
    """Its protocol id; 0 is right."""


HEALTHY_MBAP = MbapFaults()


class FaultyMbap(Mbap):
    """The framing of one host."""

    def __init__(self) -> None:
        self.faults = HEALTHY_MBAP
        self._transaction = self._transaction_before = 0

    def take(self, buffer: bytearray, *, after_silence: bool = False) -> Iterator[Frame]:
        """Cut requests off, and remember their transaction ids."""
        for request in super().take(buffer, after_silence=after_silence):
            self._transaction_before, self._transaction = self._transaction, request.transaction
            yield request

    def bytes_of(self, frame: Frame, *, wrong_crc: bool = False) -> bytes:
        """Return header and PDU."""
        faults = self.faults
        own = frame.transaction
        wrong = {"one behind": self._transaction_before, "one ahead": own + 1 & 0xFFFF, "swapped": own >> 8 | (own & 0xFF) << 8}
        transaction = faults.transaction if isinstance(faults.transaction, int) else wrong.get(faults.transaction, own)
        content = bytes([frame.unit_id]) + frame.pdu
        behind = b"" if faults.checksum == "none" else crc16(content).to_bytes(2, "little")
        length = len(content) + faults.length_error + (2 if faults.checksum == "counted" else 0)
        return _HEADER.pack(transaction, faults.protocol_id, length, frame.unit_id) + frame.pdu + behind
