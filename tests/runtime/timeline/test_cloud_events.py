"""What happens between the gateway and the cloud is in the timeline: contact, registration, claim; once over a restart."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.causes import Cause, Reason
from gateway.runtime.timeline.cloud_events import CloudEvents, CloudStanding
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.timeline import EventKind, Timeline, TimelineFilter

AT = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
WELL = CloudStanding(
    device_id="d1", refusal=None, is_key_refused=False, is_claimed=True, is_reachable=True, tries=0, reason=None, since=AT
)
AWAY = replace(WELL, is_reachable=False, tries=2, reason=Reason("Connection refused", Cause.HUB_UNREACHABLE))


@pytest.fixture
async def file(tmp_path):
    async with HistoryFile(tmp_path / "gateway.sqlite3", most_bytes=1 << 20) as opened:
        yield opened


class Cloud:
    """How the gateway stands with the cloud, and what is told of it."""

    def __init__(self, timeline, standing):
        self.timeline, self.now = timeline, standing
        self.events = CloudEvents(timeline, lambda: self.now)

    async def becomes(self, standing):
        self.now = standing
        self.events.look()
        self.events.look()
        return [
            one.text for one in reversed(await self.timeline.events(TimelineFilter(kinds=frozenset({EventKind.CLOUD})), most=99))
        ]


async def test_a_hub_that_goes_and_comes_is_told_once_each_with_the_reason(file):
    cloud = Cloud(Timeline(file), WELL)
    assert await cloud.becomes(WELL) == []
    assert await cloud.becomes(replace(AWAY, tries=1)) == [], "one call that fails is no outage"
    assert await cloud.becomes(AWAY) == ["the cloud cannot be used, the cloud cannot be reached: Connection refused"]
    told = await cloud.becomes(WELL)
    assert told[1].startswith("the cloud answers again after ")
    assert len(await cloud.becomes(WELL)) == 2


async def test_an_outage_that_goes_on_over_a_restart_is_one(file):
    timeline = Timeline(file)
    await Cloud(timeline, AWAY).becomes(AWAY)
    await file.save()
    again = Cloud(timeline, AWAY)
    await again.events.load()
    assert len(await again.becomes(AWAY)) == 1
    assert len(await again.becomes(WELL)) == 2


async def test_registration_refusal_and_claim_are_told(file):
    new = replace(WELL, device_id=None, is_claimed=None, is_reachable=None, since=None)
    refused = replace(new, refusal=Reason("No such hardware key", Cause.KEY_REFUSED), is_key_refused=True)
    cloud = Cloud(Timeline(file), new)
    assert await cloud.becomes(new) == []
    assert await cloud.becomes(refused) == ["the cloud refuses the hardware key: No such hardware key"]
    assert (await cloud.becomes(replace(WELL, is_claimed=False)))[1:] == ["the gateway is registered with the cloud as d1"]
    assert (await cloud.becomes(WELL))[2:] == ["the gateway was claimed"]
    assert (await cloud.becomes(new))[3:] == ["the registration of the gateway is not valid any more: it registers again"]
    assert (await cloud.becomes(replace(WELL, device_id="d2")))[4:] == ["the gateway is registered with the cloud as d2"]


async def test_a_hub_that_flaps_all_day_does_not_flood_the_timeline(file):
    cloud = Cloud(Timeline(file, now=lambda: AT), WELL)
    for _ in range(500):
        await cloud.becomes(AWAY)
        await cloud.becomes(WELL)
    events = await cloud.timeline.events(TimelineFilter(), most=2000)
    assert len(events) <= 25
