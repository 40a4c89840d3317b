r"""What a question or an answer looks like, as one line of a profile: literal bytes and fields. Nothing here waits.

Text: all characters count, `{{` and `}}` stand for braces, `\r`, `\n`, `\x02` for what TOML itself does not write:
`%1POWR {power}`, `S S {weight:10f} {unit}`, `ka {id:hex2} ff`.

Binary: hexadecimal digits, `??` for a byte that may be anything, quoted texts and fields, with blanks between:
`11 {id:u8} 01 {value:u8}`, `FF {_:u8} 03 'A' 0B {serial:ascii*}`.

A field is `{name}` or `{name:format}`; `fields.py` has the formats. `_` is a field that is not told. A field that is there twice
has to be the same at both places. `{checksum:sum8}` is the checksum of all bytes before it, `{checksum:sum8[1:]}` of those from
the second on; it is written in hexadecimal digits in a text, and in bytes in a binary template, where two need `:le` or `:be`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from adapters.serial.framing.checksums import Checksum, ChecksumFormat, checksum_named
from adapters.serial.framing.notation import escaped_text, hex_bytes, text_bytes
from adapters.serial.profile.fields import ANONYMOUS, Field, binary_field, bits_field, shown, text_field
from gateway.adapter import Value

Kind: TypeAlias = Literal["text", "binary"]

_FIELD = r"\{\w*:/.*?/\??\}|\{[^{}]*\}"
_TEXT = re.compile(rf"(?P<literal>(?:[^{{}}]|\{{\{{|\}}\}})+)|(?P<field>{_FIELD})|(?P<stray>.)", re.DOTALL)
_BINARY = re.compile(
    rf"(?P<hex>[0-9A-Fa-f]+)|(?P<any>\?\?)|(?P<quoted>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<field>{_FIELD})|(?P<stray>\S)"
)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_CHECKSUM = re.compile(r"(?P<name>[a-z0-9-]+)(?:\[(?P<first>\d*):(?P<last>-?\d*)\])?(?::(?P<order>\w+))?")


class _AnyByte:
    """A byte that may be anything."""


@dataclass(frozen=True, slots=True)
class _ChecksumField:
    """The checksum of bytes before it."""

    checksum: Checksum
    covered: slice
    written: ChecksumFormat

    def of(self, before: bytes) -> bytes:
        return self.checksum.write(before[self.covered], self.written)

    def matches(self, before: bytes, told: bytes) -> bool:
        return self.checksum.matches(before[self.covered], told, self.written)


_Piece: TypeAlias = bytes | _AnyByte | _ChecksumField | Field


class Template:
    """Literal bytes and fields: what is sent for some values, and which values are in what came."""

    def __init__(self, written: str, kind: Kind, pieces: Sequence[_Piece], *, ignore_case: bool) -> None:
        self.written = written
        self.kind = kind
        self._pieces = tuple(pieces)
        self._ignores_case = ignore_case
        self._pattern = re.compile(b"".join(map(self._piece_pattern, range(len(pieces)))), re.DOTALL)

    @classmethod
    def parse(cls, written: str, kind: Kind = "text", *, ignore_case: bool = False) -> Self:
        """Return the template that is written so.

        `ignore_case`: in what came, the literal letters of a text count in either case.

        Raises:
            ValueError: it cannot be read; the text says why, and points to where.
        """
        pieces: list[_Piece] = []
        for token in (_TEXT if kind == "text" else _BINARY).finditer(written):
            try:
                piece = _piece(token, kind)
                _check_neighbours(pieces, piece, kind)
            except ValueError as error:
                raise ValueError(_pointed_at(written, token.start(), str(error))) from error
            pieces.append(piece)
        return cls(written, kind, pieces, ignore_case=ignore_case and kind == "text")

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its fields, in their order, each once."""
        names = (name for piece in self._pieces if isinstance(piece, Field) for name in piece.names)
        return tuple(dict.fromkeys(name for name in names if name != ANONYMOUS))

    @property
    def can_be_sent(self) -> bool:
        """Whether there is nothing in it that may be anything, and so can only be awaited."""
        return all(not isinstance(one, _AnyByte) and (not isinstance(one, Field) or one.can_be_sent) for one in self._pieces)

    def check(self, name: str, value: Value) -> None:
        """Raise `ValueError` when the field of this name cannot hold the value; the text says why."""
        for piece in self._pieces:
            if isinstance(piece, Field) and name in piece.names:
                piece.write([value if name == own else 0 for own in piece.names])

    def encode(self, values: Mapping[str, Value]) -> bytes:
        """Return the bytes for these values; names that it has no field for do not matter.

        Raises:
            ValueError: a value is missing or does not fit, or the template has parts that may be anything; the text says which.
        """
        if not self.can_be_sent:
            raise ValueError(f"{self.written!r} has ?? or a field without a name in it: it can be awaited, but not sent")
        raw = bytearray()
        for at, piece in enumerate(self._pieces):
            if isinstance(piece, bytes):
                raw += piece
            elif isinstance(piece, _ChecksumField):
                raw += piece.of(bytes(raw))
            elif isinstance(piece, Field):
                raw += self._field_bytes(at, piece, values)
        return bytes(raw)

    def match(self, payload: bytes) -> dict[str, Value] | None:
        """Return the values that are in this payload; `None` when it is something else."""
        found = self._pattern.fullmatch(payload)
        if found is None:
            return None
        told: dict[str, Value] = {}
        try:
            for at, piece in enumerate(self._pieces):
                if isinstance(piece, _ChecksumField) and not piece.matches(payload[: found.start(f"p{at}")], found[f"p{at}"]):
                    return None
                if isinstance(piece, Field):
                    for name, value in zip(piece.names, piece.read(found[f"p{at}"]), strict=True):
                        if name != ANONYMOUS and told.setdefault(name, value) != value:
                            return None
        except ValueError:
            return None
        return told

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"Template({self.written!r}, {self.kind!r})"

    @property
    def _key(self) -> tuple[str, Kind, bool]:
        return self.written, self.kind, self._ignores_case

    def _field_bytes(self, at: int, field: Field, values: Mapping[str, Value]) -> bytes:
        for name in field.names:
            if name != ANONYMOUS and name not in values and not field.may_be_empty:
                raise ValueError(f"{name}: is missing")
        nothing = None if field.may_be_empty else 0
        raw = field.write([nothing if name == ANONYMOUS else values.get(name) for name in field.names])
        stop = self._literal_at(at + 1)
        if not field.pattern and stop and stop in raw:
            raise ValueError(f"{field.names[0]}: {values[field.names[0]]!r} has {shown(stop)!r} in it, which ends the field")
        return raw

    def _literal_at(self, at: int) -> bytes:
        """Return the literal at this place; empty when there is something else, or nothing."""
        piece = self._pieces[at] if at < len(self._pieces) else b""
        return piece if isinstance(piece, bytes) else b""

    def _piece_pattern(self, at: int) -> bytes:
        piece = self._pieces[at]
        if isinstance(piece, bytes):
            return self._literal_pattern(piece)
        if isinstance(piece, _AnyByte):
            return b"."
        if isinstance(piece, _ChecksumField):
            pattern = b".{%d}" % piece.checksum.length(piece.written)
        else:
            pattern = piece.pattern or self._text_pattern(at, piece)
        return b"(?P<p%d>%s)" % (at, pattern)

    def _text_pattern(self, at: int, field: Field) -> bytes:
        """Return the pattern of a text of any length: it goes on to the literal behind it, which therefore cannot be in it."""
        stop, often = self._literal_at(at + 1), b"*" if field.may_be_empty else b"+"
        if at + 1 < len(self._pieces) and not stop:
            return b"." + often + b"?"
        return b"(?:(?!" + self._literal_pattern(stop) + b").)" + often if stop else b"." + often

    def _literal_pattern(self, literal: bytes) -> bytes:
        return b"(?i:" + re.escape(literal) + b")" if self._ignores_case else re.escape(literal)


