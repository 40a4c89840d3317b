"""What devices, buses and incidents do is recorded once: a lost bus is one event, and a restart is no news."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from gateway.causes import Cause, Reason
from gateway.field.children.availability import AvailabilityChange, ChildAvailability
from gateway.field.polling.bus_health import BusOutage
from gateway.models import ChildDevice, Reach
from gateway.runtime.timeline.field_events import FieldEvents
from gateway.runtime.timeline.incident_events import IncidentEvents
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.timeline import Timeline, TimelineFilter
from gateway.state.incidents import Incidents

BUS = ("house", "192.168.1.20")
NOW = datetime(2026, 11, 29, 8, 11, tzinfo=UTC)


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter=BUS[0], bus=BUS[1], address=str(number), profile=None, family=None, model_id="m",
        sub_model=None, firmware_version=None, name=f"Meter {number}",
    )  # fmt: skip


class Field:
    """The parts of a field that these events look at."""

    def __init__(self, former=Reach.UNKNOWN):
        self.listeners, self.reachable = [], set()
        self.former = ChildAvailability(Reach.UNKNOWN, None, None, 0, former=former)
        self.availability = SimpleNamespace(of=lambda key: self.former)
        self.monitor = SimpleNamespace(add_listener=self.listeners.append, is_reachable=lambda key: key in self.reachable)
        self.bus = SimpleNamespace(outage=None)
        self.fleet = SimpleNamespace(supervisors={BUS: self.bus})

    def change(self, key, reach, why=None, **flags):
        reason = None if why is None else Reason(why)
        self.listeners[0](AvailabilityChange(key, reach, NOW, reason, **flags))

    def lose(self, tries=2):
        reason = Reason("[Errno 111] Connect call failed", Cause.HOST_REFUSES)
        self.bus.outage = BusOutage(reason=reason, since=NOW, tried_at=NOW, tries=tries, wait_seconds=1.0)


@pytest.fixture
async def file(tmp_path):
    async with HistoryFile(tmp_path / "gateway.sqlite3", most_bytes=1 << 20) as opened:
        yield opened


@pytest.fixture
def registry():
    return SimpleNamespace(children={f"c{n}": SimpleNamespace(child=child(n)) for n in range(125)})


async def told(timeline):
    return [(one.kind.value, one.text) for one in reversed(await timeline.events(TimelineFilter(), most=1000))]


async def test_a_lost_bus_with_many_children_is_one_event_and_so_is_its_return(file, registry):
    timeline, field = Timeline(file), Field(former=Reach.REACHABLE)
    events = FieldEvents(timeline, registry, field)
    field.lose(tries=1)
    events.look()
    assert await told(timeline) == []
    field.lose()
    for key in registry.children:
        field.change(key, Reach.SILENT, "refused", is_of_bus=True)
    for _ in range(5):
        events.look()
    field.bus.outage = None
    events.look()
    for key in registry.children:
        field.change(key, Reach.REACHABLE, is_of_bus=True)
    (lost, lost_text), (back, back_text) = await told(timeline)
    assert (lost, back) == ("bus_lost", "bus_back")
    assert "refuses the connection" in lost_text
    assert "125 children" in lost_text
    assert "125 children" in back_text
    assert (await timeline.events(TimelineFilter(bus=BUS[1]), most=9))[-1].at == NOW


async def test_a_bus_that_is_lost_over_a_restart_is_lost_once(file, registry):
    timeline, field = Timeline(file), Field()
    field.lose()
    FieldEvents(timeline, registry, field).look()
    await file.save()
    again = Field()
    after = Timeline(file)
    await after.load()
    events = FieldEvents(after, registry, again)
    await events.load()
    events.look()
    again.lose()
    events.look()
    assert [kind for kind, _ in await told(after)] == ["bus_lost"]
    again.bus.outage = None
    events.look()
    assert [kind for kind, _ in await told(after)] == ["bus_lost", "bus_back"]


async def test_a_device_that_falls_silent_and_answers_again_is_told_and_a_start_is_not(file, registry):
    timeline, field = Timeline(file), Field(former=Reach.REACHABLE)
    FieldEvents(timeline, registry, field)
    for key in registry.children:
        field.change(key, Reach.REACHABLE, is_continued=True)
    field.change("new", Reach.REACHABLE)
    assert await told(timeline) == []
    field.change("c1", Reach.SILENT, "no answer within 0.5 s")
    field.change("c1", Reach.REACHABLE)
    assert await told(timeline) == [("went", "does not answer: no answer within 0.5 s"), ("came", "answers again")]


async def test_a_device_that_was_silent_before_the_start_and_answers_after_it_has_come_back(file, registry):
    timeline, field = Timeline(file), Field(former=Reach.SILENT)
    FieldEvents(timeline, registry, field)
    field.change("c1", Reach.SILENT, "still none", is_continued=True)
    field.change("c2", Reach.REACHABLE)
    assert await told(timeline) == [("came", "answers again")]


async def test_an_incident_is_told_when_it_opens_and_closes_and_once_over_a_restart(file, store):
    def incidents_with(*causes):
        incidents = Incidents(store)
        for cause in causes:
            incidents.open(cause, None, f"title of {cause}", "do this")
        return incidents

    timeline = Timeline(file)
    incidents = incidents_with("a", "b")
    events = IncidentEvents(timeline, incidents)
    events.look(is_settled=False)
    events.look(is_settled=False)
    incidents.close("a")
    events.look(is_settled=True)
    seen = await told(timeline)
    assert sorted(seen[:2]) == [("incident_opened", "title of a"), ("incident_opened", "title of b")]
    assert seen[2:] == [("incident_closed", "title of a")]
    await file.save()
    after = Timeline(file)
    await after.load()
    again = IncidentEvents(after, incidents_with("b", "c"))
    await again.load()
    again.look(is_settled=False)
    assert (await told(after))[3:] == [("incident_opened", "title of c")]
    last = IncidentEvents(after, incidents_with("c"))
    await file.save()
    await last.load()
    last.look(is_settled=False)
    assert len(await told(after)) == 4
    last.look(is_settled=True)
    assert (await told(after))[4:] == [("incident_closed", "title of b; it ended while the gateway did not run")]


async def test_a_silent_device_that_answers_after_a_start_ends_its_incident_at_its_first_answer(file, store):
    answered, over = datetime(2126, 1, 1, tzinfo=UTC), []
    timeline, incidents = Timeline(file), Incidents(store)
    incidents.open("child_silent:c1", "c1", "lamp 1 does not answer", "do this")
    incidents.open("configuration:c2", "c2", "lamp 2 takes no configuration", "do that")
    IncidentEvents(timeline, incidents).look(is_settled=False)
    await file.save()
    answers = {}
    after = IncidentEvents(timeline, Incidents(store), answers_since=answers.get, on_over=over.append)
    await after.load()
    after.look(is_settled=False)
    assert over == [], "nobody was asked yet"
    answers |= {"c1": answered, "c2": answered}
    after.look(is_settled=False)
    after.look(is_settled=False)
    assert [(one.cause, one.at) for one in over] == [("child_silent:c1", answered)]
    after.look(is_settled=True)
    assert [one.title for one in over] == ["lamp 1 does not answer", "lamp 2 takes no configuration"]
    assert over[1].at < answered, "the start, when nobody saw it any more"
