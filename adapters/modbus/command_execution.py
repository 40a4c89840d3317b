"""Carry out commands on the units of one bus: write once, read back, and say what was seen."""

from __future__ import annotations

from typing import Protocol, cast

from adapters.modbus.client.pdu import ExceptionResponse, ReadRequest, Request
from adapters.modbus.profile.commands import PlannedWrite
from gateway.adapter import ChildDevice, CommandRejected, CommandResult, DeviceUnreachable, OutcomeUnknown, Value, shown_value

MAYBE_DONE_CODES = frozenset({0x04, 0x05})
"""Exception codes after which a write may have taken effect: the unit failed while executing it, or still executes it."""


class AskUnit(Protocol):
    """Sends a request to a unit; see `UnitRequests.ask`."""

    async def __call__(self, unit: int, request: Request) -> object:
        """Return the answer."""


class CommandExecution:
    """One command on one unit.

    Args:
        child: the unit.
        planned: the write of the command.
        ask: sends a request.
    """

    def __init__(self, child: ChildDevice, planned: PlannedWrite, ask: AskUnit) -> None:
        self._child = child
        self._planned = planned
        self._ask = ask
        self._metric = planned.point.metric

    async def run(self) -> CommandResult:
        """Write once and read back; where the register keeps what is written, it is also read before.

        Raises:
            CommandRejected: the unit refused it, accepted it and has another value, or did not answer before it was written.
            OutcomeUnknown: the write was sent, and nothing shows whether it was executed.
        """
        check = self._planned.read_back
        if check is None:
            if (doubt := await self._write()) is not None:
                raise OutcomeUnknown(doubt)
            return CommandResult(message=f"{self._child.name} accepted {self._planned.command}")
        before = await self._read_before(check)
        doubt = await self._write()
        after = await self._read_after(check, doubt)
        if self._planned.is_confirmed_by(after):
            return self._proven(after, before={self._metric.name: before})
        reads = f"{self._metric.name} is {self._shown(after)}, not {self._shown(self._planned.value)}"
        if doubt is not None:
            raise OutcomeUnknown(f"{doubt}; {reads}")
        raise CommandRejected(f"{self._child.name} accepted it, but {reads}")

    async def read_back(self) -> CommandResult | None:
        """Return the result if the unit has the value of the command now; `None` if not, or if its register does not keep it."""
        check = self._planned.read_back
        if check is None:
            return None
        try:
            now = await self._read(check)
        except ExceptionResponse:
            return None
        return self._proven(now, before={}) if self._planned.is_confirmed_by(now) else None

    async def _read_before(self, check: ReadRequest) -> Value:
        try:
            return await self._read(check)
        except ExceptionResponse as error:
            raise CommandRejected(f"{self._child.name} refuses to read {check}: {error}; nothing was written") from error
        except DeviceUnreachable as error:
            raise CommandRejected(f"{self._child.name} does not answer: {error}; nothing was written") from error

    async def _write(self) -> str | None:
        """Write, and return why it is in doubt whether that took effect; `None` if it is not."""
        try:
            await self._ask(int(self._child.address), self._planned.write)
        except ExceptionResponse as error:
            if error.code not in MAYBE_DONE_CODES:
                raise CommandRejected(f"{self._child.name} refuses it: {error}") from error
            return f"{self._child.name} answered {self._planned.write} with {error}"
        except DeviceUnreachable as error:
            raise CommandRejected(f"{self._child.name} does not answer: {error}; nothing was written") from error
        except OutcomeUnknown as error:
            return str(error)
        return None

    async def _read_after(self, check: ReadRequest, doubt: str | None) -> Value:
        try:
            return await self._read(check)
        except (ExceptionResponse, DeviceUnreachable) as error:
            seen = doubt or f"{self._child.name} confirmed the write"
            raise OutcomeUnknown(f"{seen}; {self._metric.name} could not be read back: {error}") from error

    async def _read(self, check: ReadRequest) -> Value:
        return self._planned.decode_read_back(cast("bytes", await self._ask(int(self._child.address), check)))

    def _proven(self, after: Value, before: dict[str, Value]) -> CommandResult:
        was = f", was {self._shown(before[self._metric.name])}" if before else ""
        return CommandResult(
            message=f"{self._metric.name} is {self._shown(after)}{was}",
            is_proven=True,
            before=before,
            after={self._metric.name: after},
        )

    def _shown(self, value: Value) -> str:
        return shown_value(value, self._metric.unit)


def write_sentence(child: ChildDevice, planned: PlannedWrite) -> str:
    """Return what a command would write, and how it would be checked."""
    write, metric = planned.write, planned.point.metric
    place = f"{'coil' if write.table.holds_bits else 'holding register'}{'s' if len(write.values) > 1 else ''}"
    where = f"{write.address}-{write.address + len(write.values) - 1}" if len(write.values) > 1 else str(write.address)
    if planned.is_secret:
        written = f"the secret {metric.name}"
    elif write.table.holds_bits:
        written = f"{'on' if write.values[0] else 'off'} ({metric.name})"
    else:
        words = " ".join(f"0x{word:04X}" for word in write.values)
        written = f"{words} ({metric.name} {shown_value(planned.value, metric.unit)})"
    then = "" if planned.read_back is None else ", then read it back"
    return f"unit {child.address}: write {place} {where} = {written}{then}"
