"""A gateway is set up on its page: over real HTTP, with real files, a real store and the emulated cloud."""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from html import unescape
from types import SimpleNamespace

import aiohttp
import pytest

from gateway.config import writing
from gateway.config.loading import load
from gateway.emulator import Emulator
from gateway.first_start import set_up
from gateway.first_start.configuration_wait import ConfigurationWait
from gateway.first_start.first_look import ScannedBus
from gateway.first_start.search import SetupSearches
from gateway.state.opening import opened_state
from gateway.state.parts import StateParts
from gateway.state.records import Decision
from gateway.status.model import encode_id
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

KEY = "0f0e0d0c-1111-4222-8333-444455556666"
OTHER_KEY = "0f0e0d0c-1111-4222-8333-44445555dead"
MODEL = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
METER, CHOICE = f"model-{encode_id('meter')}", f"choice-{encode_id('meter')}"
NASTY = "</legend><script>alert(1)</script>"


def looking_at(*devices):
    class Looking(SyntheticAdapter.on(SyntheticBus(devices or [SyntheticDevice("1", "a1"), SyntheticDevice("2", "a2")]))):
        @classmethod
        async def first_look(cls, hosts):
            return {}

    return {"synthetic": Looking}


@pytest.fixture
async def cloud():
    async with Emulator(hardware_keys=[KEY]) as running:
        yield running


@pytest.fixture
def file(tmp_path, monkeypatch, port):
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__PORT", str(port))
    monkeypatch.setenv("XYTE_GATEWAY__STORE__PATH", f"{tmp_path}/store/gateway.sqlite3")
    return tmp_path / "conf" / "gateway.toml"


@pytest.fixture
def at_page(file, port, caplog):
    """`async with at_page(adapters) as page` waits for a configuration, with a person at its page who may administer."""

    @asynccontextmanager
    async def opened(adapters=None):
        adapters = looking_at() if adapters is None else adapters
        waiting = ConfigurationWait(
            file, lambda: load(file if file.exists() else None, adapters), adapters, read_every_seconds=0.05
        )
        task = asyncio.create_task(waiting.wait())
        try:
            async with asyncio.timeout(60):
                while not (token := re.findall(r"shown only this once: (\S+)", caplog.text)):  # noqa: ASYNC110 - a log sets no event
                    await asyncio.sleep(0.02)
            async with aiohttp.ClientSession(
                f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token[-1]}"}
            ) as http:
                page = SimpleNamespace(http=http, task=task, token=token[-1])
                await got(page, "/", until="Set up this gateway" if not file.exists() else "")
                yield page
        finally:
            task.cancel()
            await asyncio.wait({task})
            await waiting.close()

    return opened


