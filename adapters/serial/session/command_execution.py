"""Carry out commands on a serial device: send once, read the effect back, and say what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from adapters.serial.framing.notation import escaped_text
from adapters.serial.profile.commands import PreparedCommand, ReadBackCheck
from adapters.serial.profile.protocol import QueryAnswer, Request
from adapters.serial.session.conversation import NoAnswer
from gateway.adapter import (
    ChildDevice,
    CommandRejected,
    CommandResult,
    DeviceUnreachable,
    OutcomeUnknown,
    Value,
    loop_time,
    seconds_text,
    shown_value,
)

READ_BACK_EVERY_SECONDS = 0.5
"""Interval at which the effect of a command is read back, until its device has settled."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The line of one device, as far as a command uses it."""

    ask: Callable[[Request], Awaitable[QueryAnswer]]
    """Sends a request and returns its answer."""
    send: Callable[[bytes], Awaitable[None]]
    """Sends bytes that have no answer."""


class CommandExecution:
    """One command on one device."""

    def __init__(self, child: ChildDevice, prepared: PreparedCommand, line: CommandLine) -> None:
        self._child = child
        self._prepared = prepared
        self._line = line

    async def run(self) -> CommandResult:
        """Send once; where the profile names a metric that shows the effect, read it before and after.

        A device that does not answer before gets the command nevertheless: a display may answer nothing until it is switched on.

        Raises:
            CommandRejected: nothing was sent, the device refused it, or its effect is not there.
            OutcomeUnknown: it was sent, and nothing shows whether the device carried it out.
        """
        check = self._prepared.check
        if check is None:
            if (doubt := await self._send()) is not None:
                raise OutcomeUnknown(doubt)
            return CommandResult(message=f"{self._child.name} accepted {self._prepared.request.name}")
        before = await self._read_before(check)
        return await self._settled(check, before, doubt=await self._send())

    async def read_back(self) -> CommandResult | None:
        """Return the result if the device shows the effect now; `None` if not, or if nothing shows it."""
        check = self._prepared.check
        if check is None:
            return None
        answer = await self._line.ask(check.request)
        if answer.refusal is not None or check.mismatch_in(answer.values) is not None:
            return None
        return _proven(check, {}, check.value_in(answer.values))

    async def _read_before(self, check: ReadBackCheck) -> dict[str, Value]:
        """Return the value of the metric; empty where the device does not tell it."""
        try:
            answer = await self._line.ask(check.request)
        except DeviceUnreachable:
            return {}
        return {} if answer.refusal is not None else {check.point.metric: check.value_in(answer.values)}

    async def _send(self) -> str | None:
        """Send the command, and return why it is in doubt whether the device has received it; `None` if it is not."""
        request = self._prepared.request
        try:
            if not request.expects_answer:
                await self._line.send(request.raw)
                return None
            answer = await self._line.ask(request)
        except NoAnswer as error:
            seen = "" if self._prepared.has_secret else f": {error}"  # which shows frames, and so an echo of the secret
            return f"{request.name} was sent, and {self._child.name} did not answer{seen}"
        except DeviceUnreachable as error:
            raise CommandRejected(f"{self._child.name} cannot be reached: {error}; {request.name} was not sent") from error
        if answer.refusal is not None:
            raise CommandRejected(f"{self._child.name} refuses {request.name}: {answer.refusal}")
        return None

    async def _settled(self, check: ReadBackCheck, before: dict[str, Value], *, doubt: str | None) -> CommandResult:
        """Read the metric until it shows the effect, or the time of the profile is over."""
        never_answered = doubt is not None and not before
        ends = loop_time() + (0.0 if never_answered else check.settle_seconds)
        while True:
            unread, mismatch = None, None
            try:
                answer = await self._line.ask(check.request)
            except DeviceUnreachable as error:  # it may be silent while it settles
                unread = str(error)
            else:
                unread, mismatch = answer.refusal, check.mismatch_in(answer.values)
                if unread is None and mismatch is None:
                    return _proven(check, before, check.value_in(answer.values))
            if loop_time() >= ends:
                raise self._failure(check, unread, mismatch, doubt)
            await asyncio.sleep(READ_BACK_EVERY_SECONDS)

    def _failure(
        self, check: ReadBackCheck, unread: str | None, mismatch: str | None, doubt: str | None
    ) -> CommandRejected | OutcomeUnknown:
        name = self._prepared.request.name
        if unread is not None:
            return OutcomeUnknown(f"{doubt or f'{name} was sent'}; {check.point.metric} could not be read back: {unread}")
        if doubt is not None:
            return OutcomeUnknown(f"{doubt}; {mismatch}")
        return CommandRejected(f"{self._child.name} did not execute {name}: {mismatch}")


def sent_sentence(child: ChildDevice, prepared: PreparedCommand, *, as_text: bool) -> str:
    """Return what a command would send, and how its effect would be read back.

    Args:
        child: the device.
        prepared: the command.
        as_text: whether the bytes are shown as text, as its profile writes them.
    """
    request, check = prepared.request, prepared.check
    if prepared.has_secret:
        sent = f"{request.name}, whose bytes contain a secret"
    else:
        sent = f"'{escaped_text(request.raw)}'" if as_text else request.raw.hex(" ").upper()
    if check is None:
        return f"{child.address}: send {sent}"
    expected = " or ".join(shown_value(value, check.point.unit) for value in check.expected)
    within = f", at most {seconds_text(check.settle_seconds)}" if check.settle_seconds else ""
    return f"{child.address}: send {sent}, then read {check.point.metric} until it is {expected}{within}"


def _proven(check: ReadBackCheck, before: dict[str, Value], after: Value) -> CommandResult:
    metric, unit = check.point.metric, check.point.unit
    was = f", was {shown_value(before[metric], unit)}" if metric in before else ""
    return CommandResult(
        message=f"{metric} is {shown_value(after, unit)}{was}", is_proven=True, before=before, after={metric: after}
    )
