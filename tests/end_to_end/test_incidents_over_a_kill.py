"""An incident goes on over a kill of the gateway; one that ends meanwhile is told as over by its next start."""

import asyncio
import contextlib
import os
import signal
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from gateway.state.database.sqlite import connect_reader
from gateway.state.history.timeline import EventKind, TimelineFilter, read_events

pytestmark = pytest.mark.enable_socket


@asynccontextmanager
async def process(emulator, folder, webhook):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = await asyncio.create_subprocess_exec(
        sys.executable, Path(__file__).with_name("incident_process.py"), emulator.entry_url, folder, webhook, env=environment
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGKILL)
        await running.wait()


@pytest.fixture
async def webhook():
    """A server that is told of incidents: its address, and what it was told."""
    told = []

    async def take(request):
        told.extend(
            (one["state"], one["title"], datetime.fromisoformat(one["at"])) for one in (await request.json())["incidents"]
        )
        return web.Response()

    application = web.Application()
    application.router.add_post("/", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/", told
    await runner.cleanup()


def events_of(folder, *kinds):
    """Return the latest events of these kinds in the history file."""
    with contextlib.closing(connect_reader(folder / "store-history.sqlite3")) as db:
        return read_events(db, TimelineFilter(kinds=frozenset(kinds)), most=99)


async def test_an_incident_that_ended_while_the_gateway_was_killed_is_told_as_over_with_its_time(
    emulator, tmp_path, until, webhook
):
    url, told = webhook

    def child():
        return next((one for one in emulator.cloud.devices.values() if one.parent_id is not None), None)

    async with process(emulator, tmp_path, url):
        await until(lambda: child() is not None, 60)
        emulator.cloud.claim(child().parent_id)
        (tmp_path / "gone").touch()
        await until(lambda: any(one.is_open for one in child().incidents), 60)
        await until(lambda: [state for state, *_ in told] == ["opened"], 60)
        await until(lambda: events_of(tmp_path, EventKind.NOTIFIED), 60)
        await until(lambda: events_of(tmp_path, EventKind.INCIDENT_OPENED), 60)
    (tmp_path / "gone").unlink()
    started_at = datetime.now(UTC)
    async with process(emulator, tmp_path, url):
        await until(lambda: not any(one.is_open for one in child().incidents), 60)
        await until(lambda: [state for state, *_ in told] == ["opened", "closed"], 60)
        await until(lambda: any(one.name == "incident_over" for one in child().events), 60)
        await until(lambda: events_of(tmp_path, EventKind.INCIDENT_CLOSED), 60)
    (closed,) = events_of(tmp_path, EventKind.INCIDENT_CLOSED)
    assert "device going does not answer; it ended while the gateway did not run" in closed.text
    assert started_at < closed.at < datetime.now(UTC)
    assert told[1][1:] == ("device going does not answer", closed.at.replace(microsecond=0))
    over = next(one for one in child().events if one.name == "incident_over")
    assert "over: device going does not answer" in over.keys.values()
    assert abs(over.at - closed.at) < timedelta(seconds=1)


async def test_an_incident_that_goes_on_over_a_kill_stays_one_with_its_first_time(emulator, tmp_path, until, webhook):
    url, told = webhook

    def child():
        return next((one for one in emulator.cloud.devices.values() if one.parent_id is not None), None)

    async with process(emulator, tmp_path, url):
        await until(lambda: child() is not None, 60)
        emulator.cloud.claim(child().parent_id)
        (tmp_path / "gone").touch()
        await until(lambda: any(one.is_open for one in child().incidents), 60)
        await until(lambda: events_of(tmp_path, EventKind.NOTIFIED), 60)
        await until(lambda: events_of(tmp_path, EventKind.INCIDENT_OPENED), 60)
    (before,) = child().incidents
    asked = emulator.journal.calls()["Get Incidents"]
    async with process(emulator, tmp_path, url):
        await until(
            lambda: emulator.journal.calls()["Get Incidents"] > asked, 60
        )  # its cause is seen again, and what is open is looked for
        (now,) = child().incidents
        assert (now.id, now.created_at, now.is_open) == (before.id, before.created_at, True)
        (tmp_path / "gone").unlink()
        await until(lambda: events_of(tmp_path, EventKind.INCIDENT_CLOSED), 60)
    assert [state for state, *_ in told][:1] == ["opened"]
    assert len([one for one in told if one[0] == "opened"]) == 1
    assert len(events_of(tmp_path, EventKind.INCIDENT_OPENED)) == 1
