"""Read a maker's table of registers, as people paste it into a CSV file. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from adapters.modbus.client.pdu import ADDRESSES, Table
from adapters.modbus.profile.points import NUMBER_FORMATS, ValueType, number_words
from gateway.adapter import name_and_unit, scale_of, slug, table_cells, table_rows

AddressNotation: TypeAlias = Literal["protocol", "one-based", "modicon"]
"""The ways to count addresses: from 0 as in the frame, from 1, or from 40001 and 30001 with the table in the first digit."""

_HEADERS: Final[Mapping[str, frozenset[str]]] = {
    "address": frozenset(
        ("address", "addr", "modbus address", "offset", "reg", "register", "register address", "start", "start address", "hex")
    ),
    "name": frozenset(("name", "description", "designation", "metric", "parameter", "quantity", "signal", "variable")),
    "type": frozenset(("type", "data type", "datatype", "data format", "format")),
    "unit": frozenset(("unit", "units")),
    "scale": frozenset(("scale", "scaling", "factor", "multiplier", "resolution", "scale factor")),
    "divisor": frozenset(("divisor", "gain")),
    "table": frozenset(("table", "function", "function code", "fc", "area", "register type")),
    "length": frozenset(("length", "size", "words", "registers", "count", "number of registers", "quantity of registers")),
}
"""A column -> what people write above it."""

_NAMED_TYPES: Final[Mapping[str, tuple[ValueType, ValueType]]] = {
    "BIT": (ValueType.BOOL, ValueType.BOOL), "BOOL": (ValueType.BOOL, ValueType.BOOL),
    "BOOLEAN": (ValueType.BOOL, ValueType.BOOL),
    "BYTE": (ValueType.UINT16, ValueType.UINT32), "CARDINAL": (ValueType.UINT16, ValueType.UINT32),
    "DINT": (ValueType.INT32, ValueType.INT32), "DOUBLE": (ValueType.FLOAT64, ValueType.FLOAT64),
    "DWORD": (ValueType.UINT32, ValueType.UINT32), "ENUM": (ValueType.UINT16, ValueType.UINT32),
    "INTEGER": (ValueType.INT16, ValueType.INT32), "LONG": (ValueType.INT32, ValueType.INT32),
    "LREAL": (ValueType.FLOAT64, ValueType.FLOAT64), "SHORT": (ValueType.INT16, ValueType.INT16),
    "SIGNED": (ValueType.INT16, ValueType.INT32), "UDINT": (ValueType.UINT32, ValueType.UINT32),
    "ULONG": (ValueType.UINT32, ValueType.UINT32), "UNSIGNED": (ValueType.UINT16, ValueType.UINT32),
    "USHORT": (ValueType.UINT16, ValueType.UINT16), "WORD": (ValueType.UINT16, ValueType.UINT32),
}  # fmt: skip
"""A type without its size -> the type in one register, and in two."""

_ORDERS: Final[Mapping[str, tuple[bool, bool]]] = {
    "ABCD": (False, False), "CDAB": (True, False), "BADC": (False, True), "DCBA": (True, True),
}  # fmt: skip
"""The order of four bytes -> whether the low word, and whether the low byte comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One point of the table."""

    line: int
    metric: str
    table: Table
    address: int
    """0-based, as in the frame."""
    type: ValueType
    length: int | None
    """Registers of a text."""
    low_word_first: bool = False
    low_byte_first: bool = False
    unit: str = ""
    scale: float = 1.0

    @property
    def registers(self) -> range:
        """The addresses that it takes."""
        words = number_words(self.type) if self.type in NUMBER_FORMATS else self.length or 1
        return range(self.address, self.address + words)


@dataclass(frozen=True, slots=True)
class RegisterTable:
    """The rows that could be read, and why the others could not."""

    rows: Sequence[TableRow]
    refused: Sequence[str]
    """Each row that is left out: its line, and why."""


def needs_notation(text: str) -> bool:
    """Whether the addresses are such as 30001 and 40001, which may or may not be meant as in the frame.

    Raises:
        WrongTable: the text is no table of registers.
    """
    written = [cells.get("address", "") for _, cells in _cells(text)]
    numbers = [int(one) for one in written if one.isdecimal()]
    return bool(numbers) and all(30000 < one < 50000 or 300000 < one < 500000 for one in numbers)


def read_table(text: str, notation: AddressNotation = "protocol", table: Table = Table.HOLDING) -> RegisterTable:
    """Return the points of a table, and the rows that are none.

    Args:
        text: comma, semicolon or tab between the cells; the first line names the columns.
        notation: how the table counts.
        table: where the points are, unless a column or the first digit of an address says it.

    Raises:
        WrongTable: the text is no table of registers.
    """

    def new_row(line: int, cells: Mapping[str, str], rows: Sequence[TableRow]) -> TableRow:
        row = _row(line, cells, notation, table)
        _check_apart(row, rows)
        return row

    return RegisterTable(*table_rows(_cells(text), new_row))


def _cells(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the cells of each row by column, with the line."""
    return table_cells(text, _HEADERS, {"address": "the address of a register", "name": "the name of a register"})


