"""A restore by upload: for administrators alone, bounded, checked before it is asked about, and confirmed before it happens."""

import io

import aiohttp
import pytest

from gateway.status.auth.tokens import Role

pytestmark = pytest.mark.enable_socket
SECRET = "a good passphrase"


def form(content=b"backup", passphrase=SECRET):
    fields = aiohttp.FormData()
    fields.add_field("username", "backup")
    fields.add_field("passphrase", passphrase)
    fields.add_field("file", io.BytesIO(content), filename="<b>.backup", content_type="application/octet-stream")
    return fields


async def post(page, path="", data=None, role=Role.ADMINISTER, **headers):
    async with page.http.post(f"/maintenance/restore{path}", data=data, headers=page.bearers[role] | headers) as answer:
        return answer.status, await answer.text()


async def test_a_file_is_restored_only_after_it_was_checked_and_confirmed(page, view):
    status, html = await post(page, data=form())
    assert (status, view.restores.checked, view.restores.restored) == (200, [(b"backup", SECRET)], [])
    assert "XG-&lt;b&gt;1" in html
    assert "1,234 samples" in html.replace("\u202f", ",").replace("\u2009", ",")
    assert "Meter &lt;i&gt;" in html
    assert "Restore it now" in html
    status, html = await post(page, "/confirm", {"plan": "plan-1"})
    assert (status, "comes back by itself" in html, view.restores.restored) == (200, True, ["plan-1"])


async def test_a_file_that_is_no_backup_is_refused_with_the_reason_and_nothing_can_be_confirmed(page, view):
    status, html = await post(page, data=form(b"something else"))
    assert (status, "Nothing is restored: the file is no backup of a gateway." in html) == (409, True)
    assert "Restore it now" not in html
    status, html = await post(page, "/confirm", {"plan": "guessed"})
    assert (status, "Nothing is restored" in html, view.restores.restored) == (409, True, [])
    assert (await post(page, "/cancel"))[0] == 200
    assert view.restores.cancelled == 1


async def test_only_who_may_administer_uploads_and_confirms_and_never_from_another_site(page, view):
    for role in (Role.LOOK, Role.OPERATE):
        assert (await post(page, data=form(), role=role))[0] == 403
        assert (await post(page, "/confirm", {"plan": "plan-1"}, role))[0] == 403
        assert (await post(page, "/cancel", {}, role))[0] == 403
    async with page.http.post("/login", data={"token": page.token}, headers={"Sec-Fetch-Site": "same-origin"}) as answer:
        assert answer.status == 200, "from now on, the cookie has the right"
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
    for path, data in (("", form()), ("/confirm", {"plan": "plan-1"}), ("/cancel", {})):
        async with page.http.post(f"/maintenance/restore{path}", data=data, headers=foreign) as answer:
            assert answer.status == 403
    assert (view.restores.checked, view.restores.restored, view.restores.cancelled) == ([], [], 0)


async def test_a_file_beyond_the_bound_is_not_read_and_the_bound_of_all_other_forms_stays(page, view):
    status, html = await post(page, data=form(b"backup" + bytes(2 << 20)))
    assert (status, "more than 1 MB" in html, view.restores.checked) == (413, True, [])
    large = b"backup" + bytes(500_000)
    assert (await post(page, data=form(large)))[0] == 200
    assert view.restores.checked == [(large, SECRET)]
    for path in ("/maintenance/restore/confirm", "/maintenance/backup", "/maintenance/restart"):
        async with page.http.post(path, data={"plan": "x" * 20_000}, headers=page.bearer) as answer:
            assert answer.status == 413, path


async def test_a_form_that_is_not_ours_is_refused_and_never_a_fault_of_the_page(page, view):
    assert (await post(page, data={"file": "x"}))[0] == 415
    assert (await post(page))[0] == 415
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert (await post(page, data=b"no multipart", **kind))[0] in (400, 409)
    assert (await post(page, data=b"", **{"Content-Type": "multipart/form-data"}))[0] == 400
    status, html = await post(page, data=form(passphrase="x" * 5000))
    assert (status, view.restores.checked) == (400, [])
    fields = aiohttp.FormData()
    fields.add_field("passphrase", SECRET, content_type="text/plain")
    fields.add_field("other", b"x", filename="x")
    status, html = await post(page, data=fields)
    assert (status, "no file was chosen" in html, SECRET in html) == (409, True, False)


@pytest.mark.parametrize("width", [360])
async def test_a_browser_uploads_a_backup_reads_what_it_replaces_and_finds_back(
    page, chromium_running, complaints_of, view, width, tmp_path, monkeypatch
):
    file = tmp_path / "gateway.backup"
    file.write_bytes(b"backup" + bytes(200_000))
    async with chromium_running() as browser:
        context = await browser.new_context(base_url=page.address, viewport={"width": width, "height": 800})
        tab = await context.new_page()
        tab.set_default_timeout(60_000)
        complaints = complaints_of(tab)
        await tab.goto("/login?then=/maintenance")
        await tab.fill("#token", page.token)
        await tab.keyboard.press("Enter")
        await tab.get_by_label("Passphrase of the backup").fill(SECRET)
        await tab.get_by_label("Backup file").set_input_files(file)
        await tab.get_by_role("button", name="Check the file").click()
        await tab.get_by_role("heading", name="Restore this backup?").wait_for()
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        assert view.restores.checked == [(file.read_bytes(), SECRET)]
        await tab.get_by_role("button", name="Restore it now").click()
        await tab.get_by_text("comes back by itself").wait_for()
        monkeypatch.setattr(page.server, "_number", -1)
        await tab.get_by_role("heading", name="Diagnostics").wait_for()
        assert view.restores.restored == ["plan-1"]
        assert complaints == []
