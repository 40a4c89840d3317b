"""Every action in Debian's Chromium: once with the keyboard alone, and once without scripts; and that the gateway was told."""

from __future__ import annotations

import asyncio

import pytest
from action_table import ACTIONS
from hands import Keyboard, Mouse, take
from shown_gateways import SETUP_STATES, STATES, plant, served

pytestmark = [pytest.mark.enable_socket, pytest.mark.asyncio(loop_scope="module")]

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1400, "height": 900}
FRESH = STATES | SETUP_STATES | {"plant": lambda: plant(children=1)}


@pytest.mark.parametrize("states", [STATES, SETUP_STATES], ids=["running", "set-up"])
async def test_the_table_has_every_action_that_is_registered(states):
    async with served(next(iter(states.values()))()) as server:
        forms = {one.resource.canonical for one in server._routes._needs if one.method == "POST"}
        forms = {one for one in forms if not one.startswith("/api/") and one not in OF_A_SCRIPT}
        assert forms - set(PATHS) == set(), "add an action to tests/browser/action_table.py"


PATHS = {
    "/login": "sign in",
    "/logout": "sign out",
    "/language": "choose a language",
    "/waiting/{id}/{action}": "admit",
    "/waiting/{id}/admit-as": "admit under a model",
    "/{kind}/{id}/name": "rename a child",
    "/buses/{id}/{action}": "search a bus",
    "/{kind}/{id}/try": "try a bus now",
    "/cloud/try": "try the cloud now",
    "/devices/{id}/look": "read all values",
    "/children/{id}/commands/{command}": "send a command",
    "/children/{id}/retire": "retire",
    "/children/{id}/replace": "replace",
    "/several/{kind}": "ignore several",
    "/several/form/rename": "rename several",
    "/several/form/command": "send a command to several",
    "/identity/{decision}": "decide about the identity",
    "/cloud/key": "enter another key",
    "/logs/level": "set the level of the log",
    "/maintenance/bundle": "collect diagnostics",
    "/maintenance/notifications": "test the notifications",
    "/maintenance/backup": "make a backup",
    "/maintenance/restore": "restore",
    "/maintenance/restore/confirm": "restore",
    "/maintenance/restore/cancel": "do not restore",
    "/maintenance/restart": "restart",
    "/configuration/form": "fill in a form of the configuration",
    "/configuration/form/remove": "remove a host",
    "/configuration/text": "change the text of the configuration and save it",
    "/configuration/draft/save": "change the text of the configuration and save it",
    "/configuration/draft/try": "try a configuration",
    "/configuration/draft/discard": "discard a configuration",
    "/configuration/undo": "go one step back",
    "/configuration/restart": "restart with the configuration",
    "/setup": "answer the set-up",
    "/setup/save": "write the configuration",
    "/setup/key": "write the key alone",
    "/setup/search": "search again",
    "/setup/bus": "add a bus",
    "/setup/bus/{number}/remove": "remove a bus",
    "/setup/file": "correct the file",
    "/setup/file/undo": "go one step back before the start",
}
"""Which action sends the form of each address."""
OF_A_SCRIPT = frozenset({"/configuration/check"})
"""What a script asks while a person types; nobody presses it."""


@pytest.mark.parametrize("has_script", [True, False], ids=["keyboard", "no script"])
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
async def test_an_action_is_done(browser, action, has_script, sign_in, complaints_of, look_at_page, tmp_path):
    view = FRESH[action.state]()
    view.done.clear()
    async with served(view) as server:
        context = await browser.new_context(
            base_url=server.address, viewport=DESK if has_script else PHONE, java_script_enabled=has_script, locale="en-GB",
            bypass_csp=has_script,
        )  # fmt: skip
        if action.is_signed_in:
            await sign_in(context, server.address)
        tab = await context.new_page()
        tab.set_default_timeout(60_000)
        complaints, sent = complaints_of(tab), []
        tab.on("request", lambda one: sent.append(one.url.removeprefix(server.address)) if one.method == "POST" else None)
        hand = Keyboard(tab, look_at_page) if has_script else Mouse(tab)
        await tab.goto(action.path)
        if action.saves:
            async with tab.expect_download() as download:
                await take(hand, action.steps)
            await (await download.value).save_as(tmp_path / "saved")
            assert (tmp_path / "saved").read_bytes().startswith(action.saves)
        else:
            await take(hand, action.steps)
        await tab.wait_for_selector(action.then)
        forms = [canonical for path in sent for canonical in [route_of(server, path)] if PATHS.get(canonical)]
        async with asyncio.timeout(15):
            while not action.done(view):  # noqa: ASYNC110 - a view sets no event
                await asyncio.sleep(0.05)
        assert {path for path, name in PATHS.items() if name == action.name} <= set(forms)
        assert [one for one in complaints if "409" not in one and "429" not in one] == []
        await context.close()


def route_of(server, url):
    path = url.partition("?")[0]
    routes = [one for one in server._routes._needs if one.method == "POST"]
    return next((one.resource.canonical for one in routes if one.resource._match(path) is not None), None)
