"""Settings of a serial line: baud rate, data bits, parity, stop bits, flow control. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Parity: TypeAlias = Literal["N", "E", "O", "M", "S"]
FlowControl: TypeAlias = Literal["none", "rtscts", "xonxoff"]

_SHORT_FORM = re.compile(r"(?P<baudrate>\d{2,7})[\s,/-]+(?P<bytesize>[5-8])(?P<parity>[NEOMS])(?P<stopbits>[12])", re.IGNORECASE)


class LineSettings(BaseModel):
    """The settings of a serial line.

    DTR/DSR flow control is missing: no Linux driver supports it. For a device that expects DTR or RTS off, set `dtr` or `rts`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    baudrate: int = Field(default=9600, ge=50, le=4_000_000, description="speed of the line, in bits per second")
    bytesize: Literal[5, 6, 7, 8] = Field(default=8, description="data bits of a character")
    parity: Parity = Field(default="N", description="N none, E even, O odd, M mark, S space")
    stopbits: Literal[1, 2] = Field(default=1, description="stop bits of a character")
    flow_control: FlowControl = Field(default="none", description="none, rtscts (hardware) or xonxoff (software)")
    dtr: bool = Field(default=True, description="whether the DTR signal is on while the port is open")
    rts: bool = Field(default=True, description="the same for RTS; ignored with rtscts flow control")

    def __str__(self) -> str:
        """Return the usual notation: `9600 8N1`."""
        return f"{self.baudrate} {self.bytesize}{self.parity}{self.stopbits}"

    @property
    def bits_per_character(self) -> int:
        """Start bit, data bits, parity bit and stop bits together."""
        return 1 + self.bytesize + (self.parity != "N") + self.stopbits

    @property
    def character_seconds(self) -> float:
        """Duration of one character."""
        return self.bits_per_character / self.baudrate


def parse_line_settings(written: object) -> object:
    """Return the text `9600 8N1` or a bare speed as a table; return anything else unchanged."""
    if isinstance(written, int) and not isinstance(written, bool):
        return {"baudrate": written}
    if not isinstance(written, str):
        return written
    matched = _SHORT_FORM.fullmatch(written.strip())
    if matched is None:
        raise ValueError(f'{written!r} is not a line setting: write "9600 8N1": speed, data bits, parity, stop bits')
    return _table(matched.groupdict())


LineSettingsInput: TypeAlias = Annotated[
    LineSettings, BeforeValidator(parse_line_settings, json_schema_input_type=str | int | LineSettings)
]
"""Line settings as settings and profiles write them: `"9600 8N1"`, `9600` or a table."""


def _table(parts: Mapping[str, str]) -> dict[str, object]:
    numbers = {name: int(parts[name]) for name in ("baudrate", "bytesize", "stopbits")}
    return {**numbers, "parity": parts["parity"].upper()}
