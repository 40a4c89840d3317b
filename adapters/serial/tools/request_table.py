"""Read a table of the requests of a serial device and their answers, as people paste it into a CSV file. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from adapters.serial.profile.template import Template
from gateway.adapter import name_and_unit, scale_of, slug, table_cells, table_rows

_HEADERS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "ask": frozenset(("ask", "command", "query", "request", "send")),
        "answer": frozenset(("answer", "answer template", "reply", "response")),
        "name": frozenset(("name", "description", "designation", "metric", "parameter", "quantity", "signal", "variable")),
        "field": frozenset(("field",)),
        "unit": frozenset(("unit", "units")),
        "scale": frozenset(("scale", "scaling", "factor", "multiplier", "resolution")),
        "divisor": frozenset(("divisor", "gain")),
        "values": frozenset(("values", "meanings", "enumeration")),
    }
)
"""A column -> what people write above it."""

_REQUIRED: Final = MappingProxyType({"ask": "the request", "answer": "the template of the answer", "name": "the name of a value"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """One point: a field of the answer to a request."""

    line: int
    metric: str
    ask: str
    answer: str
    field: str
    unit: str
    scale: float
    values: Mapping[str, str]


def read_commands(text: str) -> tuple[list[CommandRow], list[str]]:
    """Return the points of a table, and why other rows are none, each with its line.

    Raises:
        WrongTable: the text is no table of requests.
    """
    return table_rows(table_cells(text, _HEADERS, _REQUIRED), _new_row)


def _new_row(line: int, cells: Mapping[str, str], rows: Sequence[CommandRow]) -> CommandRow:
    row = _row(line, cells)
    _check_apart(row, rows)
    return row


def _row(line: int, cells: Mapping[str, str]) -> CommandRow:
    name, unit = name_and_unit(cells.get("name", ""), cells.get("unit", ""))
    metric, ask, answer = slug(name).replace("-", "_"), cells.get("ask", ""), cells.get("answer", "")
    if not ask or not answer:
        raise ValueError("it has no request" if not ask else "it has no answer")
    return CommandRow(
        line=line,
        metric=metric,
        ask=ask,
        answer=answer,
        field=_field(cells.get("field", ""), metric, Template.parse(answer).fields),
        unit=unit,
        scale=scale_of(cells.get("scale", ""), cells.get("divisor", "")),
        values=_values(cells.get("values", "")),
    )


def _field(written: str, metric: str, fields: Sequence[str]) -> str:
    """Return the field of the answer with the value: the one that is named, or the one like the metric, or the only one."""
    wanted = written or (metric if metric in fields else "")
    if wanted in fields:
        return wanted
    if wanted:
        raise ValueError(f"there is no field {wanted!r} in the answer")
    if not fields:
        raise ValueError("its answer has no field: write one such as {value:d} in the place of the value")
    if len(fields) > 1:
        raise ValueError(f"its answer has the fields {', '.join(fields)}: name one like the value, or in a column `field`")
    return fields[0]


def _values(written: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for one in filter(None, (part.strip() for part in re.split(r"[,;|]", written))):
        raw, sign, meaning = (
            (part.strip() for part in re.split(r"([=:])", one, maxsplit=1)) if re.search("[=:]", one) else (one, "", "")
        )
        if not sign or not raw or not meaning:
            raise ValueError(f"{one!r} is no meaning of a value: write 0=off, 1=on")
        if raw in values:
            raise ValueError(f"{raw!r} has two meanings")
        values[raw] = meaning
    return values


def _check_apart(row: CommandRow, others: Sequence[CommandRow]) -> None:
    for other in others:
        if other.metric == row.metric:
            raise ValueError(f"{row.metric} is in line {other.line} already")
        if other.ask == row.ask and other.answer != row.answer:
            raise ValueError(f"the request of line {other.line} has another answer there: write one with the fields of both")
