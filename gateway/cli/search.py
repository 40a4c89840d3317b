"""`xyte-gateway search`: search named networks for hosts that could be added, read-only and without the cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gateway.adapter import Announcement, Found, Progress
from gateway.cli.common import EXIT_FAILED, EXIT_WRONG, AsJson, CommandFailed, err, errors_shown, out, print_json, told_by_device
from gateway.cli.interrupts import EXIT_STOPPED, is_interrupted
from gateway.cli.progress import progress_shown
from gateway.field.plugins import installed, usable
from gateway.first_start.config_proposal import entry_text
from gateway.first_start.first_look import ScannedBus, is_worth_an_entry, search_hosts
from gateway.network_search.named_hosts import NamedHosts, parse_networks
from gateway.network_search.search import ANSWER_SECONDS, FoundHost, NetworkSearch, entries_of
from gateway.network_search.service_types import service_title

SHOW_SECONDS = 0.25
SHOWN_ANNOUNCEMENTS = 3

NOTHING_FOUND = (
    "Check that the devices are on and in the networks you named, and that no firewall is in between: a device in another "
    "network hears no broadcast and no DNS-SD; name its address itself."
)


def search(
    networks: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK...",
            help="What may be searched: networks such as 192.168.1.0/24, or hosts such as 192.168.1.20 or meter.local.",
        ),
    ],
    for_: Annotated[
        float,
        typer.Option("--for", metavar="SECONDS", min=1, max=60, help="How long to wait for answers; projectors may take 10 s."),
    ] = ANSWER_SECONDS,
    *,
    as_json: AsJson = False,
) -> None:
    """Search networks that you name for Modbus TCP hosts, projectors with PJLink class 2, and announcements by DNS-SD.

    Nothing is sent to other hosts but the question of DNS-SD, by multicast in the networks of this machine; nothing is written to
    a device, and nothing is sent to the cloud. After Ctrl-C, what was found so far is shown.
    Exit code 0 if everything was searched, whether or not anything was found; 1 if something could not be searched, with the
    reason; 2 if what you named is no network, or too large; 130 after Ctrl-C.
    """
    with errors_shown(as_json=as_json):
        try:
            named = parse_networks(networks)
        except ValueError as error:
            raise CommandFailed(str(error), EXIT_WRONG) from error
        if not named.all:
            raise CommandFailed("name what may be searched: a network such as 192.168.1.0/24, or a host", EXIT_WRONG)
        results = _Results(NetworkSearch(usable(installed()), named, answer_seconds=for_))
        is_stopped = is_interrupted(lambda: _search(results, named))
    if as_json:
        print_json(_facts(results, named))
    else:
        _show(results)
    if is_stopped:
        err.print("[yellow]Stopped: this is what was found until then.[/]")
        raise typer.Exit(EXIT_STOPPED)
    if results.network.problems:
        raise typer.Exit(EXIT_FAILED)


@dataclass(slots=True)
class _Results:
    """What was found so far."""

    network: NetworkSearch
    buses: dict[int, list[ScannedBus]] = field(default_factory=dict)
    """The buses of each host, by its index in `network.found`."""

    def devices(self, index: int) -> list[Found]:
        """Return the devices at a host."""
        return [found for bus in self.buses.get(index, ()) for found in bus.devices.values()]

    def problem(self, index: int) -> str | None:
        """Return why a host could not be asked."""
        return next((bus.problem for bus in self.buses.get(index, ()) if bus.problem is not None), None)


async def _search(results: _Results, named: NamedHosts) -> None:
    """Search, and ask each host that is found what devices it is or has."""
    adapters = usable(installed())

    async def identify(hosts: Sequence[FoundHost]) -> None:
        indices = [index for index, one in enumerate(results.network.found) if one.adapter == hosts[0].adapter]
        await search_hosts(hosts, adapters, add=lambda index, bus: results.buses.setdefault(indices[index], []).append(bus))

    with progress_shown(_what(named)) as show_step:
        showing = asyncio.create_task(_show_devices(results, show_step))
        try:
            await results.network.run(
                on_found=identify,
                on_step=lambda kind, step: show_step(Progress(step.done, step.total, f"{kind}: {step.note}")),
            )
        finally:
            showing.cancel()


async def _show_devices(results: _Results, show_step: Callable[[Progress | Found], None]) -> None:
    """Show the devices while they are found."""
    while True:
        await asyncio.sleep(SHOW_SECONDS)
        for index in list(results.buses):
            for found in results.devices(index):
                show_step(found)


def _what(named: NamedHosts) -> str:
    return ", ".join([*map(str, named.networks), *named.single][:3])


def _facts(results: _Results, named: NamedHosts) -> dict[str, Any]:
    network = results.network
    return {
        "networks": [*map(str, named.networks), *named.single],
        "hosts": network.host_count,
        "found": [_host_facts(results, index, one) for index, one in enumerate(network.found)],
        "announced": [_announcement_facts(one) for one in network.unused_announcements],
        "searches": [
            {
                "adapter": kind,
                "asked": one.asked,
                "answered": one.answered,
                "quiet": one.quiet,
                "text": one.text,
                "advice": one.advice,
            }
            for kind, one in network.summaries.items()
        ],
        "problems": [{"what": what, "problem": problem} for what, problem in network.problems.items()],
        "configuration": _configuration(results),
    }


def _host_facts(results: _Results, index: int, one: FoundHost) -> dict[str, Any]:
    return {
        "host": one.host.host,
        "adapter": one.adapter,
        "kind": one.host.kind,
        "evidence": dict(one.host.evidence),
        "announced": [_announcement_facts(said) for said in one.announcements],
        "devices": [
            {
                "address": found.address,
                **told_by_device(found),
                "confidence": found.confidence,
                "needs": found.needs,
                "evidence": dict(found.evidence),
            }
            for found in results.devices(index)
        ],
        "problem": results.problem(index),
        "configuration": entry_text(one.adapter, one.host.entry),
    }


def _announcement_facts(one: Announcement) -> dict[str, Any]:
    return {
        "host": one.host,
        "service": one.service,
        "title": service_title(one.service),
        "name": one.name,
        "port": one.port,
        "texts": dict(one.texts),
    }


def _configuration(results: _Results) -> str:
    """Return the entries that add what was found."""
    found = [one for index, one in enumerate(results.network.found) if is_worth_an_entry(one, results.buses.get(index, ()))]
    return "\n\n".join(entry_text(kind, table) for kind, table in entries_of(found).items())


def _show(results: _Results) -> None:
    network = results.network
    if network.found:
        _show_found(results)
    if network.unused_announcements:
        _show_announced(network)
    if count := network.host_count:
        out.print(f"{len(network.found)} found in {count:,} host{'' if count == 1 else 's'}")
    for one in network.summaries.values():
        advice = f"; {one.advice}" if one.advice and not one.answered else ""
        out.print(f"{one.text}{advice}", style="dim", markup=False, soft_wrap=True)
    if count and not network.found:
        out.print(NOTHING_FOUND, style="dim", markup=False, soft_wrap=True)
    if configuration := _configuration(results):
        out.print(f"\nFor the configuration:\n\n{configuration}\n", markup=False, soft_wrap=True)
    for what, problem in network.problems.items():
        err.print(f"[bold red]error:[/] {escape(f'{what}: {problem}')}")


def _show_found(results: _Results) -> None:
    table = Table("host", "found as", "device", "evidence", box=None, padding=(0, 2, 0, 0))
    for index, one in enumerate(results.network.found):
        evidence = [f"{asked}: {told}" for asked, told in one.host.evidence.items()]
        evidence += [_announced(said) for said in one.announcements[:SHOWN_ANNOUNCEMENTS]]
        table.add_row(*map(escape, (one.host.host, one.host.kind, _device_text(results, index), "; ".join(evidence) or "-")))
    out.print(table)
    out.print()
    for index, one in enumerate(results.network.found):
        for found in results.devices(index):
            if found.needs:
                err.print(f"[yellow]{escape(f'{one.host.host} {found.address}: {found.needs}')}[/]", soft_wrap=True)


def _device_text(results: _Results, index: int) -> str:
    devices = results.devices(index)
    if not devices:
        return results.problem(index) or "none that answers"
    return ", ".join(
        f"{found.name} at {found.address}" + (f" ({found.profile})" if found.profile else " (no profile)") for found in devices
    )


def _show_announced(network: NetworkSearch) -> None:
    """Show what hosts announce that nothing was found at: it may be worth a look by a person."""
    table = Table("host", "announces", "name", box=None, padding=(0, 2, 0, 0))
    for one in network.unused_announcements:
        table.add_row(*map(escape, (one.host, f"{service_title(one.service)} at port {one.port}", one.name)))
    out.print(table)
    out.print()


def _announced(one: Announcement) -> str:
    return f"announces {service_title(one.service)} “{one.name}” at port {one.port}"
