"""Several devices at once: boxes in the rows, one command for devices of one model, and new names with a number."""

import re
from html import unescape

import pytest

from gateway.status.auth.tokens import Role
from gateway.status.model import encode_id
from gateway.status.several import numbered_names, short_word

pytestmark = pytest.mark.enable_socket

METERS = ["sn:acme/Meter 1", "sn:acme/Meter 2"]
CHOSEN = [("chosen", short_word(key)) for key in METERS]


@pytest.mark.parametrize(
    ("pattern", "first", "wanted"),
    [
        ("Meter {n}", "7", ["Meter 7", "Meter 8"]),
        ("{name} / {n}", "01", ["a / 01", "b / 02"]),
        ("{n}{n}", "0", ["00", "11"]),
    ],
)
def test_names_are_counted_up(pattern, first, wanted):
    assert numbered_names(pattern, first, ["a", "b"]) == wanted


WRONG = [
    ("Meter", "1"),
    ("Meter {n}", "x"),
    ("Meter {n}", ""),
    ("Meter {n}", "-1"),
    ("{n}", "\u0661"),
    ("{n}", "1" * 20),
    ("{n} {x}", "1"),
    ("{n} {}", "1"),
    ("{N} {n}", "1"),
]


@pytest.mark.parametrize(("pattern", "first"), WRONG)
def test_names_that_would_be_the_same_or_without_a_number_are_refused(pattern, first):
    with pytest.raises(ValueError, match=r"number|same|braces"):
        numbered_names(pattern, first, ["a", "b"])


async def post(page, path, fields, role=Role.ADMINISTER):
    async with page.http.post(path, data=fields, headers=page.bearers[role], allow_redirects=True) as answer:
        return answer.status, unescape(await answer.text())


async def test_the_rows_of_both_lists_have_boxes_that_belong_to_one_form(page):
    for path, kind, key in (("/", "children", METERS[0]), ("/waiting", "waiting", "mac:LYWSD03MMC 6A11")):
        async with page.http.get(path, headers=page.bearer) as answer:
            html = await answer.text()
        assert f'form="several" name="chosen" value="{short_word(key)}"' in html
        assert f'<form id="several" class="act" method="post" action="/several/{kind}">' in html


async def test_several_are_renamed_after_the_new_names_were_shown(page, view):
    status, html = await post(page, "/several/children", [("action", "rename"), *CHOSEN])
    assert (status, "Rename several devices" in html) == (200, True)
    status, html = await post(page, "/several/form/rename", [("pattern", "Hall {n}"), ("first", "09"), *CHOSEN])
    assert re.search(r"<bdi>Meter 1</bdi></td><td><bdi>Hall 09</bdi>", html)
    assert view.done == []
    status, html = await post(page, "/several/form/rename", [("pattern", "Hall"), ("first", "1"), *CHOSEN])
    assert (status, "{n} for the number is missing" in html) == (422, True)
    _, html = await post(page, "/several/form/rename", [("pattern", "Hall {n}"), ("first", "09"), ("confirmed", "yes"), *CHOSEN])
    assert [view.children[key].line.name for key in METERS] == ["Hall 09", "Hall 10"]
    assert html.count("renamed") == 2


async def test_one_command_goes_to_several_devices_of_one_model_with_a_result_for_each(page, view):
    _, html = await post(page, "/several/children", [("action", "command"), *CHOSEN])
    assert 'name="command" value="identify"' in html
    _, html = await post(page, "/several/form/command", [("command", "set_limit"), *CHOSEN])
    assert 'name="p.limit"' in html
    request = [("command", "set_limit"), ("request_id", "a-request-of-mine"), *CHOSEN]
    status, html = await post(page, "/several/form/command", [*request, ("p.limit", "5000")])
    assert (status, view.done) == (422, []), "a wrong parameter is sent to none"
    _, html = await post(page, "/several/form/command", [*request, ("p.limit", "16")])
    assert [done[:3] for done in view.done] == [("command", key, "set_limit") for key in METERS]
    assert html.count('class="mark fine"') == 2


async def test_a_dangerous_command_is_confirmed_and_needs_the_right_to_administer(page, view):
    request = [("command", "open_contactor"), ("request_id", "a-request-of-mine"), ("p.limit", "16"), *CHOSEN]
    status, _ = await post(page, "/several/form/command", request, Role.OPERATE)
    assert (status, view.done) == (403, [])
    status, _ = await post(page, "/several/form/command", request, Role.LOOK)
    assert (status, view.done) == (403, [])
    _, html = await post(page, "/several/form/command", request)
    assert "to 2 devices?" in html
    assert view.done == []
    await post(page, "/several/form/command", [*request, ("confirmed", "yes")])
    assert len(view.done) == 2
    await post(page, "/several/form/command", [*request, ("confirmed", "yes")])
    assert len(view.done) == 2, "the same request again sends nothing"


async def test_devices_of_several_models_get_no_command_and_nonsense_is_refused(page, view):
    key = METERS[1]
    view.children[key] = view.children[key].model_copy(update={"profile": "another"})
    _, html = await post(page, "/several/children", [("action", "command"), *CHOSEN])
    assert "of several models" in html
    for path, fields in (
        ("/several/form/command", [("command", "identify")]),
        ("/several/form/rename", [("chosen", "nobody")]),
        ("/several/children", [("action", "admit"), *CHOSEN]),
        ("/several/children", [("action", "nonsense"), *CHOSEN]),
    ):
        assert (await post(page, path, fields))[0] == 400, (path, fields)


