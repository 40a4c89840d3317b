"""One field of a template: what it looks like among the bytes of a frame, what value that is, and back. Nothing here waits."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite

from gateway.adapter import Value

ANONYMOUS = "_"
"""The name of a field that is not told."""

TEXT_FORMATS = "d, 03d, 6d, f, .2f, 10.2f, hex2, s, 8s, /regular expression/ or *, with ? behind it where it may be empty"
BINARY_FORMATS = (
    "u8, i8, u16le, u16be, i32be, f32le, bcd2, ascii8, ascii*, bytes4, bytes*, *, or bits such as {on:flag,_:3b,mode:4b}"
)

DIGITS = 15
"""More of them in a fraction say nothing: they are what binary fractions leave."""

LONGEST_NUMBER = 40
"""Characters of a number without an exponent."""


@dataclass(frozen=True, slots=True)
class Field:
    """A piece of a frame that holds a value, or some by their bits."""

    names: tuple[str, ...]
    pattern: bytes
    """The regular expression of its bytes; empty for a text that goes on to whatever the template says next."""
    read: Callable[[bytes], Sequence[Value]]
    """Return its values, or raise `ValueError` when the bytes are none."""
    write: Callable[[Sequence[Value]], bytes]
    """Return the bytes for its values, or raise `ValueError`; the text says why."""
    may_be_empty: bool = False
    is_open: bool = False
    """Whether its length is not known before."""

    @property
    def can_be_sent(self) -> bool:
        """Whether it has a value to be sent: a name, or nothing."""
        return self.may_be_empty or any(name != ANONYMOUS for name in self.names)


def text_field(name: str, written: str) -> Field:
    """Return the field of a text template with this format.

    Raises:
        ValueError: there is no such format; the text says which there are.
    """
    may_be_empty = written.endswith("?") and not written.startswith("/")
    if written.startswith("/") and written.endswith("/?"):
        may_be_empty = True
    said = written.removesuffix("?") if may_be_empty else written
    field = _of_text(name, said)
    return _or_empty(field) if may_be_empty else field


def binary_field(name: str, written: str) -> Field:
    """Return the field of a binary template with this format.

    Raises:
        ValueError: there is no such format; the text says which there are.
    """
    if (found := re.fullmatch(r"([ui])(8|16|24|32)(le|be)?", written)) is not None:
        size = int(found[2]) // 8
        return _integer(name, size, has_sign=found[1] == "i", order=_order(written, found[3], size))
    if (found := re.fullmatch(r"f(32|64)(le|be)?", written)) is not None:
        return _float(name, int(found[1]) // 8, _order(written, found[2], 4))
    if (found := re.fullmatch(r"bcd([1-8])(le)?", written)) is not None:
        return _bcd(name, int(found[1]), is_little=found[2] is not None)
    if (found := re.fullmatch(r"(ascii|bytes)([1-9]\d{0,2}|\*)|\*", written)) is not None:
        length = None if written.endswith("*") else int(found[2])
        return _ascii(name, length) if found[1] == "ascii" else _bytes(name, length)
    raise ValueError(f"there is no format {written!r} in a binary template; there are {BINARY_FORMATS}")


def bits_field(parts: Sequence[tuple[str, str]]) -> Field:
    """Return a field of one to four bytes whose bits, from the highest on, are named: as a `flag`, or so many bits of a number.

    Raises:
        ValueError: they do not make up whole bytes.
    """
    widths = [1 if written == "flag" else _bits(written) for _, written in parts]
    total = sum(widths)
    if total % 8 or total > 32:
        raise ValueError(f"bits make up whole bytes, at most four; here are {total}")
    shifts = [sum(widths[at + 1 :]) for at in range(len(widths))]
    are_flags = [written == "flag" for _, written in parts]

    def read(raw: bytes) -> list[Value]:
        number = int.from_bytes(raw, "big")
        told = [number >> shift & (1 << width) - 1 for shift, width in zip(shifts, widths, strict=True)]
        return [bool(one) if is_flag else one for one, is_flag in zip(told, are_flags, strict=True)]

    def write(values: Sequence[Value]) -> bytes:
        number = 0
        for (name, _), value, width, is_flag, shift in zip(parts, values, widths, are_flags, shifts, strict=True):
            number |= _within(name, int(value) if is_flag and isinstance(value, bool) else value, 0, (1 << width) - 1) << shift
        return number.to_bytes(total // 8, "big")

    return Field(tuple(name for name, _ in parts), _any(total // 8), read, write)


def shown(raw: bytes) -> str:
    """Return the text that bytes stand for: UTF-8, or Latin-1 where they are none."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _of_text(name: str, written: str) -> Field:
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
        return _or_empty(Field((name,), b".*", lambda raw: [shown(raw)], lambda values: _plain(name, values[0]), is_open=True))
    if len(written) > 2 and written.startswith("/") and written.endswith("/"):
        return _regex(name, written[1:-1])
    raise ValueError(f"there is no format {written!r} in a text template; there are {TEXT_FORMATS}")


