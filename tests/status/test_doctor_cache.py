"""What `doctor` finds, on the page and in the API: looked at when somebody looks, once for all."""

import asyncio
import re

import pytest

from gateway.models import Finding
from gateway.status.doctor_cache import DoctorCache

pytestmark = pytest.mark.enable_socket


async def text_of(page, path):
    async with page.http.get(path) as answer:
        return answer.status, await answer.text()


async def test_the_page_tells_each_finding_with_state_meaning_and_fix_faults_first(page, view):
    status, html = await text_of(page, "/doctor")
    assert status == 200
    assert "1 fault, 1 warning" in re.sub(r"<[^>]+>", "", html)
    for finding in view.findings:
        assert finding.what in html
        assert finding.meaning in html
        assert finding.fix is None or finding.fix in html
    assert re.findall(r'class="mark (\w+)">([\w ]+)<', html) == [
        ("refused", "fault"), ("unregistered", "warning"), ("fine", "fine"), ("deleted", "not looked at"),
    ]  # fmt: skip
    assert '<a href="/doctor" aria-current="page">Doctor</a>' in html
    assert re.findall(r"<script(?![^>]* src=)", html) == []


async def test_the_api_tells_the_same(page, view):
    async with page.http.get("/api/v1/doctor") as answer:
        said = await answer.json()
    assert [one["what"] for one in said["findings"]] == [finding.what for finding in view.findings]
    assert [one["state"] for one in said["findings"]] == ["fine", "fault", "warning", "not looked at"]
    assert said["findings"][0]["fix"] is None


async def test_many_who_look_cost_one_look_and_nobody_costs_none(page, view):
    await text_of(page, "/")
    assert view.examined == 0
    await asyncio.gather(*(text_of(page, path) for path in ["/doctor", "/api/v1/doctor"] * 5))
    assert view.examined == 1


async def test_a_page_that_is_left_open_looks_no_more_but_shows_what_others_found(page, view):
    _, html = await text_of(page, "/doctor")
    seen = re.search(r'data-version="(\w+)"', html)[1]
    page.server._doctor._fresh_seconds = 0.0
    async with page.http.get("/live", params={"at": "/doctor", "seen": seen}) as events:
        await asyncio.sleep(0.3)
        assert view.examined == 1
        view.findings = [Finding.fine("disk", "is empty again")]
        await text_of(page, "/doctor")
        assert view.examined == 2
        async with asyncio.timeout(60):
            while b"is empty again" not in await events.content.readline():
                pass


async def test_what_was_found_is_kept_for_ten_seconds(view):
    cache = DoctorCache(view, fresh_seconds=0.1)
    first = await cache.report()
    assert await cache.report() is first
    await asyncio.sleep(0.12)
    assert await cache.last_report() is first
    assert await cache.report() is not first
    assert view.examined == 2


async def test_a_fix_is_never_cut_and_what_is_said_is_shown_as_text(page, view):
    line = 'port = "/dev/serial/by-id/' + "x" * 400 + '"'
    view.findings = [Finding.fault("<b>", "<script>alert(1)</script>", line)]
    _, html = await text_of(page, "/doctor")
    assert "x" * 400 in html
    assert "<script>alert" not in html
