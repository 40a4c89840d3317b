"""`xyte-gateway find-register`: find the register that holds a value shown on the display of a device."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gateway.adapter import Adapter, Dump, Explanation, Progress
from gateway.cli.buses import Address, BusName, Entry, With, adapter_bugs_reported, address_first, bus_of_device, entries
from gateway.cli.common import AsJson, CommandFailed, ConfigFile, err, errors_shown, out, print_json
from gateway.cli.progress import progress_shown
from gateway.config.settings import DEFAULT_FILE
from gateway.errors import AdapterError
from gateway.tasks import closed_after

MAX_SHOWN = 10

AMBIGUOUS = 0.25
"""If the second-best explanation has at least this score, another value is needed."""


def find_register(
    address: Address,
    entry: Entry = None,
    *,
    value: Annotated[
        list[str], typer.Option("--value", metavar="NUMBER", help="The value on the display, with all its decimals; repeatable.")
    ],
    where: Annotated[
        list[str] | None,
        typer.Option("--range", help='The registers to search, such as "holding 0-999"; repeatable. Default: the first 1000.'),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, max=0.5, help="How much the value may have changed since: 0.01 is 1 %.")
    ] = 0.002,
    every: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait between readings, if there are several values.")
    ] = 5,
    config: ConfigFile = DEFAULT_FILE,
    with_: With = None,
    bus: BusName = None,
    as_json: AsJson = False,
) -> None:
    """Find the register that holds a value, and its encoding, from what the display of the device shows. Read-only.

    One value excludes most registers; a second one, read after it has changed, excludes nearly all. At a terminal, the command
    asks for further values. Exit code 1 if no register matches.
    """
    with errors_shown(as_json=as_json):
        address, entry = address_first(address, entry, with_, config)
        adapter = asyncio.run(bus_of_device(entries(entry, with_, config), bus, address))
        is_interactive = sys.stdin.isatty() and len(value) == 1 and not as_json
        shown = _values(value, is_interactive=is_interactive)
        with adapter_bugs_reported(adapter):
            explanations = asyncio.run(
                _find(adapter, address, shown, where or (), tolerance=tolerance, every=0.0 if is_interactive else every)
            )
    if as_json:
        print_json([{field: getattr(one, field) for field in one.__slots__} for one in explanations])
    else:
        _show(explanations)
    if not explanations:
        raise typer.Exit(1)


def _values(given: Sequence[str], *, is_interactive: bool) -> Iterator[Decimal]:
    """Yield the given values, then those that a person types."""
    for text in given:
        yield _number(text)
    while is_interactive:
        text = input("What does the display show now? (Enter to finish) ").strip()
        if not text:
            return
        yield _number(text)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text.replace(",", "."))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise CommandFailed(f"{text!r} is not a number: write what the display shows, such as 230.1")
    return number


async def _find(
    adapter: Adapter[Any], address: str, shown: Iterator[Decimal], where: Sequence[str], *, tolerance: float, every: float
) -> Sequence[Explanation]:
    workbench = type(adapter).workbench(adapter)
    dumps: list[tuple[Dump, Decimal]] = []
    try:
        async with adapter:
            for value in shown:
                if dumps:
                    await asyncio.sleep(every)
                dump = await _take_dump(adapter.bus, workbench.take_dump(address, where))
                dumps.append((dump, value))
    except AdapterError as error:
        raise CommandFailed(str(error)) from error
    registers = sum(map(len, dumps[0][0].cells.values()))
    err.print(f"{registers} registers read, {len(dumps)} time{'s' if len(dumps) > 1 else ''}", style="dim")
    return workbench.explain(dumps, tolerance=tolerance)


async def _take_dump(bus: str, dumping: AsyncIterator[Progress | Dump]) -> Dump:
    with progress_shown(f"reading {bus}") as show_step:
        async with closed_after(dumping) as steps:
            async for step in steps:
                if isinstance(step, Dump):
                    return step
                show_step(step)
    raise CommandFailed("nothing could be read")


def _show(explanations: Sequence[Explanation]) -> None:
    if not explanations:
        err.print("[bold red]No register matches these values.[/]")
        err.print("Search other registers with --range, or tolerate a changing value: --tolerance 0.02. Give all its decimals.")
        return
    table = Table("where", "value", "score", "why", box=None, padding=(0, 2, 0, 0))
    for one in explanations[:MAX_SHOWN]:
        values = ", ".join(f"{value:.6g}" for value in one.values)
        table.add_row(*map(escape, (one.where, values, f"{one.score:.2f}", "; ".join(one.why))))
    out.print(table)
    if len(explanations) > 1 and explanations[1].score > AMBIGUOUS:
        err.print("[yellow]Several registers match about as well: repeat this when the display shows another value.[/]")
    out.print(f"\nThe best match, as lines for a profile:\n\n{explanations[0].toml}", markup=False)
