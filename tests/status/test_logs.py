"""The page of the log: what it shows, to whom, and who may have it log more."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from gateway.runtime.diagnostics.recent_log import RecentLog
from gateway.runtime.log_access import LogLevelSwitch, MaskedLines
from gateway.status.auth.tokens import Role
from gateway.status.logs_view import LEVELS, PARTS, part_of
from gateway.testing.clock import simulated

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def view(fake):
    view = fake.show_plant()
    view.logs.lines.clear()
    view.logs.add("the hub answers")
    view.logs.add("unit 3 <b>answers</b> nothing", level="warning", logger="adapters.modbus.client.link")
    view.logs.add("a row\n    Traceback\n    ValueError", level="error", logger="gateway.state.store")
    view.logs.add("frame 01 03", level="debug", logger="adapters.modbus.client.link")
    return view


async def text_of(page, path, **asked):
    async with page.http.get(path, **asked) as answer:
        return answer.status, await answer.text()


async def test_the_page_shows_the_latest_line_first_by_level_part_and_words(page):
    _, html = await text_of(page, "/logs")
    assert html.index("frame 01 03") < html.index("the hub answers")
    assert "unit 3 &lt;b&gt;answers&lt;/b&gt; nothing" in html
    for query, shown in (
        ("level=warning", {"unit 3", "ValueError"}),
        ("part=modbus", {"unit 3", "frame"}),
        ("part=modbus&level=info", {"unit 3"}),
        ("search=TRACEBACK row", {"ValueError"}),
        ("search=hub nothing", set()),
    ):
        _, html = await text_of(page, f"/logs?{query}")
        lines = html.partition('id="lines"')[2]
        assert {word for word in ("the hub", "unit 3", "ValueError", "frame") if word in lines} == shown, query


async def test_the_api_and_the_download_have_the_same_lines(page):
    async with page.http.get("/api/v1/logs", params={"level": "warning"}) as answer:
        said = await answer.json()
    assert [(one["level"], one["part"]) for one in said["lines"]] == [("error", "store"), ("warning", "modbus")]
    assert (said["level"], said["until"], said["total"]) == ("info", None, 2)
    async with page.http.get("/logs/download?level=warning") as answer:
        assert answer.headers["Content-Disposition"].startswith("attachment")
        text = await answer.text()
    assert text.count("\n") == 4
    assert "WARNING adapters.modbus.client.link: unit 3 <b>answers</b> nothing\n" in text


@pytest.mark.parametrize("query", ["level=loud", "part=attic", "page=0", "page=x", f"search={'a' * 101}"])
async def test_a_parameter_that_means_nothing_is_400_everywhere(page, query):
    for path in ("/logs", "/logs/download", "/api/v1/logs"):
        assert (await text_of(page, f"{path}?{query}"))[0] == 400, path


async def test_a_thousand_lines_come_in_pages(page, view):
    for number in range(1000):
        view.logs.add(f"line {number}")
    _, html = await text_of(page, "/logs?page=2")
    assert "Page 2 of 11" in html
    assert len(html) < 100_000
    assert (await text_of(page, "/logs?page=9999"))[0] == 200


async def test_an_open_page_gets_new_lines(page, view):
    async with page.http.get("/live", params={"at": "/logs?part=cloud"}) as stream:
        text = b""
        async with asyncio.timeout(60):
            while b"just now said" not in text:
                text += await stream.content.readuntil(b"\n\n")
                if b"the hub answers" in text and not any("just now" in one.text for one in view.logs.lines):
                    view.logs.add("just now said")


async def test_only_who_may_administer_sets_the_level_and_only_to_one_that_exists(page, view):
    path, form = "/logs/level", {"level": "debug", "minutes": "15"}
    for role in (Role.LOOK, Role.OPERATE):
        async with page.http.post(path, data=form, headers=page.bearers[role]) as answer:
            assert answer.status == 403
        async with page.http.post(f"/api/v1{path}", json={"level": "debug"}, headers=page.bearers[role]) as answer:
            assert answer.status == 403
    for wrong in (
        {"level": "loud", "minutes": "15"},
        {"level": "debug", "minutes": "0"},
        {"minutes": "5"},
        {"level": "debug", "minutes": "9" * 30},
    ):
        async with page.http.post(path, data=wrong, headers=page.bearer) as answer:
            assert answer.status == 400, wrong
    for minutes in (1441, 15.5, "15", True):
        async with page.http.post(f"/api/v1{path}", json={"level": "debug", "minutes": minutes}, headers=page.bearer) as answer:
            assert answer.status == 400, minutes
    assert view.logs.was_set == []
    async with page.http.post(path, data=form, headers=page.bearer, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/logs")
    async with page.http.post(f"/api/v1{path}", json={"level": "error"}, headers=page.bearer) as answer:
        assert answer.status == 200
    async with page.http.post(f"/api/v1{path}", json={"level": "info", "minutes": 20.0}, headers=page.bearer) as answer:
        assert answer.status == 200, "JSON knows one type of number, and this one is whole"
    assert view.logs.was_set == [("debug", 15), ("error", 15), ("info", 20)]


def test_every_logger_of_the_program_belongs_to_a_part():
    assert part_of("gateway.cloud.session") == "cloud"
    assert part_of("gateway.runtime.configuration.watch") == "configuration"
    assert part_of("pymodbus.logging") == "other"
    assert {part_of(name) for name in ("gateway.app", "adapters.ble.radio", "", "a..b")} <= set(PARTS)


@pytest.fixture
def logger():
    recent = RecentLog(50)
    logger = logging.getLogger("gateway.tests")
    logger.addHandler(recent)
    logger.setLevel("DEBUG")
    yield SimpleNamespace(recent=recent, log=logger)
    logger.removeHandler(recent)


def test_no_secret_is_shown_found_or_downloaded_also_one_that_comes_later(logger):
    secrets = ["first-secret-key"]
    lines = MaskedLines(logger.recent, lambda: secrets)
    logger.log.info("the key is first-secret-key")
    logger.log.info("the key is later-secret-key, at http://user:pass-word@host/")
    shown = "".join(one.text for one in lines.lines())
    assert "first-secret-key" not in shown
    assert "pass-word" not in shown
    secrets.append("later-secret-key")
    assert "later-secret-key" not in "".join(one.text for one in lines.lines())
    logger.log.info("one more: later-secret-key")
    assert [one.seq for one in lines.lines()] == [1, 2, 3]
    assert "later-secret-key" not in "".join(one.text for one in lines.lines())


def test_what_is_kept_is_bounded_and_a_level_between_two_is_the_lower_one(logger):
    for number in range(120):
        logger.log.log(35, "line %d %s", number, "x" * 5000)
    assert len(logger.recent.records) == 50
    assert all(len(one.text) < 2100 and one.level == "warning" for one in logger.recent.records)
    assert logger.recent.lines[-1].startswith("20")
    assert " WARNING gateway.tests: line 119" in logger.recent.lines[-1]
    assert LEVELS == ("debug", "info", "warning", "error")


@pytest.fixture
def root():
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    yield root
    root.setLevel(before)


def test_a_level_for_a_while_ends_by_itself(root):
    async def run():
        switch = LogLevelSwitch()
        switch.set("debug", 15)
        state = switch.level()
        assert (state.level, state.normal, state.until is not None) == ("debug", "info", True)
        await asyncio.sleep(14 * 60)
        switch.set("error", 15)
        await asyncio.sleep(14 * 60)
        assert (switch.level().level, switch.level().normal) == ("error", "info")
        await asyncio.sleep(61)
        assert (root.level, switch.level().until) == (logging.INFO, None)

    simulated(run())


def test_the_normal_level_ends_it_and_a_command_of_the_cloud_stays(root):
    async def run():
        switch = LogLevelSwitch()
        switch.set("debug", 15)
        switch.set("info", 15)
        assert (root.level, switch.level().until) == (logging.INFO, None)
        switch.set("debug", 15)
        root.setLevel(logging.WARNING)  # as `set_log_level` does
        await asyncio.sleep(16 * 60)
        assert (root.level, switch.level().normal) == (logging.WARNING, "warning")

    simulated(run())


@pytest.mark.parametrize("width", [360, 1400])
async def test_a_browser_reads_the_log_and_only_an_administrator_can_set_its_level(
    page, chromium_running, complaints_of, view, width
):
    async with chromium_running() as browser:
        context = await browser.new_context(base_url=page.address, viewport={"width": width, "height": 800}, color_scheme="dark")
        tab = await context.new_page()
        tab.set_default_timeout(60_000)
        complaints = complaints_of(tab)
        await tab.goto("/logs?level=warning")
        await tab.get_by_text("answers</b> nothing").wait_for()
        assert not await tab.get_by_role("button", name="Set the level").is_visible()
        assert await tab.get_by_text("sign in with a token that may administer").is_visible()
        await tab.goto("/login?then=/logs")
        await tab.fill("#token", page.token)
        await tab.keyboard.press("Enter")
        await tab.get_by_text("administer (administer)").wait_for()
        view.logs.add("said while the page is open")
        await tab.get_by_text("said while the page is open").wait_for()
        await tab.get_by_role("button", name="Set the level").click()
        await tab.wait_for_url("**/logs")
        assert view.logs.was_set == [("debug", 15)]
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        assert complaints == []
