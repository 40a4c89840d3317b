"""The page of a command: its form, the confirmation, wrong values, no right, and no script."""

import pytest

from gateway.status.model import encode_id

pytestmark = pytest.mark.enable_socket

METER = "sn:acme/Meter 1"
HERE = {"Sec-Fetch-Site": "same-origin"}


def page_of(name, key=METER):
    return f"/children/{encode_id(key)}/commands/{encode_id(name)}"


async def post(page, name, *, key=METER, headers=None, **form):
    form = {"request_id": "a-request-id", **form}
    headers = page.bearer | HERE if headers is None else headers
    async with page.http.post(page_of(name, key), data=form, headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.text()


def sent(view):
    return [done for done in view.done if done[0] == "command"]


async def test_a_valid_form_is_sent_with_typed_values_and_who_asked(page, view):
    status, _ = await post(page, "set_limit", **{"p.limit": "20,5", "p.mode": "fast", "p.beeps": "", "p.pin": "0042"})
    assert status == 303
    assert sent(view) == [
        ("command", METER, "set_limit", {"limit": 20.5, "mode": "fast", "pin": "0042"}, "page, administrator, token administer")
    ]


async def test_wrong_values_stay_in_the_form_with_the_error_beside_each(page, view):
    status, html = await post(page, "set_limit", **{"p.limit": "40", "p.mode": "slow", "p.pin": "1"})
    assert status == 422
    assert "Limit has to be a number from 0 to 32, not 40" in html
    assert "Mode has to be one of eco, fast, not &#39;slow&#39;" in html
    assert "PIN has to be a text of 4 to 8 characters" in html
    assert 'value="40"' in html
    assert 'value="1"' not in html
    assert sent(view) == []
    status, html = await post(page, "set_limit")
    assert (status, "Limit is missing: a number from 0 to 32" in html) == (422, True)


async def test_a_dangerous_command_is_shown_with_what_it_writes_before_it_is_sent(page, view):
    form = {"p.limit": "0", "p.pin": "0042"}
    status, html = await post(page, "open_contactor", **form)
    assert (status, sent(view)) == (200, [])
    assert "It may harm people" in html
    assert "holding register 40 becomes 1" in html
    assert "0042" not in html
    assert "enter it again" in html
    status, _ = await post(page, "open_contactor", confirmed="yes", **form)
    assert (status, len(sent(view))) == (303, 1)


async def test_wrong_values_of_a_dangerous_command_are_told_before_the_question(page, view):
    status, html = await post(page, "open_contactor", **{"p.limit": "40"})
    assert (status, "Limit has to be a number" in html, "It may harm people" in html) == (422, True, False)


async def test_without_a_right_nothing_is_sent_and_the_page_says_how_to_get_one(page, view):
    async with page.http.get(page_of("set_limit")) as answer:
        html = await answer.text()
    assert "sign in with a token" in html
    assert '<form class="command"' not in html
    assert (await post(page, "set_limit", headers=HERE, **{"p.limit": "3"}))[0] == 403
    assert (await post(page, "set_limit", headers=page.bearer | {"Sec-Fetch-Site": "cross-site"}, **{"p.limit": "3"}))[0] == 403
    assert sent(view) == []


@pytest.mark.parametrize("request_id", ["", "short", "with space in it", "x" * 65, "<script>alert(1)</script>"])
async def test_a_form_without_a_usable_request_id_is_refused(page, view, request_id):
    assert (await post(page, "set_limit", request_id=request_id, **{"p.limit": "3"}))[0] == 400
    assert sent(view) == []


async def test_a_command_or_a_child_that_is_not_there_is_not_found(page):
    for path in (page_of("explode"), page_of("set_limit", "sn:nobody"), f"/children/{encode_id(METER)}/commands/!!"):
        async with page.http.get(path) as answer:
            assert answer.status == 404
    assert (await post(page, "explode"))[0] == 404


async def test_a_command_that_the_configuration_forbids_is_grey_with_the_reason(page, view):
    view.device_actions.commands.refusal = 'it takes no commands: `may = "observe"` in [cloud]'
    async with page.http.get(f"/children/{encode_id(METER)}") as answer:
        html = await answer.text()
    assert "Commands cannot be sent: <bdi>it takes no commands: `may = &#34;observe&#34;` in [cloud]</bdi>" in html
    assert page_of("set_limit") not in html
    assert (await post(page, "set_limit", **{"p.limit": "3"}))[0] == 409


async def test_the_api_declares_checks_and_sends(page, view):
    base = f"/api/v1/children/{encode_id(METER)}/commands"
    async with page.http.get(base) as answer:
        declared = {one["name"]: one for one in (await answer.json())["commands"]}
    assert declared["set_limit"]["parameters"]["properties"]["limit"]["maximum"] == 32
    assert (declared["open_contactor"]["is_dangerous"], declared["reboot"]["needs_confirmation"]) == (True, True)
    for body, status in (
        ({"parameters": {"limit": 3}, "request_id": "from-a-program"}, 200),
        ({"parameters": {"limit": 3}, "request_id": "from-a-program"}, 200),
        ({"parameters": {"limit": 99}}, 422),
        ({"parameters": {"limit": 3}, "request_id": "bad id"}, 400),
        ({"parameters": {"limit": 3}, "wait_seconds": 31}, 400),
        ({"parameters": [3]}, 400),
        ({"surplus": 3}, 400),
    ):
        async with page.http.post(f"{base}/set_limit", json=body, headers=page.bearer) as answer:
            assert answer.status == status, (body, await answer.text())
    assert len(sent(view)) == 1
    async with page.http.post(f"{base}/open_contactor", json={"parameters": {"limit": 3}}, headers=page.bearer) as answer:
        assert (answer.status, "confirmed" in (await answer.json())["error"]) == (409, True)
    async with page.http.get("/api/v1/commands/from-a-program") as answer:
        assert (await answer.json())["asked_by"] == "API, administrator, token administer"
    async with page.http.get("/api/v1/commands/another") as answer:
        assert answer.status == 404


async def test_names_of_a_stranger_s_adapter_do_no_harm(page, view):
    spec = view.device_actions.commands.specs[1]
    odd = "<b>" + "x" * 300 + "‮"
    view.device_actions.commands.specs = (type(spec)(name=odd, title=odd, description=odd),)
    async with page.http.get(f"/children/{encode_id(METER)}") as answer:
        assert "<b>x" not in await answer.text()
    async with page.http.get(page_of(odd)) as answer:
        assert (answer.status, "<b>x" in await answer.text()) == (200, False)
    assert (await post(page, odd))[0] == 303


async def test_a_value_that_one_command_sets_leads_to_it(page, view):
    async with page.http.get(f"/children/{encode_id(METER)}", headers=page.bearer) as answer:
        html = await answer.text()
    assert f'href="{page_of("set_limit")}" aria-label="Set Active power"' in html
    assert html.count('aria-label="Set ') == 1
    view.device_actions.commands.specs *= 2
    async with page.http.get(f"/children/{encode_id(METER)}", headers=page.bearer) as answer:
        assert 'aria-label="Set ' not in await answer.text()


async def test_an_operator_sends_commands_but_no_dangerous_ones_and_retires_nothing(page, view):
    operator = next(headers for role, headers in page.bearers.items() if role.value == "operate") | HERE
    assert (await post(page, "set_limit", headers=operator, **{"p.limit": "3"}))[0] == 303
    assert sent(view)[-1][-1] == "page, operator, token operate"
    status, html = await post(page, "open_contactor", headers=operator, confirmed="yes", **{"p.limit": "3"})
    assert (status, "needs a token that may administer" in html) == (403, True)
    path = f"/api/v1/children/{encode_id(METER)}"
    for where, body in (
        ("commands/open_contactor", {"parameters": {"limit": 3}, "confirmed": True}),
        ("retire", {"keep_in_cloud": True}),
    ):
        async with page.http.post(f"{path}/{where}", json=body, headers=operator) as answer:
            assert answer.status == 403
    async with page.http.post("/several/children", data={"action": "retire", "chosen": "x"}, headers=operator) as answer:
        assert answer.status in (403, 422)
    assert len(view.done) == 1
