"""Read the cells of a maker's table of points, as people paste it into a CSV file. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

RowT = TypeVar("RowT")


class WrongTable(ValueError):
    """The text is no table of points; it says why."""


def table_cells(
    text: str, columns: Mapping[str, Collection[str]], required: Mapping[str, str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the cells of each row by column, with its 1-based line; rows without any text are skipped.

    Args:
        text: comma, semicolon or tab between the cells; the first line with text names the columns.
        columns: a column -> what people write above it, in lower-case letters.
        required: a column that has to be there -> what it is: `the address of a register`.

    Raises:
        WrongTable: the text is empty, or a required column is missing.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    first = next((at for at, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise WrongTable("the table is empty")
    header = lines[first]
    delimiter = max(",;\t", key=lambda one: len(_places(header.split(one), columns)))
    places = _places(header.split(delimiter), columns)
    missing = next((one for one in required if one not in places.values()), None)
    if missing is not None:
        known = ", ".join(sorted(columns[missing]))
        raise WrongTable(f"line {first + 1}: no column is {required[missing]}: write {known} above it")
    reader = csv.reader(lines[first + 1 :], delimiter=delimiter)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield first + 1 + reader.line_num, {places[at]: cell.strip() for at, cell in enumerate(cells) if at in places}


def table_rows(
    cells: Iterable[tuple[int, Mapping[str, str]]], parse: Callable[[int, Mapping[str, str], Sequence[RowT]], RowT]
) -> tuple[list[RowT], list[str]]:
    """Return the points of a table, and why other rows are none, each with its line.

    Args:
        cells: those of each row with its line, as `table_cells` yields them.
        parse: returns the point of a row by its line, its cells and the points above it; raises `ValueError` where it is none.
    """
    rows, refused = list[RowT](), list[str]()
    for line, row in cells:
        try:
            rows.append(parse(line, row, rows))
        except ValueError as error:
            refused.append(f"line {line}: {error}")
    return rows, refused


def _places(cells: Sequence[str], columns: Mapping[str, Collection[str]]) -> dict[int, str]:
    """Return the columns of a header by their places; of two alike, the first."""
    places: dict[int, str] = {}
    for at, cell in enumerate(cells):
        plain = re.sub(r"[_\s]+", " ", re.sub(r"\(.*?\)|[\"'.:#]", "", cell)).strip().lower()
        known = next((column for column, names in columns.items() if plain in names), None)
        if known is not None and known not in places.values():
            places[at] = known
    return places


def name_and_unit(name: str, unit: str) -> tuple[str, str]:
    """Return a name and its unit, as the vocabulary writes it; `Active power (kW)` has both in one cell.

    Raises:
        ValueError: there is no name.
    """
    in_brackets = re.fullmatch(r"(.*?)\s*[\[(]([^\[\]()]{1,6})[\])]", name)
    if in_brackets and not unit:
        name, unit = in_brackets[1], in_brackets[2]
    if not re.search(r"[A-Za-z]", name):
        raise ValueError("it has no name" if not name else f"{name!r} has no letter of which a name could be made")
    return name, _UNITS.get(unit.lower(), unit)


_UNITS: Mapping[str, str] = {
    "amp": "A", "amps": "A", "ampere": "A", "volt": "V", "volts": "V", "watt": "W", "watts": "W", "hertz": "Hz", "kwh": "kWh",
    "kw": "kW", "wh": "Wh", "hz": "Hz", "c": "°C", "degc": "°C", "℃": "°C", "deg c": "°C", "percent": "%", "v": "V", "w": "W",
    "a": "A", "-": "", "none": "", "n/a": "", "/": "",
}  # fmt: skip


def scale_of(scale: str, divisor: str = "") -> float:
    """Return the number by which a raw number is multiplied: of `0.1`, `0,1`, `1/10`, `/10`, `10^-1` or a divisor.

    Raises:
        ValueError: there is no number, or 0.
    """
    if divisor and divisor != "-":
        return 1 / _number(divisor)
    if not scale or scale == "-":
        return 1.0
    if found := re.fullmatch(r"(?:1\s*/|/|÷|:)\s*(.+)", scale):
        return 1 / _number(found[1])
    if found := re.fullmatch(r"10\s*\^\s*(-?\d{1,2})", scale):
        return 10.0 ** int(found[1])
    return _number(re.sub(r"^[x*×]\s*", "", scale, flags=re.IGNORECASE))  # noqa: RUF001 - the sign of documents


def _number(written: str) -> float:
    found = re.match(r"-?\d+(?:[.,]\d+)?(?:[eE]-?\d+)?", written.strip())
    number = float(found[0].replace(",", ".")) if found else 0.0
    if not number:
        raise ValueError(f"{written!r} is no scale: write 0.1 or /10")
    return number
