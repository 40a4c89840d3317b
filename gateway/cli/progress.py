"""What a person sees while long work goes on at a terminal: how far it has come, and what was found so far."""

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
    """Show a bar, and a table of the devices found, while the block runs; call what is given with each step.

    Nothing is shown where nobody watches.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[found]}"),
        TextColumn("{task.fields[note]}"),
    )
    bar, met = Bar(*columns, console=err, auto_refresh=False), dict[str, Found]()
    task = bar.add_task(escape(what), total=None, found="", note="")

    def tell(step: Progress | Found) -> None:
        if isinstance(step, Progress):
            bar.update(task, completed=step.done, total=step.total, note=escape(step.note))
        else:
            met[step.address] = step
            bar.update(task, found=f"{len(met)} found")

    if not sys.stderr.isatty():
        yield tell
        return
    with Live(get_renderable=lambda: Group(_table(met), bar), console=err, transient=True, refresh_per_second=4):
        yield tell


def _table(met: dict[str, Found]) -> Table | str:
    if not met:
        return ""
    table = Table("address", "device", "is", "says", box=None, padding=(0, 2, 0, 0))
    for found in met.values():
        says = ", ".join(f"{metric} {value}" for metric, value in found.says.items())
        cells = (found.address, found.name, found.sub_model or found.profile or "not known", says)
        table.add_row(*map(escape, cells))
    return table
