"""`xyte-gateway events`: what happened on this gateway, also while it does not run, as text or JSON lines, and as it happens."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from gateway import strict_json
from gateway.cli.common import AsJson, CommandFailed, ConfigFile, errors_shown, load_config, out
from gateway.config.settings import DEFAULT_FILE
from gateway.state.database.sqlite import SqliteError, Transaction, connect_reader
from gateway.state.history.history_file import history_file
from gateway.state.history.schema import NEWEST_VERSION
from gateway.state.history.timeline import EventKind, TimelineEvent, TimelineFilter, read_events

LOOK_EVERY_SECONDS: Final = 2.0
MOST_AT_ONCE: Final = 500
EXIT_BY_CTRL_C: Final = 130

T = TypeVar("T")

Device = Annotated[str | None, typer.Option("--device", help="Only events of this device: its key or its name.")]
Bus = Annotated[str | None, typer.Option("--bus", help="Only events of this bus and its devices.")]
Kinds = Annotated[
    list[EventKind] | None,
    typer.Option("--kind", metavar="KIND", help=f"Only events of this kind; may be given several times: {', '.join(EventKind)}."),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="The latest so many.")]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on with what happens next; it is in the file up to a minute later.")
]


def events(
    config: ConfigFile = DEFAULT_FILE,
    *,
    device: Device = None,
    bus: Bus = None,
    kind: Kinds = None,
    limit: Limit = 50,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Show what happened, the earliest first: devices, buses, commands, configuration, starts and stops.

    With --json, each line is one event.
    """
    with errors_shown(as_json=as_json):
        configuration, _ = load_config(config, for_cloud=False)
        file = history_file(configuration.settings.store.path)
        wanted = TimelineFilter(bus=bus, kinds=frozenset(kind or ()))
        if device is not None:
            wanted = replace(wanted, child=_read(file, lambda db: _key_of(db, device)))
        shown = _read(file, lambda db: read_events(db, wanted, most=limit))[::-1]
        _show(shown, as_json=as_json)
        if not shown and not follow and not as_json:
            out.print("no such event is known", markup=False)
        if follow:
            _follow(file, wanted, shown, as_json=as_json)


def _follow(file: Path, wanted: TimelineFilter, shown: Sequence[TimelineEvent], *, as_json: bool) -> None:
    """Show what happens next, until Ctrl-C."""
    last = shown[-1].seq if shown else 0
    while True:
        time.sleep(LOOK_EVERY_SECONDS)
        new = _next(file, replace(wanted, after=last))
        _show(new, as_json=as_json)
        last = new[-1].seq if new else last


def _next(file: Path, wanted: TimelineFilter) -> Sequence[TimelineEvent]:
    return _read(file, lambda db: read_events(db, wanted, most=MOST_AT_ONCE, is_forward=True))


def _show(events: Sequence[TimelineEvent], *, as_json: bool) -> None:
    for one in events:
        if as_json:
            facts = {
                "seq": one.seq, "at": one.at.isoformat(), "kind": one.kind, "text": one.text, "device": one.device,
                "key": one.child, "entry": one.entry, "bus": one.bus, "times": one.times,
            }  # fmt: skip
            sys.stdout.write(f"{strict_json.dumps(facts)}\n")
            continue
        about = one.device or one.child or one.bus
        times = f" ({one.times} times)" if one.times > 1 else ""
        text = f"{one.at:%Y-%m-%d %H:%M:%S} UTC  {one.kind.replace('_', ' ')}{times}: {f'{about}: ' if about else ''}{one.text}"
        out.print(text, markup=False, soft_wrap=True)
    sys.stdout.flush()


def _key_of(db: Transaction, device: str) -> str:
    """Return the key of a device that is given by its key or its name."""
    query = "SELECT DISTINCT child FROM timeline WHERE child = ?1 OR lower(device) = lower(?1)"
    keys = [str(key) for (key,) in db.execute(query, (device,)) if key is not None]
    if device in keys or len(keys) == 1:
        return device if device in keys else keys[0]
    if keys:
        raise CommandFailed(f"several devices had the name {device}; name one by its key: {', '.join(sorted(keys))}")
    raise CommandFailed(f"no event of a device {device!r} is known; `xyte-gateway children` lists the devices")


def _read(file: Path, query: Callable[[Transaction], T]) -> T:
    if not file.exists():
        raise CommandFailed(f"there is no history at {file}: the gateway has not run with this configuration yet, or keeps none")
    try:
        with closing(connect_reader(file)) as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            if version != NEWEST_VERSION:
                raise CommandFailed(f"{file} is of another version of the gateway (schema {version}): start the gateway once")
            return query(db)
    except SqliteError as error:
        raise CommandFailed(f"{file} cannot be read: {error}") from error
