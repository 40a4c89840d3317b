"""The values of metrics over time survive a restart, thinned out, within a bound."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from gateway.models import Metric, Reading
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.value_segments import count_segments, segment_key, write_segments
from gateway.status.history import History
from gateway.status.kept_values import BYTES_OF_METRIC, SHARE_OF_FILE, KeptValues
from gateway.status.series.levels import DAYS, FIVE_MINUTES, HOURS, Kind, Range
from gateway.status.snapshot import NoChart

START = datetime(2026, 3, 2, 0, 0, 0, tzinfo=UTC)
POWER, STATE, RELAY = Metric("power", "W"), Metric("state"), Metric("relay")
ROOM = 16 << 20


class Clock:
    def __init__(self, at=START):
        self.at = at

    def __call__(self):
        return self.at


@asynccontextmanager
async def run(tmp_path, clock, *, most_bytes=ROOM, children=None, max_metrics=10_000, right_time=None):
    """One run of the gateway."""
    async with HistoryFile(tmp_path / "gateway.sqlite3", most_bytes=most_bytes) as file:
        history = History(max_metrics=max_metrics)
        is_child = (lambda key: True) if children is None else (lambda key: key in children)
        kept = KeptValues(
            history, file, most_bytes=most_bytes, is_child=is_child, right_time=right_time or clock, now=clock
        )  # fmt: skip
        await kept.load()
        yield SimpleNamespace(history=history, kept=kept, file=file)


async def feed(run, clock, hours, *, every=300, save_every=3000, values=lambda at: {POWER: at.hour}):
    end, saved = clock.at + timedelta(hours=hours), clock.at
    while clock.at < end:
        run.history.take([Reading("meter", metric, value, clock.at) for metric, value in values(clock.at).items()])
        clock.at += timedelta(seconds=every)
        if clock.at - saved >= timedelta(seconds=save_every):
            saved = clock.at
            await run.file.save()
    await run.file.save()


def means(series):
    return [one for one in series.mean if one is not None]


async def test_a_restart_shows_the_last_hour_at_once_and_a_gap_while_nothing_ran(tmp_path):
    clock = Clock()
    async with run(tmp_path, clock) as first:
        await feed(first, clock, 0.75, every=30, save_every=300, values=lambda at: {POWER: at.minute, STATE: "idle"})
        before = first.history.metric_history("meter", "power", until=clock.at)
    clock.at += timedelta(minutes=7)
    async with run(tmp_path, clock) as second:
        shown = second.history.metric_history("meter", "power", until=clock.at)
        assert shown.unit == "W"
        assert means(shown)[:10] == [2.0] * 10
        assert abs(len(means(shown)) - len(means(before))) <= 1
        assert second.history.metric_history("meter", "state", until=clock.at).words == ("idle",)
        await feed(second, clock, 0.1, every=30, values=lambda at: {POWER: 100})
        again = second.history.metric_history("meter", "power", until=clock.at)
    assert again.mean.count(None) == 1
    gap = again.mean.index(None)
    assert again.at[gap + 1] - again.at[gap - 1] >= 7 * 60
    assert set(again.mean[gap + 1 :]) == {100.0}


async def test_the_last_value_is_restored_beside_the_hour_of_its_metric_and_no_hour_makes_one_up(tmp_path):
    clock = Clock()
    async with run(tmp_path, clock) as first:
        await feed(first, clock, 0.5, every=30, values=lambda at: {POWER: 7.0, RELAY: True})
    async with run(tmp_path, clock) as second:
        assert second.history.latest_values("meter") == ()
        assert second.history.latest_of("meter", ["power", "relay"]) == []
        named = Metric("power", "W", title="Power of all phases")
        second.history.restore_last("meter", [Reading("meter", named, 7.0, clock.at)], [])
        (shown,) = second.history.latest_values("meter")
        assert (shown.metric, shown.value, shown.at, shown.title, shown.has_history) == (
            "power", 7.0, clock.at, "Power of all phases", True,
        )  # fmt: skip
        later = clock.at + timedelta(minutes=5)
        second.history.take([Reading("meter", POWER, 8.0, later)])
        second.history.restore_last("meter", [Reading("meter", POWER, 7.0, clock.at)], [])
        assert [(one.value, one.at) for one in second.history.latest_values("meter")] == [(8.0, later)]


async def test_a_day_a_week_and_a_year_are_folded_from_each_other(tmp_path):
    clock = Clock()
    async with run(tmp_path, clock) as one:
        await feed(one, clock, 24 * 9 + 5)
    async with run(tmp_path, clock) as again:
        day, week, year = [await again.kept.series("meter", "power", it, clock.at) for it in (Range.DAY, Range.WEEK, Range.YEAR)]
    assert (day.step_seconds, week.step_seconds, year.step_seconds) == (300, 3600, 86400)
    assert 286 <= len(day.mean) <= 289
    assert 167 <= len(week.mean) <= 169
    for at, mean in zip(day.at, day.mean, strict=True):
        assert mean == datetime.fromtimestamp(at, UTC).hour
    for at, mean in zip(week.at, week.mean, strict=True):
        assert mean == datetime.fromtimestamp(at, UTC).hour
    assert len(year.mean) == 10
    assert year.mean[:9] == (11.5,) * 9
    assert (year.low[:9], year.high[:9]) == ((0,) * 9, (23,) * 9)
    assert year.at[0] == int((START + timedelta(hours=12)).timestamp())


async def test_what_was_folded_is_removed_when_it_is_old_and_the_file_does_not_grow_with_the_years(tmp_path):
    clock, sizes = Clock(), []
    async with run(tmp_path, clock) as one:
        for _ in range(3):
            await feed(one, clock, 24 * 5, every=1500)
            counts = await one.file.transact(
                lambda db: [
                    db.execute(
                        "SELECT COUNT(*) FROM value_segments WHERE key >= ? AND key < ?",
                        (segment_key(level.number, 0, 0), segment_key(level.number + 1, 0, 0)),
                    ).fetchone()[0]
                    for level in (FIVE_MINUTES, HOURS, DAYS)
                ]
            )
            sizes.append(counts)
    assert sizes[1][0] == pytest.approx(sizes[2][0], abs=15)
    assert sizes[2][0] <= 31 * 2 + 20
    assert sizes[2][1] <= HOURS.kept_seconds // HOURS.segment_seconds + 3
    assert sizes[2][2] >= 3


async def test_words_keep_their_numbers_over_a_restart_and_switches_stay_switches(tmp_path):
    clock = Clock()
    values = {STATE: "running", RELAY: True}
    async with run(tmp_path, clock) as one:
        await feed(one, clock, 0.5, values=lambda at: {STATE: "idle" if at.minute < 10 else "running", RELAY: at.minute < 10})
    async with run(tmp_path, clock) as again:
        again.history.take([Reading("meter", metric, value, clock.at) for metric, value in values.items()])
        again.history.take([Reading("meter", STATE, "fault", clock.at)])
        await again.file.save()
        state = await again.kept.series("meter", "state", Range.DAY, clock.at)
        relay = await again.kept.series("meter", "relay", Range.DAY, clock.at)
    assert state.kind is Kind.WORDS
    assert state.words == ("idle", "running", "fault")
    assert (state.mean, state.high) == ((0, 0, 1, 1, 1, 1, 2), (0, 0, 1, 1, 1, 1, 2))
    assert (relay.kind, relay.mean) == (Kind.SWITCH, (1, 1, 0, 0, 0, 0, 1))


async def test_a_child_that_is_gone_leaves_nothing_in_the_file(tmp_path):
    clock, children = Clock(), {"meter", "other"}
    async with run(tmp_path, clock, children=children) as one:
        one.history.take([Reading("other", POWER, 1, clock.at)])
        await feed(one, clock, 0.5)
        children.remove("meter")
        one.history.keep_only(children)
        await one.file.save()
        left = await one.file.transact(lambda db: db.execute("SELECT child FROM value_children").fetchall())
        segments = await one.file.transact(lambda db: db.execute("SELECT COUNT(*) FROM value_segments").fetchone()[0])
        assert await one.kept.series("meter", "power", Range.DAY, clock.at) is NoChart.UNKNOWN
    assert left == [("other",)]
    assert segments == 1 + 1, "of the other child, and when it was saved"


async def test_a_clock_that_is_put_back_costs_neither_what_was_kept_nor_what_comes(tmp_path):
    clock = Clock(START + timedelta(hours=30))
    async with run(tmp_path, clock) as one:
        await feed(one, clock, 2, values=lambda at: {POWER: 1})
        clock.at -= timedelta(hours=5)
        await feed(one, clock, 1, values=lambda at: {POWER: 2})
        day = await one.kept.series("meter", "power", Range.DAY, clock.at)
        assert set(means(day)) == {2.0}
        clock.at += timedelta(hours=5)
        later = await one.kept.series("meter", "power", Range.DAY, clock.at)
        assert set(means(later)) == {1.0, 2.0}


async def test_nothing_is_saved_with_times_that_are_wrong(tmp_path):
    clock = Clock(datetime(1970, 1, 1, 0, 0, tzinfo=UTC))
    async with run(tmp_path, clock, right_time=lambda: START) as one:
        await feed(one, clock, 0.5)
        assert await one.file.transact(lambda db: db.execute("SELECT COUNT(*) FROM value_segments").fetchone()[0]) == 0


async def test_where_the_file_is_too_small_the_first_metrics_of_each_child_are_kept_and_the_others_say_so(tmp_path):
    clock, room = Clock(), int(6.5 * BYTES_OF_METRIC / SHARE_OF_FILE)
    metrics = [Metric(f"m{number}") for number in range(5)]
    async with run(tmp_path, clock, most_bytes=room) as one:
        for child in ("a", "b"):
            one.history.take([Reading(child, metric, 1, clock.at) for metric in metrics])
        await one.file.save()
        assert (one.kept.share().metrics, one.kept.share().places, one.kept.share().left_out) == (6, 3, 4)
        for child in ("a", "b"):
            missing = [(await one.kept.series(child, metric.name, Range.YEAR, clock.at)).missing for metric in metrics]
            assert missing == [None, None, None, NoChart.NOT_KEPT, NoChart.NOT_KEPT]
            assert (await one.kept.series(child, "m4", Range.HOUR, clock.at)).missing is None


async def test_without_a_file_there_is_the_last_hour_in_each_range(tmp_path):
    clock = Clock()
    async with run(tmp_path, clock, most_bytes=0) as one:
        await feed(one, clock, 0.5)
        day = await one.kept.series("meter", "power", Range.DAY, clock.at)
        assert (len(day.mean), day.missing) == (6, NoChart.NOT_KEPT)


async def test_a_damaged_segment_costs_itself_alone(tmp_path):
    clock = Clock()
    async with run(tmp_path, clock) as one:
        await feed(one, clock, 3)
        key = segment_key(FIVE_MINUTES.number, int((START + timedelta(hours=1)).timestamp()) // FIVE_MINUTES.segment_seconds, 1)
        await one.file.transact(lambda db: write_segments(db, {key: b"\xff\x00damaged"}))
        day = await one.kept.series("meter", "power", Range.DAY, clock.at)
        assert len(means(day)) == 36 - 6
        await feed(one, clock, 5)


async def test_a_file_that_is_thinned_loses_the_oldest_days_first(tmp_path):
    clock = Clock()
    async with run(tmp_path, clock) as one:
        await feed(one, clock, 24 * 9)
        before = await one.kept.series("meter", "power", Range.YEAR, clock.at)
        assert await one.file.transact(lambda db: (one.kept.thin(db), count_segments(db, DAYS.number))) == (True, 1)
        after = await one.kept.series("meter", "power", Range.YEAR, clock.at)
        assert after.mean[-3:] == before.mean[-3:]
        while await one.file.transact(one.kept.thin):
            pass
        assert (
            await one.file.transact(lambda db: db.execute("SELECT COUNT(*) FROM value_segments WHERE key > 0").fetchone()[0]) == 0
        )


async def test_a_large_site_writes_what_is_complete_and_the_rest_at_the_stop(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.status.kept_values.SMALL_SITE", 0)
    clock = Clock()
    async with run(tmp_path, clock) as one:
        await feed(one, clock, 0.75)
        saved = await one.file.transact(lambda db: db.execute("SELECT COUNT(*) FROM value_segments WHERE key > 0").fetchone()[0])
        assert saved == 1, "half an hour"
        one.kept.writes_all = True
        await one.file.save()
        saved = await one.file.transact(lambda db: db.execute("SELECT COUNT(*) FROM value_segments WHERE key > 0").fetchone()[0])
        assert saved == 2
