"""Answer Modbus requests from tables in memory, as the device of a case folder does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.modbus.client.pdu import (
    ExceptionResponse,
    IdentificationLevel,
    ReadDeviceIdentification,
    ReadRequest,
    ReportServerId,
    Request,
    Table,
    WriteRequest,
)
from adapters.modbus.client.transport import RetryPolicy
from gateway.adapter import DeviceUnreachable


@dataclass
class MemoryUnit:
    """A unit that answers from tables: 16-bit words or bits by address; what is not there is an illegal address."""

    tables: Mapping[Table, Mapping[int, int]] = field(default_factory=dict)
    identification: Mapping[int, bytes] = field(default_factory=dict)
    server_id: bytes = b""
    silent_to: frozenset[type] = frozenset()
    written: dict[tuple[Table, int], int] = field(default_factory=dict)
    """The values that were written; they replace the content of the table."""

    def answer(self, request: Request) -> bytes | Mapping[int, bytes]:
        """Return what the unit answers.

        Raises:
            ExceptionResponse: it refuses the request.
            DeviceUnreachable: it does not answer requests of this kind.
        """
        if type(request) in self.silent_to:
            raise DeviceUnreachable("no answer")
        if isinstance(request, ReadRequest):
            return self._read(request)
        if isinstance(request, WriteRequest):
            return self._write(request)
        if isinstance(request, ReadDeviceIdentification) and self.identification:
            wanted = [request.object_id] if request.level is IdentificationLevel.ONE_OBJECT else range(request.object_id, 3)
            return {key: self.identification[key] for key in wanted if key in self.identification}
        if isinstance(request, ReportServerId) and self.server_id:
            return self.server_id
        raise ExceptionResponse(0x01)

    def _read(self, read: ReadRequest) -> bytes:
        cells = self._cells(read.table, read.address, read.count)
        if read.table.holds_bits:
            return sum(bit << place for place, bit in enumerate(cells)).to_bytes(read.payload_bytes, "little")
        return b"".join(word.to_bytes(2) for word in cells)

    def _write(self, write: WriteRequest) -> bytes:
        self._cells(write.table, write.address, len(write.values))
        self.written.update({(write.table, at): value for at, value in enumerate(write.values, start=write.address)})
        return write.confirmation

    def _cells(self, table: Table, address: int, count: int) -> list[int]:
        content, addresses = self.tables.get(table, {}), range(address, address + count)
        if not all(at in content for at in addresses):
            raise ExceptionResponse(0x02)
        return [self.written.get((table, at), content[at]) for at in addresses]


@dataclass
class MemoryTransport:
    """A bus in memory, as a `Link` is one on a wire. Unknown units are silent, or answered as `default_unit`."""

    units: Mapping[int, MemoryUnit]
    default_unit: MemoryUnit | None = None
    asked: list[tuple[int, Request]] = field(default_factory=list)
    is_open: bool = False
    answer_seconds: float | None = None
    echoes: bool = False
    is_silence_doubtful: bool = False

    def pause_seconds(self, unit: int) -> float:
        """Return that no unit needs a pause."""
        del unit
        return 0.0

    async def open(self) -> None:
        """Open it."""
        self.is_open = True

    def close(self) -> None:
        """Close it."""
        self.is_open = False

    async def ask(self, unit: int, request: Request, policy: RetryPolicy) -> bytes | Mapping[int, bytes]:
        """Return the answer, or raise `ExceptionResponse` or `DeviceUnreachable`."""
        if policy.timeout_seconds <= 0:
            raise ValueError("a request needs a time-out")
        self.asked.append((unit, request))
        there = self.units.get(unit, self.default_unit)
        if there is None:
            raise DeviceUnreachable(f"unit {unit}: no answer")
        return there.answer(request)
