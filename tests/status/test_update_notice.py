"""What needs no person is told mildly: a newer version on the overview, and a device that refuses everything on its page."""

import asyncio

import pytest

from gateway.causes import Cause
from gateway.status.snapshot import UPDATE_STEPS, UpdateNotice, UpdateWay

pytestmark = pytest.mark.enable_socket


async def overview(page, language):
    async with page.http.get("/", headers=page.bearer | {"Accept-Language": language}) as answer:
        return await answer.text()


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Version <bdi>9.9.9</bdi> is available"), ("de", "Version <bdi>9.9.9</bdi> ist verfügbar")]
)
async def test_the_overview_says_what_is_newer_and_how_it_is_installed(page, view, language, words):
    assert words not in await overview(page, language)
    steps = UPDATE_STEPS[UpdateWay.CONTAINER]
    view.gateway = view.gateway.model_copy(update={"update": UpdateNotice(version="9.9.9", told_by="a<b", what_to_do=steps)})
    for _ in range(100):  # what was shown before is kept for a moment
        if words in (text := await overview(page, language)):
            break
        await asyncio.sleep(0.1)
    assert words in text
    assert "a&lt;b" in text
    assert "<code>docker compose up --build --detach</code>" in text
    async with page.http.get("/api/v1/status", headers=page.bearer) as answer:
        gateway = (await answer.json())["gateway"]
    assert gateway["update"] == {"version": "9.9.9", "told_by": "a<b", "what_to_do": steps}


async def test_the_page_of_a_device_that_refuses_everything_says_why_there_are_no_values(page, view):
    line = next(child.line for child in view.children.values() if child.line.standing.value == "fine")
    told = {"cause": Cause.DEVICE_REFUSES, "why": "it answers, and refuses all of its <10> metrics"}
    view.children[line.key] = view.children[line.key].model_copy(
        update={"line": line.model_copy(update=told), "next_step": "Nothing needs to be done."}
    )
    async with page.http.get(f"/children/{line.id}", headers=page.bearer) as answer:
        text = await answer.text()
    assert '<div class="alarm mild" data-cause="device_refuses">' in text
    assert "refuses all of its &lt;10&gt; metrics" in text
    assert "Nothing needs to be done." in text
    async with page.http.get(f"/api/v1/children/{line.id}", headers=page.bearer) as answer:
        row = (await answer.json())["child"]["line"]
    assert (row["standing"], row["cause"], row["why"]) == ("fine", "device_refuses", told["why"])
