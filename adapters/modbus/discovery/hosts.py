"""Find the hosts of named networks that listen on a Modbus port, and those that announce one by DNS-SD."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from adapters.modbus.client.buses import MODBUS_PORT, parse_host
from adapters.modbus.client.tls_settings import TLS_PORT
from gateway.adapter import Announcement, NamedNetworks, NetworkHost, Progress, SearchSummary

PARALLEL_CONNECTIONS: Final = 64
CONNECT_SECONDS: Final = 1.0

COMMON_UNITS: Final = "1-16, 255"
"""The unit ids that a first scan probes: makers deliver their devices with the lowest ones; 255 is a TCP host itself."""

ANNOUNCED_AS: Final = ("_modbus._tcp", "_mbap._tcp")
"""`mbap` is the name of port 502 at IANA; `modbus` is what devices use beside it."""

MOST_ANNOUNCED: Final = 256
HIGHEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class _Question:
    """A host whose ports are tried, one after the other, until one accepts a connection."""

    written: str
    """As a person has written it, or its address."""
    host: str
    ports: tuple[int, ...]
    announcement: Announcement | None = None


async def look_for_hosts(networks: NamedNetworks) -> AsyncIterator[NetworkHost | Progress | SearchSummary]:
    """Yield the hosts that accept a connection within a second; it is closed again, and nothing is sent.

    A host that listens on the port of Modbus over TLS is yielded with `tls`; whoever looks learns then which certificates it
    wants. Over UDP a host cannot be found without sending it something. An announced port counts when it accepts a connection.
    """
    questions = list(_questions(networks))
    free = asyncio.Semaphore(PARALLEL_CONNECTIONS)
    tasks = [asyncio.create_task(_answer_to(question, free)) for question in questions]
    listening = 0
    try:
        for done, one in enumerate(asyncio.as_completed(tasks), 1):
            question, port = await one
            if port is not None:
                listening += 1
                yield _network_host(question, port)
            yield Progress(done, len(tasks), question.host)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    yield SearchSummary(len(tasks), listening, _summary(len(tasks), listening), _ADVICE if listening < len(tasks) else None)


_ADVICE: Final = (
    "check that Modbus TCP is switched on in the device, that its access list has this machine, and its port: "
    "name another one as 192.168.1.20:1502"
)


def _summary(asked: int, listening: int) -> str:
    hosts = "1 host" if asked == 1 else f"{asked} hosts"
    accept = "none accepts" if not listening else "1 accepts" if listening == 1 else f"{listening} accept"
    return f"connected to {hosts} on the ports of Modbus: {accept} a connection"


def _questions(networks: NamedNetworks) -> Iterator[_Question]:
    asked: set[tuple[str, int]] = set()
    for written in networks.hosts:
        host = _parsed(written)
        if host is None:
            continue
        ports = (host["port"],) if "port" in host else (MODBUS_PORT, TLS_PORT)
        asked.update((host["host"], port) for port in ports)
        yield _Question(written, host["host"], ports)
    announced = [one for one in networks.announcements if one.service in ANNOUNCED_AS]
    for one in announced[:MOST_ANNOUNCED]:
        if (one.host, one.port) not in asked and one.host in networks.addresses:
            asked.add((one.host, one.port))
            yield _Question(one.host, one.host, (one.port,), one)


async def _answer_to(question: _Question, free: asyncio.Semaphore) -> tuple[_Question, int | None]:
    for port in question.ports:
        async with free:
            if await _listens(question.host, port):
                return question, port
    return question, None


def _network_host(question: _Question, port: int) -> NetworkHost:
    is_tls = port == TLS_PORT and len(question.ports) > 1
    entry: str | dict[str, Any] = question.written
    if is_tls:
        entry = {"host": question.host, "tls": {}}
    elif question.announcement is not None:
        entry = {"host": question.host, "port": port}
    return NetworkHost(
        host=question.written,
        kind="Modbus TCP with TLS" if is_tls else "Modbus TCP",
        evidence={f"connection to port {port}": "accepted"},
        was_reached=True,
        entry={"hosts": [entry], "units": COMMON_UNITS},
    )


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _parsed(written: str) -> dict[str, Any] | None:
    try:
        host = parse_host(written)
    except ValueError:
        return None
    return host if isinstance(host, dict) and 0 < host.get("port", MODBUS_PORT) <= HIGHEST_PORT else None
