"""Decode and encode the fields of templates: numbers, texts, binary integers. Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite

from gateway.adapter import Value

ANONYMOUS = "_"
"""The name of a field whose value is ignored."""

TEXT_FORMATS = (
    "d, 03d, 6d, f, .2f, 10.2f, hex2, s, 8s, /expression/, /expression/d, /expression/f or *; then ? if it may be empty"
)
BINARY_FORMATS = (
    "u8, i8, u16le, u16be, i32be, f32le, bcd2, nibbles4, inibbles4, ascii8, ascii*, bytes4, bytes*, *, a format of text "
    "templates in quotes such as '04d', or bits such as {on:flag,_:3b,mode:4b}"
)

SIGNIFICANT_DIGITS = 15
"""Significant digits of a written fraction: further digits are artefacts of binary fractions."""

WHOLE_NUMBER_BITS = 63
"""A larger whole number of JSON becomes a fraction."""

MAX_NUMBER_LENGTH = 40
"""Maximum characters of a number written without an exponent."""


@dataclass(frozen=True, slots=True)
class Field:
    """A part of a frame that contains one value, or several in its bits."""

    names: tuple[str, ...]
    pattern: bytes
    """Regular expression of its bytes; empty for a text that ends at the next piece of the template."""
    read: Callable[[bytes], Sequence[Value]]
    """Return the values in these bytes, or raise `ValueError`."""
    write: Callable[[Sequence[Value]], bytes]
    """Return the bytes of these values, or raise `ValueError` with the reason."""
    may_be_empty: bool = False
    is_open: bool = False
    """Whether its length is variable."""
    is_whole: bool = False
    """Whether it takes whole numbers only."""
    is_number: bool = False
    """Whether its value is one measured number, and not a text, digits of a code or bits."""
    read_list: Callable[[bytes], Iterable[tuple[str, Value]]] | None = None
    """For a list: yields name and value of each item that is there, and `names` are those that may be; `None` for all others."""

    @property
    def can_be_sent(self) -> bool:
        """Whether it can be encoded: it has a name, or may be empty."""
        return self.may_be_empty or any(name != ANONYMOUS for name in self.names)


def text_field(name: str, written: str) -> Field:
    """Return the field of a text template with this format.

    Raises:
        ValueError: there is no such format; the message lists the formats.
    """
    may_be_empty = written.endswith("?") and not written.startswith("/")
    if written.startswith("/") and written.endswith("/?"):
        may_be_empty = True
    said = written.removesuffix("?") if may_be_empty else written
    field = _parse_text_format(name, said)
    return _optional(field) if may_be_empty else field


def binary_field(name: str, written: str) -> Field:
    """Return the field of a binary template with this format.

    Raises:
        ValueError: there is no such format; the message lists the formats.
    """
    if (found := re.fullmatch(r"([ui])(8|16|24|32)(le|be)?", written)) is not None:
        size = int(found[2]) // 8
        return _integer(name, size, has_sign=found[1] == "i", order=_order(written, found[3], size))
    if (found := re.fullmatch(r"f(32|64)(le|be)?", written)) is not None:
        return _float(name, int(found[1]) // 8, _order(written, found[2], 4))
    if (found := re.fullmatch(r"bcd([1-8])(le)?", written)) is not None:
        return _bcd(name, int(found[1]), is_little=found[2] is not None)
    if (found := re.fullmatch(r"(i?)nibbles([2-8])", written)) is not None:
        return _nibbles(name, int(found[2]), has_sign=bool(found[1]))
    if (found := re.fullmatch(r"(ascii|bytes)([1-9]\d{0,2}|\*)|\*", written)) is not None:
        length = None if written.endswith("*") else int(found[2])
        return _ascii(name, length) if found[1] == "ascii" else _bytes(name, length)
    if (found := re.fullmatch(r"'(.+)'", written)) is not None:
        return text_field(name, found[1])
    raise ValueError(f"there is no format {written!r} in a binary template; there are {BINARY_FORMATS}")


def decode_text(raw: bytes) -> str:
    """Decode bytes as UTF-8 or, if they are invalid UTF-8, as Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def finite_number(digits: str) -> float | None:
    """Return a written fraction; `None` for one that is larger than any number.

    Raises:
        ValueError: it is no number.
    """
    value = float(digits)
    return value if isfinite(value) else None


def plain_number(number: float) -> int | float | None:
    """Return a number of JSON as it can be sent: finite, unlike `1e999` and Python's `NaN`, and not with thousands of digits."""
    if isinstance(number, int) and number.bit_length() <= WHOLE_NUMBER_BITS:
        return number
    try:
        return float(number) if isfinite(number) else None
    except OverflowError:  # a whole number that is larger than any fraction
        return None


