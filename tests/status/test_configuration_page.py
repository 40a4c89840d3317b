"""The pages that edit the configuration: for administrators alone, checked and compared before anything is saved."""

import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.status.auth.tokens import Role

pytestmark = pytest.mark.enable_socket
PAGES = ("/configuration", "/configuration/text", "/configuration/draft?id=draft-1", "/configuration/form?at=cloud")
ACTIONS = ("text", "check", "form", "form/remove", "draft/save", "draft/try", "draft/discard", "undo", "restart")
API = ("check", "plan", "undo", "restart")


async def text_of(page, path, role=Role.ADMINISTER):
    async with page.http.get(path, headers=page.bearers[role]) as answer:
        return answer.status, await answer.text()


async def post(page, path, data=None, role=Role.ADMINISTER, **headers):
    async with page.http.post(f"/configuration/{path}", data=data, headers=page.bearers[role] | headers) as answer:
        return answer.status, await answer.text()


async def test_only_who_may_administer_sees_and_changes_the_configuration(page, view):
    for role in (Role.LOOK, Role.OPERATE):
        for path in PAGES:
            assert (await text_of(page, path, role))[0] == 403
        for path in ACTIONS:
            assert (await post(page, path, {"text": "a", "id": "draft-1", "confirm": "yes"}, role))[0] == 403
        for path in API:
            async with page.http.post(f"/api/v1/configuration/{path}", json={}, headers=page.bearers[role]) as answer:
                assert answer.status == 403
        async with page.http.put("/api/v1/configuration", json={}, headers=page.bearers[role]) as answer:
            assert answer.status == 403
        assert (await text_of(page, "/api/v1/configuration", role))[0] == 403
        assert "/configuration" not in (await text_of(page, "/", role))[1]
    shown = view.configuration
    assert (shown.saved, shown.undone, shown.begun, shown.drafts) == ([], [], [], {})
    assert 'href="/configuration"' in (await text_of(page, "/"))[1]
    assert 'href="/configuration"' in (await text_of(page, "/maintenance"))[1]


async def test_a_form_of_another_site_changes_nothing(page, view):
    foreign = {"Origin": "https://evil.example", "Authorization": ""}
    async with page.http.post("/login", data={"token": page.token}, allow_redirects=False):
        pass
    async with page.http.post("/configuration/undo", data={"confirm": "yes"}, headers={"Origin": foreign["Origin"]}) as answer:
        assert answer.status == 403
    assert view.configuration.undone == []


async def test_a_wrong_text_comes_back_with_its_mistakes_and_a_right_one_shows_what_it_changes(page, view):
    status, html = await post(page, "text", {"text": "[cloud]\nwrong = 1\n", "etag": "tag-1"})
    assert status == 422
    assert "Known here: &lt;i&gt;name&lt;/i&gt;" in html
    assert "wrong = 1" in html
    status, html = await post(page, "text", {"text": "[cloud]\n", "etag": "tag-1"})
    assert status == 200
    for words in ("when the gateway has restarted", "This page moves", "192.168.1.&lt;b&gt;21", "12 devices are read again"):
        assert words in html
    status, html = await post(page, "draft/save", {"id": "draft-1"})
    assert status == 200
    assert "administer (page)" in html
    assert "not in effect yet" in html
    assert view.configuration.saved == [("[cloud]\n", "administer (page)")]
    assert (await post(page, "draft/save", {"id": "draft-1"}))[0] == 409
    assert (await text_of(page, "/configuration/draft?id=<b>"))[0] == 409


async def test_a_step_back_is_compared_and_confirmed_first(page, view):
    status, html = await post(page, "undo")
    assert (status, "Go one step back?" in html, view.configuration.undone) == (200, True, [])
    assert "telemetry_every = 60" in html
    assert (await post(page, "undo", {"confirm": "yes"}))[0] == 200
    assert view.configuration.undone == ["administer (page)"]
    status, html = await post(page, "restart")
    assert (status, "comes back by itself" in html, view.configuration.begun) == (200, True, ["administer (page)"])


