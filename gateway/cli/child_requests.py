"""`xyte-gateway children retire` and `children replace`: a running gateway carries them out; without one, this command does."""

from __future__ import annotations

import asyncio
from dataclasses import replace as replaced
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import AsJson, CommandFailed, ConfigFile, errors_shown, load_config, out, print_json
from gateway.cli.completion import complete_keys
from gateway.cli.device_keys import Key, key_of
from gateway.cloud.children.requests import ChildRequests
from gateway.cloud.children.unused_devices import UnusedDevices
from gateway.config.settings import DEFAULT_FILE, Settings
from gateway.errors import HubError, StoreError
from gateway.hub import Credentials
from gateway.state.database.single_instance import is_in_use
from gateway.state.events import EventQueue
from gateway.state.outbox import Outbox
from gateway.state.records import ChildRequest, Request
from gateway.state.recovery.hardware_question import HardwareMemory
from gateway.state.registry import Registry
from gateway.state.replacement import replacement
from gateway.state.store import Store

BY_THE_GATEWAY = "the running gateway does it within seconds, and its log says so"


def retire(
    key: Key,
    *,
    keep_in_cloud: Annotated[
        bool, typer.Option("--keep-in-cloud", help="Leave the device in the cloud, as offline, and delete nothing there.")
    ] = False,
    config: ConfigFile = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Retire a child: delete it in the cloud, and ignore its device until `children admit`.

    Its samples that wait for the cloud are dropped; with --keep-in-cloud they are sent first.
    """
    request = Request.RETIRE_HERE if keep_in_cloud else Request.RETIRE
    _ask(config, ChildRequest(key=key, request=request, at=datetime.now(UTC)), as_json=as_json)


def replace(
    old: Annotated[str, typer.Argument(help="The child whose device is gone, as for `rename`.", autocompletion=complete_keys)],
    new: Annotated[str, typer.Argument(help="The device that takes its place, as for `rename`.", autocompletion=complete_keys)],
    config: ConfigFile = DEFAULT_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Let another device go on as a child: the cloud keeps its device, with its history, for the new hardware.

    If the new device was registered by itself meanwhile, that registration is deleted.
    """
    _ask(config, ChildRequest(key=old, request=Request.REPLACE, new_key=new, at=datetime.now(UTC)), as_json=as_json)


def _ask(config: Path, request: ChildRequest, *, as_json: bool) -> None:
    with errors_shown(as_json=as_json):
        configuration, _ = load_config(config, for_cloud=False)
        request, outcome = asyncio.run(_carry_out(configuration.settings, request))
    if as_json:
        print_json({"key": request.key, "request": request.request, "new_key": request.new_key, "outcome": outcome})
    else:
        out.print(f"{request.key}: {outcome}", markup=False, soft_wrap=True)


async def _carry_out(settings: Settings, request: ChildRequest) -> tuple[ChildRequest, str]:
    """Store a request, carry it out if no gateway runs, and return it with the keys that are meant, and what happens."""
    path = settings.store.path
    if not path.exists():
        raise CommandFailed(f"there is no store at {path}: the gateway has not run with this configuration yet")
    if is_in_use(path):
        async with Store(path) as store:
            request = await _request(await _loaded(store), request)
        return request, BY_THE_GATEWAY
    async with Store(path, exclusive=True) as store:
        registry = await _loaded(store)
        request = await _request(registry, request)
        return request, await _do_now(settings, store, registry, request)


async def _loaded(store: Store) -> Registry:
    registry = Registry(store)
    await registry.load()
    return registry


async def _request(registry: Registry, request: ChildRequest) -> ChildRequest:
    """Store a request, unless it cannot be carried out, and return it with the keys that are meant."""
    new_key = None if request.new_key is None else key_of(registry, request.new_key)
    request = replaced(request, key=key_of(registry, request.key, children_only=True), new_key=new_key)
    if request.request is Request.REPLACE:
        problem = replacement(registry, request.key, request.new_key or "")
        if isinstance(problem, str):
            raise CommandFailed(problem)
    await registry.request(request)
    return request


async def _do_now(settings: Settings, store: Store, registry: Registry, request: ChildRequest) -> str:
    """Carry out a request without a gateway: what the cloud has to know stays stored until it answers."""
    gateway = registry.gateway
    parent = None if gateway is None else gateway.credentials or gateway.former_credentials
    if parent is None:
        return "it is done when the gateway is registered"
    outbox, events = Outbox(store, most_samples=settings.store.most_samples), EventQueue(store)
    await outbox.load()
    hardware = HardwareMemory(store)
    await hardware.load()
    if hardware.question is not None:
        return "it is done when a person has decided who this gateway is: xyte-gateway identity"
    from gateway.cloud.client import HttpHub  # the list of the children needs neither, and both take time to load
    from gateway.runtime.cloud_access import cloud_access

    async with HttpHub(cloud_access(settings.cloud)) as hub:
        try:
            await ChildRequests(hub, registry, outbox, report_event=events.report).carry_out_next(parent)
            await events.save()
            if request.key in registry.requests:
                return "a registration is open, so it is done when the gateway runs"
            return await _delete_in_cloud(UnusedDevices(hub, registry), registry, parent, request)
        except (HubError, StoreError) as error:
            return f"it is done when the gateway runs and reaches the cloud: {error}"


async def _delete_in_cloud(unused: UnusedDevices, registry: Registry, parent: Credentials, request: ChildRequest) -> str:
    while await unused.delete_next(parent):
        pass
    left = [one.device_id for one in registry.unused_devices.values() if one.child in (request.key, request.new_key)]
    if left:
        return f"done here; delete in the portal: {', '.join(left)}"
    return "done"