def _parse_text_format(name: str, written: str) -> Field:
    if (found := re.fullmatch(r"(0?)([1-9]\d?)?d", written)) is not None:
        return _decimal(name, width=int(found[2] or 0), zeros=found[1] == "0")
    if (found := re.fullmatch(r"(0?)([1-9]\d?)?(?:\.([1-9]))?f", written)) is not None:
        decimals = None if found[3] is None else int(found[3])
        return _fraction(name, width=int(found[2] or 0), zeros=found[1] == "0", decimals=decimals)
    if (found := re.fullmatch(r"hex([1-8])", written)) is not None:
        return _hex(name, int(found[1]))
    if (found := re.fullmatch(r"([1-9]\d{0,2})?s|", written)) is not None:
        return _text(name, None if found[1] is None else int(found[1]))
    if written == "*":
        return _optional(
            Field((name,), b".*", lambda raw: [decode_text(raw)], lambda values: _encode_text(name, values[0]), is_open=True)
        )
    if len(written) > 2 and written.startswith("/") and written.endswith("/"):
        return _regex(name, written[1:-1])
    if (found := re.fullmatch(r"/(.+)/([df])", written)) is not None:
        return _regex_number(name, found[1], is_whole=found[2] == "d")
    raise ValueError(f"there is no format {written!r} in a text template; there are {TEXT_FORMATS}")


def _optional(field: Field) -> Field:
    """Return the same field, but allow it to be empty, with the value `None`."""

    def read(raw: bytes) -> Sequence[Value]:
        return field.read(raw) if raw else [None]

    def write(values: Sequence[Value]) -> bytes:
        return b"" if values[0] is None or values[0] == "" else field.write(values)

    pattern = b"(?:" + field.pattern + b")?" if field.pattern else b""
    return replace(field, pattern=pattern, read=read, write=write, may_be_empty=True)


def _decimal(name: str, *, width: int, zeros: bool) -> Field:
    def read(raw: bytes) -> list[Value]:
        digits = _matched_group(rb" *([+-]?\d{1,18}) *" if width and not zeros else rb"([+-]?\d{1,18})", raw)
        return [int(digits)]

    def write(values: Sequence[Value]) -> bytes:
        return _exact_width(name, f"{_whole_number(name, values[0]):{'0' if zeros else ''}{width or ''}d}", width)

    return Field(
        (name,), any_bytes(width) if width else rb"[+-]?\d{1,18}", read, write, is_open=not width, is_whole=True, is_number=True
    )


def _fraction(name: str, *, width: int, zeros: bool, decimals: int | None) -> Field:
    number = rb"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?"

    def read(raw: bytes) -> list[Value]:
        return [finite_number(_matched_group(rb" *(" + number + rb") *" if width else rb"(" + number + rb")", raw).decode())]

    def write(values: Sequence[Value]) -> bytes:
        value = _number(name, values[0])
        digits = f"{value:.{decimals}f}" if decimals is not None else f"{Decimal(f'{value:.{SIGNIFICANT_DIGITS}g}'):f}"
        if len(digits) > MAX_NUMBER_LENGTH:
            raise ValueError(f"{name}: {value!r} would take {len(digits)} characters")
        return _exact_width(name, digits.zfill(width) if zeros else digits.rjust(width), width)

    return Field((name,), any_bytes(width) if width else number, read, write, is_open=not width, is_number=True)


def _hex(name: str, digits: int) -> Field:
    def write(values: Sequence[Value]) -> bytes:
        return b"%0*X" % (digits, in_range(name, values[0], 0, 16**digits - 1))

    return Field((name,), rb"[0-9A-Fa-f]{%d}" % digits, lambda raw: [int(raw, 16)], write, is_whole=True)


def _text(name: str, width: int | None) -> Field:
    def write(values: Sequence[Value]) -> bytes:
        raw = _encode_text(name, values[0])
        return raw if width is None else _exact_width(name, decode_text(raw).ljust(width), width)

    if width is None:
        return Field((name,), b"", lambda raw: [decode_text(raw)], write, is_open=True)
    return Field((name,), any_bytes(width), lambda raw: [decode_text(raw).rstrip(" ")], write)


def _regex(name: str, pattern: str) -> Field:
    raw_pattern = pattern.encode("latin-1" if pattern.isascii() or max(pattern) <= "\xff" else "utf-8")
    try:
        compiled = re.compile(raw_pattern, re.DOTALL)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    if compiled.groups:
        raise ValueError(f"groups in {pattern!r} must be written as (?:...)")

    def write(values: Sequence[Value]) -> bytes:
        raw = _encode_text(name, values[0])
        if compiled.fullmatch(raw) is None:
            raise ValueError(f"{name}: {values[0]!r} does not match {pattern}")
        return raw

    return Field((name,), b"(?:" + raw_pattern + b")", lambda raw: [decode_text(raw)], write)


def _regex_number(name: str, pattern: str, *, is_whole: bool) -> Field:
    r"""Return the field of a number whose digits match an expression: `/\d\d\.\d/f` tells 27.5 from 2.25."""
    text = _regex(name, pattern)

    def read(raw: bytes) -> list[Value]:
        return [int(_matched_group(rb"([+-]?\d{1,18})", raw)) if is_whole else finite_number(decode_text(raw))]

    return replace(text, read=read, is_whole=is_whole, is_number=True)


