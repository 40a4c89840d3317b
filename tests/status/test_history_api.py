"""The values of a child over time, as the API gives them, and the errors of every query parameter."""

import pytest

from gateway.models import Metric, Reading
from gateway.status.history import History
from gateway.status.model import encode_id
from gateway.status.openapi import OPERATIONS

pytestmark = pytest.mark.enable_socket

METER = encode_id("sn:acme/Meter 1")
HISTORY = f"/api/v1/children/{METER}/history"


async def answer_of(page, path):
    async with page.http.get(path, headers=page.bearer) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (HISTORY, 'the parameter "metric" is missing'),
        (f"{HISTORY}?metric=", 'the parameter "metric" is missing'),
        (f"{HISTORY}?metric=nothing", 'has no metric "nothing"; it has active_power, energy_total, relay, state, voltage_l1'),
        (f"{HISTORY}?metric=a&metric=b", 'the parameter "metric" is there 2 times'),
        (f"{HISTORY}?metrik=a", 'the parameter "metric" is missing'),
        (f"{HISTORY}?metric=active_power&<b>=1", 'no parameter is called "<b>"; there is metric, range'),
        (f"{HISTORY}?metric=active_power&range=month", 'the parameter "range" is none of hour, day, week, year: "month"'),
        (f"{HISTORY}.csv", 'the parameter "metric" is missing'),
        (f"{HISTORY}.csv?metric=active_power&compare=x", 'has no metric "x"'),
        (f"{HISTORY}.csv?metric=active_power&from=yesterday", 'the parameter "from" is not a time with its zone, such as'),
        (f"{HISTORY}.csv?metric=active_power&to=2026-13-01T00:00:00Z", 'the parameter "from" or "to" is no time'),
        ("/api/v1/children?page=0", 'the parameter "page" is not a page number from 1 to 999999: "0"'),
        ("/api/v1/children?page=abc", 'the parameter "page" is not a page number'),
        ("/api/v1/children?page=-1", 'the parameter "page" is not'),
        ("/api/v1/children?page=1e9", 'the parameter "page" is not'),
        ("/api/v1/children?page=%D9%A1", 'the parameter "page" is not'),
        ("/api/v1/children?page=", 'the parameter "page" is not'),
        ("/api/v1/children?show=everything", 'the parameter "show" is none of trouble, refused, held, silent'),
        ("/api/v1/children?shwo=fine", 'no parameter is called "shwo"; there is search, page, show'),
        ("/api/v1/waiting?show=fine", 'the parameter "show" is none of ignored: "fine"'),
        ("/api/v1/waiting?page=0", 'the parameter "page" is not'),
        ("/api/v1/status?verbose=1", 'no parameter is called "verbose"; there is none'),
        ("/api/v1/buses?" + "x" * 500 + "=1", "no parameter is called"),
    ],
)
async def test_a_wrong_parameter_is_named(page, path, why):
    status, body = await answer_of(page, path)
    assert status == 400
    assert why in body["error"]
    assert len(body["error"]) < 300


async def test_every_parameter_that_has_a_pattern_or_choices_is_checked(page):
    checked = 0
    for operation in OPERATIONS:
        given = {name: "active_power" for name, parameter in operation.query.items() if parameter.is_required}
        for name, parameter in operation.query.items():
            if not (parameter.choices or parameter.pattern):
                continue
            checked += 1
            path = operation.path.replace("{id}", METER)
            async with page.http.get(path, headers=page.bearer, params=given | {name: "no such value"}) as answer:
                assert answer.status == 400, (operation.name, name)
                assert f'"{name}"' in (await answer.json())["error"]
    assert checked >= 8


async def test_no_such_child_is_told_apart_from_no_chart(serve, view, fake):
    view.history = History(max_metrics=3)
    for key in ("sn:acme/Meter 1", "sn:acme/Meter 2"):
        view.history.take([Reading(key, metric, 1, fake.now()) for metric in fake.METRICS])
        view.history.take([Reading(key, Metric("none"), None, fake.now())])
    page = await serve(view)
    status, _ = await answer_of(page, f"/api/v1/children/{encode_id('sn:acme/Nobody')}/history?metric=active_power")
    assert status == 404
    status, body = await answer_of(page, f"{HISTORY}?metric=state")
    assert (status, body["missing"], body["at"]) == (200, "full", [])
    assert body["why"].startswith("The memory for charts is used up: it holds 3 metrics.")
    status, body = await answer_of(page, f"{HISTORY}?metric=none")
    assert (status, body["missing"]) == (200, "not_drawn")
    for child in ("Meter 1", "Meter 2"):
        path = f"/api/v1/children/{encode_id(f'sn:acme/{child}')}/history?metric=active_power"
        status, body = await answer_of(page, path)
        assert (status, body["missing"], body["mean"]) == (200, None, [1.0])


async def test_a_range_is_an_hour_unless_the_caller_names_another_one(page):
    status, hour = await answer_of(page, f"{HISTORY}?metric=active_power")
    assert (status, hour["range"], hour["step_seconds"], hour["unit"]) == (200, "hour", 30, "W")
    assert (await answer_of(page, f"{HISTORY}?metric=active_power&range=hour"))[1]["at"][:50] == hour["at"][:50]
    for name, seconds in (("day", 300), ("week", 3600), ("year", 86400)):
        status, body = await answer_of(page, f"{HISTORY}?metric=active_power&range={name}")
        assert (status, body["range"], body["step_seconds"]) == (200, name, seconds)
        assert (body["missing"], body["why"]) == (
            "not_kept",
            "Only the last hour of it is kept: the history file has no room for more metrics.",
        )
        assert len(body["at"]) >= 1


async def test_a_range_comes_as_csv(page):
    async with page.http.get(f"{HISTORY}.csv?metric=active_power&compare=relay", headers=page.bearer) as answer:
        text = await answer.text()
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="Meter-1-hour.csv"'
    header, first, *others = text.split("\r\n")
    assert header.startswith('Time,"Active power, lowest [W]","Active power, mean [W]","Active power, highest [W]",')
    assert first.count(",") == 4
    assert len(others) > 100
    middle = others[60].partition(",")[0]
    async with page.http.get(f"{HISTORY}.csv?metric=active_power&from={middle}", headers=page.bearer) as answer:
        assert (await answer.text()).split("\r\n")[1].startswith(middle)
