"""Decode and encode the bytes of one value. Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from fractions import Fraction
from math import isfinite
from operator import itemgetter
from typing import Any, TypeAlias

from adapters.modbus.profile.points import FLOATS, NUMBER_FORMATS, TEXTS, Encoding, ValueType
from gateway.adapter import Value, divisor, raw_number

SCALE_FACTORS = range(-10, 11)
"""The powers of ten in a scale-factor register; any other number is "not available" (SunSpec Device Information Model)."""

NO_SCALE_FACTOR = b"\x80\x00"
"""The content used for a scale-factor register that cannot be read: the one that says "not available"."""

_PADDING = re.compile(rb"[\x00\xff]")
_WIDE_PADDING = re.compile("[\0\uffff]")

Raw: TypeAlias = tuple[Any, ...]
"""The result of unpacking one block with `struct`."""

Convert: TypeAlias = Callable[[Raw], Any]
"""Computes one value from the unpacked block."""


def decode_one(encoding: Encoding, payload: bytes) -> Value:
    """Return the value at the beginning of the payload of a register read."""
    value: Value = converter(encoding, 0)(struct.unpack_from(f">{struct_format(encoding)}", payload))
    return value


def encode_one(encoding: Encoding, value: Value) -> tuple[int, ...]:
    """Return the registers that `decode_one` decodes to this value, rounded to what they can hold; for numbers only.

    Raises:
        ValueError: these registers cannot hold the value; the text says why.
    """
    number = raw_number(value, scale=encoding.scale, offset=encoding.offset, values=encoding.values)
    try:
        raw = struct.pack(f">{NUMBER_FORMATS[encoding.type]}", number if encoding.type in FLOATS else round(number))
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{value!r} does not fit into {encoding.type}") from error
    ordered = _reorder(encoding)(raw)
    return tuple(int.from_bytes(ordered[at : at + 2]) for at in range(0, len(ordered), 2))


def struct_format(encoding: Encoding) -> str:
    """Return the `struct` format: that of the number in network byte order, that of bytes in any other order."""
    if encoding.type in NUMBER_FORMATS and not encoding.low_word_first and not encoding.low_byte_first:
        return NUMBER_FORMATS[encoding.type]
    return f"{2 * encoding.words}s"


def bit_converter(encoding: Encoding, position: int) -> Convert:
    """Return a function that takes the bit at this position out of a block of a bit table."""

    def convert(raw: Raw) -> bool:
        return bool(raw[0] >> position & 1)

    return _enumerated(convert, encoding.values) if encoding.values else convert


def converter(encoding: Encoding, index: int, scale_factor: int | None = None, sign: int | None = None) -> Convert:
    """Return a function that computes the value from an unpacked block of registers.

    Args:
        encoding: how the value is stored.
        index: the index of the value in the unpacked block.
        scale_factor: the index of its power of ten, if it has one.
        sign: the index of the register that says whether it is negative, if it has one.
    """
    raw = _raw_value(encoding, index)
    if encoding.not_available:
        raw = _unless(raw, encoding.not_available)
    if encoding.valid is not None:
        raw = _within(raw, *encoding.valid)
    if sign is not None:
        raw = _signed(raw, sign, encoding.negative)
    if encoding.bits is not None:
        raw = _bit_field(raw, *encoding.bits, as_bool=encoding.bits[1] == 1 and not encoding.values)
    if encoding.values:
        return _enumerated(raw, encoding.values)
    if scale_factor is not None:
        return _by_scale_factor(raw, scale_factor)
    if encoding.scale != 1 or encoding.offset != 0:
        return _scaled(raw, encoding.scale, encoding.offset)
    return raw


def _raw_value(encoding: Encoding, index: int) -> Convert:
    if encoding.type in TEXTS or encoding.type is ValueType.BCD:
        return _text_or_digits(encoding, index)
    number = itemgetter(index) if struct_format(encoding) in NUMBER_FORMATS.values() else _reordered_number(encoding, index)
    return _finite(number) if encoding.type in FLOATS else number


def _text_or_digits(encoding: Encoding, index: int) -> Convert:
    reorder = _reorder(encoding)
    meaning = _MEANINGS[encoding.type]

    def convert(raw: Raw) -> str | int | None:
        return meaning(reorder(raw[index]))

    return convert


def _text(raw: bytes) -> str | None:
    """Return the text up to its padding: NULs, as specified, or FFs, as of erased memory; without unprintable characters."""
    content = _PADDING.split(raw, maxsplit=1)[0]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # which has a character for each byte
    return _printable(text)


def _wide_text(raw: bytes) -> str | None:
    """Return the text of one character in each register, as `_text` does."""
    return _printable(_WIDE_PADDING.split(raw.decode("utf-16-be", errors="ignore"), maxsplit=1)[0])


def _printable(text: str) -> str | None:
    return "".join(filter(str.isprintable, text)).strip() or None


def _digits(raw: bytes) -> int | None:
    digits = raw.hex()
    return int(digits) if digits.isdecimal() else None


def _dotted(raw: bytes) -> str:
    return ".".join(map(str, raw))


_MEANINGS: Mapping[ValueType, Callable[[bytes], str | int | None]] = {
    ValueType.STRING: _text,
    ValueType.WIDE_STRING: _wide_text,
    ValueType.BCD: _digits,
    ValueType.HEX: bytes.hex,
    ValueType.DOTTED: _dotted,
}


def _reordered_number(encoding: Encoding, index: int) -> Convert:
    reorder = _reorder(encoding)
    unpack = struct.Struct(f">{NUMBER_FORMATS[encoding.type]}").unpack

    def convert(raw: Raw) -> int | float:
        number: int | float = unpack(reorder(raw[index]))[0]
        return number

    return convert


def _reorder(encoding: Encoding) -> Callable[[bytes], bytes]:
    """Return a function that puts the bytes into network order: highest word first, in it the high byte first."""
    words = range(encoding.words)
    order = [
        2 * word + byte
        for word in (reversed(words) if encoding.low_word_first else words)
        for byte in ((1, 0) if encoding.low_byte_first else (0, 1))
    ]
    if order == list(range(len(order))):
        return bytes
    pick = itemgetter(*order)

    def reorder(raw: bytes) -> bytes:
        return bytes(pick(raw))

    return reorder


def _finite(number: Convert) -> Convert:
    def convert(raw: Raw) -> float | None:
        value: float = number(raw)
        return value if isfinite(value) else None

    return convert


def _unless(number: Convert, not_available: frozenset[int]) -> Convert:
    def convert(raw: Raw) -> Value:
        value: Value = number(raw)
        return None if value in not_available else value

    return convert


def _within(number: Convert, lowest: float, highest: float) -> Convert:
    def convert(raw: Raw) -> Value:
        value = number(raw)
        return value if value is not None and lowest <= value <= highest else None

    return convert


def _signed(amount: Convert, index: int, negative: int | None) -> Convert:
    """Return the amount, negative where the register at this index says so; a sign of the number itself does not count."""

    def convert(raw: Raw) -> float | None:
        value: float | None = amount(raw)
        return value if value is None else -abs(value) if raw[index] == negative else abs(value)

    return convert


def _bit_field(number: Convert, first: int, length: int, *, as_bool: bool) -> Convert:
    mask = (1 << length) - 1

    def convert(raw: Raw) -> int | None:
        value = number(raw)
        if value is None:
            return None
        field_value: int = value >> first & mask
        return bool(field_value) if as_bool else field_value

    return convert


def _enumerated(number: Convert, values: Mapping[int, str]) -> Convert:
    def convert(raw: Raw) -> str | None:
        value = number(raw)
        return None if value is None else values.get(value, str(int(value)))

    return convert


def _scaled(number: Convert, scale: float, offset: float) -> Convert:
    """Return the raw number x scale + offset, of a whole number without the digits that a binary fraction adds.

    Before a division, the offset is added as steps of the raw number where it is a whole number of them: (1412 - 1000) / 10 is
    41.2, and 1412 / 10 - 100 is 41.19999999999999.
    """
    parts = divisor(scale)
    steps = int(offset * parts) if float(offset * parts).is_integer() else 0
    rest = 0.0 if steps else offset
    times, among = Fraction(str(scale)).as_integer_ratio()

    def convert(raw: Raw) -> float | None:
        value = number(raw)
        if value is None:
            return None
        if parts:
            scaled: float = (value + steps) / parts
        elif isinstance(value, float):
            scaled = value * scale
        else:
            scaled = value * times if among == 1 else value * times / among
        return scaled + rest if rest else scaled

    return convert


def _by_scale_factor(number: Convert, index: int) -> Convert:
    def convert(raw: Raw) -> float | None:
        value, power = number(raw), raw[index]
        if value is None or power not in SCALE_FACTORS:
            return None
        scaled: float = value * 10**power if power >= 0 else value / 10**-power
        return scaled

    return convert
