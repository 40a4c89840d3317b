"""How characters stand on a serial line: speed, parity, stop bits, flow control. Nothing here waits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Parity: TypeAlias = Literal["N", "E", "O", "M", "S"]
FlowControl: TypeAlias = Literal["none", "rtscts", "xonxoff"]

_SHORT = re.compile(r"(?P<baudrate>\d{2,7})[\s,/-]+(?P<bytesize>[5-8])(?P<parity>[NEOMS])(?P<stopbits>[12])", re.IGNORECASE)


class Line(BaseModel):
    """The settings of a serial line.

    DTR/DSR flow control is not among them: no Linux driver has it. Where a device wants to see DTR or RTS off, say so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    baudrate: int = Field(default=9600, ge=50, le=4_000_000, description="speed of the line, in bits per second")
    bytesize: Literal[5, 6, 7, 8] = Field(default=8, description="data bits of a character")
    parity: Parity = Field(default="N", description="N none, E even, O odd, M mark, S space")
    stopbits: Literal[1, 2] = Field(default=1, description="stop bits of a character")
    flow_control: FlowControl = Field(default="none", description="none, rtscts (by two wires) or xonxoff (by two characters)")
    dtr: bool = Field(default=True, description="whether the wire DTR says that somebody is here, from the opening on")
    rts: bool = Field(default=True, description="the same for RTS; without a say where it does flow control")

    def __str__(self) -> str:
        """Return it as people write it: `9600 8N1`."""
        return f"{self.baudrate} {self.bytesize}{self.parity}{self.stopbits}"

    @property
    def bits_per_character(self) -> int:
        """Start bit, data bits, parity and stop bits."""
        return 1 + self.bytesize + (self.parity != "N") + self.stopbits

    @property
    def character_seconds(self) -> float:
        """How long one character takes."""
        return self.bits_per_character / self.baudrate


def parse_line(written: object) -> object:
    """Return `9600 8N1` as a table, a bare speed too; anything else as it is."""
    if isinstance(written, int) and not isinstance(written, bool):
        return {"baudrate": written}
    if not isinstance(written, str):
        return written
    matched = _SHORT.fullmatch(written.strip())
    if matched is None:
        raise ValueError(f'{written!r} is no line setting: write "9600 8N1": speed, data bits, parity, stop bits')
    return _table(matched.groupdict())


WrittenLine: TypeAlias = Annotated[Line, BeforeValidator(parse_line)]
"""A line in settings and profiles: `"9600 8N1"`, `9600` or a table."""


def _table(parts: Mapping[str, str]) -> dict[str, object]:
    numbers = {name: int(parts[name]) for name in ("baudrate", "bytesize", "stopbits")}
    return {**numbers, "parity": parts["parity"].upper()}