def _or_empty(field: Field) -> Field:
    """Return the same field, which may be empty: then its value is `None`."""

    def read(raw: bytes) -> Sequence[Value]:
        return field.read(raw) if raw else [None]

    def write(values: Sequence[Value]) -> bytes:
        return b"" if values[0] is None or values[0] == "" else field.write(values)

    pattern = b"(?:" + field.pattern + b")?" if field.pattern else b""
    return Field(field.names, pattern, read, write, may_be_empty=True, is_open=field.is_open)


def _decimal(name: str, *, width: int, zeros: bool) -> Field:
    def read(raw: bytes) -> list[Value]:
        digits = _matching(rb" *([+-]?\d{1,18}) *" if width and not zeros else rb"([+-]?\d{1,18})", raw)
        return [int(digits)]

    def write(values: Sequence[Value]) -> bytes:
        return _fitting(name, f"{_whole(name, values[0]):{'0' if zeros else ''}{width or ''}d}", width)

    return Field((name,), _any(width) if width else rb"[+-]?\d{1,18}", read, write, is_open=not width)


def _fraction(name: str, *, width: int, zeros: bool, decimals: int | None) -> Field:
    number = rb"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?"

    def read(raw: bytes) -> list[Value]:
        told = float(_matching(rb" *(" + number + rb") *" if width else rb"(" + number + rb")", raw))
        return [told if isfinite(told) else None]

    def write(values: Sequence[Value]) -> bytes:
        value = _number(name, values[0])
        digits = f"{value:.{decimals}f}" if decimals is not None else f"{Decimal(f'{value:.{DIGITS}g}'):f}"
        if len(digits) > LONGEST_NUMBER:
            raise ValueError(f"{name}: {value!r} would take {len(digits)} characters")
        return _fitting(name, digits.zfill(width) if zeros else digits.rjust(width), width)

    return Field((name,), _any(width) if width else number, read, write, is_open=not width)


def _hex(name: str, digits: int) -> Field:
    def write(values: Sequence[Value]) -> bytes:
        return b"%0*X" % (digits, _within(name, values[0], 0, 16**digits - 1))

    return Field((name,), rb"[0-9A-Fa-f]{%d}" % digits, lambda raw: [int(raw, 16)], write)


def _text(name: str, width: int | None) -> Field:
    def write(values: Sequence[Value]) -> bytes:
        raw = _plain(name, values[0])
        return raw if width is None else _fitting(name, shown(raw).ljust(width), width)

    if width is None:
        return Field((name,), b"", lambda raw: [shown(raw)], write, is_open=True)
    return Field((name,), _any(width), lambda raw: [shown(raw).rstrip(" ")], write)


def _regex(name: str, pattern: str) -> Field:
    raw_pattern = pattern.encode("latin-1" if pattern.isascii() or max(pattern) <= "\xff" else "utf-8")
    try:
        compiled = re.compile(raw_pattern, re.DOTALL)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    if compiled.groups:
        raise ValueError(f"groups in {pattern!r} have to be written as (?:...)")

    def write(values: Sequence[Value]) -> bytes:
        raw = _plain(name, values[0])
        if compiled.fullmatch(raw) is None:
            raise ValueError(f"{name}: {values[0]!r} does not match {pattern}")
        return raw

    return Field((name,), b"(?:" + raw_pattern + b")", lambda raw: [shown(raw)], write)


