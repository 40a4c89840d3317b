"""Carry out a command over an open connection: write once, read the effect back, and say what was seen."""

from __future__ import annotations

import asyncio

from adapters.ble.advertisements.advertisement import short_uuid
from adapters.ble.profile.commands import PreparedCommand, ResultCheck
from adapters.ble.radio.connection import AttributeRefused, GattConnection
from gateway.adapter import CommandRejected, CommandResult, DeviceUnreachable, OutcomeUnknown, Value, shown_value

REPLY_SECONDS = 5.0
"""The longest wait for the notification that answers a command."""


async def run_command(connection: GattConnection, child: str, prepared: PreparedCommand) -> CommandResult:
    """Write once; where the profile says how, read the effect before and after, or wait for the reply of the device.

    Args:
        connection: an open connection to the device.
        child: the name of the device.
        prepared: the command.

    Raises:
        CommandRejected: the device refused it, or did something else.
        OutcomeUnknown: it was written, and nothing shows whether the device carried it out.
        DeviceUnreachable: the device was lost before anything was written.
    """
    check = prepared.check
    if check is None:
        await _write(connection, child, prepared)
        return CommandResult(message=f"{child} accepted {prepared.name}")
    if check.by_notification:
        _raise_problem(child, prepared, check.problem_in(await _write_and_await_reply(connection, child, prepared, check)))
        return CommandResult(message=f"{child} replied that it has executed {prepared.name}")
    before = check.values_in(await _read_before(connection, child, prepared, check))
    await _write(connection, child, prepared)
    try:
        after = await connection.read(prepared.check_service, check.characteristic)
    except (AttributeRefused, DeviceUnreachable) as error:
        raise OutcomeUnknown(f"{prepared.name} was written to {child}; its effect could not be read back: {error}") from error
    _raise_problem(child, prepared, check.problem_in(after))
    return _proven(child, prepared, check, after, before)


async def read_back(connection: GattConnection, child: str, prepared: PreparedCommand) -> CommandResult | None:
    """Return the result of a command if the device shows its effect now; `None` if not, or if nothing shows it.

    Raises:
        DeviceUnreachable: the device was lost.
    """
    check = prepared.check
    if check is None or check.by_notification:
        return None
    try:
        payload = await connection.read(prepared.check_service, check.characteristic)
    except AttributeRefused:
        return None
    return None if check.problem_in(payload) is not None else _proven(child, prepared, check, payload, before={})


def write_sentence(address: str, prepared: PreparedCommand) -> str:
    """Return what a command would write, and how its effect would be checked."""
    written = "bytes that contain a secret" if prepared.has_secret else prepared.payload.hex(" ")
    where = f"characteristic {short_uuid(prepared.characteristic)} of service {short_uuid(prepared.service)}"
    check = prepared.check
    if check is None:
        then = "" if prepared.with_response else ", without confirmation"
    elif check.by_notification:
        then = f", then wait for the reply of {short_uuid(check.characteristic)}"
    else:
        then = f", then read {check.shown}"
    return f"{address}: write {written} to {where}{then}"


async def _read_before(connection: GattConnection, child: str, prepared: PreparedCommand, check: ResultCheck) -> bytes:
    try:
        return await connection.read(prepared.check_service, check.characteristic)
    except AttributeRefused as error:
        raise CommandRejected(f"{child}: {check.shown} cannot be read: {error}; nothing was written") from error


async def _write(connection: GattConnection, child: str, prepared: PreparedCommand) -> None:
    try:
        await connection.write(
            *(prepared.service, prepared.characteristic, prepared.payload),
            with_response=prepared.with_response,
            is_secret=prepared.has_secret,
        )
    except AttributeRefused as error:
        raise CommandRejected(f"{child} refuses {prepared.name}: {error}") from error
    except DeviceUnreachable as error:
        raise OutcomeUnknown(f"{prepared.name} was sent, and {child} was lost: {error}") from error


async def _write_and_await_reply(connection: GattConnection, child: str, prepared: PreparedCommand, check: ResultCheck) -> bytes:
    reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def on_value(payload: bytes) -> None:
        if not reply.done():
            reply.set_result(payload)

    try:
        unsubscribe = await connection.subscribe(prepared.check_service, check.characteristic, on_value)
    except AttributeRefused as error:
        raise CommandRejected(f"{child} does not reply: {error}; nothing was written") from error
    try:
        await _write(connection, child, prepared)
        async with asyncio.timeout(REPLY_SECONDS):
            return await reply
    except TimeoutError as error:
        raise OutcomeUnknown(f"{prepared.name} was written, and {child} did not reply within {REPLY_SECONDS:.0f} s") from error
    finally:
        unsubscribe()


def _raise_problem(child: str, prepared: PreparedCommand, problem: str | None) -> None:
    if problem is not None:
        raise CommandRejected(f"{child} did not execute {prepared.name}: {problem}")


def _proven(child: str, prepared: PreparedCommand, check: ResultCheck, payload: bytes, before: dict[str, Value]) -> CommandResult:
    after = check.values_in(payload)
    told = ", ".join(
        f"{name} is {shown_value(value, check.unit_of(name))}"
        + (f", was {shown_value(before[name], check.unit_of(name))}" if name in before else "")
        for name, value in after.items()
    )
    return CommandResult(
        message=told or f"{child} has what {prepared.name} has written", is_proven=True, before=before, after=after
    )