def _row(line: int, cells: Mapping[str, str], notation: AddressNotation, default: Table) -> TableRow:
    address, table = _address(cells.get("address", ""), notation)
    name, unit = name_and_unit(cells.get("name", ""), cells.get("unit", ""))
    if cells.get("table"):
        table = _table(cells["table"])
    kind, length, order = _type(cells.get("type", ""), cells.get("length", ""))
    place = table or default
    if place.holds_bits != (kind is ValueType.BOOL):
        if place.holds_bits and not cells.get("type"):
            kind = ValueType.BOOL
        else:
            raise ValueError(
                f"a {kind} is not in the table {place}: booleans are in coil and discrete, numbers in input and holding"
            )
    if max(TableRow(line=line, metric="", table=place, address=address, type=kind, length=length).registers) >= ADDRESSES:
        raise ValueError(f"address {address} is beyond the last one, {ADDRESSES - 1}")
    scale = scale_of(cells.get("scale", ""), cells.get("divisor", ""))
    return TableRow(
        line=line,
        metric=slug(name).replace("-", "_"),
        table=place,
        address=address,
        type=kind,
        length=length,
        low_word_first=order[0],
        low_byte_first=order[1],
        unit=unit,
        scale=1.0 if kind is ValueType.BOOL or length is not None else scale,
    )


def _check_apart(row: TableRow, others: Sequence[TableRow]) -> None:
    for other in others:
        if other.metric == row.metric:
            raise ValueError(f"{row.metric} is in line {other.line} already")
        if other.table is row.table and set(other.registers) & set(row.registers):
            raise ValueError(f"it takes a register of {other.metric}, which is in line {other.line}")


def _address(written: str, notation: AddressNotation) -> tuple[int, Table | None]:
    first = re.split(r"\s*(?:-|–|\.\.|/|,|to)\s*", written.strip().lower(), maxsplit=1)[0]  # noqa: RUF001 - a dash of documents
    if found := re.fullmatch(r"(?:0x|\$)([0-9a-f]+)|([0-9a-f]+)h", first):
        number = int(found[1] or found[2], 16)
    elif first.isdecimal():
        number = int(first)
    else:
        raise ValueError(f"{written!r} is no address")
    table = None
    if notation == "modicon":
        digits = f"{number:05}" if number < 100000 else f"{number:06}"
        table = {"0": Table.COIL, "1": Table.DISCRETE, "3": Table.INPUT, "4": Table.HOLDING}.get(digits[0])
        if table is None:
            raise ValueError(f"{written!r} is no address such as 30001 or 40001")
        number = int(digits[1:])
    if notation != "protocol":
        number -= 1
    if not 0 <= number < ADDRESSES:
        raise ValueError(f"{written!r} is no address from {0 if notation == 'protocol' else 1} on")
    return number, table


def _table(written: str) -> Table:
    plain = written.lower()
    for pattern, table in (
        (r"holding|4x|\b0?3\b|\bfc0?3\b|0x03", Table.HOLDING),
        (r"input reg|\binput\b(?! status)|3x|\b0?4\b|\bfc0?4\b|0x04", Table.INPUT),
        (r"discrete|input status|1x|\b0?2\b|\bfc0?2\b|0x02", Table.DISCRETE),
        (r"coil|\b0x\b|\b0?1\b|\bfc0?1\b|0x01", Table.COIL),
    ):
        if re.search(pattern, plain):
            return table
    raise ValueError(f"{written!r} is no table: write holding, input, coil or discrete, or the function 1 to 4")


def _type(written: str, length: str) -> tuple[ValueType, int | None, tuple[bool, bool]]:
    count = int(length) if length.isdecimal() else None
    plain = re.sub(r"[\s_]", "", written.upper())
    order = next((_ORDERS[one] for one in _ORDERS if re.search(rf"[-(:/.]?{one}\)?$", plain)), (False, False))
    plain = re.sub(r"[-(:/.]?(ABCD|CDAB|BADC|DCBA)\)?$", "", plain)
    if found := re.fullmatch(r"(?:STRING|STR|ASCII|CHAR|TEXT)[\[(:]?(\d*)[\])]?", plain):
        registers = count or (int(found[1]) + 1) // 2 if (count or found[1]) else 0
        if not registers:
            raise ValueError(f"the text {written!r} has no length: add a column `length` with its registers")
        return ValueType.STRING, registers, order
    if found := re.fullmatch(r"(U|S|I|UINT|SINT|INT|UNSIGNED|SIGNED|F|FLOAT|REAL|IEEE)(16|32|64)?(?:BITS?)?", plain):
        kind, bits = found[1], int(found[2] or 16 * (count or (2 if found[1] in _FLOATS else 1)))
        name = f"{'float' if kind in _FLOATS else 'uint' if kind.startswith('U') else 'int'}{bits}"
    elif plain in _NAMED_TYPES:
        name = str(_NAMED_TYPES[plain][1 if count == 2 else 0])
    elif not plain:
        name = {None: "uint16", 1: "uint16", 2: "uint32", 4: "uint64"}.get(count, "")
    else:
        name = ""
    if name not in (str(one) for one in (*NUMBER_FORMATS, ValueType.BOOL)):
        raise ValueError(f"{written!r} is no known type: write uint16, int16, uint32, int32, float32, string ...")
    kind_of = ValueType(name)
    if kind_of in NUMBER_FORMATS and count not in (None, number_words(kind_of)):
        raise ValueError(f"a {kind_of} takes {number_words(kind_of)} registers, and the length is {count}")
    return kind_of, None, order


_FLOATS: Final = ("F", "FLOAT", "REAL", "IEEE")