async def test_boxes_stay_chosen_while_the_list_changes_and_work_without_scripts(page, view, chromium_running, complaints_of):
    async with chromium_running() as browser:
        for has_scripts in (True, False):
            context = await browser.new_context(
                viewport={"width": 360, "height": 740}, base_url=page.address, java_script_enabled=has_scripts
            )
            tab = await context.new_page()
            tab.set_default_timeout(60_000)
            complaints = complaints_of(tab)
            await tab.goto("/login")
            await tab.fill("#token", page.token)
            await tab.press("#token", "Enter")
            await tab.wait_for_selector("text=Sign out")
            await tab.goto("/")
            box = f"[id='c-{encode_id(METERS[0])}'] input"
            await tab.check(box)
            if has_scripts:
                view.silence(METERS[0], "gone")
                await tab.wait_for_selector("#children >> text=gone")
                assert await tab.is_checked(box)
            await tab.select_option("#several select", "rename")
            await tab.click("#several button")
            await tab.wait_for_selector("#pattern")
            assert await tab.locator("input[name=chosen]").count() == 1
            assert complaints == []


IDS = [encode_id(key) for key in METERS]
NOBODY = encode_id("sn:nobody")


async def call(page, operation, body, role=Role.ADMINISTER):
    async with page.http.post(f"/api/v1/several/{operation}", json=body, headers=page.bearers[role]) as answer:
        return answer.status, await answer.json()


async def test_the_api_sends_one_command_to_several_children_with_a_result_for_each(page, view):
    body = {"ids": [*IDS, NOBODY], "command": "set_limit", "parameters": {"limit": 16}, "request_id": "a-request-of-mine"}
    status, told = await call(page, "command", body, Role.OPERATE)
    assert status == 200
    assert [(one["id"], one["name"], one["error"]) for one in told["results"]] == [
        (IDS[0], "Meter 1", None),
        (IDS[1], "Meter 2", None),
        (NOBODY, None, "there is no such device (any more)"),
    ]
    assert [one["command"] and one["command"]["state"] for one in told["results"]] == ["done", "done", None]
    assert [done[:4] for done in view.done] == [("command", key, "set_limit", {"limit": 16}) for key in METERS]
    async with page.http.get(f"/api/v1/commands/{told['results'][1]['command']['request_id']}", headers=page.bearer) as answer:
        assert (await answer.json())["device"] == "Meter 2"


async def test_a_repeated_request_sends_nothing_twice_although_its_list_is_another_one(page, view):
    body = {"ids": IDS, "command": "set_limit", "parameters": {"limit": 16}, "request_id": "a-request-of-mine"}
    await call(page, "command", body)
    status, told = await call(page, "command", {**body, "ids": [IDS[1], encode_id("sn:acme/Meter 3")]})
    assert (status, [one["command"]["device"] for one in told["results"]]) == (200, ["Meter 2", "Meter 3"])
    assert [done[1] for done in view.done] == [*METERS, "sn:acme/Meter 3"]


async def test_the_api_sends_a_command_to_none_that_is_not_right_for_all(page, view):
    limit = {"command": "set_limit", "parameters": {"limit": 16}}
    dangerous = {"command": "open_contactor", "parameters": {"limit": 16}}
    for body, role, wanted in (
        ({**limit, "parameters": {"limit": 5000}}, Role.OPERATE, 422),
        ({"command": "explode"}, Role.OPERATE, 409),
        (limit, Role.LOOK, 403),
        ({**dangerous, "confirmed": True}, Role.OPERATE, 403),
        (dangerous, Role.ADMINISTER, 409),
        ({**limit, "request_id": "a b"}, Role.OPERATE, 400),
    ):
        status, told = await call(page, "command", {"ids": IDS, **body}, role)
        assert (status, view.done) == (wanted, []), told
    view.children[METERS[1]] = view.children[METERS[1]].model_copy(update={"profile": "another"})
    status, told = await call(page, "command", {"ids": IDS, **limit})
    assert (status, "of several models" in told["error"], view.done) == (409, True, [])


async def test_the_api_names_several_devices_with_a_number_and_tells_what_became_of_each(page, view):
    status, told = await call(
        page, "rename", {"ids": [IDS[0], NOBODY, IDS[1]], "pattern": "Hall {n}", "first": "09"}, Role.OPERATE
    )
    assert status == 200
    assert [(one["name"], one["error"]) for one in told["results"]] == [
        ("Hall 09", None),
        (None, "there is no such device (any more)"),
        ("Hall 11", None),
    ]
    assert [view.children[key].line.name for key in METERS] == ["Hall 09", "Hall 11"]
    for body, role, wanted in (
        ({"pattern": "Hall"}, Role.OPERATE, 422),
        ({"pattern": "Hall {n}", "first": "x"}, Role.OPERATE, 422),
        ({"pattern": "Hall {n}"}, Role.LOOK, 403),
        ({"pattern": "Hall {n}", "ids": []}, Role.OPERATE, 400),
    ):
        assert (await call(page, "rename", {"ids": IDS, **body}, role))[0] == wanted
    assert [view.children[key].line.name for key in METERS] == ["Hall 09", "Hall 11"]
