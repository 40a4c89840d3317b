r"""Encode requests and match answers by templates, which consist of literal bytes and fields. Pure.

Text templates: all characters are literal, `{{` and `}}` are braces, `\r`, `\n`, `\x02` are escapes beyond those of TOML:
`%1POWR {power}`, `S S {weight:10f} {unit}`, `ka {id:hex2} ff`.

Binary templates: hexadecimal digits, `??` for any byte, quoted texts and fields, separated by blanks:
`11 {id:u8} 01 {value:u8}`, `FF {_:u8} 03 'A' 0B {serial:ascii*}`.

A field is `{name}` or `{name:format}`; `fields.py` has the formats. The value of a field `_` is ignored. A field that occurs
twice must have the same value at both places. `{name_#:...}` is a list (`list_fields.py`). `{checksum:sum8}` is the checksum of
all bytes before it, `{checksum:sum8[1:]}` of those from the second byte on; it is written as hexadecimal digits in a text
template, and as bytes in a binary one, where a checksum of two bytes needs `:le` or `:be`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from adapters.serial.framing.checksums import Checksum, ChecksumFormat, checksum_named
from adapters.serial.framing.notation import escaped_text, hex_bytes, text_bytes
from adapters.serial.profile.bit_fields import CONSTANT_BITS, bits_field
from adapters.serial.profile.fields import ANONYMOUS, Field, binary_field, decode_text, text_field
from adapters.serial.profile.list_fields import list_field
from adapters.serial.profile.no_value import NoValueRule
from gateway.adapter import Value

TemplateKind: TypeAlias = Literal["text", "binary", "json"]

_FIELD = r"\{\w*:/.*?/[df]?\??\}|\{[^{}]*\}"
_TEXT = re.compile(rf"(?P<literal>(?:[^{{}}]|\{{\{{|\}}\}})+)|(?P<field>{_FIELD})|(?P<stray>.)", re.DOTALL)
_BINARY = re.compile(
    rf"(?P<hex>[0-9A-Fa-f]+)|(?P<any>\?\?)|(?P<quoted>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<field>{_FIELD})|(?P<stray>\S)"
)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_CHECKSUM = re.compile(r"(?P<name>[a-z0-9-]+)(?:\[(?P<first>\d*):(?P<last>-?\d*)\])?(?::(?P<order>\w+))?")


class _AnyByte:
    """Any byte (`??`)."""


@dataclass(frozen=True, slots=True)
class _ChecksumField:
    """The checksum of the bytes before it."""

    checksum: Checksum
    covered: slice
    written: ChecksumFormat

    def of(self, before: bytes) -> bytes:
        return self.checksum.write(before[self.covered], self.written)

    def matches(self, before: bytes, received: bytes) -> bool:
        return self.checksum.matches(before[self.covered], received, self.written)


_Piece: TypeAlias = bytes | _AnyByte | _ChecksumField | Field


class Template:
    """A template of literal bytes and fields: encodes values into a payload, and extracts values from a payload."""

    def __init__(self, written: str, kind: TemplateKind, pieces: Sequence[_Piece], *, ignore_case: bool) -> None:
        self.written = written
        self.kind = kind
        self._pieces = tuple(pieces)
        self._ignores_case = ignore_case
        self._pattern = re.compile(b"".join(map(self._piece_pattern, range(len(pieces)))), re.DOTALL)

    @classmethod
    def parse(
        cls, written: str, kind: TemplateKind = "text", *, ignore_case: bool = False, no_value: NoValueRule | None = None
    ) -> Self:
        """Parse a template.

        Args:
            written: the template.
            kind: its notation.
            ignore_case: the literal letters of a text template match in upper and lower case.
            no_value: what may stand in the place of a number.

        Raises:
            ValueError: it is invalid; the message says why, and points to the position.
        """
        pieces: list[_Piece] = []
        for token in (_TEXT if kind == "text" else _BINARY).finditer(written):
            try:
                piece = _parse_piece(token, kind)
                _check_open_fields(pieces, piece, kind)
            except ValueError as error:
                raise ValueError(_with_caret(written, token.start(), str(error))) from error
            pieces.append(no_value.applied_to(piece) if isinstance(piece, Field) and no_value is not None else piece)
        return cls(written, kind, pieces, ignore_case=ignore_case and kind == "text")

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its fields in their order, each once."""
        names = (name for piece in self._pieces if isinstance(piece, Field) for name in piece.names)
        return tuple(dict.fromkeys(name for name in names if name != ANONYMOUS))

    @property
    def single_fields(self) -> tuple[str, ...]:
        """The names of those fields that each answer has: without those of lists, whose length is not known before."""
        pieces = (piece for piece in self._pieces if isinstance(piece, Field) and piece.read_list is None)
        return tuple(name for piece in pieces for name in piece.names if name != ANONYMOUS)

    def takes_whole_numbers(self, name: str) -> bool:
        """Return whether a field of this name takes whole numbers only."""
        return any(isinstance(piece, Field) and name in piece.names and piece.is_whole for piece in self._pieces)

    def measures(self, name: str) -> bool:
        """Return whether a field is one measured number."""
        return any(isinstance(piece, Field) and name in piece.names and piece.is_number for piece in self._pieces)

    @property
    def can_be_sent(self) -> bool:
        """Whether it has no arbitrary parts, which can be matched but not sent."""
        return all(not isinstance(one, _AnyByte) and (not isinstance(one, Field) or one.can_be_sent) for one in self._pieces)

    def encode(self, values: Mapping[str, Value]) -> bytes:
        """Return the payload for these values; values without a field are ignored.

        Raises:
            ValueError: a value is missing or does not fit, or the template has arbitrary parts; the message says which.
        """
        if not self.can_be_sent:
            raise ValueError(f"{self.written!r} contains ?? or a field without a name: it can be matched, but not sent")
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
        """Return the field values in this payload; `None` if it does not match."""
        found = self._pattern.fullmatch(payload)
        if found is None:
            return None
        values: dict[str, Value] = {}
        try:
            for at, piece in enumerate(self._pieces):
                if isinstance(piece, _ChecksumField) and not piece.matches(payload[: found.start(f"p{at}")], found[f"p{at}"]):
                    return None
                if isinstance(piece, Field):
                    for name, value in _values_of(piece, found[f"p{at}"]):
                        if name != ANONYMOUS and values.setdefault(name, value) != value:
                            return None
        except ValueError:
            return None
        return values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"Template({self.written!r}, {self.kind!r})"

    @property
    def _key(self) -> tuple[str, TemplateKind, bool]:
        return self.written, self.kind, self._ignores_case

    def _field_bytes(self, at: int, field: Field, values: Mapping[str, Value]) -> bytes:
        for name in field.names:
            if name != ANONYMOUS and name not in values and not field.may_be_empty:
                raise ValueError(f"{name}: is missing")
        nothing = None if field.may_be_empty else 0
        raw = field.write([nothing if name == ANONYMOUS else values.get(name) for name in field.names])
        stop = self._literal_at(at + 1)
        if not field.pattern and stop and stop in raw:
            raise ValueError(
                f"{field.names[0]}: {values[field.names[0]]!r} has {decode_text(stop)!r} in it, which would end the field"
            )
        return raw

    def _literal_at(self, at: int) -> bytes:
        """Return the literal bytes of the piece at this index; empty if it is not a literal or does not exist."""
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
        """Return the pattern of a text of any length: it ends at the following literal, which therefore cannot occur in it."""
        stop, often = self._literal_at(at + 1), b"*" if field.may_be_empty else b"+"
        if at + 1 < len(self._pieces) and not stop:
            return b"." + often + b"?"
        return b"(?:(?!" + self._literal_pattern(stop) + b").)" + often if stop else b"." + often

    def _literal_pattern(self, literal: bytes) -> bytes:
        return b"(?i:" + re.escape(literal) + b")" if self._ignores_case else re.escape(literal)


