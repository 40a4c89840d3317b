"""`xyte-gateway scan`: search the buses for devices, read-only and without the cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gateway.adapter import Adapter, AdapterSettings, DeviceUnreachable, Draft, Found, LineSettings, NotOffered, Progress
from gateway.cli.buses import Entry, With, adapter_bugs_reported, entries, present_buses
from gateway.cli.common import (
    EXIT_FAILED,
    AsJson,
    CommandFailed,
    ConfigFile,
    err,
    errors_shown,
    load_config,
    out,
    print_json,
    told_by_device,
)
from gateway.cli.interrupts import EXIT_STOPPED, is_interrupted
from gateway.cli.progress import progress_shown
from gateway.config.settings import DEFAULT_FILE, Policy
from gateway.errors import AdapterError, BusUnavailable
from gateway.field.children.admission import Declined, admit
from gateway.tasks import closed_after


def scan(
    entry: Entry = None,
    config: ConfigFile = DEFAULT_FILE,
    with_: With = None,
    *,
    detect_line: Annotated[
        bool, typer.Option("--detect-line", help="Find the speed and parity of serial lines instead of devices.")
    ] = False,
    thorough: Annotated[bool, typer.Option("--thorough", help="With --detect-line: try all unit ids, and wait longer.")] = False,
    drafts: Annotated[
        Path | None,
        typer.Option("--drafts", metavar="FOLDER", help="Write a draft profile for each device without a matching profile."),
    ] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Also show the questions of the identification and the answers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Search the buses for devices, and show whether each would become a child. Read-only; nothing is sent to the cloud.

    After Ctrl-C, or when a bus is lost, the devices found so far are shown.
    Exit code 0 if all buses were searched, whether or not anything was found; --json counts what was asked and stayed quiet.
    Exit code 1 if a bus could not be searched: it is not there, cannot be opened or was lost; if a device needs something before
    it can be read, such as a password; or if no settings were found for a line; 130 after Ctrl-C.
    """
    if detect_line:
        _detect_lines(entry, with_, config, thorough=thorough, as_json=as_json)
        return
    with errors_shown(as_json=as_json):
        chosen = entries(entry, with_, config)
        policy, models = _admission(config, [*chosen], described_here=bool(with_))
        found: list[dict[str, Any]] = []
        problems: list[dict[str, str]] = []
        remarks: list[dict[str, str]] = []
        searches: list[dict[str, Any]] = []

        async def scan_all() -> None:
            for settings in chosen:
                buses = await present_buses(settings)
                if not buses:
                    why = "none of its buses exists right now, so nothing was searched"
                    problems.append({"adapter": settings.name, "bus": settings.name, "problem": why})
                for adapter in buses:
                    devices: dict[str, Found] = {}
                    try:
                        with progress_shown(adapter.bus) as show_step:
                            await _scan(adapter, show_step, drafts, devices)
                    except (BusUnavailable, CommandFailed) as error:
                        problems.append({"adapter": settings.name, "bus": adapter.bus, "problem": str(error)})
                    finally:
                        found.extend(_facts(one, settings.name, adapter.bus, policy, models) for one in devices.values())
                        problems.extend(_needs(one, settings.name, adapter.bus) for one in devices.values() if one.needs)
                        remarks.extend(_remarks(adapter, settings.name))
                        searches.extend(_searches(adapter, settings.name))

        is_stopped = is_interrupted(scan_all)
    if as_json:
        print_json({"found": found, "problems": problems, "remarks": remarks, "searches": searches})
    else:
        _show(found, problems, remarks, searches, evidence=evidence)
    if is_stopped:
        err.print("[yellow]Stopped: this is what was found until then.[/]")
        raise typer.Exit(EXIT_STOPPED)
    if problems:
        raise typer.Exit(EXIT_FAILED)


def _detect_lines(entry: str | None, with_: Sequence[str] | None, config: Path, *, thorough: bool, as_json: bool) -> None:
    """Find the settings of every serial line of the entries, one after the other."""
    with errors_shown(as_json=as_json):
        lines = asyncio.run(_detected(entry, with_, config, thorough=thorough))
        if not lines:
            raise CommandFailed("there is no serial line here whose settings could be detected")
    if as_json:
        print_json([{"bus": bus, "settings": _settings_facts(settings), "problem": problem} for bus, settings, problem in lines])
    else:
        for bus, settings, problem in lines:
            _show_line(bus, settings, problem)
    if any(settings is None for _, settings, _ in lines):
        raise typer.Exit(EXIT_FAILED)


