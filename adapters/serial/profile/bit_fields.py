"""Decode and encode fields whose bits are named: flags, small numbers, and bits that are always the same. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.serial.profile.fields import Field, any_bytes, in_range
from gateway.adapter import Value

CONSTANT_BITS = re.compile(r"0b([01]+)")
"""Bits that are always the same: `0b100`."""


@dataclass(frozen=True, slots=True)
class _Bits:
    """Some neighbouring bits."""

    name: str
    width: int
    shift: int
    is_flag: bool
    constant: int | None

    def of(self, number: int) -> int:
        """Return the value of these bits in the number of the whole field."""
        return number >> self.shift & (1 << self.width) - 1

    def placed(self, value: Value) -> int:
        """Return the number of the whole field that has this value here, and zeros elsewhere."""
        plain = int(value) if self.is_flag and isinstance(value, bool) else value
        return in_range(self.name, plain, 0, (1 << self.width) - 1) << self.shift


def bits_field(parts: Sequence[tuple[str, str]]) -> Field:
    """Return a field of one to four bytes whose bits are named, from the highest one.

    Args:
        parts: name and format of each: a `flag`, a number of `3b`; `0b10` as a name are bits that are always these.

    Raises:
        ValueError: the bits do not fill whole bytes.
    """
    pieces = _placed(parts)
    total = sum(piece.width for piece in pieces)
    if total % 8 or total > 32:
        raise ValueError(f"bits must fill whole bytes, at most four, but these are {total} bits")
    named = [piece for piece in pieces if piece.constant is None]
    constants = [(piece, piece.constant) for piece in pieces if piece.constant is not None]
    always = sum(constant << piece.shift for piece, constant in constants)

    def read(raw: bytes) -> list[Value]:
        number = int.from_bytes(raw, "big")
        if any(piece.of(number) != constant for piece, constant in constants):
            raise ValueError(f"{raw.hex()} has other bits than those that are always the same")
        return [bool(piece.of(number)) if piece.is_flag else piece.of(number) for piece in named]

    def write(values: Sequence[Value]) -> bytes:
        number = always | sum(piece.placed(value) for piece, value in zip(named, values, strict=True))
        return number.to_bytes(total // 8, "big")

    return Field(tuple(piece.name for piece in named), any_bytes(total // 8), read, write, is_whole=True)


def _placed(parts: Sequence[tuple[str, str]]) -> list[_Bits]:
    pieces: list[_Bits] = []
    shift = 0
    for name, written in reversed(parts):
        constant = CONSTANT_BITS.fullmatch(name)
        width = len(constant[1]) if constant is not None else 1 if written == "flag" else _width(written)
        pieces.insert(0, _Bits(name, width, shift, written == "flag", None if constant is None else int(constant[1], 2)))
        shift += width
    return pieces


def _width(written: str) -> int:
    found = re.fullmatch(r"(\d{1,2})b", written)
    if found is None or not int(found[1]):
        raise ValueError(f"bits are written as `flag` or, for a number, as `3b`, not as {written!r}")
    return int(found[1])