def _parse_piece(token: re.Match[str], kind: TemplateKind) -> _Piece:
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
            return _parse_field(said[1:-1], kind)
        case _:
            raise ValueError(f"{said!r} is out of place here; " + (_TEXT_HINT if kind == "text" else _BINARY_HINT))


_TEXT_HINT = "a field is written as {name} or {name:format}, a brace as {{ or }}"
_BINARY_HINT = "write pairs of hexadecimal digits, ??, 'texts' and fields, as in: AA 11 {id:u8} 'A' ??"


def _parse_field(said: str, kind: TemplateKind) -> _Piece:
    name, _, written = said.partition(":")
    if name == "checksum":
        return _parse_checksum(written, kind)
    if kind == "binary" and "," in said:
        parts = [part.strip().partition(":") for part in said.split(",")]
        return bits_field(
            [(name if CONSTANT_BITS.fullmatch(name) else _checked_name(name), written) for name, _, written in parts]
        )
    if kind == "text" and name.endswith("_#"):
        _checked_name(name.removesuffix("_#"))
        return list_field(name, written)
    make = text_field if kind == "text" else binary_field
    return make(_checked_name(name), written)


def _values_of(field: Field, raw: bytes) -> Iterable[tuple[str, Value]]:
    """Return the names and values in these bytes; of a list those of the items that are there."""
    return zip(field.names, field.read(raw), strict=True) if field.read_list is None else field.read_list(raw)


def _checked_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not a field name: use letters, digits and _, a letter first")
    return name


def _parse_checksum(written: str, kind: TemplateKind) -> _ChecksumField:
    found = _CHECKSUM.fullmatch(written)
    if found is None:
        raise ValueError("a checksum is written as {checksum:sum8}, {checksum:xor[1:]} or {checksum:crc16-modbus:le}")
    checksum = checksum_named(found["name"])
    order = found["order"] or ("hex" if kind == "text" else "be" if checksum.size == 1 else "")
    if order not in _CHECKSUM_FORMATS:
        raise ValueError(f"{checksum.name} has {checksum.size} bytes: add their order, :le, :be or :hex")
    first, last = (int(found[end]) if found[end] else None for end in ("first", "last"))
    return _ChecksumField(checksum, slice(first, last), _CHECKSUM_FORMATS[order])


_CHECKSUM_FORMATS: Mapping[str, ChecksumFormat] = {"le": "little", "be": "big", "hex": "hex"}


def _check_open_fields(before: Sequence[_Piece], piece: _Piece, kind: TemplateKind) -> None:
    """Raise `ValueError` if the beginning of this field would be ambiguous."""
    if not isinstance(piece, Field) or not piece.is_open:
        return
    other_fields = before[-1:] if kind == "text" else before
    if any(isinstance(other, Field) and other.is_open for other in other_fields):
        where = "side by side" if kind == "text" else "in one frame"
        raise ValueError(f"two fields {where} have no fixed length, so it is ambiguous where one ends")


def _with_caret(written: str, at: int, why: str) -> str:
    """Return the error message with a caret below the position of the error."""
    shown_text, shown_before = (_CONTROL.sub(lambda one: escaped_text(one[0].encode()), part) for part in (written, written[:at]))
    return f"{why}\n    {shown_text}\n    {' ' * len(shown_before)}^"


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
