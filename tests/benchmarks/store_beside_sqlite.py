"""How much the outbox adds to bare SQLite, what a power cut may cost, and what a large backlog does to a start.

The same rows go through the outbox and into a table of the same shape with SQLite alone: as many in a transaction, with the same
pragmas, on the same disk, in turns, so that a busy machine slows down both. What is compared is put, read and confirm.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias, TypeVar

from comparison import Comparison

from gateway.models import ChildDevice, Sample, Status
from gateway.state.child_states import ChildState
from gateway.state.opening import opened_state
from gateway.state.outbox import Outbox
from gateway.state.parts import StateParts
from gateway.state.registry import Registry
from gateway.state.store import Store

CHILDREN = 100
ROUNDS = 60
TURNS = 5
BACKLOG = 1_000_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
VALUES = {"power": 1523.5, "voltage": 230.1, "current": 6.62, "energy": 8823.123, "mode": "eco"}


def compare() -> Iterator[Comparison]:
    """Run both in turns, and yield what they did in a second."""
    ours, bare, normal = [], [], []
    for _ in range(TURNS):
        ours.append(_in_folder(lambda folder: asyncio.run(_outbox(folder, syncs_samples=True))))
        bare.append(_in_folder(_bare))
        normal.append(_in_folder(lambda folder: asyncio.run(_outbox(folder, syncs_samples=False))))
    yield Comparison(
        what=f"samples put, read and confirmed, {CHILDREN} in a transaction", unit="samples/s",
        figure=_rate(ours), baseline=_rate(bare), baseline_is="bare SQLite, the same rows and pragmas",
        goal="at least a third", holds=_rate(ours) >= _rate(bare) / 3,
    )  # fmt: skip
    yield Comparison(
        what='the same with durability = "normal"', unit="samples/s", figure=_rate(normal), baseline=_rate(ours),
        baseline_is='durability = "full"',
    )  # fmt: skip
    yield Comparison(
        what='bytes written for a sample with durability = "normal"', unit="bytes", figure=_bytes(normal), baseline=_bytes(ours),
        baseline_is='durability = "full"', more_is_better=False,
    )  # fmt: skip
    yield _in_folder(lambda folder: asyncio.run(_start(folder)))


T = TypeVar("T")
Result: TypeAlias = tuple[float, int]
"""The seconds and the written bytes of a run."""


def _rate(results: list[Result]) -> float:
    return CHILDREN * ROUNDS / statistics.median(seconds for seconds, _ in results)


def _bytes(results: list[Result]) -> float:
    return statistics.median(written for _, written in results) / (CHILDREN * ROUNDS)


def _in_folder(work: Callable[[Path], T]) -> T:
    with TemporaryDirectory(dir=Path.cwd()) as folder:  # a disk, which /tmp may not be
        return work(Path(folder))


async def _outbox(folder: Path, *, syncs_samples: bool) -> Result:
    async with Store(folder / "store.sqlite3", exclusive=True, syncs_samples=syncs_samples) as store:
        outbox = await _registered(store)
        begin, written = time.perf_counter(), _written_bytes()
        for number in range(ROUNDS):
            await outbox.put(_samples(number))
            if number % 2:  # as many wait as at a round of 30 s with calls each minute
                await _drain(outbox)
        return time.perf_counter() - begin, _written_bytes() - written


async def _drain(outbox: Outbox) -> None:
    while waiting := await outbox.oldest(CHILDREN, parent_id="p"):
        await outbox.confirm(waiting)


async def _registered(store: Store) -> Outbox:
    registry = Registry(store)
    await registry.load()
    for number in range(CHILDREN):
        key = f"sn:acme/{number}"
        record = await registry.admit(ChildDevice(
            key=key, adapter="a", bus="b", address="1", profile=None, family=None, model_id="m", sub_model=None,
            firmware_version=None, name=key,
        ))  # fmt: skip
        registered = replace(record, state=ChildState.REGISTERED, device_id=f"d-{number}", parent_id="p")
        await registry.save_child(registered)
    outbox = Outbox(store, most_samples=10_000_000)
    await outbox.load()
    return outbox


def _samples(number: int) -> list[Sample]:
    at = BEGIN + timedelta(seconds=30 * number)
    return [Sample(f"sn:acme/{child}", at, Status.ONLINE, VALUES) for child in range(CHILDREN)]


def _bare(folder: Path) -> Result:
    with closing(sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(
            "CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, child TEXT NOT NULL, at TEXT NOT NULL,"
            " status TEXT NOT NULL, payload TEXT NOT NULL) STRICT"
        )
        db.execute("CREATE INDEX outbox_by_child ON outbox (child, seq)")
        begin, written = time.perf_counter(), _written_bytes()
        for number in range(ROUNDS):
            at = (BEGIN + timedelta(seconds=30 * number)).isoformat()
            rows = [(f"sn:acme/{child}", at, "online", json.dumps(VALUES)) for child in range(CHILDREN)]
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO outbox (child, at, status, payload) VALUES (?, ?, ?, ?)", rows)
            db.execute("COMMIT")
            while number % 2 and (waiting := db.execute(f"SELECT * FROM outbox ORDER BY seq LIMIT {CHILDREN}").fetchall()):
                for *_, payload in waiting:
                    json.loads(payload)
                db.execute("BEGIN IMMEDIATE")
                db.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq, *_ in waiting])
                db.execute("COMMIT")
        return time.perf_counter() - begin, _written_bytes() - written


async def _start(folder: Path) -> Comparison:
    """Compare a start with many samples waiting with one without any."""
    path = folder / "store.sqlite3"
    async with opened_state(path, _loaded) as state:
        await _registered(state.store)
    empty = await _start_seconds(path)
    rows = ((f"sn:acme/{number % CHILDREN}", BEGIN.isoformat(), "online", json.dumps(VALUES)) for number in range(BACKLOG))
    async with Store(path) as store:
        insert = "INSERT INTO outbox (child, at, status, payload) VALUES (?, ?, ?, ?)"
        await store.transact(lambda db: db.executemany(insert, rows) and None)
    full = await _start_seconds(path)
    return Comparison(
        what=f"the store opened and loaded with {BACKLOG:,} samples waiting",
        unit="ms",
        figure=full * 1000,
        baseline=empty * 1000,
        baseline_is="the same with none",
        more_is_better=False,
        goal="at most 2 s more",
        holds=full - empty <= 2,
    )


async def _start_seconds(path: Path) -> float:
    seconds = []
    for _ in range(TURNS):
        begin = time.perf_counter()
        async with opened_state(path, _loaded) as state:
            seconds.append(time.perf_counter() - begin)
            assert state.outbox.depth >= 0
    return statistics.median(seconds)


async def _loaded(store: Store) -> StateParts:
    state = StateParts.on(store, most_samples=10_000_000)
    await state.load()
    return state


def _written_bytes() -> int:
    """Return what this process has written to disks, as the kernel counts."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
