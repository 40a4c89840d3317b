"""The timeline on the page and in the API: filters, pages, live, and whatever devices call themselves."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from gateway.state.history.timeline import EventKind, TimelineEvent
from gateway.status.model import encode_id
from gateway.status.render.events import KIND_TEXTS

pytestmark = pytest.mark.enable_socket

BEGIN = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
BUS = encode_id("house", "/dev/ttyUSB0")


def event(seq, kind=EventKind.WENT, text="does not answer", child="serial_number:1", device="Meter", **rest):
    at = BEGIN + timedelta(minutes=seq)
    return TimelineEvent(
        seq=seq, at=at, kind=kind, text=text, child=child, device=device,
        **{"entry": "house", "bus": "/dev/ttyUSB0", **rest},
    )  # fmt: skip


@pytest.fixture
def timeline(page):
    page.view.timeline = [event(number, text=f"event {number}.") for number in range(1, 251)]
    return page


async def json_of(page, path, status=200):
    async with page.http.get(path) as answer:
        assert answer.status == status
        return await answer.json()


async def text_of(page, path, status=200):
    async with page.http.get(path) as answer:
        assert answer.status == status
        return await answer.text()


async def test_the_api_gives_every_event_once_in_either_direction(timeline):
    seen, path = [], "/api/v1/events?limit=70"
    while True:
        part = await json_of(timeline, path)
        seen += [one["seq"] for one in part["events"]]
        if part["next"] is None:
            break
        path = f"/api/v1/events?limit=70&before={part['next']}"
    assert seen == list(range(250, 0, -1))
    part = await json_of(timeline, "/api/v1/events?after=200&limit=30")
    assert ([one["seq"] for one in part["events"]], part["next"]) == (list(range(201, 231)), 230)
    first = (await json_of(timeline, "/api/v1/events?limit=1"))["events"][0]
    assert first | {"text": "", "at": ""} == {
        "seq": 250, "at": "", "kind": "went", "text": "", "device": "Meter", "device_id": encode_id("serial_number:1"),
        "key": "serial_number:1", "entry": "house", "bus": "/dev/ttyUSB0", "bus_id": BUS, "times": 1,
    }  # fmt: skip


async def test_the_api_filters_by_device_bus_and_kind(page):
    page.view.timeline = [
        event(1),
        event(2, child="other", device="Other", bus="/dev/ttyUSB1"),
        event(3, kind=EventKind.BUS_LOST, child=None, device=None),
        event(4, kind=EventKind.STARTED, child=None, device=None, entry=None, bus=None),
    ]

    async def seqs(query):
        return [one["seq"] for one in (await json_of(page, f"/api/v1/events?{query}"))["events"]]

    assert await seqs(f"device={encode_id('serial_number:1')}") == [1]
    assert await seqs(f"bus={BUS}") == [3, 1]
    assert await seqs("kind=started") == [4]
    assert await seqs(f"bus={BUS}&kind=went") == [1]
    assert await seqs(f"device={encode_id('never seen')}") == []


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("kind=nonsense", "kind"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("before=x", "before"),
        ("after=-1", "after"),
        ("device=***", "device"),
        ("device=a", "device"),
        (f"device={BUS}", "device"),
        (f"bus={encode_id('house')}", "bus"),
        ("page=2", "page"),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/events.jsonl"])
async def test_a_wrong_parameter_is_named(timeline, path, query, what):
    assert what in (await json_of(timeline, f"{path}?{query}", 400))["error"]


async def test_the_download_has_each_event_of_the_filter_as_a_line(timeline):
    timeline.view.timeline = [event(number) for number in range(1, 1202)]
    text = await text_of(timeline, "/api/v1/events.jsonl?before=1101&after=5")
    assert [json.loads(line)["seq"] for line in text.splitlines()] == list(range(6, 1101))
    assert text.endswith("\n")
    assert await text_of(timeline, "/api/v1/events.jsonl?kind=store") == ""


async def test_the_page_shows_the_latest_and_leads_to_the_earlier(timeline):
    html = await text_of(timeline, "/events")
    assert "event 250." in html and "event 151." in html and "event 150." not in html  # noqa: PT018 - one page
    older = html.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    html = await text_of(timeline, older)
    assert "event 150." in html
    assert ">Latest</a>" in html
    assert '<a href="/events" aria-current="page">Events</a>' in html


async def test_whatever_a_device_calls_itself_is_text(page):
    page.view.timeline = [event(1, device='<b onclick="x">\u202e', text="<script>1</script>")]
    html = await text_of(page, "/events")
    assert "<script>1" not in html
    assert "<b onclick" not in html
    assert "\u202e" not in html


@pytest.mark.parametrize("query", ["kind=nonsense", "device=***", "bus=x", "before=x", "before=99999999999999999999"])
async def test_the_page_takes_a_wrong_filter_for_none(timeline, query):
    assert "event 250." in await text_of(timeline, f"/events?{query}")


async def test_an_open_page_shows_what_happens_next(timeline):
    async with timeline.http.get("/live", params={"at": "/events", "seen": "nothing"}) as live:
        assert "event 250." in (await next_regions(live))["events"]
        timeline.view.timeline.append(event(251, text="it has just happened"))
        assert "it has just happened" in (await next_regions(live))["events"]


async def test_a_child_and_a_bus_show_their_latest_events_and_lead_to_the_others(page):
    child = next(iter(page.view.children.values())).line
    page.view.timeline = [
        event(number, child=child.key, device=child.name, entry=child.entry, bus=child.bus, text=f"event {number}.")
        for number in range(1, 10)
    ]
    html = await text_of(page, f"/children/{child.id}")
    assert "event 9." in html and "event 4." not in html  # noqa: PT018 - one page
    assert f'href="/events?device={child.id}"' in html
    html = await text_of(page, f"/buses/{child.bus_id}")
    assert "event 9." in html
    assert f'href="/events?bus={child.bus_id}"' in html


def test_each_kind_has_words():
    assert set(KIND_TEXTS) == set(EventKind)


async def next_regions(live):
    name = None
    async for line in live.content:
        text = line.decode().rstrip("\n")
        if text.startswith("event: "):
            name = text.removeprefix("event: ")
        elif text.startswith("data: ") and name == "regions":
            return json.loads(text.removeprefix("data: "))
    raise AssertionError("the stream has ended")