def _piece(token: re.Match[str], kind: Kind) -> _Piece:
    said = token[0]
    match token.lastgroup:
        case "literal":
            return text_bytes(said.replace("{{", "{").replace("}}", "}"))
        case "hex":
            return hex_bytes(said)
        case "quoted":
            return text_bytes(said[1:-1])
        case "any":
            return _AnyByte()
        case "field":
            return _named_piece(said[1:-1], kind)
        case _:
            raise ValueError(f"{said!r} is out of place here; " + (_BRACES if kind == "text" else _TOKENS))


_BRACES = "a field is written as {name} or {name:format}, a brace as {{ or }}"
_TOKENS = "there are pairs of hexadecimal digits, ??, 'texts' and fields, as in: AA 11 {id:u8} 'A' ??"


def _named_piece(said: str, kind: Kind) -> _Piece:
    name, _, written = said.partition(":")
    if name == "checksum":
        return _checksum_field(written, kind)
    if kind == "binary" and "," in said:
        parts = [part.strip().partition(":") for part in said.split(",")]
        return bits_field([(_checked_name(name), written) for name, _, written in parts])
    make = text_field if kind == "text" else binary_field
    return make(_checked_name(name), written)


def _checked_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no name for a field: letters, digits and _, a letter first")
    return name


def _checksum_field(written: str, kind: Kind) -> _ChecksumField:
    found = _CHECKSUM.fullmatch(written)
    if found is None:
        raise ValueError("a checksum is written as {checksum:sum8}, {checksum:xor[1:]} or {checksum:crc16-modbus:le}")
    checksum = checksum_named(found["name"])
    order = found["order"] or ("hex" if kind == "text" else "be" if checksum.size == 1 else "")
    if order not in _ORDERS:
        raise ValueError(f"say how the {checksum.size} bytes of {checksum.name} are written: with :le, :be or :hex behind it")
    first, last = (int(found[end]) if found[end] else None for end in ("first", "last"))
    return _ChecksumField(checksum, slice(first, last), _ORDERS[order])


_ORDERS: Mapping[str, ChecksumFormat] = {"le": "little", "be": "big", "hex": "hex"}


def _check_neighbours(before: Sequence[_Piece], piece: _Piece, kind: Kind) -> None:
    """Raise `ValueError` when nobody could say where this field begins."""
    if not isinstance(piece, Field) or not piece.is_open:
        return
    rivals = before[-1:] if kind == "text" else before
    if any(isinstance(rival, Field) and rival.is_open for rival in rivals):
        where = "side by side" if kind == "text" else "in one frame"
        raise ValueError(f"two fields {where} have no fixed length, so where one ends cannot be told")


def _pointed_at(written: str, at: int, why: str) -> str:
    """Return what is wrong, with a caret below the place where it is."""
    shown_text, shown_before = (_CONTROL.sub(lambda one: escaped_text(one[0].encode()), part) for part in (written, written[:at]))
    return f"{why}\n    {shown_text}\n    {' ' * len(shown_before)}^"


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
