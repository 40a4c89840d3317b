"""The configuration file edited on the page of a running gateway: checked, planned, saved, in effect, undone."""

import asyncio
import io
import json
import re
import socket
import stat
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace

import aiohttp
import pytest

from gateway.config.loading import load
from gateway.errors import BeginAnew
from gateway.runtime.builder import build
from gateway.runtime.parts import Timing
from gateway.runtime.restart import Restart
from gateway.status.auth.token_file import make_token
from gateway.status.listening.former_address import kept_former_address
from gateway.testing.devices import SyntheticBus, SyntheticDevice
from gateway.testing.line_with_speed import LineAdapter

pytestmark = pytest.mark.enable_socket

KEY = "0f0e0d0c-1111-4222-8333-444455556666"
PASSWORD = "pass-of-the-mail"
URL_ENCODED = {"Content-Type": "application/x-www-form-urlencoded"}
TEXT = """\
# The plant behind the mill.
[cloud]
entry_url = "{entry}"   # an emulator
allow_plain_http = true
hardware_key = "{key}"
telemetry_every = 5
configuration_watch = 1

[store]
path = "{store}"

[status]
port = 0

[notify]
email_to = ["operator@example.com"]
smtp_host = "mail.example.com"
smtp_user = "operator"
smtp_password = "{password}"

[models]
"*" = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"

[[adapter]]
type = "line"
name = "first"   # by the door

[[adapter]]
type = "other"
name = "second"
"""


@pytest.fixture
def site(tmp_path, emulator):
    buses = [
        SyntheticBus([SyntheticDevice(name, name, poll_every=timedelta(milliseconds=100))], label=name) for name in ("1", "2")
    ]
    file = tmp_path / "gateway.toml"
    file.write_text(TEXT.format(entry=emulator.entry_url, key=KEY, store=tmp_path / "gateway.sqlite3", password=PASSWORD))
    file.chmod(0o600)
    return SimpleNamespace(file=file, buses=buses, adapters={"line": LineAdapter.on(buses[0]), "other": LineAdapter.on(buses[1])})


@pytest.fixture
def gateway(site, until):
    """A gateway with a page, and a client that is signed in as its administrator."""

    @asynccontextmanager
    async def start(restart=None):
        configuration = load(site.file, site.adapters)
        stop, ended = asyncio.Event(), []

        async def run(parts):
            try:
                await parts.run(stop)
            except BeginAnew as error:
                ended.append(str(error))

        timing = Timing(check_for_changes_every=timedelta(seconds=0.1), hub_backoff_first=timedelta(seconds=0.05))
        async with build(configuration, site.adapters, timing=timing, restart=restart) as parts, asyncio.TaskGroup() as group:
            group.create_task(run(parts))
            await until(lambda: parts.page.server.listens.is_set())
            headers = {"Authorization": f"Bearer {parts.page.new_token or start.token}"}
            start.token = parts.page.new_token or start.token
            async with aiohttp.ClientSession(parts.page.server.address, headers=headers) as http:
                yield SimpleNamespace(parts=parts, http=http, editor=parts.editor, ended=ended)
            stop.set()

    start.token = None
    return start


async def read(gateway):
    async with gateway.http.get("/api/v1/configuration") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def put(gateway, text, etag):
    async with gateway.http.put("/api/v1/configuration", json={"text": text, "etag": etag}) as answer:
        return answer.status, await answer.json()


