"""The timeline keeps what happened, in order, over restarts, with filters and pages."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.models import ChildDevice
from gateway.state.events import EventQueue
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.reported import recording_reports
from gateway.state.history.runs import Runs
from gateway.state.history.timeline import (
    AT_ONCE,
    MOST_EVENTS,
    MOST_IN_MEMORY,
    MOST_OF_ONE_DEVICE,
    TEXT_LENGTH,
    EventKind,
    Timeline,
    TimelineFilter,
    read_events,
)
from gateway.state.wall_clock import WallClock

BEGIN = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
METER = ChildDevice(
    key="serial_number:1", adapter="house", bus="/dev/ttyUSB0", address="1", profile=None, family=None, model_id="m",
    sub_model=None, firmware_version=None, name="Meter",
)  # fmt: skip


class Site:
    """A history file with a timeline, at a time that the test sets."""

    def __init__(self, folder, *, most_bytes=64 << 20, boot="one"):
        self.at = BEGIN
        self.file = HistoryFile(folder / "gateway.sqlite3", most_bytes=most_bytes)
        self.timeline = Timeline(self.file, find_device={METER.key: METER}.get, now=lambda: self.at)
        self.runs = Runs(self.file, self.timeline, WallClock(now=lambda: self.at, ticks=lambda: 0.0, boot=boot))

    async def __aenter__(self):
        await self.file.__aenter__()
        await self.timeline.load()
        await self.runs.load()
        return self

    async def __aexit__(self, *exc):
        await self.file.save()
        await self.file.__aexit__(*exc)

    async def read(self, most=100, **wanted):
        return [one.text for one in await self.timeline.events(TimelineFilter(**wanted), most=most)]


async def test_an_event_knows_its_device_and_bus_as_they_were(tmp_path):
    async with Site(tmp_path) as site:
        site.timeline.record(EventKind.WENT, "does not answer", child=METER.key)
        site.timeline.record(EventKind.BUS_LOST, "lost", bus=("house", "/dev/ttyUSB0"))
    async with Site(tmp_path) as site:
        lost, went = await site.timeline.events(TimelineFilter(bus="/dev/ttyUSB0"), most=10)
        assert (went.child, went.device, went.entry, went.bus) == (METER.key, "Meter", "house", "/dev/ttyUSB0")
        assert (lost.child, lost.device, lost.entry) == (None, None, "house")
        assert went.at == BEGIN


async def test_filters_and_pages_give_every_event_once_over_a_restart(tmp_path):
    for run in range(3):
        async with Site(tmp_path) as site:
            for number in range(40):
                kind = EventKind.WENT if number % 2 else EventKind.CAME
                site.timeline.record(kind, f"{run}.{number}", child=f"device {number}")
    async with Site(tmp_path) as site:
        site.runs.stop()
        for number in range(10):
            site.timeline.record(EventKind.WENT, f"3.{number}", child=f"device {number}")
        wanted = frozenset({EventKind.WENT})
        seen, before = [], None
        while page := await site.timeline.events(TimelineFilter(kinds=wanted, before=before), most=7):
            seen += [one.text for one in page]
            before = page[-1].seq
        expected = [f"{run}.{number}" for run in range(3) for number in range(40) if number % 2]
        expected += [f"3.{number}" for number in range(10)]
        assert seen == expected[::-1]
        forward, after = [], 0
        while page := await site.timeline.events(TimelineFilter(kinds=wanted, after=after), most=7):
            forward += [one.text for one in page]
            after = page[-1].seq
        assert forward == expected
        assert await site.read(child="device 3") == ["3.3", "2.3", "1.3", "0.3"]


async def test_a_device_that_comes_and_goes_is_told_with_a_number_and_leaves_the_others_room(tmp_path):
    async with Site(tmp_path) as site:
        for _ in range(100):
            site.timeline.record(EventKind.WENT, "does not answer", child=METER.key)
            site.timeline.record(EventKind.WENT, "does not answer", child="another")
        mine = await site.timeline.events(TimelineFilter(child=METER.key), most=1000)
        assert [one.times for one in mine] == [1] * AT_ONCE
        site.at += timedelta(minutes=10)
        site.timeline.record(EventKind.WENT, "does not answer", child=METER.key)
        (latest,) = await site.timeline.events(TimelineFilter(child=METER.key), most=1)
        assert latest.times == 100 - AT_ONCE + 1


async def test_the_timeline_is_bounded_and_one_device_does_not_push_out_the_others(tmp_path):
    async with Site(tmp_path) as site:
        rows = [(1, 0.0, "moved", "quiet", "Quiet", None, None, "moved", 1, None)]
        rows += [(n, 0.0, "went", "noisy", "Noisy", None, None, "went", 1, None) for n in range(2, MOST_EVENTS + 2)]
        await site.file.transact(lambda db: db.executemany("INSERT INTO timeline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows))
    async with Site(tmp_path) as site:
        site.timeline.record(EventKind.CAME, "now", child="another")
        await site.file.save()
        (count,) = await site.file.transact(lambda db: db.execute("SELECT COUNT(*) FROM timeline").fetchone())
        assert count <= MOST_OF_ONE_DEVICE + 10
        assert await site.read(child="quiet") == ["moved"]


async def test_without_a_disk_the_latest_events_are_kept_in_memory(tmp_path):
    async with Site(tmp_path, most_bytes=0) as site:
        for number in range(MOST_IN_MEMORY + 500):
            site.timeline.record(EventKind.OTHER, str(number), child=str(number))
        assert len(await site.read(most=10_000)) == MOST_IN_MEMORY
        assert (await site.read(most=1)) == [str(MOST_IN_MEMORY + 499)]


async def test_events_of_a_clock_that_was_not_set_get_their_right_time(tmp_path):
    async with Site(tmp_path) as site:
        site.at = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
        site.timeline.record(EventKind.WENT, "does not answer", child=METER.key)
        await site.file.save()
        site.timeline.redate(lambda at: at + (BEGIN - datetime(1970, 1, 1, tzinfo=UTC)))
    async with Site(tmp_path) as site:
        (went,) = await site.timeline.events(TimelineFilter(child=METER.key), most=10)
        assert went.at == BEGIN + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("boot", "stops", "why"),
    [("one", True, None), ("one", False, "it was killed, or failed"), ("two", False, "the power went")],
)
async def test_a_start_says_how_the_former_run_ended(tmp_path, boot, stops, why):
    async with Site(tmp_path) as site:
        if stops:
            site.runs.stop()
    async with Site(tmp_path, boot=boot) as site:
        told = await site.read(kinds=frozenset({EventKind.KILLED}))
        assert len(told) == (0 if why is None else 1)
        assert why is None or why in told[0]
        assert site.runs.former.seen_at == BEGIN


async def test_a_report_to_the_cloud_is_in_the_timeline_whole_and_under_its_kind(tmp_path, store):
    async with Site(tmp_path) as site:
        events = EventQueue(store, also=recording_reports(site.timeline))
        long = "x" * 400
        events.report(METER.key, "device_moved", "device", long)
        events.report(None, "configuration_applied", "configuration", "applied")
        events.report(None, "something_new", "gateway", "y" * 1000)
        new, applied, moved = await site.timeline.events(TimelineFilter(), most=10)
        assert (moved.kind, moved.text, moved.device) == (EventKind.MOVED, long, "Meter")
        assert applied.kind is EventKind.CONFIGURATION
        assert (new.kind, len(new.text)) == (EventKind.OTHER, TEXT_LENGTH)


async def test_damaged_rows_are_left_out(tmp_path):
    async with Site(tmp_path) as site:
        site.timeline.record(EventKind.OTHER, "whole")
        await site.file.save()

        def damage(db):
            db.execute("INSERT INTO timeline SELECT 100, 1e300, kind, child, device, entry, bus, text, 1, NULL FROM timeline")
            db.execute("INSERT INTO timeline SELECT 101, 5.0, 'from the future', NULL, NULL, NULL, NULL, 'unknown', 1, NULL")

        await site.file.transact(damage)
        rows = await site.file.transact(lambda db: read_events(db, TimelineFilter(), most=10))
        assert [(one.text, one.kind) for one in rows] == [("unknown", EventKind.OTHER), ("whole", EventKind.OTHER)]