def _integer(name: str, size: int, *, has_sign: bool, order: str) -> Field:
    is_big = order == "be"
    lowest, highest = (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) if has_sign else (0, (1 << 8 * size) - 1)

    def write(values: Sequence[Value]) -> bytes:
        return in_range(name, values[0], lowest, highest).to_bytes(size, "big" if is_big else "little", signed=has_sign)

    return Field(
        (name,),
        any_bytes(size),
        lambda raw: [int.from_bytes(raw, "big" if is_big else "little", signed=has_sign)],
        write,
        is_whole=True,
    )


def _nibbles(name: str, size: int, *, has_sign: bool) -> Field:
    """Return a number of which each byte has four bits, the highest first, and zeros above them, as in VISCA."""
    bits = 4 * size
    lowest, highest = (-(1 << bits - 1), (1 << bits - 1) - 1) if has_sign else (0, (1 << bits) - 1)

    def read(raw: bytes) -> list[Value]:
        number = int(raw.hex()[1::2], 16)
        return [number - (1 << bits) if has_sign and number > highest else number]

    def write(values: Sequence[Value]) -> bytes:
        number = in_range(name, values[0], lowest, highest) & (1 << bits) - 1
        return bytes(int(digit, 16) for digit in f"{number:0{size}x}")

    return Field((name,), b"[\\x00-\\x0f]{%d}" % size, read, write, is_whole=True)


def _float(name: str, size: int, order: str) -> Field:
    layout = struct.Struct((">" if order == "be" else "<") + ("f" if size == 4 else "d"))

    def read(raw: bytes) -> list[Value]:
        value: float = layout.unpack(raw)[0]
        return [value if isfinite(value) else None]

    def write(values: Sequence[Value]) -> bytes:
        try:
            return layout.pack(_number(name, values[0]))
        except OverflowError as error:
            raise ValueError(f"{name}: {values[0]!r} does not fit into {size} bytes") from error

    return Field((name,), any_bytes(size), read, write, is_number=True)


def _bcd(name: str, size: int, *, is_little: bool) -> Field:
    step = -1 if is_little else 1

    def read(raw: bytes) -> list[Value]:
        return [int(_matched_group(rb"(\d+)", raw[::step].hex().encode()))]

    def write(values: Sequence[Value]) -> bytes:
        return bytes.fromhex(f"{in_range(name, values[0], 0, 100**size - 1):0{2 * size}d}")[::step]

    return Field((name,), any_bytes(size), read, write, is_whole=True)


def _ascii(name: str, length: int | None) -> Field:
    def write(values: Sequence[Value]) -> bytes:
        raw = _encode_text(name, values[0])
        return raw if length is None else _exact_width(name, decode_text(raw).ljust(length, "\0"), length)

    return Field((name,), any_bytes(length), lambda raw: [decode_text(raw.rstrip(b"\0 "))], write, is_open=length is None)


def _bytes(name: str, length: int | None) -> Field:
    def write(values: Sequence[Value]) -> bytes:
        try:
            raw = bytes.fromhex(str(values[0]))
        except ValueError as error:
            raise ValueError(f"{name}: {values[0]!r} is not a text of hexadecimal digits") from error
        if length is not None and len(raw) != length:
            raise ValueError(f"{name}: {values[0]!r} does not have the digits of {length} bytes")
        return raw

    return Field((name,), any_bytes(length), lambda raw: [raw.hex()], write, is_open=length is None)


def any_bytes(length: int | None) -> bytes:
    """Return the pattern of so many bytes; of any number for `None`."""
    return b".*" if length is None else b".{%d}" % length


def _order(written: str, order: str | None, size: int) -> str:
    if order is None and size > 1:
        raise ValueError(
            f"add the byte order to {written}: {written}le for the low byte first, {written}be for the high byte first"
        )
    return order or "be"


def _matched_group(pattern: bytes, raw: bytes) -> bytes:
    found = re.fullmatch(pattern, raw)
    if found is None:
        raise ValueError(f"{raw!r} is not a number")
    return found[1]


def _number(name: str, value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{name}: {value!r} is not a number")
    return value


def _whole_number(name: str, value: Value) -> int:
    number = _number(name, value)
    if number != int(number):
        raise ValueError(f"{name}: {value!r} is not a whole number")
    return int(number)


def in_range(name: str, value: Value, lowest: int, highest: int) -> int:
    """Return a whole number between these, or raise `ValueError` with the reason."""
    number = _whole_number(name, value)
    if not lowest <= number <= highest:
        raise ValueError(f"{name}: {value!r} is not between {lowest} and {highest}")
    return number


def _exact_width(name: str, text: str, width: int) -> bytes:
    raw = text.encode()
    if width and len(raw) != width:
        raise ValueError(f"{name}: {text.strip()!r} does not fit into {width} characters")
    return raw


def _encode_text(name: str, value: Value) -> bytes:
    """Encode a text. Control characters are rejected: a carriage return would split one command into two."""
    if value is None or isinstance(value, bool) or value == "":
        raise ValueError(f"{name}: {value!r} is not a text")
    text = str(value)
    if any(character < " " or "\x7f" <= character < "\xa0" for character in text):
        raise ValueError(f"{name}: {value!r} contains control characters")
    return text.encode()