async def test_a_value_is_changed_live_and_the_file_keeps_its_comments_secrets_rights_and_former_text(gateway, site, until):
    async with gateway() as running:
        await until(lambda: len(running.parts.state.registry.children) == 2)
        before = await read(running)
        assert KEY not in before["text"]
        assert PASSWORD not in before["text"]
        opened = [bus.opened for bus in site.buses]
        text = before["text"].replace("telemetry_every = 5", "telemetry_every = 7")
        status, saved = await put(running, text, before["etag"])
        assert (status, saved["waits_for_restart"]) == (200, [])
        assert running.parts.own_configuration.effective.configuration.settings.cloud.telemetry_every == timedelta(seconds=7)
        assert [bus.opened for bus in site.buses] == opened, "no bus was touched"
        written = site.file.read_text()
        assert written == TEXT.format(
            entry=running.parts.configuration.settings.cloud.entry_url,
            key=KEY,
            store=site.file.with_name("gateway.sqlite3"),
            password=PASSWORD,
        ).replace("telemetry_every = 5", "telemetry_every = 7")
        assert stat.S_IMODE(site.file.stat().st_mode) == 0o600
        assert "telemetry_every = 5" in site.file.with_name("gateway.toml.before").read_text()
        after = await read(running)
        assert after["change"]["by"] == "administrator (API)"
        assert (after["change"]["what"], after["can_undo"]) == ("cloud.telemetry_every", True)
        await asyncio.sleep(0.5)
        assert "restart" not in ((await running.parts.view.snapshot()).gateway.notice or "")
        async with running.http.post("/api/v1/configuration/undo") as answer:
            assert answer.status == 200, await answer.text()
        assert running.parts.own_configuration.effective.configuration.settings.cloud.telemetry_every == timedelta(seconds=5)
        assert "telemetry_every = 7" in site.file.with_name("gateway.toml.before").read_text()
        async with running.http.get("/api/v1/events?kind=configuration") as answer:
            events = [one["text"] for one in (await answer.json())["events"]]
        assert "changed by administrator (API): cloud.telemetry_every" in events


async def test_a_save_that_changes_nothing_leaves_the_way_back_alone(gateway, site):
    async with gateway() as running:
        before = await read(running)
        assert (await put(running, before["text"].replace("= 5", "= 7"), before["etag"]))[0] == 200
        copy, now = site.file.with_name("gateway.toml.before"), await read(running)
        kept, changed_at = copy.read_bytes(), now["change"]["at"]
        status, saved = await put(running, now["text"], now["etag"])
        assert (status, saved["etag"]) == (200, now["etag"])
        assert (await put(running, site.file.read_text(), now["etag"]))[0] == 200
        _, url, _ = await form(running, "/text", text=now["text"], etag=now["etag"])
        assert (await form(running, "/draft/save", id=re.search(r"id=([\w-]+)", url)[1]))[0] == 200
        assert copy.read_bytes() == kept
        after = await read(running)
        assert (after["can_undo"], after["change"]["at"]) == (True, changed_at)


async def test_an_unchanged_text_puts_into_effect_what_was_edited_elsewhere_and_keeps_the_way_back(gateway, site):
    async with gateway() as running:
        before = await read(running)
        assert (await put(running, before["text"].replace("= 5", "= 7"), before["etag"]))[0] == 200
        kept = site.file.with_name("gateway.toml.before").read_bytes()
        site.file.write_text(site.file.read_text().replace("telemetry_every = 7", "telemetry_every = 8"))
        now = await read(running)
        assert (await put(running, now["text"], now["etag"]))[0] == 200
        assert running.parts.own_configuration.base.settings.cloud.telemetry_every == timedelta(seconds=8)
        assert site.file.with_name("gateway.toml.before").read_bytes() == kept


async def form(gateway, path, **fields):
    async with gateway.http.post(f"/configuration{path}", data=fields) as answer:
        return answer.status, str(answer.url), await answer.text()


async def test_a_bus_is_added_on_the_page_and_its_device_becomes_a_child_without_a_restart(gateway, site, until):
    third = SyntheticBus([SyntheticDevice("3", "3", poll_every=timedelta(milliseconds=100))], label="3")
    site.adapters["further"] = LineAdapter.on(third)
    async with gateway() as running:
        registry = running.parts.state.registry
        await until(lambda: len(registry.children) == 2)
        before = await read(running)
        text = before["text"] + '\n[[adapter]]\ntype = "further"\nname = "third"\n'
        status, url, html = await form(running, "/text", text=text, etag=before["etag"])
        assert status == 200
        assert "Opened and searched for devices: 3." in html
        assert KEY not in html
        draft = re.search(r"id=([\w-]+)", url)[1]
        assert "third" not in site.file.read_text(), "nothing is saved before it is confirmed"
        status, url, html = await form(running, "/draft/save", id=draft)
        assert (status, "adapter.third" in html) == (200, True)
        await until(lambda: len(registry.children) == 3)
        assert third.opened == 1
        assert [bus.opened for bus in site.buses] == [1, 1]
        # and it goes again, with what that means for its device
        before = await read(running)
        text = before["text"].replace('[[adapter]]\ntype = "further"\nname = "third"\n', "")
        _, _, html = await form(running, "/text", text=text, etag=before["etag"])
        assert "Not served any more: 3. 1 device on it (" in html
        assert "is offline from then on and stay" in html