def _integer(name: str, size: int, *, has_sign: bool, order: str) -> Field:
    is_big = order == "be"
    lowest, highest = (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) if has_sign else (0, (1 << 8 * size) - 1)

    def write(values: Sequence[Value]) -> bytes:
        return _within(name, values[0], lowest, highest).to_bytes(size, "big" if is_big else "little", signed=has_sign)

    return Field((name,), _any(size), lambda raw: [int.from_bytes(raw, "big" if is_big else "little", signed=has_sign)], write)


def _float(name: str, size: int, order: str) -> Field:
    layout = struct.Struct((">" if order == "be" else "<") + ("f" if size == 4 else "d"))

    def read(raw: bytes) -> list[Value]:
        told: float = layout.unpack(raw)[0]
        return [told if isfinite(told) else None]

    def write(values: Sequence[Value]) -> bytes:
        try:
            return layout.pack(_number(name, values[0]))
        except OverflowError as error:
            raise ValueError(f"{name}: {values[0]!r} does not fit into {size} bytes") from error

    return Field((name,), _any(size), read, write)


def _bcd(name: str, size: int, *, is_little: bool) -> Field:
    step = -1 if is_little else 1

    def read(raw: bytes) -> list[Value]:
        return [int(_matching(rb"(\d+)", raw[::step].hex().encode()))]

    def write(values: Sequence[Value]) -> bytes:
        return bytes.fromhex(f"{_within(name, values[0], 0, 100**size - 1):0{2 * size}d}")[::step]

    return Field((name,), _any(size), read, write)


def _ascii(name: str, length: int | None) -> Field:
    def write(values: Sequence[Value]) -> bytes:
        raw = _plain(name, values[0])
        return raw if length is None else _fitting(name, shown(raw).ljust(length, "\0"), length)

    return Field((name,), _any(length), lambda raw: [shown(raw.rstrip(b"\0 "))], write, is_open=length is None)


def _bytes(name: str, length: int | None) -> Field:
    def write(values: Sequence[Value]) -> bytes:
        try:
            raw = bytes.fromhex(str(values[0]))
        except ValueError as error:
            raise ValueError(f"{name}: {values[0]!r} are no hexadecimal digits") from error
        if length is not None and len(raw) != length:
            raise ValueError(f"{name}: {values[0]!r} are not the digits of {length} bytes")
        return raw

    return Field((name,), _any(length), lambda raw: [raw.hex()], write, is_open=length is None)


def _any(length: int | None) -> bytes:
    return b".*" if length is None else b".{%d}" % length


def _order(written: str, order: str | None, size: int) -> str:
    if order is None and size > 1:
        raise ValueError(f"say which end of {written} comes first: {written}le the low one, {written}be the high one")
    return order or "be"


def _bits(written: str) -> int:
    found = re.fullmatch(r"(\d{1,2})b", written)
    if found is None or not int(found[1]):
        raise ValueError(f"bits are told as `flag` or, for a number, as `3b`, not as {written!r}")
    return int(found[1])


def _matching(pattern: bytes, raw: bytes) -> bytes:
    found = re.fullmatch(pattern, raw)
    if found is None:
        raise ValueError(f"{raw!r} is no number")
    return found[1]


def _number(name: str, value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{name}: {value!r} is no number")
    return value


def _whole(name: str, value: Value) -> int:
    number = _number(name, value)
    if number != int(number):
        raise ValueError(f"{name}: {value!r} is no whole number")
    return int(number)


def _within(name: str, value: Value, lowest: int, highest: int) -> int:
    number = _whole(name, value)
    if not lowest <= number <= highest:
        raise ValueError(f"{name}: {value!r} is not between {lowest} and {highest}")
    return number


def _fitting(name: str, text: str, width: int) -> bytes:
    raw = text.encode()
    if width and len(raw) != width:
        raise ValueError(f"{name}: {text.strip()!r} does not fit into {width} characters")
    return raw


def _plain(name: str, value: Value) -> bytes:
    """Return a text as bytes. Control characters are refused: with a carriage return in it, one command would be two."""
    if value is None or isinstance(value, bool) or value == "":
        raise ValueError(f"{name}: {value!r} is no text")
    text = str(value)
    if any(character < " " or "\x7f" <= character < "\xa0" for character in text):
        raise ValueError(f"{name}: {value!r} has control characters in it")
    return text.encode()