async def got(page, path, *, until=""):
    """Return the text of a page as soon as it contains this."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with page.http.get(path) as answer:
                    text = unescape(await answer.text())
                    if until in text:
                        return text
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


async def sent(page, path, **fields):
    """Send a form, and return status, address and text of what comes."""
    async with page.http.post(path, data=fields) as answer:
        return SimpleNamespace(status=answer.status, at=answer.url.path, text=await answer.text())


def answers(cloud, **changes):
    right = {
        "hardware_key": KEY, "name": "Cellar", "entry_url": cloud.entry_url, "allow_plain_http": "on", METER: MODEL,
        CHOICE: "admit", "later": "admit",
    }  # fmt: skip
    return {name: value for name, value in (right | changes).items() if value is not None}


async def reviewed(page, cloud, **changes):
    """Answer everything, and return the form that writes it."""
    await got(page, "/", until="choice-")
    come = await sent(page, "/setup", **answers(cloud, **changes))
    assert come.at == "/setup/review", come.text
    return SimpleNamespace(text=unescape(come.text), revision=re.search(r'name="revision" value="(\w+)"', come.text)[1])


async def test_the_answers_become_a_configuration_and_the_key_a_private_file(at_page, cloud, file, caplog):
    async with at_page() as page:
        review = await reviewed(page, cloud)
        assert "does not refuse it" in review.text
        assert KEY not in review.text
        assert (await sent(page, "/setup/save", revision=review.revision)).status == 200
        configuration = await asyncio.wait_for(page.task, 60)
    assert configuration.settings.cloud.hardware_key.get_secret_value() == KEY
    assert configuration.settings.gateway.name == "Cellar"
    assert configuration.settings.models == {"meter": MODEL}
    assert [entry.type for entry in configuration.entries] == ["synthetic"]
    for written in (file, file.with_name("hardware_key")):
        assert written.stat().st_mode & 0o777 == 0o600
    assert KEY not in file.read_text() + caplog.text
    assert not file.with_name("gateway.toml.before").exists(), "a proposal that nobody has changed is no former file"
    assert list(cloud.cloud.devices.values()) == [], "trying the key has made no device"


async def test_a_key_that_the_cloud_refuses_is_told_at_once_and_is_kept_nowhere(at_page, cloud, file):
    async with at_page() as page:
        await got(page, "/", until="choice-")
        come = await sent(page, "/setup", **answers(cloud, hardware_key=OTHER_KEY))
        assert come.at == "/"
        assert "The cloud refuses this key: Hardware key is invalid" in come.text
        assert OTHER_KEY not in come.text
        assert (await sent(page, "/setup/save", revision="x")).status == 409
        assert not file.with_name("hardware_key").exists()
        await reviewed(page, cloud)


async def test_a_cloud_that_cannot_be_asked_holds_nobody_up(at_page, cloud, file):
    async with at_page() as page:
        review = await reviewed(page, cloud, entry_url="http://127.0.0.1:9")
        assert "The cloud could not be asked" in review.text
        await sent(page, "/setup/save", revision=review.revision)
        await asyncio.wait_for(page.task, 60)


async def test_every_answer_wrong_at_once_is_told_at_once_and_nothing_is_lost(at_page, cloud):
    async with at_page() as page:
        await got(page, "/", until="choice-")
        wrong = {"hardware_key": "secret 1", "name": " ", "entry_url": "http://cloud.example.com", METER: "<b>model</b>"}
        come = await sent(page, "/setup", **answers(cloud, allow_plain_http=None, **wrong))
        assert come.status == 200
        assert "4 answers have to be corrected" in come.text
        for told in ("This is not a hardware key", "Enter a name", "would send the key in clear text", "This is not a model id"):
            assert told in come.text
        assert "secret 1" not in come.text
        assert 'value="http://cloud.example.com"' in come.text
        assert "&lt;b&gt;model&lt;/b&gt;" in come.text
        again = await got(page, "/")
        assert "4 answers have to be corrected" in again, "a reload shows the same"


@pytest.mark.parametrize(
    "pasted", [f'  "{KEY}" \n', f"\u201c{KEY.upper()}\u201d", f"{{{KEY}}}", KEY.replace("-", ""), f"\u200b{KEY}\ufeff"]
)
async def test_a_key_is_taken_as_it_was_pasted(at_page, cloud, file, pasted):
    async with at_page() as page:
        review = await reviewed(page, cloud, hardware_key=pasted)
        await sent(page, "/setup/save", revision=review.revision)
        configuration = await asyncio.wait_for(page.task, 60)
    assert configuration.settings.cloud.hardware_key.get_secret_value() == KEY


async def test_a_hardware_key_in_the_place_of_a_model_id_is_not_shown(at_page, cloud):
    async with at_page() as page:
        await got(page, "/", until="choice-")
        come = await sent(page, "/setup", **answers(cloud, **{METER: KEY}))
        assert "This is the hardware key" in come.text
        assert KEY not in come.text


async def test_what_another_window_has_changed_is_not_written_unseen(at_page, cloud, file):
    async with at_page() as page:
        first = await reviewed(page, cloud)
        second = await reviewed(page, cloud, name="Roof", hardware_key="")
        come = await sent(page, "/setup/save", revision=first.revision)
        assert come.status == 409
        assert "has changed since this page was opened" in come.text
        assert not page.task.done()
        await sent(page, "/setup/save", revision=second.revision)
        assert (await asyncio.wait_for(page.task, 60)).settings.gateway.name == "Roof"


async def test_a_visitor_without_the_token_sees_what_was_found_and_can_do_nothing(at_page, cloud, port):
    async with at_page() as page, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as visitor:
        await reviewed(page, cloud)
        async with visitor.get("/") as answer:
            text = await answer.text()
            assert "device 1" in text
            assert "<code>xyte-gateway token</code> on the machine of the gateway makes a new one" in text
            assert 'name="hardware_key"' not in text
        async with visitor.get("/setup/review", allow_redirects=False) as refused:
            assert refused.status == 403
        for path in ("/setup", "/setup/save", "/setup/search", "/setup/bus", "/setup/file", "/setup/key"):
            async with visitor.post(path, data={"what": "bluetooth"}) as refused:
                assert refused.status == 403


async def test_devices_are_left_out_one_by_one_and_stay_out(at_page, cloud, tmp_path):
    async with at_page() as page:
        await got(page, "/", until="choice-")
        box = re.search(r'name="(left-out-[^"]+)"', await got(page, "/", until="left-out"))[1]
        review = await reviewed(page, cloud, **{box: "on"})
        assert "1 device will be registered, 1 will be ignored" in re.sub(r"\s+", " ", review.text)
        await sent(page, "/setup/save", revision=review.revision)
        configuration = await asyncio.wait_for(page.task, 60)

    async def make(store):
        state = StateParts.on(store, most_samples=1000)
        await state.load()
        return state

    async with opened_state(configuration.settings.store.path, make) as state:
        decided = {device.key: device.decision for device in state.registry.found_devices.values()}
    assert list(decided.values()) == [Decision.IGNORE]


async def test_a_family_may_wait_and_then_needs_no_model(at_page, cloud):
    async with at_page() as page:
        review = await reviewed(page, cloud, **{CHOICE: "later", METER: ""})
        assert "2 will wait for a decision" in review.text
        await sent(page, "/setup/save", revision=review.revision)
        assert (await asyncio.wait_for(page.task, 60)).settings.models == {}


async def test_ten_thousand_devices_with_markup_in_their_names_make_a_page_of_a_hundred(at_page, cloud):
    devices = [SyntheticDevice(f"{NASTY}{number}", f"a{number}", profile=f"p{number % 9}") for number in range(10_000)]
    async with at_page(looking_at(*devices)) as page:
        text = await got(page, "/", until="10\N{NARROW NO-BREAK SPACE}000 devices")
        async with page.http.get("/") as answer:
            raw = await answer.text()
        assert "<script>alert" not in raw
        assert len(raw) < 200_000
        assert "9\N{NARROW NO-BREAK SPACE}900 others follow the choice of their family" in text
        review = await reviewed(page, cloud)
        assert "10\N{NARROW NO-BREAK SPACE}000 devices will be registered" in review.text
        assert "and 9950 others" in review.text


async def test_a_kill_before_the_last_step_leaves_a_gateway_that_is_not_set_up(at_page, cloud, file, monkeypatch):
    async with at_page() as page:
        await got(page, "/", until="Or write the file by hand")
        before = file.read_text()
        review = await reviewed(page, cloud)

        def killed(self, review):
            raise OSError(28, "No space left on device", str(file))

        with monkeypatch.context() as patched:
            patched.setattr(set_up.SetUp, "_write_config", killed)
            come = await sent(page, "/setup/save", revision=review.revision)
        assert "Nothing was written" in come.text
        assert "No space left on device" in come.text
        assert file.read_text() == before
    async with at_page() as page:  # the next start offers the set-up again
        await got(page, "/", until="Set up this gateway")


async def test_a_file_is_there_as_before_or_as_a_whole_wherever_writing_it_ends(tmp_path, monkeypatch):
    file = tmp_path / "gateway.toml"
    writing.write_file(file, "before")
    monkeypatch.setattr(writing.os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"):
        writing.write_file(file, "after")
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


async def test_where_nothing_can_be_written_the_page_says_why_and_shows_the_text(at_page, cloud, monkeypatch):
    refusal = "/etc/xyte-gateway cannot be written to: Read-only file system", "In docker-compose.yml, remove :ro"
    monkeypatch.setattr(set_up, "why_unwritable", lambda file: refusal)
    async with at_page() as page:
        review = await reviewed(page, cloud)
        assert "Read-only file system" in review.text
        assert "remove :ro" in review.text
        assert "Write it and start" not in review.text
        assert 'name = "Cellar"' in review.text


async def test_a_host_that_is_added_is_asked_at_once_and_can_be_taken_back(at_page):
    async with at_page() as page:
        come = await sent(page, "/setup/bus", what="modbus-host", host="300.1.1.1")
        assert come.status == 422
        assert "This is not a host" in come.text
        assert 'value="300.1.1.1"' in come.text
        come = await sent(page, "/setup/bus", what="modbus-host", host="127.0.0.1")
        assert "The adapter modbus is not installed" in come.text
        assert (await sent(page, "/setup/bus/7/remove")).status == 409
        come = await sent(page, "/setup/search", hosts="10.0.0.0/8")
        assert come.status == 409
        assert "name networks of at most 1,024" in come.text
        assert (await sent(page, "/setup/search", hosts="192.0.2.7")).status == 200


async def test_hosts_that_were_added_count_among_those_that_answer():
    class Looking(SyntheticAdapter.on(SyntheticBus([SyntheticDevice("1", "a1")]))):
        @classmethod
        async def first_look(cls, hosts):
            return {}

    search = SetupSearches({"modbus": Looking}, ["192.0.2.9"])
    search.begin()
    await search.has_ended.wait()
    assert (search.summary().hosts, search.summary().answering_hosts) == (1, 0)
    search.add({"what": "modbus-host", "host": "192.0.2.10"})
    search._by_hand[1][1].append(ScannedBus("modbus", "192.0.2.10", is_done=True))
    assert (search.summary().hosts, search.summary().answering_hosts) == (2, 1)
    await search.close()


MISTAKES = f"""[cloud]
hardware_key = "{KEY}"

