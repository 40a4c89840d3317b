"""The settings of the two kinds of Modbus bus, a TCP or UDP host and a serial line, and their character times. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from adapters.modbus.client.ascii_frames import characters_of
from adapters.modbus.client.timing import ascii_pause_seconds, silence_seconds
from adapters.modbus.client.tls_settings import TLS_PORT, TlsSettings
from gateway.adapter import DisplayName, HostName, Seconds, canonical_host

MODBUS_PORT = 502


class _BusModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout: Seconds | None = Field(
        default=None,
        ge=timedelta(milliseconds=10),
        le=timedelta(seconds=30),
        description="how long to wait for an answer on this bus, in seconds, also in a scan; that of the entry, when left out",
    )
    connect_delay: Seconds | None = Field(
        default=None,
        ge=timedelta(0),
        le=timedelta(seconds=30),
        description="how long to wait after connecting or opening the port before the first request, in seconds; "
        "learned for a TCP host, when left out",
    )
    request_pause: Seconds = Field(
        default=timedelta(0),
        ge=timedelta(0),
        le=timedelta(seconds=10),
        description="pause after an answer before the next request to any unit, in seconds; what single units need is learned",
    )


class TcpHost(_BusModel):
    """A host that is reached over TCP or UDP: a device, or a gateway with a serial line behind it."""

    host: HostName = Field(min_length=1, description="IP address or host name")
    port: int = Field(default=MODBUS_PORT, ge=1, le=65535, description="TCP or UDP port")
    name: DisplayName = Field(default="", description="what this bus is called in logs and on the page; host:port, when left out")
    framing: Literal["tcp", "rtu", "ascii"] = Field(
        default="tcp", description="frames on the wire: Modbus TCP, or RTU or ASCII frames over TCP"
    )
    transport: Literal["tcp", "udp"] = Field(default="tcp", description="what carries the frames: TCP, or UDP datagrams")
    local_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="UDP port of this machine to which a host is set up to send its answers; any, when left out",
    )
    tls: TlsSettings | None = Field(
        default=None,
        description="speak TLS: { ca_file, certificate_file, key_file, key_password_file, server_name, fingerprint }; all may be"
        f" left out. The port is {TLS_PORT} then, unless another is set",
    )
    baudrate: int | None = Field(
        default=None, ge=300, le=4_000_000, description="speed of the serial line behind a gateway; blocks are planned for it"
    )

    @model_validator(mode="before")
    @classmethod
    def _has_port_of_tls(cls, written: object) -> object:
        if isinstance(written, Mapping) and written.get("tls") is not None and "port" not in written:
            return {**written, "port": TLS_PORT}
        return written

    @property
    def label(self) -> str:
        """The label of the bus, the same at each start."""
        return self.name or f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def claim(self) -> str:
        """What only one entry may use: a port of the host."""
        return f"host {canonical_host(self.host)} port {self.port}" + (" over UDP" if self.transport == "udp" else "")

    @property
    def loses_requests(self) -> bool:
        """Whether a request may get lost on the way, so that one that is not answered says little about a unit."""
        return self.transport == "udp"

    @model_validator(mode="after")
    def _has_keys_of_its_transport(self) -> Self:
        if self.local_port is not None and self.transport != "udp":
            raise ValueError('`local_port` is for `transport = "udp"`')
        if self.tls is not None and (self.transport, self.framing) != ("tcp", "tcp"):
            raise ValueError('`tls` is for Modbus TCP: leave out `transport = "udp"` and `framing`')
        return self

    @property
    def is_rtu(self) -> bool:
        """Whether frames are RTU frames, with a checksum and without a transaction number."""
        return self.framing == "rtu"

    @property
    def has_transaction_ids(self) -> bool:
        """Whether an answer names its request; RTU and ASCII frames do not, over a network either."""
        return self.framing == "tcp"

    @property
    def is_on_line(self) -> bool:
        """Whether the units are surely on a serial line: RTU and ASCII frames are those of one."""
        return self.framing != "tcp"

    def characters(self, rtu_bytes: int) -> int:
        """Return how many characters the frame has for which an RTU frame has this many bytes."""
        return characters_of(rtu_bytes) if self.framing == "ascii" else rtu_bytes

    @property
    def character_seconds(self) -> float:
        """The time of one character: over a network, none worth counting."""
        return 0.0

    @property
    def silence_seconds(self) -> float:
        """The pause between two frames: over a network, none."""
        return 0.0


def _checked_line_port(written: str) -> str:
    if re.fullmatch(r"COM[0-9]+:?", written, re.IGNORECASE):
        raise ValueError(
            f"{written!r} is a port of Windows: on this machine a port is called /dev/ttyUSB0 or /dev/serial/by-id/..."
        )
    return written


LinePort: TypeAlias = Annotated[str, AfterValidator(_checked_line_port)]
"""The path of a serial port."""


class SerialLine(_BusModel):
    """A serial line with RTU or ASCII devices."""

    port: LinePort = Field(min_length=1, description="serial port; a name under /dev/serial/by-id survives replugging")
    baudrate: int = Field(default=19200, ge=300, le=4_000_000, description="speed of the line, in bits per second")
    parity: Literal["N", "E", "O"] = Field(default="E", description="N none, E even, O odd")
    stopbits: Literal[1, 2] = Field(default=1, description="stop bits of a character")
    framing: Literal["rtu", "ascii"] = Field(default="rtu", description="frames on the line: RTU, or ASCII")
    bytesize: Literal[7, 8] | None = Field(
        default=None,
        description="data bits of a character, 7 only with ASCII; when left out, 8 for RTU and 8N1, else 7 for ASCII (7E1, 7N2)",
    )
    name: DisplayName = Field(default="", description="what this bus is called in logs and on the page; the port, when left out")

    @property
    def label(self) -> str:
        """The label of the bus, the same at each start."""
        return self.name or self.port

    @property
    def bits_per_character(self) -> int:
        """Start bit, data bits, parity and stop bits."""
        return 1 + self.data_bits + (self.parity != "N") + self.stopbits

    @property
    def data_bits(self) -> int:
        """The data bits as configured, else as usual (Modbus over Serial Line V1.02, sections 2.5.1 and 2.5.2)."""
        if self.bytesize is not None:
            return self.bytesize
        is_8n1 = self.parity == "N" and self.stopbits == 1
        return 7 if self.framing == "ascii" and not is_8n1 else 8

    @property
    def notation(self) -> str:
        """The settings of a character and the speed in the usual notation: `9600 8N1`, `9600 7E1 ASCII`."""
        return f"{self.baudrate} {self.data_bits}{self.parity}{self.stopbits}" + (" ASCII" if self.framing == "ascii" else "")

    @property
    def is_on_line(self) -> bool:
        """Whether the units are on a serial line."""
        return True

    @property
    def is_rtu(self) -> bool:
        """Whether frames are RTU frames."""
        return self.framing == "rtu"

    @property
    def has_transaction_ids(self) -> bool:
        """Whether an answer names its request: on a serial line, never."""
        return False

    @property
    def loses_requests(self) -> bool:
        """Whether a request may get lost on the way: on a line, it is only damaged."""
        return False

    def characters(self, rtu_bytes: int) -> int:
        """Return how many characters the frame has for which an RTU frame has this many bytes."""
        return characters_of(rtu_bytes) if self.framing == "ascii" else rtu_bytes

    @property
    def character_seconds(self) -> float:
        """The time of one character."""
        return self.bits_per_character / self.baudrate

    @property
    def silence_seconds(self) -> float:
        """The pause between two frames."""
        if self.framing == "ascii":
            return ascii_pause_seconds(self.baudrate, self.bits_per_character)
        return silence_seconds(self.baudrate, self.bits_per_character)

    @model_validator(mode="after")
    def _can_carry_its_frames(self) -> Self:
        if self.bytesize == 7 and self.framing == "rtu":
            raise ValueError('RTU needs 8 data bits: `bytesize = 7` is for `framing = "ascii"`')
        return self


Bus: TypeAlias = TcpHost | SerialLine


def parse_host(entry: object) -> object:
    """Return `192.168.1.20`, `name:1502` or `[fe80::1]:502` as a table; anything else as it is."""
    if not isinstance(entry, str):
        if isinstance(entry, Mapping | TcpHost):
            return entry
        raise ValueError("has to be a text or a table")
    if "://" in entry:
        raise ValueError(f"{entry!r} is a URL: write the host alone, without {entry[: entry.index('://') + 3]}")
    matched = re.fullmatch(r"(\[(?P<v6>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^\s:\[\]/]+))(:(?P<port>\d{1,5}))?", entry.strip())
    if matched is None:
        raise ValueError(f"{entry!r} is not a host: write an address or a name, with `:port` when it is not {MODBUS_PORT}")
    return {"host": matched["v6"] or matched["host"], **({"port": int(matched["port"])} if matched["port"] else {})}
