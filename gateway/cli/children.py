"""`xyte-gateway children`: list the children and the found devices; admit, ignore, rename, retire or replace one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from gateway.cli import child_requests
from gateway.cli.common import (
    EXIT_WRONG,
    AsJson,
    CommandFailed,
    ConfigFile,
    errors_shown,
    load_config,
    out,
    print_json,
)
from gateway.cli.device_keys import Key, key_of
from gateway.config.settings import DEFAULT_FILE
from gateway.field.children.admission import ignored_reason
from gateway.models import Reach, parse_name
from gateway.state.child_alarms import alarms_of
from gateway.state.history.observed_children import ObservedState
from gateway.state.history.saved_states import saved_states
from gateway.state.records import ChildRecord, Decision, FoundDevice
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.url_secrets import without_url_user

children = typer.Typer(add_completion=False, rich_markup_mode=None)


@children.callback(invoke_without_command=True)
def list_children(context: typer.Context, config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """List the children and the devices that wait for a decision."""
    if context.invoked_subcommand is not None:
        return
    with errors_shown(as_json=as_json):
        path = _store_path(config)
        registry, states = asyncio.run(_load(path)), saved_states(path)
    if as_json:
        print_json(
            {
                "gateway": _gateway_facts(registry),
                "children": [
                    _child_facts(registry, record) | _reach_facts(states.get(key)) for key, record in registry.children.items()
                ],
                "waiting": [_device_facts(device) for device in registry.found_devices.values()],
                "unused": [
                    {
                        "id": one.device_id,
                        "key": one.child,
                        "name": one.name,
                        "why": one.why,
                        "has_key": one.access_key is not None,
                    }
                    for one in registry.unused_devices.values()
                ],
            }
        )
        return
    _show(registry, states)


def _show(registry: Registry, states: Mapping[str, ObservedState]) -> None:
    gateway = _gateway_facts(registry)
    out.print(f"gateway {gateway['serial_number'] or '(never started)'}: {gateway['id'] or 'not registered'}", markup=False)
    if registry.children:
        table = Table("name", "key", "address", "sub-model", "state", "answers", box=None, padding=(0, 2, 0, 0))
        table.columns[1].no_wrap = True  # keys are copied from here
        table.columns[1].min_width = max(len(key) for key in registry.children)
        for wrapped in (table.columns[0], table.columns[3]):
            wrapped.overflow = "fold"  # a serial number at the end of a name is not cut off
        table.columns[4].no_wrap = True
        table.columns[4].min_width = max(len(record.state) for record in registry.children.values())
        for record in registry.children.values():
            child = record.child
            cells: tuple[str, ...] = (
                child.name,
                child.key,
                f"{child.adapter} {child.bus} {child.address}",
                child.sub_model or "-",
                record.state,
            )
            cells = (*cells, _answers(states.get(child.key)))
            table.add_row(*map(escape, cells))
        out.print(table)
        for record in registry.children.values():
            if record.problem:
                out.print(f"\n{record.child.name}: {record.problem}", markup=False, soft_wrap=True)
            state = states.get(record.child.key)
            if state is not None and state.reach is Reach.SILENT and state.why:
                out.print(f"\n{record.child.name}: silent: {state.why}", markup=False, soft_wrap=True)
            for alarm in alarms_of(registry, record.child.key):
                out.print(f"\n{record.child.name}: {alarm}", markup=False, soft_wrap=True)
    else:
        out.print("no children yet")
    for unused in registry.unused_devices.values():
        todo = "It is deleted when the cloud answers" if unused.access_key is not None else "Delete it in the portal"
        out.print(
            f"\nin the cloud, not used: {unused.device_id} {unused.why} ({unused.name}). {todo}", markup=False, soft_wrap=True
        )
    for device in registry.found_devices.values():
        out.print(f"\nfound, not a child: {device.name} at {device.bus} {device.found.address}", markup=False, soft_wrap=True)
        out.print(f"    {_why(device)}\n    key {device.key}", markup=False, soft_wrap=True)


@children.command()
def admit(key: Key, config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Admit a found device as a child.

    A running gateway does so within seconds.
    """
    _decide(config, key, Decision.ADMIT, as_json=as_json)


