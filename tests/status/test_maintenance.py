"""Diagnostics, backup and restart on the page: for administrators alone, and nothing without a question before it."""

import asyncio

import pytest

from gateway.runtime.diagnostics.contents import DumpCollector
from gateway.runtime.maintenance import Maintenance
from gateway.runtime.restart import Restart
from gateway.state.history.timeline import EventKind
from gateway.state.recovery.backups import needs_passphrase
from gateway.state.store import Store
from gateway.status.auth.tokens import Role
from gateway.status.routes import maintenance as routes

pytestmark = pytest.mark.enable_socket
SECRET = "a good passphrase"


async def post(page, path, data=None, role=Role.ADMINISTER):
    async with page.http.post(f"/maintenance/{path}", data=data, headers=page.bearers[role]) as answer:
        return answer.status, await answer.text()


async def text_of(page, path="/maintenance", role=Role.ADMINISTER):
    async with page.http.get(path, headers=page.bearers[role]) as answer:
        return answer.status, await answer.text()


async def test_only_who_may_administer_sees_and_does_it(page, view):
    for role in (Role.LOOK, Role.OPERATE):
        assert (await text_of(page, role=role))[0] == 403
        assert (await text_of(page, "/maintenance/bundle", role=role))[0] == 403
        assert "/maintenance" not in (await text_of(page, "/", role=role))[1]
        for path in ("bundle", "backup", "restart"):
            assert (await post(page, path, {"confirm": "yes", "passphrase": SECRET, "again": SECRET}, role))[0] == 403
    made = view.maintenance
    assert (made.restarts, made.bundles, made.passphrases) == (0, 0, [])
    assert 'href="/maintenance"' in (await text_of(page, "/"))[1]


async def test_what_is_downloaded_is_what_was_shown_before_with_its_files_and_sizes(page, view, monkeypatch):
    assert (await text_of(page, "/maintenance/bundle"))[0] == 409, "nothing was shown yet"
    status, html = await post(page, "bundle")
    assert status == 200
    assert "configuration.json" in html
    assert "75 kB" in html
    assert "&lt;b&gt;of the log" in html
    assert "This is the beginning" in html
    assert "********" in html
    for _ in range(2):
        assert await text_of(page, "/maintenance/bundle") == (200, "archive 1")
    monkeypatch.setattr(routes, "KEPT_SECONDS", -1.0)
    status, html = await text_of(page, "/maintenance/bundle")
    assert (status, "Collect it again" in html) == (409, True)


async def test_a_backup_is_encrypted_with_a_passphrase_that_was_typed_twice(page, view):
    for given, status, words in (
        ({"passphrase": "short", "again": "short"}, 400, "at least 8"),
        ({"passphrase": SECRET, "again": SECRET + "x"}, 400, "differ"),
        ({}, 400, "at least 8"),
    ):
        answer = await post(page, "backup", given)
        assert (answer[0], words in answer[1]) == (status, True)
    assert view.maintenance.passphrases == []
    async with page.http.post("/maintenance/backup", data={"passphrase": SECRET, "again": SECRET}, headers=page.bearer) as answer:
        assert answer.headers["Content-Disposition"].endswith('.backup"')
        assert await answer.read() == view.maintenance.content
    view.maintenance.backup_problem = "the disk is full"
    status, html = await post(page, "backup", {"passphrase": SECRET, "again": SECRET})
    assert (status, "No backup was made: the disk is full" in html) == (409, True)


async def test_a_restart_is_asked_for_twice_and_refused_where_nothing_would_start_it_again(page, view):
    status, html = await post(page, "restart")
    assert (status, "Restart the gateway?" in html, view.maintenance.restarts) == (200, True, 0)
    status, html = await post(page, "restart", {"confirm": "yes"})
    assert (status, "comes back by itself" in html) == (200, True)
    async with asyncio.timeout(60):
        while not view.maintenance.restarts:  # noqa: ASYNC110 - the page calls it
            await asyncio.sleep(0.05)
    view.maintenance.restart_problem = "nothing would start it again"
    assert "disabled" in (await text_of(page))[1]
    status, html = await post(page, "restart", {"confirm": "yes"})
    assert (status, "nothing would start it again" in html, view.maintenance.restarts) == (409, True, 1)


async def test_a_real_backup_is_encrypted_and_leaves_nothing_behind(tmp_path):
    store = tmp_path / "gateway.sqlite3"
    recorded = []
    restart = Restart("systemd")
    maintenance = Maintenance(store, DumpCollector(None, None, {}), restart, record=lambda *event: recorded.append(event))
    async with Store(store) as opened:
        await opened.transact(lambda db: db.execute("INSERT INTO gateway (only_row, serial_number) VALUES (1, 'GW-1')"))
        async with maintenance.backup(SECRET) as file:
            assert needs_passphrase(file.path)
            assert file.size == file.path.stat().st_size > 1000
    assert [one.name for one in tmp_path.iterdir() if "download" in one.name or "backup" in one.name] == []
    maintenance.restart()
    assert restart.requested.is_set()
    assert "on the page" in restart.why
    assert [kind for kind, _ in recorded] == [EventKind.BACKUP_MADE, EventKind.RESTART]
    assert maintenance.restart_problem is None
    assert Maintenance(store, None, Restart(), record=print).restart_problem is not None


@pytest.mark.parametrize("width", [360, 1400])
async def test_a_browser_previews_the_diagnostics_and_finds_back_after_a_restart(
    page, chromium_running, complaints_of, view, width, monkeypatch
):
    async with chromium_running() as browser:
        context = await browser.new_context(base_url=page.address, viewport={"width": width, "height": 800})
        tab = await context.new_page()
        tab.set_default_timeout(60_000)
        complaints = complaints_of(tab)
        await tab.goto("/login?then=/maintenance")
        await tab.fill("#token", page.token)
        await tab.keyboard.press("Enter")
        await tab.get_by_role("button", name="Collect and show").click()
        await tab.get_by_text("configuration.json").click()
        await tab.get_by_text("hardware_key").wait_for()
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        await tab.goto("/maintenance")
        await tab.get_by_role("button", name="Restart …").click()
        await tab.get_by_role("button", name="Restart now").click()
        await tab.get_by_text("comes back by itself").wait_for()
        monkeypatch.setattr(page.server, "_number", -1)
        await tab.get_by_role("heading", name="Diagnostics").wait_for()
        assert complaints == []