async def test_mistakes_stand_beside_their_lines_all_at_once_and_nothing_is_saved(gateway, site):
    async with gateway() as running:
        before, was = await read(running), site.file.read_bytes()
        text = before["text"].replace("telemetry_every = 5", "telemetry_every = 1\ncolour = 7").replace('"other"', '"othr"')
        status, _, html = await form(running, "/text", text=text, etag=before["etag"])
        assert status == 422
        plain = re.sub(r"<[^>]+>", "", html)
        for words in (
            "3 mistakes",
            "cloud.telemetry_every has to be at least 5 seconds",
            "cloud.colour no such key",
            "no adapter &#39;othr&#39;",
        ):
            assert words in plain, (words, plain)
        assert "Nothing was saved" in plain
        assert site.file.read_bytes() == was
        assert (await put(running, text, before["etag"]))[0] == 422
        assert not site.file.with_name("gateway.toml.before").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace('name = "first"', 'name = "******** (secret 1)"'), "the mask of a secret stands where"),
        (lambda text: text + "\0", "the control character 0"),
        (lambda text: text.replace("[store]", "[cloud]\n[store]"), "this table is there twice"),
        (lambda text: text.replace("port = 0", "port = 0\nport = 1"), "port is there twice"),
        (lambda text: text.replace('smtp_password = "******** (secret 2)"', f"smtp_password = {PASSWORD}"), "is no value"),
    ],
    ids=["mask elsewhere", "NUL", "table twice", "key twice", "key without quotes"],
)
async def test_a_damaged_text_is_refused_and_no_answer_has_a_secret(gateway, site, change, words, caplog):
    async with gateway() as running:
        before = await read(running)
        for answer in (
            await put(running, change(before["text"]), before["etag"]),
            await form(running, "/text", text=change(before["text"]), etag=before["etag"]),
        ):
            assert answer[0] == 422
            assert words in str(answer)
            assert PASSWORD not in str(answer)
            assert KEY not in str(answer)
        assert PASSWORD not in caplog.text


async def test_a_text_that_is_too_large_is_refused_with_the_limit(gateway):
    async with gateway() as running:
        for size, words in ((1_100_000, "more than 1000 kB"), (5_000_000, "larger than this page accepts")):
            body = io.BytesIO(json.dumps({"text": "# " + "x" * size}).encode())
            async with running.http.post("/api/v1/configuration/check", data=body) as answer:
                assert (answer.status, words in await answer.text()) == (413, True)
        async with running.http.post(
            "/configuration/text", data=io.BytesIO(b"text=" + b"x" * 1_100_000), headers=URL_ENCODED
        ) as answer:
            assert (answer.status, "more than 1000 kB" in await answer.text()) == (409, True)


async def test_who_saves_second_is_refused_sees_the_changes_of_the_first_and_may_save_over_them(gateway, site, until):
    async with gateway() as running:
        before = await read(running)
        _, url, _ = await form(running, "/text", text=before["text"].replace("= 5", "= 9"), etag=before["etag"])
        draft = re.search(r"id=([\w-]+)", url)[1]
        status, _ = await put(running, before["text"].replace("by the door", "by the window"), before["etag"])
        assert status == 200
        status, _ = await put(running, before["text"].replace("= 5", "= 8"), before["etag"])
        assert status == 409
        status, _, html = await form(running, "/draft/save", id=draft)
        assert status == 409
        assert "The file has changed since" in html
        for words in ("by the window", "Their changes", "Save over it"):
            assert words in html
        status, _, html = await form(running, "/draft/save", id=draft)
        assert (status, "Their changes" in html) == (409, True), "the plain button takes back no change of another person"
        seen = re.search(r'name="over" value="(\w+)"', html)[1]
        now = await read(running)
        assert (await put(running, now["text"].replace("by the window", "by the gate"), now["etag"]))[0] == 200
        status, _, html = await form(running, "/draft/save", id=draft, over=seen)
        assert (status, "by the gate" in html) == (409, True), "a further change was not seen yet"
        assert "telemetry_every = 5" in site.file.read_text()
        status, _, _ = await form(running, "/draft/save", id=draft, over=re.search(r'name="over" value="(\w+)"', html)[1])
        assert (status, "telemetry_every = 9" in site.file.read_text()) == (200, True)


