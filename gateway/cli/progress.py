"""Show the progress of a long command at a terminal, with the devices found so far."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from gateway.cli.common import err
from gateway.models import Found, Progress


@contextmanager
def progress_shown(what: str) -> Iterator[Callable[[Progress | Found], None]]:
    """Show a bar and a table of the found devices while the block runs; yield the function to call with each step.

    Nothing is shown if stderr is not a terminal.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[found]}"),
        TextColumn("{task.fields[note]}"),
    )
    bar, devices = Bar(*columns, console=err, auto_refresh=False), dict[str, Found]()
    task = bar.add_task(escape(what), total=None, found="", note="")

    def show_step(step: Progress | Found) -> None:
        if isinstance(step, Progress):
            bar.update(task, completed=step.done, total=step.total, note=escape(step.note))
        else:
            devices[step.address] = step
            bar.update(task, found=f"{len(devices)} found")

    if not sys.stderr.isatty():
        yield show_step
        return
    with Live(get_renderable=lambda: Group(_table(devices), bar), console=err, transient=True, refresh_per_second=4):
        yield show_step


def _table(devices: dict[str, Found]) -> Table | str:
    if not devices:
        return ""
    table = Table("address", "device", "model", "values", box=None, padding=(0, 2, 0, 0))
    for found in devices.values():
        values = ", ".join(f"{metric} {value}" for metric, value in found.says.items())
        cells = (found.address, found.name, found.sub_model or found.profile or "unknown", values)
        table.add_row(*map(escape, cells))
    return table