[cluod]
x = 1

[[adapter]]
type = "synthetic"
"""


async def test_mistakes_are_beside_their_lines_and_corrected_on_the_page(at_page, file, caplog):
    file.parent.mkdir()
    file.write_text(MISTAKES)
    async with at_page() as page:
        text = await got(page, "/", until="Correct it here")
        assert KEY not in text
        assert re.search(r'<p class="wrong"><span class="number">4</span> <code><bdi>\[cluod\]', text)
        shown = text.partition("<textarea")[2].partition(">\n")[2].partition("</textarea>")[0]
        stamp = re.search(r'name="stamp" value="(\w+)"', text)[1]
        come = await sent(page, "/setup/file", text=shown.replace("cluod", "clodu"), stamp=stamp)
        assert "Not saved yet: your text has 1 mistake" in come.text
        assert "clodu" in come.text
        assert file.read_text() == MISTAKES
        come = await sent(page, "/setup/file", text=shown.replace("[cluod]\nx = 1\n", "").replace("\n", "\r\n"), stamp=stamp)
        configuration = await asyncio.wait_for(page.task, 60)
    assert configuration.settings.cloud.hardware_key.get_secret_value() == KEY
    assert file.with_name("gateway.toml.before").read_text() == MISTAKES
    assert file.with_name("gateway.toml.before").stat().st_mode & 0o777 == 0o600
    assert KEY not in caplog.text


async def test_a_file_that_changed_meanwhile_is_not_overwritten(at_page, file):
    file.parent.mkdir()
    file.write_text(MISTAKES)
    async with at_page() as page:
        text = await got(page, "/", until="Correct it here")
        stamp = re.search(r'name="stamp" value="(\w+)"', text)[1]
        file.write_text(MISTAKES.replace("x = 1", "x = 2"))
        come = await sent(page, "/setup/file", text="", stamp=stamp)
        assert come.status == 409
        assert "has changed since this page was opened" in come.text
        assert "x = 2" in file.read_text()


async def test_a_file_that_keeps_the_gateway_from_starting_goes_one_step_back_on_the_page(at_page, file, caplog):
    file.parent.mkdir()
    right = MISTAKES.replace("[cluod]\nx = 1\n", "")
    file.write_text(MISTAKES)
    file.with_name("gateway.toml.before").write_text(MISTAKES)
    async with at_page() as page:
        assert "One step back" not in await got(page, "/", until="Correct it here"), "the former text has the same mistakes"
        file.with_name("gateway.toml.before").write_text(right)
        text = await got(page, "/", until="One step back")
        assert KEY not in text
        await sent(page, "/setup/file/undo")
        configuration = await asyncio.wait_for(page.task, 10)
    assert configuration.settings.cloud.hardware_key.get_secret_value() == KEY
    assert file.read_text() == right
    assert file.with_name("gateway.toml.before").read_text() == MISTAKES


async def called(page, method, path, **more):
    """Call the API, and return the status and what it answers."""
    async with page.http.request(method, f"/api/v1/setup{path}", **more) as answer:
        return answer.status, await answer.json()


async def test_a_program_sets_a_gateway_up_by_the_api_alone(at_page, cloud, file):
    async with at_page() as page:
        async with asyncio.timeout(60):
            while not (questions := (await called(page, "GET", "/questions"))[1])["families"]:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.05)
        (family,) = questions["families"]
        assert (family["name"], family["count"], questions["has_key"]) == ("meter", 2, False)
        assert (await called(page, "GET", "/plan"))[0] == 404
        right = {
            "name": "Cellar", "hardware_key": KEY, "entry_url": cloud.entry_url, "allow_plain_http": True,
            "families": [{"id": family["id"], "choice": "admit", "model_id": MODEL}],
        }  # fmt: skip
        status, told = await called(page, "POST", "/answers", json=right | {"hardware_key": OTHER_KEY})
        assert (status, "refuses this key" in told["problems"]["hardware_key"]) == (200, True)
        assert (await called(page, "POST", "/save", json={"revision": "x"}))[0] == 409
        status, told = await called(page, "POST", "/answers", json=right)
        assert (status, told["problems"], told["has_key"]) == (200, {}, True)
        assert KEY not in json.dumps(told)
        status, plan = await called(page, "GET", "/plan")
        assert (status, plan["admitted"], plan["verdict"], plan["problems"]) == (200, 2, "not refused", [])
        assert KEY not in json.dumps(plan)
        assert await called(page, "POST", "/save", json={"revision": plan["revision"]}) == (200, {"done": True})
        async with asyncio.timeout(60):
            await page.task
    assert file.read_text().count(MODEL) == 1
    assert (file.parent / "hardware_key").read_text().strip() == KEY


async def test_the_api_of_the_set_up_says_what_is_wrong_and_takes_the_right_to_administer(at_page):
    async with at_page() as page:
        for path, body in {
            "/answers": {"families": [{"id": "x", "choice": "perhaps"}]}, "/buses": {"what": "teapot"}, "/save": {},
            "/search": {"hosts": 7}, "/file": {"text": "x"},
        }.items():  # fmt: skip
            status, told = await called(page, "POST", path, json=body)
            assert (status, told["error"].startswith("invalid request: ")) == (400, True), told
            assert "input should" not in told["error"].lower()
        status, told = await called(page, "POST", "/buses", json={"what": "modbus-host", "host": "300.1.1.1"})
        assert status == 409
        assert told["error"]
        assert (await called(page, "POST", "/buses/x/remove"))[0] == 404
        async with page.http.get("/api/v1/openapi.json") as answer:
            document = await answer.json()
        assert {"/api/v1/setup", "/api/v1/setup/answers", "/api/v1/setup/save"} <= document["paths"].keys()
        async with aiohttp.ClientSession(page.http._base_url) as nobody:
            for path, methods in document["paths"].items():
                for method, operation in methods.items():
                    if "administer" in operation["description"]:
                        async with nobody.request(method, path.replace("{number}", "1"), json={}) as answer:
                            assert answer.status in (401, 403), path