async def test_windows_line_ends_and_a_byte_order_mark_stay_as_they_are(gateway, site):
    site.file.write_bytes(b"\xef\xbb\xbf" + site.file.read_bytes().replace(b"\n", b"\r\n"))
    async with gateway() as running:
        before = await read(running)
        was = site.file.read_bytes()
        status, _ = await put(running, before["text"].replace("= 5", "= 6").replace("\n", "\r\n"), before["etag"])
        assert status == 200
        assert site.file.read_bytes() == was.replace(b"telemetry_every = 5", b"telemetry_every = 6")


async def test_what_needs_a_new_start_says_so_with_the_new_address_and_takes_effect_when_the_gateway_begins_anew(
    gateway, site, unused_tcp_port, until
):
    restart = Restart()
    async with gateway(restart) as running:
        before = await read(running)
        text = before["text"].replace("port = 0", f"port = {unused_tcp_port}").replace("every = 5", "every = 6")
        _, url, html = await form(running, "/text", text=text, etag=before["etag"])
        assert f"to http://127.0.0.1:{unused_tcp_port}." in html
        draft = re.search(r"id=([\w-]+)", url)[1]
        _, _, html = await form(running, "/draft/save", id=draft)
        assert "Saved, and not in effect yet: <code><bdi>status.port" in html
        assert running.parts.own_configuration.effective.configuration.settings.cloud.telemetry_every == timedelta(seconds=6)
        assert running.parts.own_configuration.base.settings.status.port == 0
        await until(lambda: "status.port" in (running.parts.view._notice or ""))
        status, _, html = await form(running, "/restart")
        assert (status, "restarts with the configuration" in html) == (200, True)
        there = f"http://127.0.0.1:{unused_tcp_port}/configuration"
        assert f'data-new="{there}"' in html
        assert f'<a href="{there}">' in html
        await until(lambda: running.ended == ["its configuration was changed on the page"])
    async with gateway(restart) as running:
        assert running.parts.page.server.address.endswith(f":{unused_tcp_port}")
        change = (await read(running))["change"]
        assert (change["problem"], change["what"]) == (None, "cloud.telemetry_every, status.port")
        assert (await read(running))["waits_for_restart"] == []
        assert (await read(running))["can_undo"]


@pytest.mark.parametrize("taken", ["port", "host"])
async def test_a_page_that_cannot_be_served_at_its_new_address_is_said_before_and_stays_at_the_former_one(
    gateway, site, until, taken
):
    restart = Restart()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        section = f"port = {port}" if taken == "port" else 'port = 0\nhost = "192.0.2.7"'
        async with gateway(restart) as running:
            before, address = await read(running), running.parts.page.server.address
            text = before["text"].replace("port = 0", section)
            async with running.http.post("/api/v1/configuration/plan", json={"text": text}) as answer:
                cautions = (await answer.json())["cautions"]
            why = "Address already in use" if taken == "port" else "Cannot assign requested address"
            assert "The page cannot be served at" in cautions[0]
            assert why in cautions[0]
            assert (await put(running, text, before["etag"]))[0] == 200
            running.editor.begin_anew(by="a test")
            await until(lambda: running.ended)
        async with gateway(restart) as running:
            served = running.parts.page.server
            assert served.address == address
            notice = (await running.parts.view.snapshot()).gateway.notice
            assert "is at its former address" in notice
            assert why in notice


async def test_the_former_address_outlives_the_process_until_somebody_signs_in_at_the_new_one(gateway, site, until):
    kept = site.file.with_name("status-former-address")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with gateway() as running:
            before, address = await read(running), running.parts.page.server.address
            assert (await put(running, before["text"].replace("port = 0", f"port = {port}"), before["etag"]))[0] == 200
        async with gateway() as running:  # as after a restart of the process
            assert running.parts.page.server.address == address
            assert (await read(running))["text"]
            assert kept.exists(), "nobody has been at the new one yet"
    async with gateway() as running:
        assert running.parts.page.server.address == f"http://127.0.0.1:{port}"
        assert kept.exists()
        await read(running)
        await until(lambda: not kept.exists())


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 9999, b'{"host":"127.0.0.1","port":1,"at":"2001-01-01T00:00:00Z"}'])
async def test_a_former_address_that_is_damaged_or_old_is_none(gateway, site, content):
    site.file.with_name("status-former-address").write_bytes(content)
    async with gateway() as running:
        assert running.parts.page.server.why_at_former_address is None
        assert kept_former_address(site.file.with_name("gateway.sqlite3")) is None


