"""`xyte-gateway children`: who the children are, how they stand in the cloud, and who waits at the door."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gateway.cli.common import AsJson, ConfigFile, errors_shown, fail, load_config, out, print_json
from gateway.settings import DEFAULT_FILE
from gateway.state.registry import ChildRecord, Decision, Met, Registry
from gateway.state.store import Store

children = typer.Typer(help="List the children and the devices that wait for a decision; admit or ignore one.")

Key = Annotated[str, typer.Argument(help="The device's key, as `children` lists it.")]


@children.callback(invoke_without_command=True)
def list_children(context: typer.Context, config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """List the children and the devices that wait for a decision."""
    if context.invoked_subcommand is not None:
        return
    with errors_shown():
        registry = asyncio.run(_load(_store_path(config)))
    if as_json:
        print_json(
            {
                "gateway": _gateway_facts(registry),
                "children": [_child_facts(record) for record in registry.children.values()],
                "waiting": [_met_facts(met) for met in registry.met.values()],
            }
        )
        return
    gateway = _gateway_facts(registry)
    out.print(f"gateway {gateway['serial_number'] or '(never started)'}: {gateway['id'] or 'not registered'}")
    if registry.children:
        table = Table(
            "name", "key", "adapter", "bus", "address", "sub-model", "state", "cloud id", box=None, padding=(0, 2, 0, 0)
        )
        for record in registry.children.values():
            child = record.child
            state = f"{record.state}: {record.problem}" if record.problem else str(record.state)
            table.add_row(
                *(child.name, child.key, child.adapter, child.bus, child.address, child.sub_model or "-", state),
                record.device_id or "-",
            )
        out.print(table)
    else:
        out.print("no children yet")
    for met in registry.met.values():
        out.print(f"\nfound, no child: [bold]{met.found.name}[/] at {met.bus} {met.found.address}  ({met.key})\n    {met.why}")


@children.command()
def admit(key: Key, config: ConfigFile = DEFAULT_FILE) -> None:
    """Take a found device on as a child; a gateway that runs does so within seconds."""
    _decide(config, key, Decision.ADMIT)


@children.command()
def ignore(key: Key, config: ConfigFile = DEFAULT_FILE) -> None:
    """Never take this found device on."""
    _decide(config, key, Decision.IGNORE)


def _decide(config: Path, key: str, decision: Decision) -> None:
    async def decide(path: Path) -> bool:
        async with Store(path) as store:
            registry = Registry(store)
            await registry.load()
            return await registry.decide(key, decision)

    with errors_shown():
        known = asyncio.run(decide(_store_path(config)))
    if not known:
        fail(f"no device that waits for a decision has the key {key!r}; `xyte-gateway children` lists them")
    out.print(f"{key}: {'will be taken on' if decision is Decision.ADMIT else 'is ignored from now on'}")


def _store_path(config: Path) -> Path:
    configuration, _ = load_config(config, for_cloud=False)
    path = configuration.settings.store.path
    if not path.exists():
        fail(f"there is no store at {path}: the gateway has not run with this configuration yet")
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
        "hub_url": credentials.hub_url if credentials else None,
    }


def _child_facts(record: ChildRecord) -> dict[str, object]:
    child = record.child
    return {
        "key": child.key,
        "name": child.name,
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
        "since": record.since.isoformat(),
    }


def _met_facts(met: Met) -> dict[str, object]:
    found = met.found
    return {
        "key": met.key,
        "name": found.name,
        "adapter": met.adapter,
        "bus": met.bus,
        "address": found.address,
        "profile": found.profile,
        "family": found.family,
        "sub_model": found.sub_model,
        "why": met.why,
        "decision": met.decision,
        "evidence": dict(found.evidence),
    }
