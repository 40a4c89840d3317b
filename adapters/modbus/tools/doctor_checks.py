"""Check the serial ports of an entry without opening them, and the certificates of its hosts, for `doctor`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from adapters.modbus.settings import ModbusSettings
from adapters.modbus.tools.certificate_checks import certificate_findings
from gateway.adapter import Finding, examine_port


async def examined(settings: ModbusSettings | None) -> AsyncIterator[Finding]:
    """Yield the findings on the lines and certificates of an entry.

    Nothing without an entry, since the serial adapter checks all ports.
    """
    if settings is None:
        return
    for line in settings.lines:
        if "://" in line.port:
            yield Finding.not_looked_at(
                f"port {line.port}", "it is not a port of this machine", f"xyte-gateway scan {settings.entry}"
            )
            continue
        for finding in await asyncio.to_thread(list, examine_port(line.port, has_name=bool(line.name))):
            yield finding
    for host in settings.hosts:
        for finding in await asyncio.to_thread(list, certificate_findings(host)):
            yield finding
    if settings.hosts:
        names = ", ".join(host.label for host in settings.hosts[:3]) + (" and others" if len(settings.hosts) > 3 else "")
        meaning = f"{names}: some devices serve one connection only, so they are left to the gateway"
        yield Finding.not_looked_at("hosts", meaning, f"xyte-gateway scan {settings.entry}")