async def test_a_certificate_that_cannot_be_used_is_mended_on_the_page_that_this_machine_alone_reaches(gateway, site, until):
    restart, broken = Restart(), site.file.with_name("page.pem")
    broken.write_text("no certificate")
    before = site.file.read_text()
    site.file.write_text(before.replace("port = 0", f'port = 0\nhost = "0.0.0.0"\ncertificate = "{broken}"'))
    async with gateway(restart) as running:
        assert running.parts.page.server.address.startswith("http://127.0.0.1:")
        notice = (await running.parts.view.snapshot()).gateway.notice
        assert "to this machine alone, until its certificate can be used" in notice
        assert "page.pem holds no certificate in PEM form" in notice
        shown = await read(running)
        text = shown["text"].replace(f'\ncertificate = "{broken}"', "")
        assert (await put(running, text, shown["etag"]))[0] == 200
        running.editor.begin_anew(by="a test")
        await until(lambda: running.ended)
    async with gateway(restart) as running:
        assert running.parts.page.server.why_without_certificate is None
        assert running.parts.page.server.address.startswith("http://0.0.0.0:")


async def test_a_start_with_a_token_logs_how_to_make_one_and_the_first_start_shows_it(gateway, caplog):
    caplog.set_level("INFO", "gateway")
    async with gateway():
        assert "shown only this once" in caplog.text
        assert "make one" not in caplog.text
    caplog.clear()
    async with gateway():
        assert re.search(r"make one: .*xyte-gateway token", caplog.text)
        assert "shown only this once" not in caplog.text


async def test_a_page_that_keeps_its_port_is_no_obstacle_to_itself(gateway):
    async with gateway() as running:
        before, port = await read(running), running.parts.page.server.address.rpartition(":")[2]
        text = before["text"].replace("port = 0", f"port = {port}")
        async with running.http.post("/api/v1/configuration/plan", json={"text": text}) as answer:
            assert not any("cannot be served" in one for one in (await answer.json())["cautions"])


async def test_a_page_that_would_be_closed_is_said_before(gateway):
    async with gateway() as running:
        before = await read(running)
        text = before["text"].replace("port = 0", "enabled = false\nport = 0")
        async with running.http.post("/api/v1/configuration/plan", json={"text": text}) as answer:
            plan = await answer.json()
        assert "This page is closed when the gateway restarts" in plan["cautions"][0]
        assert [(part["key"], part["effect"]) for part in plan["parts"]] == [("status.enabled", "restart")]


async def test_a_bus_that_is_lost_after_a_change_is_said_and_one_step_back_brings_it_back(gateway, site, until):
    async with gateway() as running:
        await until(lambda: len(running.parts.state.registry.children) == 2)
        before = await read(running)
        site.buses[0].unplugged = True
        text = before["text"].replace('name = "first"', 'name = "first"\ngain = 3')
        assert (await put(running, text, before["etag"]))[0] == 200
        await until(lambda: running.editor._changes.change.problem is not None)
        async with running.http.get("/configuration") as answer:
            html = await answer.text()
        assert "It got worse since" in html
        assert "go one step back" in html


FIELD = re.compile(r'name="(etag|draft)" value="([^"]+)"')


async def form_of(gateway, at, **query):
    async with gateway.http.get("/configuration/form", params={"at": at} | query) as answer:
        html = await answer.text()
        assert answer.status == 200, html
        return html, dict(FIELD.findall(html))


