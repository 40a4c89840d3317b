"""A gateway that was killed and started again shows at once what it knew: since when, why, the last values, and the events."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from gateway.models import Reach
from gateway.state.database.sqlite import connect_reader
from gateway.state.history.observed_children import read_states, read_values

pytestmark = pytest.mark.enable_socket


class Site:
    """The gateway process, and what its page says."""

    def __init__(self, http, url, folder):
        self.http, self.url, self.folder = http, url, folder

    async def json(self, path):
        async with self.http.get(f"{self.url}/api/v1{path}") as answer:
            return await answer.json()

    async def text(self, path):
        async with self.http.get(f"{self.url}{path}") as answer:
            return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", await answer.text()))

    async def child(self, name):
        rows = (await self.json("/children"))["children"]
        row = next((row for row in rows if row["name"] == f"device {name}"), None)
        return None if row is None else await self.json(f"/children/{row['id']}")

    async def has_admitted_both(self):
        """Return whether the timeline has that both were admitted: what happens next comes behind it."""
        events = (await self.json("/events?limit=500"))["events"]
        return len({one["device"] for one in events if one["kind"] == "admitted"}) == 2

    async def until(self, claim, seconds=60):
        async with asyncio.timeout(seconds):
            while True:
                try:
                    if found := await claim():
                        return found
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    async def standing(self, name, standing):
        async def claim():
            report = await self.child(name)
            return report if report is not None and report["child"]["line"]["standing"] == standing else None

        return await self.until(claim)


@asynccontextmanager
async def process(emulator, folder, port):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = await asyncio.create_subprocess_exec(
        sys.executable, Path(__file__).with_name("observed_process.py"), emulator.entry_url, folder, str(port), env=environment
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGKILL)
        await running.wait()


async def saved(folder, key):
    """Return whether the failures of a silent child are in the history file, and so all that came before."""
    with contextlib.closing(connect_reader(folder / "store-history.sqlite3")) as db:
        values, states = read_values(db), read_states(db)
    return key in values and bool(values[key].failures) and states[key].reach is Reach.SILENT


def moment(text):
    return datetime.fromisoformat(text)


async def test_what_was_known_is_shown_at_once_after_a_kill(emulator, tmp_path, port):
    folder = tmp_path
    async with aiohttp.ClientSession() as http:
        site = Site(http, f"http://127.0.0.1:{port}", folder)
        async with process(emulator, folder, port):
            await site.standing("steady", "fine")
            await site.standing("going", "fine")
            await site.until(site.has_admitted_both)
            (folder / "gone").touch()
            gone = await site.standing("going", "silent")
            steady = await site.child("steady")
            await site.until(lambda: saved(folder, gone["child"]["line"]["key"]))
        killed_at = datetime.now(UTC)
        (folder / "held").touch()
        async with process(emulator, folder, port):
            gone_after = await site.standing("going", "silent")
            line = gone_after["child"]["line"]
            assert abs(moment(line["since"]) - moment(gone["child"]["line"]["since"])).total_seconds() < 0.01
            assert (line["is_from_before"], line["why"]) == (True, gone["child"]["line"]["why"])
            assert gone_after["child"]["reach"] == "unknown"
            assert gone_after["failures"][0]["times"] >= 1
            assert [one["value"] for one in gone_after["values"]] == [7.0]
            assert moment(gone_after["values"][0]["at"]) < moment(line["since"])
            assert [one["reach"] for one in gone_after["changes"]] == ["silent", "reachable"]
            assert "(before the restart)" in await site.text(f"/children/{line['id']}")

            steady_after = await site.standing("steady", "unasked")
            line = steady_after["child"]["line"]
            assert moment(line["answered_at"]) < killed_at
            assert line["since"] is None
            assert {one["metric"]: one["value"] for one in steady_after["values"]} == {"power": 21.5, "door": "open"}
            assert steady_after["child"]["evidence"] == {"asked": "answered"}
            page = await site.text(f"/children/{line['id']}")
            assert re.search(r"Last answered .*; not asked yet since the restart", page)
            assert "silent since" not in page

            (folder / "held").unlink()
            await site.standing("steady", "fine")
            steady_again = await site.child("steady")
            assert (
                abs(moment(steady_again["child"]["line"]["since"]) - moment(steady["child"]["line"]["since"])).total_seconds()
                < 0.01
            )
            assert len(steady_again["changes"]) == len(steady["changes"])

            async def asked():
                report = await site.child("going")
                return report if report["child"]["reach"] == "silent" else None

            asked_again = await site.until(asked)
            line = asked_again["child"]["line"]
            assert (line["standing"], line["is_from_before"]) == ("silent", False)
            assert abs(moment(line["since"]) - moment(gone["child"]["line"]["since"])).total_seconds() < 0.01
            (folder / "gone").unlink()
            back = await site.standing("going", "fine")
            assert [one["reach"] for one in back["changes"]] == ["reachable", "silent", "reachable"]

            events = (await site.json("/events?limit=500"))["events"][::-1]
            kinds = [(one["kind"], one["device"]) for one in events]
            assert [one for one in kinds if one[0] in ("admitted", "went", "came", "killed", "started")] == [
                ("started", None),
                *(one for one in kinds if one[0] == "admitted"),
                ("went", "device going"),
                ("killed", None),
                ("started", None),
                ("came", "device going"),
            ]
            assert len({one["seq"] for one in events}) == len(events)
