"""Compute how long the characters on a serial line take, and how a port with another number of data bits receives them. Pure."""

from __future__ import annotations

from dataclasses import dataclass


def bits_per_character(bytesize: int, parity: str, stopbits: int) -> int:
    """Return the start bit, data bits, parity and stop bits of a character."""
    return 1 + bytesize + (parity != "N") + stopbits


@dataclass(slots=True, eq=False)
class Transmission:
    """Characters that are being transmitted."""

    payload: bytes
    starts_at: float
    character_seconds: float
    pause_seconds: float = 0.0
    """The pause between two characters."""
    garbled: bool = False

    @property
    def ends_at(self) -> float:
        """When the last character ends."""
        return self.end_of(len(self.payload))

    def end_of(self, characters: int) -> float:
        """Return when so many characters have ended."""
        return self.starts_at + characters * self.character_seconds + max(characters - 1, 0) * self.pause_seconds


def received_with(bytesize: int, characters: bytes, *, sent_bits: int, parity: str) -> bytes:
    """Return characters as a port with another number of data bits receives them.

    Args:
        bytesize: the data bits of the port, 7 or 8.
        characters: what was sent.
        sent_bits: the data bits of its sender.
        parity: the parity of its sender: `N`, `E` or `O`.
    """
    return bytes(_received(bytesize, character, sent_bits, parity) for character in characters)


def _received(bytesize: int, character: int, sent_bits: int, parity: str) -> int:
    data = character & (1 << sent_bits) - 1
    bits, sent = data, sent_bits
    if parity != "N":
        bits |= (data.bit_count() % 2 ^ (parity == "O")) << sent
        sent += 1
    return (bits | 3 << sent) & (1 << bytesize) - 1  # the bits above are stop bits: ones