async def test_a_value_is_changed_in_a_form_and_comments_and_secrets_of_the_file_stay(gateway, site):
    async with gateway() as running:
        was = site.file.read_text()
        html, hidden = await form_of(running, "cloud")
        assert KEY not in html
        assert "set; enter a new one" in html
        assert "5 to 120" in html
        status, _, html = await form(running, "/form", at="cloud", **hidden, **{"f.telemetry_every": "400"})
        assert (status, "at most 2 min" in html or "at most 120" in html) == (422, True), html
        assert 'value="400"' in html
        hidden = dict(FIELD.findall(html))
        status, url, html = await form(running, "/form", at="cloud", **hidden, **{"f.telemetry_every": "9", "f.may": "observe"})
        assert status == 200
        assert "cloud.telemetry_every" in html
        draft = re.search(r"id=([\w-]+)", url)[1]
        assert (await form(running, "/draft/save", id=draft))[0] == 200
        written = site.file.read_text()
        assert written == was.replace("telemetry_every = 5", "telemetry_every = 9").replace(
            "configuration_watch = 1\n", 'configuration_watch = 1\nmay = "observe"\n'
        )
        base = running.parts.own_configuration.base.settings.cloud
        assert (base.telemetry_every, base.may.value) == (timedelta(seconds=9), "observe")


async def test_answers_of_a_form_go_into_the_file_as_another_person_has_changed_it_elsewhere(gateway, site):
    async with gateway() as running:
        _, hidden = await form_of(running, "cloud")
        before = await read(running)
        assert (await put(running, before["text"].replace("by the door", "by the gate"), before["etag"]))[0] == 200
        status, url, html = await form(running, "/form", at="cloud", **hidden, **{"f.telemetry_every": "9"})
        assert (status, "changed other parts of the file" in html, "by the gate" in html) == (200, True, True)
        assert (await form(running, "/draft/save", id=re.search(r"id=([\w-]+)", url)[1]))[0] == 200
        written = site.file.read_text()
        assert ("by the gate" in written, "telemetry_every = 9" in written) == (True, True)


@pytest.mark.parametrize("at", ["cloud", "adapter/#2"])
async def test_answers_for_a_table_that_another_person_has_changed_are_kept_beside_their_changes(gateway, site, at):
    third = LineAdapter.on(SyntheticBus([], label="3"))
    site.adapters["further"] = third
    async with gateway() as running:
        kind = {"kind": "further"} if at != "cloud" else {}
        _, hidden = await form_of(running, at, **kind)
        before = await read(running)
        theirs = before["text"].replace("telemetry_every = 5", "telemetry_every = 7")
        theirs += '\n[[adapter]]\ntype = "further"\nname = "of-them"\n'
        assert (await put(running, theirs, before["etag"]))[0] == 200
        answers = {"f.telemetry_every": "9"} if at == "cloud" else {"f.name": "of-me", "f.gain": "2"}
        status, _, html = await form(running, "/form", at=at, **hidden, **kind, **answers)
        plain = re.sub(r"<[^>]+>", "", html)
        assert status == 200
        for words in ("Their changes", "of-them", "Save over it", "telemetry_every = 9" if at == "cloud" else "of-me"):
            assert words in html + plain, words
        assert "telemetry_every = 7" in site.file.read_text()


async def test_an_entry_is_removed_by_a_stale_form_where_others_have_changed_other_parts(gateway, site):
    async with gateway() as running:
        _, hidden = await form_of(running, "adapter/#1")
        before = await read(running)
        assert (await put(running, before["text"].replace("by the door", "by the gate"), before["etag"]))[0] == 200
        status, url, html = await form(running, "/form/remove", at="adapter/#1", etag=hidden["etag"])
        assert (status, "changed other parts of the file" in html, "by the gate" in html) == (200, True, True)
        assert (await form(running, "/draft/save", id=re.search(r"id=([\w-]+)", url)[1]))[0] == 200
        written = site.file.read_text()
        assert ("by the gate" in written, 'name = "second"' in written) == (True, False)


async def test_an_entry_that_another_person_has_changed_is_removed_only_by_who_has_seen_their_changes(gateway, site):
    async with gateway() as running:
        _, hidden = await form_of(running, "adapter/#1")
        before = await read(running)
        assert (await put(running, before["text"].replace('"second"', '"of-them"'), before["etag"]))[0] == 200
        status, url, html = await form(running, "/form/remove", at="adapter/#1", etag=hidden["etag"])
        plain = re.sub(r"<[^>]+>", "", html)
        assert status == 200
        for words in ("Their changes", "of-them", "Save over it", "by administrator (API)"):
            assert words in html + plain, words
        assert "of-them" in site.file.read_text()
        over = re.search(r'name="over" value="([^"]+)"', html)[1]
        assert (await form(running, "/draft/save", id=re.search(r"id=([\w-]+)", url)[1], over=over))[0] == 200
        assert "of-them" not in site.file.read_text()


