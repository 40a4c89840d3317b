"""Run a case folder: find, read and command the device in memory, and compare it with what the case expects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from adapters.modbus.client.pdu import WriteRequest
from adapters.modbus.client.pymodbus_pdus import request_pdu
from adapters.modbus.client.rtu_frames import with_checksum
from adapters.modbus.client.transport import Transport
from adapters.modbus.settings import ConfiguredDevice, ModbusSettings
from adapters.modbus.tools.case_device import MemoryTransport
from adapters.modbus.tools.case_files import Case, CaseCommand
from gateway.adapter import (
    NOTHING,
    Adapter,
    AdapterError,
    CaseDifference,
    CaseResult,
    ChildDevice,
    Command,
    CommandResult,
    Found,
    ProfileProblems,
    case_differences,
    unknown_name,
)


class AdapterOn(Protocol):
    """Makes an adapter that sends its requests over a transport."""

    def __call__(self, settings: ModbusSettings, *, transport: Transport) -> Adapter[ModbusSettings]:
        """Return it."""


def case_settings(profiles: Sequence[Path] = ()) -> ModbusSettings:
    """Return the entry that all cases share: `plant`, with the bus `bus`.

    Args:
        profiles: folders with more profiles.

    Raises:
        ProfileProblems: a profile has mistakes.
    """
    hosts = [{"host": "127.0.0.1", "name": "bus"}]
    given: dict[str, Any] = {"type": "modbus", "name": "plant", "hosts": hosts, "profiles": tuple(profiles)}
    settings = ModbusSettings(**given)
    if wrong := [one.wrong for one in settings.mistakes()]:
        raise ProfileProblems("\n".join(wrong))
    return settings


async def run_case(case: Case, adapter_on: AdapterOn, shared: ModbusSettings) -> CaseResult:
    """Return what differs from what the case expects.

    Args:
        case: the device, and what is expected of it.
        adapter_on: makes the adapter that finds and reads it.
        shared: the entry of `case_settings`, which is not changed.

    Raises:
        ProfileProblems: there is no profile for the case, or no scan finds its device.
    """
    if case.profile not in shared.library:
        raise ProfileProblems(unknown_name("profile", case.profile, shared.library))
    if not case.configured and not shared.library[case.profile].is_found_by_scan:
        raise ProfileProblems(
            f"{case.profile}: no scan finds its devices, since it has no `match`: write `configured = true` in device.toml"
        )
    devices = (ConfiguredDevice(unit=case.unit, profile=case.profile),) if case.configured else ()
    settings = shared.model_copy(update={"units": (case.unit,), "devices": devices})
    adapter = adapter_on(settings, transport=MemoryTransport({case.unit: case.device}))
    found = [step async for step in adapter.discover() if isinstance(step, Found)]
    compared = 1 + len(case.found)
    if len(found) != 1:
        return CaseResult(compared=compared, differences=[_not_found(found)])
    child = _child(found[0])
    wanted = {"profile": case.profile, **case.found}
    differences = list(case_differences("found", wanted, _facts(found[0], wanted)))
    if found[0].profile == wanted["profile"]:
        got = await _readings(adapter, child)
        differences += case_differences("reading", case.readings, got)
        differing = await adapter.differing_settings(child, case.settings)
        differences += case_differences("setting", case.settings, {**case.settings, **differing})
        for command in case.commands:
            differences += [one async for one in _command_differences(case, command, adapter_on, settings)]
        compared += len(case.readings.keys() | got.keys()) + len(case.settings) + len(case.commands)
    return CaseResult(compared=compared, differences=differences)


def _not_found(found: Sequence[Found]) -> CaseDifference:
    got = f"{len(found)} devices" if found else "no device"
    return CaseDifference(what="found", expected="one device", got=got)


def _facts(found: Found, wanted: Mapping[str, object]) -> dict[str, object]:
    facts = {"identity": found.identity.key}
    return {name: facts.get(name) or getattr(found, name) for name in wanted}


async def _readings(adapter: Adapter[ModbusSettings], child: ChildDevice) -> dict[str, object]:
    blocks = [block async for block in adapter.read(child, frozenset(adapter.poll_groups(child)))]
    return {reading.metric.name: reading.value for block in blocks for reading in block}


async def _command_differences(
    case: Case, command: CaseCommand, adapter_on: AdapterOn, settings: ModbusSettings
) -> AsyncIterator[CaseDifference]:
    """Execute a command on the device as the case has it, and yield what differs."""
    case.device.written.clear()
    transport = MemoryTransport({case.unit: case.device})
    adapter, what = adapter_on(settings, transport=transport), f"command {command.name}"
    (found,) = [step async for step in adapter.discover() if isinstance(step, Found)]
    child = _child(found)
    try:
        result = await adapter.execute(child, Command(1, child.key, command.name, command.parameters))
    except AdapterError as error:
        yield CaseDifference(what=what, expected="it is executed", got=str(error))
        return
    frames = [_frame(unit, request) for unit, request in transport.asked if isinstance(request, WriteRequest)]
    if frames != [command.frame]:
        yield CaseDifference(what=f"{what}: frame", expected=command.frame, got=" and ".join(frames) or NOTHING)
    for one in case_differences(f"{what}: after", command.after, result.after if isinstance(result, CommandResult) else {}):
        yield one


def _frame(unit: int, request: WriteRequest) -> str:
    pdu = request_pdu(unit, request)
    return with_checksum(bytes([unit, pdu.function_code]) + pdu.encode()).hex(" ")


def _child(found: Found) -> ChildDevice:
    """Return the found device as a registered one."""
    return ChildDevice(
        key=found.identity.key,
        adapter="plant",
        bus="bus",
        address=found.address,
        profile=found.profile,
        family=found.family,
        model_id="case",
        sub_model=found.sub_model,
        firmware_version=found.firmware_version,
        name=found.name,
    )
