"""A bar that tells how far long work has come, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from gateway.cli.common import err
from gateway.models import Found, Progress


@contextmanager
def progress_shown(what: str) -> Iterator[Callable[[Progress | Found], None]]:
    """Show a bar while the block runs; call what is given with each step. Nothing is shown where nobody watches."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[found]}"),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=err, transient=True, disable=not sys.stderr.isatty()) as bar:
        task, found = bar.add_task(escape(what), total=None, found="", note=""), 0

        def tell(step: Progress | Found) -> None:
            nonlocal found
            if isinstance(step, Progress):
                bar.update(task, completed=step.done, total=step.total, note=escape(step.note))
            else:
                found += 1
                bar.update(task, found=f"{found} found")

        yield tell
