"""`xyte-gateway demo`: run a gateway with simulated devices and an emulated cloud, and show what arrives there."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import Annotated

import typer
from rich.live import Live
from rich.markup import escape

from gateway.cli.common import EXIT_FAILED, AsJson, err, out, print_json
from gateway.cli.demo_dashboard import configuration_state, dashboard
from gateway.cli.logs import start_logging
from gateway.config.settings import StatusSection
from gateway.demo import Demo
from gateway.demo import demo as demo_running
from gateway.field.plugins import installed, usable
from gateway.runtime.process import stop_on_signals

REFRESH_SECONDS = 0.25


def demo(
    seconds: Annotated[float | None, typer.Option("--for", metavar="SECONDS", min=1, help="Stop after this time.")] = None,
    page_host: Annotated[
        str, typer.Option("--page-host", metavar="HOST", help="Address on which the status page listens.")
    ] = "127.0.0.1",
    page_url: Annotated[
        str | None, typer.Option("--page-url", metavar="URL", help="URL of the page to show, if it is reached under another one.")
    ] = None,
    page_port: Annotated[
        int | None,
        typer.Option(
            "--page-port", metavar="PORT", min=0, max=65535, help="Its port. Default: 8080, or a free one if that is taken."
        ),
    ] = None,
    *,
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log of the gateway.")] = False,
) -> None:
    """Run an emulated cloud, simulated devices on Modbus, Bluetooth and serial ports, and a gateway that connects them.

    Shows live what arrives in the cloud. Stops after Ctrl-C or the time of --for. The exit code is 0 only if the gateway and its
    children were registered with the right sub-models, and every value in the cloud was sent by its device.
    """
    if verbose:
        start_logging(as_json=as_json, verbose=False)
    else:
        logging.disable(logging.CRITICAL)
    page = StatusSection(host=page_host, port=_free_port(page_host) if page_port is None else page_port)
    problems = asyncio.run(_run(seconds, page, page_url, as_json=as_json))
    for problem in problems:
        err.print(f"[bold red]error:[/] {escape(problem)}")
    if problems:
        raise typer.Exit(EXIT_FAILED)


def _free_port(host: str) -> int:
    """Return the default port of the page if it is free, else 0, which takes any free one."""
    default = StatusSection().port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, default))
        except OSError:
            return 0
    return default


async def _run(seconds: float | None, page: StatusSection, page_url: str | None, *, as_json: bool) -> list[str]:
    stop = stop_on_signals()
    async with demo_running(usable(installed()), page=page) as running:
        if as_json:
            await _wait(stop, seconds)
        else:
            await _show(running, stop, seconds, page_url)
    if as_json:
        print_json(_report(running))
    problems = running.problems()
    if not as_json and not problems:
        count = sum(len(running.emulator.journal.telemetry(child.id)) for child in running.children.values())
        out.print(
            f"\n[green]All is well:[/] {len(running.children)} children, {count} samples, every value as its device sent it."
        )
    return problems


async def _wait(stop: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


async def _show(running: Demo, stop: asyncio.Event, seconds: float | None, page_url: str | None) -> None:
    emulator = running.emulator
    out.print(f"emulated cloud  {emulator.entry_url}, hub {emulator.hub_url}, control at /_emulator/", soft_wrap=True)
    out.print("simulated site  seven Modbus units, three Bluetooth devices, a display and a GPS on serial ports", soft_wrap=True)
    if (page := running.gateway.page) is not None:
        await page.server.listens.wait()
        out.print(f"status page     [bold]{page_url or page.server.address}[/]", soft_wrap=True)
        out.print(f"its token       {page.new_token}", soft_wrap=True)
    out.print("" if seconds else "Press Ctrl-C to stop.")
    if not sys.stdout.isatty():
        await _wait(stop, seconds)
        out.print(dashboard(running, width=out.width))
        return
    waiting = asyncio.create_task(_wait(stop, seconds))
    with Live(
        dashboard(running, width=out.width), console=out, auto_refresh=False
    ) as live:  # not in its own thread: the gateway runs in this one
        while not waiting.done():
            live.update(dashboard(running, width=out.width), refresh=True)
            await asyncio.wait({waiting}, timeout=REFRESH_SECONDS)


def _report(running: Demo) -> dict[str, object]:
    parent = running.parent
    seconds = running.seconds_to_first_telemetry
    page = running.gateway.page
    return {
        "page": None if page is None else page.server.address,
        "parent": None
        if parent is None
        else {
            "id": parent.id,
            "name": parent.name,
            "sub_model": parent.sub_model,
            "serial_number": parent.sn,
            "telemetry": parent.state,
        },
        "children": [
            {
                "id": child.id,
                "name": child.name,
                "sub_model": child.sub_model,
                "adapter": str(child.details.get("adapter")),
                "bus": bus,
                "address": address,
                "serial_number": child.sn,
                "telemetry": child.state,
            }
            for (bus, address), child in sorted(running.children.items())
        ],
        "commands": [
            {
                "device": device.name,
                "name": command.name,
                "parameters": command.parameters,
                "status": command.status,
                "message": command.message,
            }
            for device, command in running.commands
        ],
        "configurations": [
            {
                "device": device.name,
                "version": version,
                "content": device.config.values,
                "state": configuration_state(device, version),
            }
            for device, version in running.configurations
        ],
        "buses": [
            {
                "bus": bus.bus,
                "planned_load": round(bus.budget.load, 4),
                "live_load": {purpose: round(share, 4) for purpose, share in bus.load.items()},
                "stretch": bus.stretch,
            }
            for bus in running.gateway.bus_statuses()
        ],
        "calls": dict(sorted(running.emulator.journal.calls().items())),
        "seconds_to_first_telemetry": None if seconds is None else round(seconds, 3),
        "problems": running.problems(),
    }
