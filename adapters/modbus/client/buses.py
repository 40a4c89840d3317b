"""The settings of the two kinds of Modbus bus, a TCP host and a serial line, and their character times. Pure."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from adapters.modbus.client.timing import silence_seconds

MODBUS_PORT = 502


class _BusModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TcpHost(_BusModel):
    """A TCP host: a device, or a gateway with a serial line behind it."""

    host: str = Field(min_length=1, description="IP address or host name")
    port: int = Field(default=MODBUS_PORT, ge=1, le=65535, description="TCP port")
    name: str = Field(default="", description="what this bus is called in logs and on the page; host:port, when left out")
    framing: Literal["tcp", "rtu"] = Field(default="tcp", description="frames on the wire: Modbus TCP, or RTU frames over TCP")
    baudrate: int | None = Field(
        default=None, ge=300, le=4_000_000, description="speed of the serial line behind a gateway; blocks are planned for it"
    )

    @property
    def label(self) -> str:
        """The label of the bus, the same at each start."""
        return self.name or f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def is_rtu(self) -> bool:
        """Whether frames are RTU frames, with a checksum and without a transaction number."""
        return self.framing == "rtu"

    @property
    def character_seconds(self) -> float:
        """The time of one character: over a network, none worth counting."""
        return 0.0

    @property
    def silence_seconds(self) -> float:
        """The pause between two frames: over a network, none."""
        return 0.0


class SerialLine(_BusModel):
    """A serial line with RTU devices."""

    port: str = Field(min_length=1, description="serial port; a name under /dev/serial/by-id survives replugging")
    baudrate: int = Field(default=19200, ge=300, le=4_000_000, description="speed of the line, in bits per second")
    parity: Literal["N", "E", "O"] = Field(default="E", description="N none, E even, O odd")
    stopbits: Literal[1, 2] = Field(default=1, description="stop bits of a character")
    name: str = Field(default="", description="what this bus is called in logs and on the page; the port, when left out")

    @property
    def label(self) -> str:
        """The label of the bus, the same at each start."""
        return self.name or self.port

    @property
    def bits_per_character(self) -> int:
        """Start bit, 8 data bits, parity and stop bits."""
        return 9 + (self.parity != "N") + self.stopbits

    @property
    def is_rtu(self) -> bool:
        """Whether frames are RTU frames: on a serial line, always."""
        return True

    @property
    def character_seconds(self) -> float:
        """The time of one character."""
        return self.bits_per_character / self.baudrate

    @property
    def silence_seconds(self) -> float:
        """The pause between two frames."""
        return silence_seconds(self.baudrate, self.bits_per_character)


Bus: TypeAlias = TcpHost | SerialLine


def parse_host(entry: object) -> object:
    """Return `192.168.1.20`, `name:1502` or `[fe80::1]:502` as a table; anything else as it is."""
    if not isinstance(entry, str):
        return entry
    matched = re.fullmatch(r"(\[(?P<v6>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^\s:\[\]/]+))(:(?P<port>\d{1,5}))?", entry.strip())
    if matched is None:
        raise ValueError(f"{entry!r} is not a host: write an address or a name, with `:port` when it is not {MODBUS_PORT}")
    return {"host": matched["v6"] or matched["host"], **({"port": int(matched["port"])} if matched["port"] else {})}