async def test_warnings_are_shown_beside_mistakes(gateway):
    async with gateway() as running:
        shown = await read(running)
        text = shown["text"].replace("telemetry_every = 5", "telemetry_every = -5").replace("c2d1e0ff-0a0b", "c2d1e0ff0a0b")
        async with running.http.post("/api/v1/configuration/check", json={"text": text}) as answer:
            checked = await answer.json()
        assert [one["where"] for one in checked["mistakes"]] == ["cloud.telemetry_every"]
        assert [one["where"] for one in checked["warnings"]] == ["models.*"]
        status, _, html = await form(running, "/text", text=text, etag=shown["etag"])
        assert (status, "1 mistake" in html, "1 warning" in html) == (422, True, True)


async def test_answers_stay_in_the_form_where_nobody_knows_any_more_what_it_was_made_from(gateway):
    async with gateway() as running:
        fields = {"at": "cloud", "etag": "of an earlier run", "f.telemetry_every": "9"}
        status, _, html = await form(running, "/form", **fields)
        assert (status, 'role="alert"' in html, 'value="9"' in html) == (409, True, True)
        assert "The file has changed since" in html


async def test_a_secret_is_entered_in_a_form_and_never_shown(gateway, site):
    async with gateway() as running:
        html, hidden = await form_of(running, "notify")
        assert PASSWORD not in html
        status, url, html = await form(
            running, "/form", at="notify", **hidden, **{"f.smtp_password": "another-word", "f.priority": "high"}
        )
        assert status == 200
        assert "another-word" not in html
        assert "another one" in html
        assert (await form(running, "/draft/save", id=re.search(r"id=([\w-]+)", url)[1]))[0] == 200
        assert 'smtp_password = "another-word"' in site.file.read_text()
        html, _ = await form_of(running, "notify")
        assert "another-word" not in html


async def test_an_entry_is_added_and_removed_in_forms_without_a_script(gateway, site, until):
    third = SyntheticBus([SyntheticDevice("3", "3", poll_every=timedelta(milliseconds=100))], label="3")
    site.adapters["further"] = LineAdapter.on(third)
    async with gateway() as running:
        await until(lambda: len(running.parts.state.registry.children) == 2)
        html, hidden = await form_of(running, "adapter/#2", kind="further")
        assert "speed of the line" in html
        fields = {"f.name": "third", "f.gain": "2", "kind": "further", "at": "adapter/#2"}
        status, url, html = await form(running, "/form", **hidden, **fields)
        assert (status, "Opened and searched for devices: 3." in html) == (200, True)
        draft = re.search(r"id=([\w-]+)", url)[1]
        status, _, _ = await form(running, "/draft/try", id=draft)
        assert status == 200
        async with asyncio.timeout(20):
            while "Answers" not in (html := await (await running.http.get(f"/configuration/draft?id={draft}")).text()):  # noqa: ASYNC110 - a page
                await asyncio.sleep(0.05)
        assert "Opens the ports" not in html
        assert len(running.parts.state.registry.children) == 2, "what is tried becomes no child"
        assert (await form(running, "/draft/save", id=draft))[0] == 200
        await until(lambda: len(running.parts.state.registry.children) == 3)
        _, hidden = await form_of(running, "adapter/#2")
        _, url, html = await form(running, "/form/remove", at="adapter/#2", **hidden)
        assert "Not served any more: 3." in html
        assert (await form(running, "/draft/save", id=re.search(r"id=([\w-]+)", url)[1]))[0] == 200
        assert "third" not in site.file.read_text()
        assert "# The plant behind the mill." in site.file.read_text()


