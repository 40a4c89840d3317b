"""The history file is expendable: it opens after a kill, is set aside when it is unusable, and is bounded."""

import asyncio
import contextlib
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.state.history import history_file as module
from gateway.state.history.history_file import HistoryFile, history_file
from gateway.state.history.schema import NEWEST_VERSION
from gateway.state.history.timeline import EventKind, Timeline, TimelineFilter
from gateway.testing.clock import simulated

BOUND = 1 << 20
ALL = TimelineFilter()


def file_of(tmp_path, *, most_bytes=BOUND, told=None):
    return HistoryFile(tmp_path / "gateway.sqlite3", most_bytes=most_bytes, tell=(told if told is not None else []).append)


async def texts(timeline, most=100):
    return [one.text for one in await timeline.events(ALL, most=most)]


async def write_events(tmp_path, *words, told=None, most_bytes=BOUND):
    async with file_of(tmp_path, told=told, most_bytes=most_bytes) as file:
        timeline = Timeline(file)
        await timeline.load()
        for word in words:
            timeline.record(EventKind.OTHER, word, child=word)
        await file.save()
        return await texts(timeline)


async def test_what_was_saved_is_there_after_a_start(tmp_path):
    await write_events(tmp_path, "first")
    assert await write_events(tmp_path, "second") == ["second", "first"]
    assert (history_file(tmp_path / "gateway.sqlite3").stat().st_mode & 0o777) == 0o600


async def test_what_is_not_saved_is_written_when_the_disk_takes_it_again(tmp_path, caplog):
    folder = tmp_path / "missing"
    file = HistoryFile(folder / "gateway.sqlite3", most_bytes=BOUND)
    with caplog.at_level(logging.INFO):
        async with file:
            timeline = Timeline(file)
            await timeline.load()
            timeline.record(EventKind.OTHER, "while the disk took nothing")
            await file.save()
            await file.save()
            assert file.problem is not None
            assert await texts(timeline) == ["while the disk took nothing"]
            folder.mkdir()
            await file.save()
            assert file.problem is None
    assert [record.levelname for record in caplog.records if "history:" in record.message] == ["WARNING", "INFO"]
    async with HistoryFile(folder / "gateway.sqlite3", most_bytes=BOUND) as file:
        timeline = Timeline(file)
        await timeline.load()
        assert await texts(timeline) == ["while the disk took nothing"]


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda file: file.write_bytes(b"no database" * 1000), "is damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[:5000]), "is damaged"),
        (lambda file: _run(file, f"PRAGMA user_version = {NEWEST_VERSION + 1}"), "was written by a newer gateway"),
        (lambda file: _run(file, "DROP TABLE timeline"), "no such table"),
        (lambda file: _run(file, "PRAGMA application_id = 7"), "is no history file"),
    ],
)
async def test_an_unusable_file_is_set_aside_once_and_begun_anew(tmp_path, caplog, damage, why):
    await write_events(tmp_path, *(f"event {number}" for number in range(50)))
    path = history_file(tmp_path / "gateway.sqlite3")
    damage(path)
    told = []
    assert await write_events(tmp_path, "new", told=told) == ["new"]
    assert len(told) == 1
    assert why in told[0]
    assert sum(why in record.message for record in caplog.records) == 1
    assert await write_events(tmp_path, "newer", told=told) == ["newer", "new"]
    assert len(told) == 1
    assert len(list(tmp_path.glob(f"{path.name}.*-*T*"))) == 1


async def test_only_the_latest_damaged_file_is_kept(tmp_path):
    path = history_file(tmp_path / "gateway.sqlite3")
    for _ in range(3):
        path.write_bytes(b"no database" * 1000)
        await write_events(tmp_path, "new")
    assert len(list(tmp_path.glob(f"{path.name}.damaged-*"))) == 1


async def test_a_page_that_is_damaged_while_the_gateway_runs_costs_history_alone(tmp_path):
    told = []
    await write_events(tmp_path, *(f"event {number} {'x' * 400}" for number in range(300)))
    path = history_file(tmp_path / "gateway.sqlite3")
    async with file_of(tmp_path, told=told) as file:
        timeline = Timeline(file)
        await timeline.load()
        size = path.stat().st_size
        with path.open("r+b") as raw:
            raw.seek(8192)
            raw.write(os.urandom(size - 8192))
        timeline.record(EventKind.OTHER, "still told")
        await file.transact(lambda db: db.execute("PRAGMA cache_size = 0").fetchall())
        for _ in range(3):
            await timeline.events(ALL, most=1000)
            await file.save()
        assert (await texts(timeline))[0] == "still told"
    assert len(told) == 1
    assert (await write_events(tmp_path))[0] == "still told"


