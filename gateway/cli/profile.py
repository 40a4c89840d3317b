"""`xyte-gateway profile`: list the profiles, check one, make one, and run its cases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from gateway.adapter import CheckedProfile, DeviceUnreachable, NotOffered, ProfileProblems, Reading, Workbench
from gateway.cli.buses import Entry, With, adapter_bugs_reported, entries, present_buses
from gateway.cli.common import EXIT_WRONG, AsJson, CommandFailed, ConfigFile, err, errors_shown, out, print_json, problem_list
from gateway.cli.new_profile import new_profile
from gateway.cli.profile_cases import run_cases
from gateway.cli.read import value_text
from gateway.config.settings import DEFAULT_FILE
from gateway.field.plugins import installed, usable
from gateway.plain_numbers import seconds_text, share_text

profile = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
profile.command(name="new")(new_profile)
profile.command(name="test")(run_cases)

T = TypeVar("T")

Address = Annotated[str | None, typer.Argument(help="The address of a device to read once, such as a unit id.")]


@profile.command(name="list")
def list_profiles(*, as_json: AsJson = False) -> None:
    """List the profiles of the installed adapters."""
    with errors_shown(as_json=as_json):
        known = {
            name: profiles for name, profiles in _from_each_adapter(lambda workbench: workbench.profiles()).items() if profiles
        }
    if as_json:
        print_json([{"adapter": name, **_facts(one)} for name, profiles in known.items() for one in profiles])
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("profile", no_wrap=True)
    table.add_column("device")
    table.add_column("points", justify="right")
    table.add_column("found by", no_wrap=True)
    for adapter, profiles in known.items():
        for family, alike in groupby(sorted(profiles, key=lambda one: (one.family, one.name)), key=lambda one: one.family):
            table.add_row(escape(f"{family} ({adapter})"), style="bold")
            for one in alike:
                title = one.title + (f", {one.commands} command{'' if one.commands == 1 else 's'}" if one.commands else "")
                table.add_row(*map(escape, (f"  {one.name}", title, str(one.points), "scan" if one.is_found else "config")))
    out.print(table)
    out.print('\nDevices found by "config" cannot identify themselves: list them under `devices` of their adapter.')


@profile.command()
def check(
    file: Annotated[Path, typer.Argument(help="The profile, a TOML file.")],
    entry: Entry = None,
    address: Address = None,
    config: ConfigFile = DEFAULT_FILE,
    with_: With = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what is unusual, too. Exit code 1.")] = False,
    cases: Annotated[
        Path | None,
        typer.Option("--cases", exists=True, file_okay=False, help="The folder of its case folders: tell which cases it lacks."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a profile and show its mistakes, or its blocks.

    Shows each mistake with its line, or the blocks that are read and the time that each takes.

    With an entry, the times are for the speed of its first bus; with an address too, the device there is read once. Read-only.
    What is unusual is told, and `--strict` refuses it: names and units outside of the vocabulary of metrics, a second source that
    is missing, types without a rule for "not available" and, with --cases, cases that are missing.
    Exit code 2 if the profile has a mistake, 1 if the device could not be read.
    """
    with errors_shown(as_json=as_json):
        try:
            checked, readings = asyncio.run(_check(file, entry, address, config, with_))
            remarks = _remarks(file, cases)
        except ProfileProblems as error:
            raise _refused(file, error, as_json=as_json) from error
        if strict and remarks:
            raise CommandFailed("\n".join(remarks))
    for remark in remarks:
        err.print(remark, markup=False, soft_wrap=True, style="yellow")
    if as_json:
        print_json({**_checked_facts(checked), "remarks": remarks, "readings": None if readings is None else _values(readings)})
        return
    _show(checked)
    if readings is not None:
        _show_readings(checked, readings)


async def _check(
    file: Path, entry: str | None, address: str | None, config: Path, with_: list[str] | None
) -> tuple[CheckedProfile, list[Reading] | None]:
    if entry is None:
        return _checked(file), None
    settings = entries(entry, with_, config)[0]
    buses = await present_buses(settings)
    if not buses:
        raise CommandFailed(f"{settings.name} has no bus right now: is it plugged in?")
    readings: list[Reading] = []
    workbench = type(buses[0]).workbench(buses[0])
    checked = workbench.check_profile(file)
    if address is None:
        return checked, None
    with adapter_bugs_reported(buses[0]):
        async with buses[0]:
            try:
                async for block in workbench.try_profile(file, address):
                    readings += block
            except DeviceUnreachable as error:
                raise CommandFailed(f"{buses[0].bus}: {error}") from error
    return checked, readings