async def _detected(
    entry: str | None, with_: Sequence[str] | None, config: Path, *, thorough: bool
) -> list[tuple[str, LineSettings | None, str | None]]:
    lines: list[tuple[str, LineSettings | None, str | None]] = []
    for settings in entries(entry, with_, config):
        for adapter in await present_buses(settings):
            workbench, found = type(adapter).workbench(adapter), None
            try:
                with progress_shown(adapter.bus) as show_step, adapter_bugs_reported(adapter):
                    async with closed_after(workbench.detect_line(thorough=thorough)) as steps:
                        async for step in steps:
                            if isinstance(step, LineSettings):
                                found = step
                            else:
                                show_step(step)
            except NotOffered:
                continue
            except AdapterError as error:
                lines.append((adapter.bus, None, str(error)))
                continue
            lines.append((adapter.bus, found, None if found else NO_ANSWER))
    return lines


NO_ANSWER = (
    "no unit answered at any setting. Check that the unit has power, that A and B are not swapped, that no other program "
    "uses the port, and its unit id: name it with `units`, or try all of them with --thorough"
)


def _settings_facts(settings: LineSettings | None) -> dict[str, Any] | None:
    return None if settings is None else {field: getattr(settings, field) for field in settings.__slots__}


def _show_line(bus: str, settings: LineSettings | None, problem: str | None) -> None:
    if settings is None:
        err.print(f"[bold red]error:[/] {escape(_with_bus(bus, problem or ''))}")
        return
    out.print(f"[green]{escape(bus)} is set to {settings}[/]", soft_wrap=True)
    for question, answer in settings.evidence.items():
        out.print(f"    {question}: {answer}", style="dim", markup=False, soft_wrap=True)
    out.print(f"\nFor the config:\n\n    lines = [{settings.toml}]\n", markup=False, soft_wrap=True)


async def _scan(
    adapter: Adapter[Any], show_step: Callable[[Progress | Found], None], drafts: Path | None, devices: dict[str, Found]
) -> None:
    """Collect the devices by address; a device that is found again is known better."""
    with adapter_bugs_reported(adapter):
        async with adapter, closed_after(adapter.discover()) as discovery:
            async for one in discovery:
                show_step(one)
                if isinstance(one, Found):
                    devices[one.address] = one
        async with adapter if drafts is not None else nullcontext():
            for one in devices.values() if drafts is not None else ():
                if one.profile is None:
                    await _write_draft(adapter, one, drafts or Path(), show_step)


async def _write_draft(adapter: Adapter[Any], found: Found, folder: Path, show_step: Callable[[Progress | Found], None]) -> None:
    try:
        async with closed_after(type(adapter).workbench(adapter).draft(found)) as steps:
            async for step in steps:
                if isinstance(step, Draft):
                    _write(folder / step.file_name, step.text)
                else:
                    show_step(step)
    except (NotOffered, DeviceUnreachable) as error:
        err.print(f"[yellow]no draft of {escape(found.name)}:[/] {escape(str(error))}")


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        err.print(f"[yellow]{escape(str(file))} exists already and is not overwritten[/]")
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written: {error.strerror}") from error
    else:
        err.print(f"[green]{escape(str(file))}[/] is a draft; complete it by hand")


def _admission(config: Path, chosen: Sequence[AdapterSettings], *, described_here: bool) -> tuple[Policy, dict[str, str]]:
    """Return the policy and the models of the config; a bus that is in no config gets any model."""
    if not described_here:
        configuration = load_config(config, for_cloud=False)[0]
        if any(entry in configuration.entries for entry in chosen):
            return configuration.settings.admission.policy, configuration.settings.models
    return Policy.MATCHED, {"*": "<model id from the Partner Portal>"}


