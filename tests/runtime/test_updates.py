"""A newer version is told where the cloud offers it, or an address that is configured names it; bad answers do no harm."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from aiohttp import web

from gateway.doctor import version
from gateway.doctor.version import release_of
from gateway.models import FindingState
from gateway.runtime.update_address import MOST_BYTES
from gateway.runtime.updates import UpdateWatch, newest_in
from gateway.state.firmware_jobs import FirmwareOffer, FirmwareOffers
from gateway.state.store import Store

pytestmark = pytest.mark.enable_socket

SOON = timedelta(milliseconds=20)
RELEASES = {
    "a version": {"version": "1.4.2"},
    "a release": {"tag_name": "v1.4.2", "name": "The autumn release"},
    "a list of tags": {"name": "xyte-gateway", "tags": ["latest", "1.3.9", "1.4.2", "1.5.0-rc1"]},
    "a page of a registry": {"results": [{"name": "1.4.2"}, {"name": "latest"}, {"name": "1.4"}]},
    "a list of releases": [{"tag_name": "v1.4.2"}, {"tag_name": "v0.9.0"}],
}
NOTHING = {
    "no version": {"version": "latest"},
    "a number": 7,
    "null": None,
    "an empty list": [],
    "a preliminary one": {"version": "2.0.0-rc1"},
    "nested without end": json.loads("[" * 50 + "]" * 50),
    "a huge number": {"version": "9" * 500 + ".1.1"},
}


@pytest.mark.parametrize("answer", RELEASES.values(), ids=RELEASES)
def test_the_newest_release_is_found_in_what_release_pages_and_registries_answer(answer):
    assert newest_in(answer) == "1.4.2"


@pytest.mark.parametrize("answer", NOTHING.values(), ids=NOTHING)
def test_what_names_no_release_is_none(answer):
    assert newest_in(answer) is None


def test_versions_are_compared_as_numbers():
    assert release_of("v1.10.0") > release_of("1.9.9")
    assert release_of("1.2") == (1, 2, 0)
    assert release_of("1.2.3-dev") is None


@asynccontextmanager
async def address(answer):
    """Serve one answer; yield the address and the requests that came."""
    arrived = []

    async def handle(request):
        arrived.append(request)
        return await answer(request) if callable(answer) else web.Response(body=answer, content_type="application/json")

    application = web.Application()
    application.router.add_get("/latest", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/latest", arrived
    finally:
        await runner.cleanup()


@pytest.fixture
async def offers(tmp_path):
    async with Store(tmp_path / "store.sqlite3") as store:
        yield FirmwareOffers(store)


def watch_of(offers, url=None, *, running="1.4.0", has_hook=False):
    gateway = SimpleNamespace(credentials=SimpleNamespace(device_id="d1"))
    return UpdateWatch(offers, SimpleNamespace(gateway=gateway), address=url, has_hook=has_hook, running=running)


@asynccontextmanager
async def running(watch):
    task = asyncio.create_task(watch.run(cloud_every=SOON, address_every=SOON))
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(claim):
    async with asyncio.timeout(30):
        while not claim():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_what_the_cloud_offers_is_told_with_what_to_do_and_nobody_else_is_asked(offers, monkeypatch):
    await offers.put("d1", FirmwareOffer("1.5.0", None), datetime.now(UTC))
    for has_hook, in_container, words in (
        (True, True, "update_firmware"),
        (False, True, "docker compose up"),
        (False, False, "systemctl"),
    ):
        monkeypatch.setattr(version, "is_in_container", lambda value=in_container: value)
        watch = watch_of(offers, has_hook=has_hook)
        async with running(watch):
            await until(lambda watch=watch: watch.notice is not None)
        assert (watch.notice.version, watch.notice.told_by, words in watch.notice.what_to_do) == ("1.5.0", "the cloud", True)
        assert list(watch.findings()) == [], "doctor finds it in the store"


@pytest.mark.parametrize("offered", ["1.4.0", "1.3.9", "not a version", "1.5.0-rc1"])
async def test_what_is_not_newer_is_no_news(offers, offered):
    await offers.put("d1", FirmwareOffer(offered, None), datetime.now(UTC))
    watch = watch_of(offers)
    async with running(watch):
        await until(lambda: watch._told)
    assert watch.notice is None
    (finding,) = watch.findings()
    assert finding.state is FindingState.FINE


async def test_an_address_is_asked_without_saying_who_asks_and_the_newest_of_all_is_told(offers):
    await offers.put("d1", FirmwareOffer("1.4.1", None), datetime.now(UTC))
    async with address(json.dumps(RELEASES["a list of tags"]).encode()) as (url, arrived):
        watch = watch_of(offers, url)
        async with running(watch):
            await until(lambda: watch.notice is not None and watch.notice.version == "1.4.2")
    assert watch.notice.told_by == "127.0.0.1"
    assert arrived[0].headers["User-Agent"] == "xyte-gateway"
    assert {"Cookie", "Authorization"}.isdisjoint(arrived[0].headers)
    assert not arrived[0].query_string


async def failing(_request):
    return web.Response(status=500)


async def in_circles(request):
    raise web.HTTPFound(request.path)


async def endless(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(MOST_BYTES // 1024 + 64):
        await response.write(b" " * 1024)
    return response


@pytest.mark.parametrize(
    "answer", [b"<html>sign in</html>", b"\xff\x00", b"", b"[" * 100_000, b"{}", failing, in_circles, endless],
    ids=["a page", "no text", "nothing", "too deep", "no version", "500", "a redirect in circles", "too large"],
)  # fmt: skip
async def test_a_bad_answer_does_no_harm_and_doctor_says_it(offers, answer):
    async with address(answer) as (url, arrived):
        watch = watch_of(offers, url)
        async with running(watch):
            await until(lambda: watch.problem is not None and len(arrived) > 1)
    assert watch.notice is None
    (finding,) = watch.findings()
    assert finding.state is FindingState.WARNING
    assert "127.0.0.1 cannot be asked" in finding.meaning


async def test_an_address_that_is_not_there_does_no_harm(offers):
    watch = watch_of(offers, "http://127.0.0.1:9/latest")
    async with running(watch):
        await until(lambda: watch.problem is not None)
    assert watch.notice is None