async def test_a_file_that_is_removed_is_begun_anew_with_what_is_known(tmp_path):
    told = []
    path = history_file(tmp_path / "gateway.sqlite3")
    async with file_of(tmp_path, told=told) as file:
        timeline = Timeline(file)
        timeline.record(EventKind.OTHER, "before")
        await file.save()
        path.unlink()
        timeline.record(EventKind.OTHER, "after")
        await file.save()
    assert len(told) == 1
    assert await write_events(tmp_path) == ["after", "before"]


async def test_the_file_stays_within_its_bound(tmp_path):
    path = history_file(tmp_path / "gateway.sqlite3")
    async with file_of(tmp_path) as file:
        timeline = Timeline(file)
        for batch in range(12):
            for number in range(500):
                timeline.record(EventKind.OTHER, f"{batch} {number} " + "x" * 300, child=f"{batch} {number}")
            await file.save()
            assert path.stat().st_size <= BOUND
        assert file.problem is None
        assert (await texts(timeline, 1))[0].startswith("11 499")
    assert path.stat().st_size <= BOUND


async def test_a_lower_bound_makes_the_file_smaller(tmp_path):
    path = history_file(tmp_path / "gateway.sqlite3")
    for batch in range(6):
        await write_events(tmp_path, *(f"{batch} {number} " + "x" * 400 for number in range(1000)), most_bytes=64 << 20)
    assert path.stat().st_size > BOUND
    await write_events(tmp_path, "one more")
    await write_events(tmp_path, "and one")
    assert path.stat().st_size <= BOUND
    assert (await write_events(tmp_path))[0] == "and one"


async def test_nothing_is_kept_where_the_configuration_says_so(tmp_path):
    assert await write_events(tmp_path, "in memory", most_bytes=0) == ["in memory"]
    assert not list(tmp_path.glob("*history*"))
    async with file_of(tmp_path, most_bytes=0) as file:
        with pytest.raises(StoreError, match="history_mb"):
            await file.transact(lambda db: None)


def test_an_event_is_written_within_a_minute_and_the_rest_every_five(tmp_path):
    saves = []

    class Part:
        async def unsaved(self, *, is_full):
            saves.append((round(asyncio.get_running_loop().time() - begin), is_full))

        def saved(self):
            pass

    async def main():
        nonlocal begin
        begin = asyncio.get_running_loop().time()
        async with file_of(tmp_path) as file:
            file.add_part(Part())
            running = asyncio.create_task(file.run())
            await asyncio.sleep(700)
            file.save_soon()
            await asyncio.sleep(1)
            file.save_soon()
            await asyncio.sleep(25)
            file.save_soon()
            await asyncio.sleep(80)
            running.cancel()

    begin = 0
    simulated(main())
    assert saves == [(60, True), (360, True), (660, True), (720, False), (780, False)]


def test_a_slow_disk_does_not_hold_up_the_stop(tmp_path, monkeypatch):
    async def main():
        async with file_of(tmp_path) as file:
            timeline = Timeline(file)
            timeline.record(EventKind.OTHER, "late")
            released = asyncio.Event()

            async def held(**_):
                await released.wait()

            monkeypatch.setattr(timeline, "unsaved", held)
            begin = asyncio.get_running_loop().time()
            await file.save_at_stop()
            return asyncio.get_running_loop().time() - begin

    assert simulated(main()) < module.SAVE_AT_STOP_SECONDS + 1


def test_a_kill_at_any_moment_leaves_a_file_that_opens_with_all_that_was_saved(tmp_path):
    draw = random.Random(16)
    store = tmp_path / "gateway.sqlite3"
    last = 0
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("history_writer.py"), store], stdout=subprocess.PIPE, text=True
        )
        lines = [writer.stdout.readline() for _ in range(draw.randint(1, 60))]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.wait()
        writer.stdout.close()
        whole = [line for line in lines if line.endswith("\n")]
        last = int(whole[-1])
        with contextlib.closing(sqlite3.connect(history_file(store))) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert db.execute("SELECT MAX(seq) FROM timeline").fetchone()[0] >= last
    assert not list(tmp_path.glob("*.damaged-*"))


def _run(file, statement):
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(statement)
