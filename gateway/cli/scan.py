"""`xyte-gateway scan`: look who is there, read-only and without the cloud."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from gateway.adapter import Adapter, Found, Progress
from gateway.cli.buses import Entry, With, bugs_told, entries, present_buses
from gateway.cli.common import EXIT_FAILED, AsJson, CommandFailed, ConfigFile, err, errors_shown, load_config, out, print_json
from gateway.errors import BusUnavailable
from gateway.field.admission import Declined, admit
from gateway.settings import DEFAULT_FILE, Policy
from gateway.tasks import closed_after


def scan(
    entry: Entry = None,
    config: ConfigFile = DEFAULT_FILE,
    with_: With = None,
    *,
    evidence: Annotated[bool, typer.Option("--evidence", help="Also show what was asked and what was answered.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look who answers on the buses, and what each device would become. Read-only, and nothing is sent to the cloud.

    Exit code 1 if a bus could not be opened.
    """
    with errors_shown(as_json=as_json):
        chosen = entries(entry, with_, config)
        policy, models = (Policy.MATCHED, {"*": "<model id from the Partner Portal>"}) if with_ else _admission(config)
        found: list[dict[str, Any]] = []
        problems: list[dict[str, str]] = []

        async def scan_all() -> None:
            for settings in chosen:
                for adapter in await present_buses(settings):
                    with _bar(adapter.bus) as tell:
                        try:
                            met = await _scan(adapter, tell)
                        except (BusUnavailable, CommandFailed) as error:
                            problems.append({"adapter": settings.name, "bus": adapter.bus, "problem": str(error)})
                            continue
                    found.extend(_facts(one, settings.name, adapter.bus, policy, models) for one in met)

        asyncio.run(scan_all())
    if as_json:
        print_json({"found": found, "problems": problems})
    else:
        _show(found, problems, evidence=evidence)
    if problems:
        raise typer.Exit(EXIT_FAILED)


async def _scan(adapter: Adapter[Any], tell: Callable[[Progress | Found], None]) -> list[Found]:
    met: list[Found] = []
    with bugs_told(adapter):
        async with adapter, closed_after(adapter.discover()) as discovery:
            async for one in discovery:
                tell(one)
                if isinstance(one, Found):
                    met.append(one)
    return met


def _admission(config: Path) -> tuple[Policy, dict[str, str]]:
    settings = load_config(config, for_cloud=False)[0].settings
    return settings.admission.policy, settings.models


def _facts(found: Found, entry: str, bus: str, policy: Policy, models: dict[str, str]) -> dict[str, Any]:
    verdict = admit(found, adapter=entry, bus=bus, policy=policy, models=models, decision=None)
    return {
        "adapter": entry,
        "bus": bus,
        "address": found.address,
        "key": found.identity.key,
        "name": found.name,
        "manufacturer": found.manufacturer,
        "model": found.model,
        "serial_number": found.serial_number,
        "firmware_version": found.firmware_version,
        "profile": found.profile,
        "family": found.family,
        "sub_model": found.sub_model,
        "becomes": f"no child: {verdict.why}" if isinstance(verdict, Declined) else f"a child of model {verdict.model_id}",
        "evidence": dict(found.evidence),
    }


@contextmanager
def _bar(bus: str) -> Iterator[Callable[[Progress | Found], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[found]} found"),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=err, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(bus, total=None, found=0, note="")

        def tell(step: Progress | Found) -> None:
            if isinstance(step, Progress):
                bar.update(task, completed=step.done, total=step.total, note=escape(step.note))
            else:
                bar.update(task, found=bar.tasks[task].fields["found"] + 1)

        yield tell


def _show(found: list[dict[str, Any]], problems: list[dict[str, str]], *, evidence: bool) -> None:
    table = Table("bus", "address", "device", "sub-model", "becomes", box=None, padding=(0, 2, 0, 0))
    for one in found:
        becomes = "no child" if one["becomes"].startswith("no child") else "child"
        table.add_row(*(escape(cell or "-") for cell in (one["bus"], one["address"], one["name"], one["sub_model"], becomes)))
    if found:
        out.print(table)
    out.print()
    for one in found:
        if evidence or one["becomes"].startswith("no child"):
            out.print(f"{one['bus']} {one['address']}: {one['becomes']}", markup=False, soft_wrap=True)
        if evidence:
            facts = {key: one[key] for key in ("key", "profile", "family", "serial_number", "firmware_version")} | one["evidence"]
            for fact, value in facts.items():
                out.print(f"    {fact}: {'-' if value is None else value}", style="dim", markup=False, soft_wrap=True)
    out.print(f"{len(found)} device{'' if len(found) == 1 else 's'} found")
    for problem in problems:
        text = problem["problem"] if problem["problem"].startswith(problem["bus"]) else f"{problem['bus']}: {problem['problem']}"
        err.print(f"[bold red]error:[/] {escape(text)}")
