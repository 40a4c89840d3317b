"""Read a table of the characteristics of a Bluetooth device, as people paste it into a CSV file. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from adapters.ble.advertisements.formats import TEXTS, Format
from gateway.adapter import name_and_unit, scale_of, slug, table_cells, table_rows

_HEADERS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "service": frozenset(("service", "service uuid")),
        "characteristic": frozenset(("characteristic", "characteristic uuid", "char", "uuid")),
        "name": frozenset(("name", "description", "designation", "metric", "parameter", "quantity", "signal", "variable")),
        "format": frozenset(("format", "type", "data type", "datatype", "data format")),
        "at": frozenset(("at", "offset", "byte", "start", "position")),
        "length": frozenset(("length", "size", "bytes")),
        "order": frozenset(("byte order", "endianness", "order")),
        "unit": frozenset(("unit", "units")),
        "scale": frozenset(("scale", "scaling", "factor", "multiplier", "resolution")),
        "divisor": frozenset(("divisor", "gain")),
        "notify": frozenset(("notify", "notifies", "notified", "notification")),
    }
)
"""A column -> what people write above it."""

_REQUIRED: Final = MappingProxyType(
    {"service": "the service", "characteristic": "the characteristic", "name": "the name of a value"}
)

_NOTIFIES: Final = MappingProxyType(
    dict.fromkeys(("yes", "y", "true", "x", "1", "notify"), True)
    | dict.fromkeys(("", "no", "n", "false", "-", "0", "read"), False)
)

_BIG: Final = MappingProxyType({"": False, "little": False, "le": False, "lsb": False, "big": True, "be": True, "msb": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacteristicRow:
    """One point: a value in the bytes of a characteristic."""

    line: int
    metric: str
    service: str
    characteristic: str
    format: Format
    at: int
    length: int | None
    is_big_endian: bool
    unit: str
    scale: float
    is_notified: bool


def read_characteristics(text: str) -> tuple[list[CharacteristicRow], list[str]]:
    """Return the points of a table, and why other rows are none, each with its line.

    Raises:
        WrongTable: the text is no table of characteristics.
    """
    return table_rows(table_cells(text, _HEADERS, _REQUIRED), _new_row)


def _new_row(line: int, cells: Mapping[str, str], rows: Sequence[CharacteristicRow]) -> CharacteristicRow:
    row = _row(line, cells)
    if twice := next((other for other in rows if other.metric == row.metric), None):
        raise ValueError(f"{row.metric} is in line {twice.line} already")
    return row


def _row(line: int, cells: Mapping[str, str]) -> CharacteristicRow:
    name, unit = name_and_unit(cells.get("name", ""), cells.get("unit", ""))
    kind = _format(cells.get("format", ""))
    length = _number("length", cells.get("length", ""))
    return CharacteristicRow(
        line=line,
        metric=slug(name).replace("-", "_"),
        service=_uuid("service", cells.get("service", "")),
        characteristic=_uuid("characteristic", cells.get("characteristic", "")),
        format=kind,
        at=_number("offset", cells.get("at", "")) or 0,
        length=_length(kind, length),
        is_big_endian=_one_of("byte order", cells.get("order", ""), _BIG, "little or big"),
        unit=unit,
        scale=scale_of(cells.get("scale", ""), cells.get("divisor", "")),
        is_notified=_one_of("notify", cells.get("notify", ""), _NOTIFIES, "yes or no"),
    )


def _uuid(what: str, written: str) -> str:
    plain = written.strip("{}").lower().removeprefix("0x")
    if not re.fullmatch(r"[0-9a-f]{4}|[0-9a-f]{8}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", plain):
        raise ValueError(f"{written!r} is no {what}: write its uuid, such as 180f")
    if len(plain) == 32:
        return "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
    return plain


def _format(written: str) -> Format:
    plain = re.sub(r"[\s_]", "", written.lower())
    if not plain:
        return Format.UINT8
    if found := re.fullmatch(r"(u|uint|s|i|int|sint|float|f)(\d{1,2})(?:_?t)?", plain):
        kind = "uint" if found[1].startswith("u") else "float" if found[1].startswith("f") else "sint"
        plain = f"{kind}{found[2]}"
    plain = {"string": "utf8", "utf8s": "utf8", "text": "utf8", "boolean": "bool", "sfloat": "medfloat16"}.get(plain, plain)
    if plain not in list(Format):
        raise ValueError(f"{written!r} is no known format: write uint8, sint16, float32, utf8 ...")
    return Format(plain)


def _length(kind: Format, length: int | None) -> int | None:
    """Return the length of a text; that of a number is in its format, and has to agree."""
    if length is None or kind in TEXTS:
        return length
    bits = re.search(r"\d+", kind)
    size = int(bits[0]) // 8 if bits else 1 if kind is Format.BOOL else length
    if size != length:
        raise ValueError(f"a {kind} takes {size} bytes, and the length is {length}")
    return None


def _number(what: str, written: str) -> int | None:
    if not written or written == "-":
        return None
    if not re.fullmatch(r"\d{1,3}|0x[0-9a-fA-F]{1,3}", written):
        raise ValueError(f"{written!r} is no {what}: write a number of bytes")
    return int(written, 0) if written.startswith("0x") else int(written)


def _one_of(what: str, written: str, known: Mapping[str, bool], right: str) -> bool:
    if written.lower() not in known:
        raise ValueError(f"{what}: {written!r}: write {right}")
    return known[written.lower()]