async def test_a_file_that_cannot_be_written_is_said_before_anybody_types(page, view):
    view.configuration.problem = "/etc/xyte-gateway cannot be written to: Read-only file system"
    view.configuration.fix = "In docker-compose.yml, remove :ro"
    for path in ("/configuration", "/configuration/text"):
        html = (await text_of(page, path))[1]
        assert "remove :ro" in html
    assert "readonly" in html
    assert "<button>Check" not in html


async def test_a_form_has_no_secret_shows_origins_and_takes_what_was_entered(page, view):
    status, html = await text_of(page, "/configuration/form?at=cloud")
    assert status == 200
    for words in (
        "5 to 120",
        "the &lt;i&gt;secret",
        "set; enter a new one",
        "Comes from <bdi>the environment",
        "30 when left out",
    ):
        assert words in html, words
    fields = {"at": "cloud", "etag": "tag-1", "f.telemetry_every": "x", "tick.incidents": "1", "f.hardware_key": "my-secret"}
    status, html = await post(page, "form", fields)
    assert (status, "has to be a number" in html, 'value="x"' in html) == (422, True, True)
    assert "my-secret" not in html
    assert view.configuration.answers == {"telemetry_every": "x", "hardware_key": "my-secret", "incidents": "false"}
    assert (await post(page, "form", fields | {"f.telemetry_every": "9", "f.incidents": "true"}))[0] == 200
    assert view.configuration.answers["incidents"] == "true"
    assert (await post(page, "form/remove", {"at": "adapter/#0/hosts/#2", "back": "adapter/#0", "etag": "tag-1"}))[0] == 200
    assert view.configuration.removed == [("adapter", 0, "hosts", 2)]
    assert (await text_of(page, "/configuration/form?at=nothing"))[0] == 404
    assert (await post(page, "form", {"at": "nothing"}))[0] in (404, 200)


@pytest.mark.parametrize("body", [{}, {"text": 1}, {"text": "a", "more": 1}, [], None])
async def test_a_wrong_body_is_answered_with_what_is_wrong_with_it(page, body):
    for method, path in (("POST", "/check"), ("POST", "/plan"), ("PUT", "")):
        async with page.http.request(method, f"/api/v1/configuration{path}", json=body, headers=page.bearer) as answer:
            assert answer.status == 400
            assert "invalid request" in (await answer.json())["error"]


async def test_the_api_checks_plans_saves_and_refuses_like_the_page(page, view):
    api = "/api/v1/configuration"
    async with page.http.get(api, headers=page.bearer) as answer:
        read = await answer.json()
    assert "secret 1" in read["text"]
    for body, status in (
        ({"text": "a", "etag": "old"}, 409),
        ({"text": "wrong", "etag": "tag-1"}, 422),
        ({"text": "a", "etag": "tag-1"}, 200),
    ):
        async with page.http.put(api, json=body, headers=page.bearer) as answer:
            assert answer.status == status, await answer.text()
    async with page.http.post(f"{api}/restart", json={}, headers=page.bearer) as answer:
        assert answer.status == 409
    async with page.http.post(f"{api}/plan", json={"text": "a"}, headers=page.bearer) as answer:
        assert [part["effect"] for part in (await answer.json())["parts"]] == ["at once", "reopens", "restart"]
    assert view.configuration.saved == [("a", "administer (API)")]