@children.command()
def ignore(key: Key, config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Ignore a found device from now on."""
    _decide(config, key, Decision.IGNORE, as_json=as_json)


children.command()(child_requests.retire)
children.command()(child_requests.replace)


@children.command()
def rename(
    key: Key,
    name: Annotated[
        str | None, typer.Argument(help="The new name; without it, the name that the device was found under.")
    ] = None,
    config: ConfigFile = DEFAULT_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Rename a device, whether it is a child or not; a child is renamed in the cloud, too.

    A running gateway uses the name within seconds. It takes precedence over a name in the configuration.
    """

    async def store_name(path: Path, given: str | None) -> tuple[str, str | None]:
        async with Store(path) as store:
            registry = Registry(store)
            await registry.load()
            meant = key_of(registry, key)
            return meant, registry.name_of(meant) if await registry.rename(meant, given) else None

    with errors_shown(as_json=as_json):
        try:
            given = None if name is None else parse_name(name)
        except ValueError as error:
            raise CommandFailed(str(error), EXIT_WRONG) from error
        meant, new_name = asyncio.run(store_name(_store_path(config), given))
        if new_name is None:
            raise CommandFailed(f"no device has the key {meant!r}; `xyte-gateway children` lists them")
    if as_json:
        print_json({"key": meant, "name": new_name})
    else:
        out.print(f"{meant}: is named {new_name}{' again' if given is None else ''}", markup=False, soft_wrap=True)


def _decide(config: Path, key: str, decision: Decision, *, as_json: bool) -> None:
    async def decide(path: Path) -> tuple[str, bool]:
        async with Store(path) as store:
            registry = Registry(store)
            await registry.load()
            meant = key_of(registry, key)
            return meant, await registry.decide(meant, decision)

    with errors_shown(as_json=as_json):
        meant, is_waiting = asyncio.run(decide(_store_path(config)))
        if not is_waiting:
            raise CommandFailed(f"{meant} waits for no decision; `xyte-gateway children` lists the devices that do")
    if as_json:
        print_json({"key": meant, "decision": decision})
    else:
        text = "will be admitted" if decision is Decision.ADMIT else "is ignored from now on"
        out.print(f"{meant}: {text}", markup=False, soft_wrap=True)


def _store_path(config: Path) -> Path:
    configuration, _ = load_config(config, for_cloud=False)
    path = configuration.settings.store.path
    if not path.exists():
        raise CommandFailed(f"there is no store at {path}: the gateway has not run with this configuration yet")
    return path


async def _load(path: Path) -> Registry:
    async with Store(path) as store:
        registry = Registry(store)
        await registry.load()
        return registry


def _gateway_facts(registry: Registry) -> dict[str, str | None]:
    gateway = registry.gateway
    credentials = gateway.credentials if gateway else None
    return {
        "serial_number": gateway.serial_number if gateway else None,
        "mac": gateway.mac if gateway else None,
        "cloud_id": gateway.cloud_id if gateway else None,
        "id": credentials.device_id if credentials else None,
        "hub_url": without_url_user(credentials.hub_url) if credentials else None,
    }


def _child_facts(registry: Registry, record: ChildRecord) -> dict[str, object]:
    child = record.child
    return {
        "key": child.key,
        "name": child.name,
        "found_as": child.found_as or child.name,
        "adapter": child.adapter,
        "bus": child.bus,
        "address": child.address,
        "profile": child.profile,
        "model_id": child.model_id,
        "sub_model": child.sub_model,
        "firmware_version": child.firmware_version,
        "serial_number": child.serial_number,
        "state": record.state,
        "id": record.device_id,
        "has_key": record.access_key is not None,
        "problem": record.problem,
        "alarms": alarms_of(registry, child.key),
        "since": record.since.isoformat(),
    }


def _answers(state: ObservedState | None) -> str:
    """Return whether a child answered when that was last saved, and since when."""
    if state is None or state.reach is Reach.UNKNOWN:
        return "-"
    since = "" if state.since is None else f" since {state.since.astimezone():%Y-%m-%d %H:%M %Z}"
    return f"silent{since}" if state.reach is Reach.SILENT else "yes"


def _reach_facts(state: ObservedState | None) -> dict[str, object]:
    if state is None:
        return {"reach": None, "reach_since": None, "silent_why": None}
    since = None if state.since is None else state.since.isoformat()
    return {"reach": state.reach, "reach_since": since, "silent_why": state.why}


def _why(device: FoundDevice) -> str:
    """Return why a device is not a child; the decision of a person counts at once."""
    if device.decision is Decision.IGNORE and not device.is_retired:
        return ignored_reason(device.key)
    return device.why


def _device_facts(device: FoundDevice) -> dict[str, object]:
    found = device.found
    return {
        "key": device.key,
        "name": device.name,
        "found_as": found.name,
        "adapter": device.adapter,
        "bus": device.bus,
        "address": found.address,
        "profile": found.profile,
        "family": found.family,
        "sub_model": found.sub_model,
        "why": _why(device),
        "decision": device.decision,
        "evidence": dict(found.evidence),
    }
