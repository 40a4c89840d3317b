"""Check serial ports without opening them, and names of hosts: for `doctor`, and for a machine without a configuration."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from adapters.serial.port.blocking_io import run_in_thread
from adapters.serial.port.hotplug import MachinePorts
from adapters.serial.port.selection import BY_ID, ListedPort, PortSelector, identify_ports, select_ports, url_scheme
from adapters.serial.settings import SerialSettings
from gateway.adapter import Finding, FindingState, examine_port

SHOWN_NAMES = 3

LOOK_UP_SECONDS = 5.0
"""Time limit for looking up the name of a host."""


async def examine_ports(settings: SerialSettings | None, machine: MachinePorts | None = None) -> AsyncIterator[Finding]:
    """Yield the findings for each port of an entry; without an entry, for each port of the machine."""
    selectors = () if settings is None else (*settings.selectors, *settings.excluded)
    try:
        listed = await run_in_thread((machine or MachinePorts(selectors)).scan)
    except OSError as error:
        yield Finding.warning("ports", str(error), "try again when no adapter is being plugged in or out")
        return
    async for finding in _available_ports(listed) if settings is None else _selected_ports(settings, listed):
        yield finding


async def ports_to_listen_on(machine: MachinePorts | None = None) -> Mapping[str, Any] | None:
    """Return an entry that only listens, with every port that the operating system lists; `None` if there are none."""
    try:
        listed = await run_in_thread((machine or MachinePorts(())).scan)
    except OSError:  # ports are being plugged in or out; they are found when there is a configuration
        return None
    ports = [{"port": _best_name(port), "probe": False} for port in listed if port.is_enumerated]
    return {"ports": ports} if ports else None


async def _selected_ports(settings: SerialSettings, listed: Sequence[ListedPort]) -> AsyncIterator[Finding]:
    """Yield the findings for the ports that the entry selects."""
    definite = [selector for selector in settings.selectors if selector.is_definite]
    for rule, selector in zip(settings.ports, settings.selectors, strict=True):
        if selector.is_url:
            yield await _device_server(selector, settings.entry)
        elif selector.is_definite:
            for finding in await asyncio.to_thread(list, examine_port(selector.written, has_name=bool(rule.name))):
                yield finding
        else:
            ports = select_ports(listed, [selector], [*settings.excluded, *definite])
            if not ports:
                yield _no_match(selector, listed)
            for port in ports:
                for finding in await asyncio.to_thread(list, examine_port(port.label, for_config=False)):
                    yield finding


async def _available_ports(listed: Sequence[ListedPort]) -> AsyncIterator[Finding]:
    """Yield the ports of the machine, with the config lines that would use them."""
    ports = [port for port in listed if port.is_enumerated]
    if not ports:
        yield Finding.not_looked_at("ports", "this machine has no serial port now, and no entry of the config wants one")
    for port in ports:
        name = _best_name(port)
        (finding,) = await asyncio.to_thread(list, examine_port(name, for_config=False))
        if finding.state is FindingState.FAULT:
            yield Finding.warning(finding.what, f"no entry uses it yet, and it {finding.meaning}", finding.fix or "")
        else:
            made_by = " ".join(part for part in (port.manufacturer, port.product) if part)
            is_one = f"{made_by}, could be used" if made_by else "could be used"
            yield Finding.fine(
                finding.what, f'{is_one}: ports = ["{name}"] of type serial, or lines = [{{ port = "{name}" }}] of type modbus'
            )


def _best_name(port: ListedPort) -> str:
    identity = identify_ports([port])[port.path].value
    by_id = [link for link in port.links if link.startswith(BY_ID)]
    return (by_id or [identity if identity.startswith("/") else port.path])[0]


async def _device_server(selector: PortSelector, entry: str) -> Finding:
    """Return what can be said of a host without a connection to it: whether its name is known."""
    what = f"port {selector.written}"
    host = urlsplit(selector.written).hostname or ""
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS):
            await run_in_thread(partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError, TimeoutError):
        fix = f"correct the name in `ports`, or write the IP address there; to look it up by hand: getent hosts {host}"
        return Finding.fault(what, f"the host name {host} cannot be looked up, so it is not reached", fix)
    is_device = url_scheme(selector.written) == "tcp"
    meaning = (
        "a device often accepts one connection only, so it is not checked here"
        if is_device
        else "a device server often accepts one connection only, so it is not checked here"
    )
    return Finding.not_looked_at(what, meaning, f"xyte-gateway scan {entry}")


def _no_match(selector: PortSelector, listed: Sequence[ListedPort]) -> Finding:
    names = [_best_name(port) for port in listed if port.is_enumerated]
    there = f"there is {' and '.join(names[:SHOWN_NAMES])}" if names else "this machine has no serial port now"
    fix = "plug the adapter in: it is used as soon as it appears"
    if names:
        fix += f'; or use an existing port: ports = ["{names[0]}"]'
    return Finding.warning(f"ports {selector.written}", f"no port matches this now; {there}", fix)