@pytest.mark.parametrize(("width", "has_scripts", "scheme"), [(360, False, "dark"), (1400, True, "light")])
async def test_a_browser_corrects_a_text_sees_what_it_changes_saves_and_undoes_it(
    page, chromium_running, complaints_of, view, width, has_scripts, scheme
):
    async with chromium_running() as browser:
        context = await browser.new_context(
            base_url=page.address, viewport={"width": width, "height": 800}, java_script_enabled=has_scripts, color_scheme=scheme
        )
        tab = await context.new_page()
        tab.set_default_timeout(60_000)
        complaints = complaints_of(tab)
        await tab.goto("/login?then=/configuration")
        await tab.fill("#token", page.token)
        await tab.keyboard.press("Enter")
        await tab.get_by_role("link", name="Cloud", exact=True).last.click()
        await tab.get_by_label("Telemetry every").fill("9")
        await tab.get_by_label("Hardware key").fill("my-secret")
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width if has_scripts else True
        await tab.get_by_role("button", name="See what changes").click()
        await tab.get_by_text("This page moves").wait_for()
        assert view.configuration.answers["hardware_key"] == "my-secret"
        await tab.get_by_role("button", name="Discard").click()
        await tab.get_by_role("link", name="Edit its text").click()
        await tab.fill("#text", "[cloud]\nwrong = 1\n")
        if has_scripts:
            await tab.get_by_role("button", name="2").wait_for()  # while it is typed, the line that is wrong
            await tab.get_by_role("button", name="2").click()
            assert await tab.evaluate("document.getSelection().toString()") == "wrong = 1"
        else:
            await tab.get_by_role("button", name="Check, and see").click()
            await tab.get_by_text("Nothing was saved").wait_for()
        await tab.fill("#text", "[cloud]\ntelemetry_every = 60\n")
        await tab.get_by_role("button", name="Check, and see").click()
        await tab.get_by_text("This page moves").wait_for()
        if has_scripts:
            assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        await tab.get_by_role("button", name="Save").click()
        await tab.get_by_role("button", name="Restart now").wait_for()
        await tab.get_by_role("button", name="Compare, and go one step back").click()
        await tab.get_by_role("button", name="Go one step back now").click()
        await tab.get_by_role("heading", name="Latest change").wait_for()
        assert view.configuration.undone == ["administer (page)"]
        assert [text for text in complaints if not re.search("422", text)] == []


async def test_a_german_reader_reads_mistakes_plans_and_notes_in_german(page):
    _, html = await post(page, "text", {"text": "[cloud]\n", "etag": "tag-1"}, **{"Accept-Language": "de"})
    assert "12 Geräte werden nach einigen Sekunden wieder gelesen" in html
    assert "Diese Seite zieht um" in html
    _, html = await post(page, "text", {"text": "wrong = 1", "etag": "tag-1"}, **{"Accept-Language": "de"})
    assert "Hier bekannt:" in html
    async with page.http.get("/configuration/form?at=cloud", headers=page.bearer | {"Accept-Language": "de"}) as answer:
        html = await answer.text()
    for words in ("Abstand der Messwerte", "Abstand der Messwerte in Sekunden, 5 bis 120", "Hardware-Schlüssel"):
        assert words in html


@pytest.mark.parametrize("is_named", [False, True])
async def test_a_new_table_offers_to_add_what_belongs_in_it_and_keeps_what_was_entered(page, view, monkeypatch, is_named):
    form_of = view.configuration.form

    async def new(at, *, draft=None, kind=""):
        form = await form_of(at, draft=draft, kind=kind)
        parts = [replace(part, rows=(), is_named=is_named) for part in form.parts]
        return replace(form, is_new=True, kind=kind, parts=parts, mistakes={"hosts": []})

    monkeypatch.setattr(view.configuration, "form", new)
    wanted = "adapter/#0" if is_named else "adapter/#0/hosts/#30"
    html = (await text_of(page, "/configuration/form?at=adapter/%230&kind=modbus"))[1]
    assert f'<button form="fields" name="then" value="{wanted}"' in html
    fields = {"at": "adapter/#0", "etag": "tag-1", "kind": "modbus", "f.entry_url": "y", "then": wanted}
    async with page.http.post("/configuration/form", data=fields, headers=page.bearer, allow_redirects=False) as answer:
        assert answer.status == 303
        assert parse_qs(urlsplit(answer.headers["Location"]).query) == {"at": [wanted], "draft": ["draft-1"]}
    assert view.configuration.answers == {"entry_url": "y"}


@pytest.mark.parametrize(
    ("moves_to", "link"),
    [
        ("http://127.0.0.1:8443", "http://127.0.0.1:8443/configuration"),
        ("https://0.0.0.0:8443", "https://localhost:8443/configuration"),
        ("http://[::]:8443", "http://localhost:8443/configuration"),
        ("http://[fd00::1]:8443", "http://[fd00::1]:8443/configuration"),
    ],
)
async def test_a_page_that_moves_leads_to_its_new_address(page, view, moves_to, link):
    view.configuration.moves_to = moves_to
    headers = {"Host": f"localhost:{page.http._base_url.port}"}
    status, html = await post(page, "restart", {}, **headers)
    assert status == 200
    assert f'data-new="{link}"' in html
    assert f'<a href="{link}">' in html