def _checked(file: Path) -> CheckedProfile:
    """Check the profile with the adapter whose format it follows; each adapter has its own format.

    Raises:
        ProfileProblems: no adapter accepts it; the problems are those of the adapter that knows most of its keys.
    """
    problems: list[ProfileProblems] = []

    def check_with(workbench: Workbench) -> CheckedProfile | None:
        try:
            return workbench.check_profile(file)
        except ProfileProblems as error:
            problems.append(error)
            return None

    for checked in _from_each_adapter(check_with).values():
        if checked is not None:
            return checked
    raise min(problems, key=lambda error: (error.strangeness, len(error.problems)))


def _refused(file: Path, error: ProfileProblems, *, as_json: bool) -> Exception:
    """Show the mistakes of a profile; return what ends the command."""
    if not as_json:
        return CommandFailed(str(error), EXIT_WRONG)
    print_json({"error": str(error), "file": str(file), "problems": problem_list(error.problems)})
    return typer.Exit(EXIT_WRONG)


def _remarks(file: Path, cases: Path | None) -> list[str]:
    """Return what is unusual in a profile without mistakes, by the adapter whose format it follows."""
    wrong: list[ProfileProblems] = []

    def remarks_by(workbench: Workbench) -> list[str] | None:
        try:
            return list(workbench.remarks_of(file) if cases is None else workbench.remarks_of(file, cases))
        except ProfileProblems as error:
            wrong.append(error)
            return None

    told = next((told for told in _from_each_adapter(remarks_by).values() if told is not None), None)
    if told is None:
        raise min(wrong, key=lambda error: (error.strangeness, len(error.problems)))
    return told


def _from_each_adapter(call: Callable[[Workbench], T]) -> dict[str, T]:
    """Return the result of a tool of each adapter that has it."""
    results: dict[str, T] = {}
    for name, adapter in usable(installed()).items():
        try:
            results[name] = call(adapter.workbench())
        except NotOffered:
            continue
    if not results:
        raise CommandFailed("no installed adapter has profiles")
    return results


def _facts(one: Any) -> dict[str, Any]:  # noqa: ANN401 - any frozen model
    return {field: getattr(one, field) for field in one.__slots__}


def _checked_facts(checked: CheckedProfile) -> dict[str, Any]:
    return {**_facts(checked), "blocks": [_facts(block) for block in checked.blocks]}


def _values(readings: list[Reading]) -> Mapping[str, object]:
    return {reading.metric.name: reading.value for reading in readings}


def _show(checked: CheckedProfile) -> None:
    out.print(f"[green]{escape(checked.name)} is fine:[/] {escape(checked.title)}", soft_wrap=True)
    out.print(f"from {checked.source}\n", markup=False, soft_wrap=True, style="dim")
    table = Table("poll group", "every", "block", "takes", "points", box=None, padding=(0, 2, 0, 0))
    for group, blocks in groupby(checked.blocks, key=lambda block: block.group):
        for block in blocks:
            cells = (
                group,
                seconds_text(block.every_seconds),
                block.what,
                f"{1000 * block.seconds:.1f} ms",
                ", ".join(block.metrics),
            )
            table.add_row(*map(escape, cells))
    out.print(table)
    load = sum(block.seconds / block.every_seconds for block in checked.blocks)
    count = len(checked.blocks)
    takes = "1 block; it takes" if count == 1 else f"{count} blocks; they take"
    out.print(f"\n{takes} {share_text(load)} of the time of the bus", soft_wrap=True)


def _show_readings(checked: CheckedProfile, readings: list[Reading]) -> None:
    out.print()
    table = Table("metric", "value", "unit", box=None, padding=(0, 2, 0, 0))
    for reading in readings:
        table.add_row(*map(escape, (reading.metric.name, value_text(reading.value), reading.metric.unit or "")))
    out.print(table)
    read = {reading.metric.name for reading in readings}
    rejected = [metric for block in checked.blocks for metric in block.metrics if metric not in read]
    if rejected:
        err.print(f"[yellow]The device rejects {len(rejected)} points:[/] {escape(', '.join(rejected))}")