async def test_a_try_says_what_is_wrong_and_what_the_gateway_has_open_itself(gateway, site, until):
    third = SyntheticBus([], label="3")
    third.unplugged = True
    site.adapters["further"] = LineAdapter.on(third)
    async with gateway() as running:
        await until(lambda: len(running.parts.state.registry.children) == 2)
        opened = site.buses[0].opened
        before = await read(running)
        text = (
            before["text"].replace('name = "first"', 'name = "first"\ngain = 3')
            + '[[adapter]]\ntype = "further"\nname = "third"\n'
        )
        _, url, _ = await form(running, "/text", text=text, etag=before["etag"])
        draft = re.search(r"id=([\w-]+)", url)[1]
        await form(running, "/draft/try", id=draft)
        async with asyncio.timeout(20):
            while (shown := await running.editor.draft(draft)).is_trying:  # noqa: ASYNC110 - a try
                await asyncio.sleep(0.05)
        trials = {one.bus: (one.state.value, one.text) for one in shown.trials}
        assert trials["1"][0] == "in use"
        assert "1 of 1 devices answer" in trials["1"][1]
        assert trials["3"][0] == "fails"
        assert "unplugged" in trials["3"][1].lower()
        assert site.buses[0].opened == opened


async def test_a_hub_that_is_lost_between_two_steps_keeps_nobody_from_saving(gateway, site, emulator, until):
    async with gateway() as running:
        await until(lambda: len(running.parts.state.registry.children) == 2)
        _, hidden = await form_of(running, "cloud")
        status, url, html = await form(running, "/form", at="cloud", **hidden, **{"f.telemetry_every": "9"})
        assert (status, "What changes" in html) == (200, True)
        await emulator.__aexit__(None, None, None)
        assert (await form(running, "/draft/save", id=re.search(r"id=([\w-]+)", url)[1]))[0] == 200
        assert "telemetry_every = 9" in site.file.read_text()
        assert running.parts.own_configuration.base.settings.cloud.telemetry_every == timedelta(seconds=9)


async def test_a_token_that_is_withdrawn_between_two_steps_saves_nothing_and_the_draft_waits_for_another(gateway, site, until):
    tokens = site.file.with_name("status-token")
    async with gateway() as running:
        _, hidden = await form_of(running, "cloud")
        _, url, _ = await form(running, "/form", at="cloud", **hidden, **{"f.telemetry_every": "9"})
        draft, before, present = re.search(r"id=([\w-]+)", url)[1], site.file.read_text(), tokens.read_bytes()
        other = make_token(tokens, lambda token: None)  # it takes the place of the one that began
        assert (await form(running, "/draft/save", id=draft))[0] in (401, 403)
        assert site.file.read_text() == before
        assert tokens.read_bytes() != present
        running.http.headers["Authorization"] = f"Bearer {other}"
        assert (await form(running, "/draft/save", id=draft))[0] == 200
        assert "telemetry_every = 9" in site.file.read_text()


@pytest.mark.parametrize("at", ["", "nothing", "cloud/colour", "adapter", "adapter/#9", "adapter/#x", "models/#1", "a" * 600])
async def test_a_place_that_is_none_is_not_found(gateway, at):
    async with gateway() as running, running.http.get("/configuration/form", params={"at": at}) as answer:
        assert answer.status == 404


async def test_a_form_for_what_is_not_there_or_written_otherwise_is_refused_with_the_way_out(gateway, site):
    async with gateway() as running:
        etag = (await read(running))["etag"]
        for path, fields in (
            ("/form", {"at": "", "f.a": "1"}),
            ("/form", {"at": "nothing", "f.a": "1"}),
            ("/form", {"at": "cloud", "etag": "old", "f.may": "observe"}),
            ("/form/remove", {"at": "adapter/#0", "etag": "old"}),
            ("/draft/try", {"id": "none"}),
            ("/draft/save", {}),
        ):
            status, _, html = await form(running, path, **{"etag": etag} | fields)
            assert (status, 'role="alert"' in html) == (409, True), path
        assert (await form(running, "/form/remove", at="", etag=etag))[0] == 200
        was = site.file.read_text()
        for broken in (b"\xff\xfe\x00", b"[cloud\n"):
            site.file.write_bytes(broken)
            async with running.http.get("/configuration/form?at=cloud") as answer:
                assert answer.status == 409
            async with running.http.get("/configuration") as answer:
                assert answer.status == 200
        site.file.unlink()
        async with running.http.get("/configuration") as answer:
            assert "cannot be read" in await answer.text()
        site.file.write_text(was)
