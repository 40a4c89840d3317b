"""A process that keeps a timeline and saves it again and again, until it is killed."""

import asyncio
import sys
from pathlib import Path

from gateway.state.history.history_file import HistoryFile
from gateway.state.history.runs import Runs
from gateway.state.history.timeline import EventKind, Timeline
from gateway.state.wall_clock import WallClock


async def write_until_killed(store):
    async with HistoryFile(store, most_bytes=1 << 20) as file:
        clock = WallClock()
        timeline = Timeline(file)
        runs = Runs(file, timeline, clock)
        await timeline.load()
        await runs.load()
        number = timeline.last_seq
        while True:
            number += 1
            timeline.record(EventKind.OTHER, f"event {number} " + "x" * 300, child=f"device {number}")
            await file.save()
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


asyncio.run(write_until_killed(Path(sys.argv[1])))
