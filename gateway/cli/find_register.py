"""`xyte-gateway find-register`: where in a device the value on its display stands."""

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
from gateway.cli.buses import With, bugs_told, entries, present_buses
from gateway.cli.common import AsJson, CommandFailed, ConfigFile, err, errors_shown, out, print_json
from gateway.cli.progress import progress_shown
from gateway.config.settings import DEFAULT_FILE
from gateway.errors import AdapterError
from gateway.tasks import closed_after

SHOWN = 10

DOUBTFUL = 0.25
"""A second-best explanation that is so likely wants another look at the display."""


def find_register(
    entry: Annotated[str, typer.Argument(help="An entry of the config, or an adapter to be described with --with.")],
    address: Annotated[str, typer.Argument(help="The device, as its bus knows it: a unit id.")],
    value: Annotated[
        list[str], typer.Option("--value", metavar="NUMBER", help="What the display shows, all its decimals; repeatable.")
    ],
    where: Annotated[
        list[str] | None, typer.Option("--range", help='Where to look, as "holding 0-999"; repeatable. Default: the first 1000.')
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, max=0.5, help="How far the device may have moved on: 0.01 is 1 %.")] = 0.002,
    every: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Between two readings, for several values.")] = 5,
    config: ConfigFile = DEFAULT_FILE,
    with_: With = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Find out where a value stands in a device, and how it is encoded, from what its display shows. Read-only.

    One value rules out most; a second one, seen after it has changed, nearly all. At a terminal the next value is asked for.
    Exit code 1 if nothing in the device gives the values.
    """
    with errors_shown(as_json=as_json):
        adapter = asyncio.run(_bus(entry, with_, config))
        asks = sys.stdin.isatty() and len(value) == 1 and not as_json
        shown = _values(value, asks=asks)
        with bugs_told(adapter):
            explanations = asyncio.run(
                _find(adapter, address, shown, where or (), tolerance=tolerance, every=0.0 if asks else every)
            )
    if as_json:
        print_json([{field: getattr(one, field) for field in one.__slots__} for one in explanations])
    else:
        _show(explanations)
    if not explanations:
        raise typer.Exit(1)


async def _bus(entry: str, with_: list[str] | None, config: Any) -> Adapter[Any]:  # noqa: ANN401 - a path
    settings = entries(entry, with_, config)[0]
    buses = await present_buses(settings)
    if len(buses) != 1:
        names = ", ".join(bus.bus for bus in buses) or "none"
        raise CommandFailed(f"{settings.name} has several buses or none right now ({names}): name one with --with")
    return buses[0]


def _values(given: Sequence[str], *, asks: bool) -> Iterator[Decimal]:
    """Yield the values in turn; the first ones as given, then what a person types."""
    for text in given:
        yield _number(text)
    while asks:
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
        raise CommandFailed(f"{text!r} is no number: write what the display shows, as 230.1")
    return number


async def _find(
    adapter: Adapter[Any], address: str, shown: Iterator[Decimal], where: Sequence[str], *, tolerance: float, every: float
) -> Sequence[Explanation]:
    bench = type(adapter).workbench(adapter)
    seen: list[tuple[Dump, Decimal]] = []
    try:
        async with adapter:
            for value in shown:
                if seen:
                    await asyncio.sleep(every)
                dump = await _dump(adapter.bus, bench.take_dump(address, where))
                seen.append((dump, value))
    except AdapterError as error:
        raise CommandFailed(str(error)) from error
    registers = sum(map(len, seen[0][0].cells.values()))
    err.print(f"{registers} registers read, {len(seen)} time{'s' if len(seen) > 1 else ''}", style="dim")
    return bench.explain(seen, tolerance=tolerance)


async def _dump(bus: str, taking: AsyncIterator[Progress | Dump]) -> Dump:
    with progress_shown(f"reading {bus}") as tell:
        async with closed_after(taking) as steps:
            async for step in steps:
                if isinstance(step, Dump):
                    return step
                tell(step)
    raise CommandFailed("nothing could be read")


def _show(explanations: Sequence[Explanation]) -> None:
    if not explanations:
        err.print("[bold red]Nothing in the device gives these values.[/]")
        err.print("Look elsewhere with --range, or allow for a device that moves: --tolerance 0.02. Give all decimals it shows.")
        return
    table = Table("where", "value", "likely", "why", box=None, padding=(0, 2, 0, 0))
    for one in explanations[:SHOWN]:
        values = ", ".join(f"{value:g}" for value in one.values)
        table.add_row(*map(escape, (one.where, values, f"{one.score:.2f}", "; ".join(one.why))))
    out.print(table)
    if len(explanations) > 1 and explanations[1].score > DOUBTFUL:
        err.print("[yellow]Several are about as likely: look again when the display shows something else.[/]")
    out.print(f"\nThe likeliest, for a profile:\n\n{explanations[0].toml}", markup=False)
