"""A newer version is a mild notice on the overview and a field of the API, in the language of the reader."""

import pytest

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
    text = await overview(page, language)
    assert words in text
    assert "a&lt;b" in text
    assert "<code>docker compose up --build --detach</code>" in text
    async with page.http.get("/api/v1/status", headers=page.bearer) as answer:
        gateway = (await answer.json())["gateway"]
    assert gateway["update"] == {"version": "9.9.9", "told_by": "a<b", "what_to_do": steps}