def _facts(found: Found, entry: str, bus: str, policy: Policy, models: dict[str, str]) -> dict[str, Any]:
    verdict = admit(found, adapter=entry, bus=bus, policy=policy, models=models, decision=None)
    return {
        "adapter": entry,
        "bus": bus,
        "address": found.address,
        "key": found.identity.key,
        **told_by_device(found),
        "becomes": f"no child: {verdict.why}" if isinstance(verdict, Declined) else f"a child of model {verdict.model_id}",
        "confidence": found.confidence,
        "says": dict(found.says),
        "needs": found.needs,
        "evidence": dict(found.evidence),
    }


def _needs(found: Found, entry: str, bus: str) -> dict[str, str]:
    return {"adapter": entry, "bus": bus, "problem": f"{bus} {found.address}: {found.needs}"}


def _remarks(adapter: Adapter[Any], entry: str) -> list[dict[str, str]]:
    """Return what the adapter reports about its bus; a bug in that costs the remarks, not what was found."""
    try:
        with adapter_bugs_reported(adapter):
            return [{"adapter": entry, "bus": adapter.bus, "remark": remark} for remark in adapter.bus_remarks()]
    except (AdapterError, CommandFailed) as error:
        return [{"adapter": entry, "bus": adapter.bus, "remark": str(error)}]


def _searches(adapter: Adapter[Any], entry: str) -> list[dict[str, Any]]:
    """Return what was asked on a bus and stayed quiet; none where the adapter does not say so, or nothing was searched."""
    try:
        with adapter_bugs_reported(adapter):
            one = adapter.last_search()
    except (AdapterError, CommandFailed):
        return []
    if one is None:
        return []
    counts = {"asked": one.asked, "answered": one.answered, "quiet": one.quiet}
    return [{"adapter": entry, "bus": adapter.bus, **counts, "text": one.text, "advice": one.advice}]


def _show(
    found: list[dict[str, Any]],
    problems: list[dict[str, str]],
    remarks: list[dict[str, str]],
    searches: list[dict[str, Any]],
    *,
    evidence: bool,
) -> None:
    table = Table("bus", "address", "device", "sub-model", "confidence", "becomes", box=None, padding=(0, 2, 0, 0))
    for one in found:
        becomes = "no child" if one["becomes"].startswith("no child") else "child"
        table.add_row(
            *(
                escape(cell or "-")
                for cell in (one["bus"], one["address"], one["name"], one["sub_model"], one["confidence"], becomes)
            )
        )
    if found:
        out.print(table)
        out.print()
    if evidence:
        for one in found:
            _show_evidence(one)
    else:
        _show_why_not(found)
    out.print(f"{len(found)} device{'' if len(found) == 1 else 's'} found")
    is_lost = {problem["bus"] for problem in problems}
    for search in searches:
        advice = f"; {search['advice']}" if search["advice"] and search["bus"] not in is_lost else ""
        out.print(f"{search['bus']}: {search['text']}{advice}", style="dim", markup=False, soft_wrap=True)
    for remark in remarks:
        err.print(f"[yellow]{escape(_with_bus(remark['bus'], remark['remark']))}[/]", soft_wrap=True)
    for problem in problems:
        err.print(f"[bold red]error:[/] {escape(_with_bus(problem['bus'], problem['problem']))}")


def _show_evidence(one: dict[str, Any]) -> None:
    out.print(f"{one['bus']} {one['address']}: {one['becomes']}", markup=False, soft_wrap=True)
    known = {key: one[key] for key in ("key", "profile", "family", "serial_number", "firmware_version")}
    for fact, value in (known | one["evidence"] | one["says"]).items():
        out.print(f"    {fact}: {'-' if value is None else value}", style="dim", markup=False, soft_wrap=True)


def _show_why_not(found: list[dict[str, Any]]) -> None:
    """Show each reason for not becoming a child once, with the devices that it applies to."""
    by_reason: dict[str, list[str]] = {}
    for one in found:
        if one["becomes"].startswith("no child"):
            by_reason.setdefault(one["becomes"], []).append(f"{one['bus']} {one['address']}")
    for why, places in by_reason.items():
        out.print(f"{', '.join(places)}: {why}", markup=False, soft_wrap=True)


def _with_bus(bus: str, problem: str) -> str:
    """Return the problem, preceded by the bus unless it names it already."""
    return problem if problem.startswith(bus) else f"{bus}: {problem}"
