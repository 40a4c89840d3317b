"""A gateway that cannot start yet says so on a page, and starts once it can: over real HTTP, with real files."""

import asyncio
import errno
import os
import re
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from adapters.serial import SerialAdapter
from gateway.adapter import Adapter, Announcement
from gateway.config.loading import load
from gateway.errors import StoreError
from gateway.field.plugins import installed, usable
from gateway.first_start.configuration_wait import ConfigurationWait
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice
from gateway.testing.serial import DeviceServer, Projector, SearchedProjector

pytestmark = pytest.mark.enable_socket

KEY = "0f0e0d0c-1111-4222-8333-444455556666"


def config(tmp_path, port, *, key=KEY, more=""):
    return f"""[cloud]
hardware_key = "{key}"

[store]
path = "{tmp_path}/store/gateway.sqlite3"

[status]
port = {port}

{more}"""


def save(file, text):
    """Save as editors do, in one step: a file that is read while it is written is another one."""
    written = file.with_name("written")
    written.write_text(text)
    written.replace(file)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__STORE__PATH", f"{tmp_path}/store/gateway.sqlite3")
    return tmp_path / "conf" / "gateway.toml"


@asynccontextmanager
async def waiting(file, port, *, adapters=None, failure=None, look_in=()):
    """Wait for the file, and yield what is waited with and a browser on the page."""
    adapters = usable(installed()) if adapters is None else adapters

    def read():
        return load(file if file.exists() else None, adapters)

    wait = ConfigurationWait(file, read, adapters, look_in=look_in, read_every_seconds=0.05, retry_seconds=0.5)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as browser:
        task = asyncio.create_task(wait.wait(failure))
        try:
            yield task, browser
        finally:
            task.cancel()
            await asyncio.wait({task})
            await wait.close()


async def got(browser, path, *, until, headers=None):
    """Ask until the answer is as wanted."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with browser.get(path, headers=headers) as answer:
                    text = await answer.text()
                    if until(text):
                        return answer.status, text
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


class full_disk:  # noqa: N801 - stands for a function
    """A file on a disk that is full."""

    def __init__(self, fd, *_, **__):
        os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


class Looking(SyntheticAdapter.on(SyntheticBus([SyntheticDevice("1", "a1")]))):
    @classmethod
    async def first_look(cls, hosts):
        return {}


async def test_without_a_configuration_it_shows_what_it_finds_and_writes_one(file, port, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__PORT", str(port))
    async with waiting(file, port, adapters={"synthetic": Looking}) as (task, browser):
        _, text = await got(browser, "/", until=lambda text: "A configuration to start with" in text)
        assert "device 1" in text
        assert "hardware_key" in text
        assert str(file) in text
        assert file.stat().st_mode & 0o777 == 0o600
        assert 'type = "synthetic"' in file.read_text()
        status, text = await got(browser, "/readyz", until=lambda text: "hardware_key" in text)
        assert status == 503
        save(file, file.read_text().replace("[cloud]", f'[cloud]\nhardware_key = "{KEY}"'))
        configuration = await asyncio.wait_for(task, 60)
        assert [entry.type for entry in configuration.entries] == ["synthetic"]


async def test_a_projector_in_a_named_network_is_offered_with_what_it_announces(file, port, monkeypatch, unused_tcp_port_factory):
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__PORT", str(port))
    there, page = unused_tcp_port_factory(), {"service": "_http._tcp", "name": "Hall <b>1</b>", "port": 80}
    monkeypatch.setattr("adapters.serial.discovery.pjlink_search.PJLINK_PORT", there)

    async def browse(*_):
        """Stand for the network below: what is heard there is tested by itself."""
        return [Announcement(host="127.0.0.2", **page), Announcement(host="127.0.0.3", **page)]

    monkeypatch.setattr("gateway.network_search.search.browse", browse)
    monkeypatch.setattr(SerialAdapter, "first_look", Adapter.first_look)  # the ports of this machine
    projector = DeviceServer(Projector(pjlink_class=2), host="127.0.0.2", port=there)
    named = waiting(file, port, adapters={"serial": SerialAdapter}, look_in=["127.0.0.2", "127.0.0.3/32", "nobody.invalid"])
    searched = SearchedProjector("127.0.0.2", port=there), SearchedProjector("127.0.0.3", port=there)
    async with searched[0], searched[1], projector, named as (_, browser):
        _, text = await got(browser, "/", until=lambda text: "A configuration to start with" in text)
        _, german = await got(browser, "/", until=bool, headers={"Accept-Language": "de"})
    assert "<bdi>127.0.0.2</bdi>: PJLink class 2" in text
    assert "announces web page <bdi>Hall &lt;b&gt;1&lt;/b&gt;</bdi> at port 80" in text
    assert "<bdi>NEC P506QL 9X00123FA</bdi> at" in text
    assert "the device refuses the connection" in text
    assert "nobody.invalid</bdi>: <bdi>nobody knows an address of this name" in text
    assert "In den genannten Netzen" in german
    assert "kündigt Webseite <bdi>" in german
    assert f'ports = [{{ port = "tcp://127.0.0.2:{there}", profiles = ["pjlink"] }}]\n' in file.read_text()


async def test_the_page_of_a_first_start_is_served_by_https_where_its_section_can_be_read(file, port):
    file.parent.mkdir()
    save(file, config(file.parent, port, more="[nonsense]").replace("[status]", '[status]\ncertificate = "self-signed"'))
    async with waiting(file, port), aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as browser:
        _, text = await got(browser, f"https://127.0.0.1:{port}/", until=lambda text: "nonsense" in text)
        assert "no such key" in text


async def test_the_page_of_a_first_start_is_not_served_by_http_where_its_certificate_cannot_be_read(file, port, caplog):
    file.parent.mkdir()
    save(file, config(file.parent, port).replace("[status]", "[status]\ncertificate = 3"))
    async with waiting(file, port) as (_, plain):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as browser:
            _, text = await got(browser, f"https://127.0.0.1:{port}/", until=lambda text: "certificate" in text)
            assert "One problem keeps the gateway from starting." in text
        _, text = await got(plain, "/", until=lambda text: text != "")
        assert text == "This page is served by https.\n"
        assert "the certificate of the status page cannot be read from the configuration; one is made" in caplog.text
        save(file, config(file.parent, port, more="[nonsense]"))
        await got(plain, "/", until=lambda text: "nonsense" in text)


async def test_a_first_look_never_writes_over_a_file_that_came_meanwhile(file, port, monkeypatch, tmp_path):
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__PORT", str(port))
    looking = asyncio.Event()

    class Slow(Looking):
        async def discover(self):
            looking.set()
            await asyncio.sleep(0.5)
            async for one in super().discover():
                yield one

    async with waiting(file, port, adapters={"synthetic": Slow}) as (task, browser):
        await looking.wait()
        file.parent.mkdir()
        save(file, config(tmp_path, port, more="[cluod]\n"))
        _, text = await got(browser, "/", until=lambda text: "cluod" in text)
        assert "One problem keeps the gateway from starting." in text
        _, text = await got(browser, "/", until=lambda text: "Searching serial ports" not in text)
        assert "A configuration to start with" not in text
        save(file, config(tmp_path, port))
        await asyncio.wait_for(task, 60)
    assert file.read_text() == config(tmp_path, port)


async def test_a_proposal_for_which_there_is_no_room_leaves_no_half_file(file, port, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__PORT", str(port))
    monkeypatch.setattr("gateway.first_start.configuration_wait.os.fdopen", full_disk)
    async with waiting(file, port, adapters={"synthetic": Looking}) as (_, browser):
        await got(browser, "/", until=lambda text: "It could not be written" in text)
    assert file.parent.is_dir()
    assert not file.exists()


async def test_a_key_alone_starts_no_gateway_that_hides_what_is_proposed(tmp_path, port, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__PORT", str(port))
    monkeypatch.setenv("XYTE_GATEWAY__STORE__PATH", f"{tmp_path}/gateway.sqlite3")
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__HARDWARE_KEY", KEY)
    (tmp_path / "conf").write_text("")
    file = tmp_path / "conf" / "gateway.toml"
    async with waiting(file, port, adapters={"synthetic": Looking}) as (task, browser):
        await got(browser, "/api/v1/setup", until=lambda text: "names no bus" in text)
        _, text = await got(browser, "/", until=lambda text: "A configuration" in text)
        assert "A configuration to start with" in text
        assert not task.done()
        (tmp_path / "conf").unlink()
        file.parent.mkdir()
        save(file, '[[adapter]]\ntype = "synthetic"\n')
        assert (await asyncio.wait_for(task, 60)).entries


async def test_an_adapter_that_cannot_close_its_bus_keeps_no_gateway_from_starting(file, port, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__PORT", str(port))
    monkeypatch.setattr("gateway.first_start.search.STOP_SECONDS", 0.2)
    is_open, may_end = asyncio.Event(), asyncio.Event()

    class Stuck(Looking):
        async def discover(self):
            is_open.set()
            await asyncio.sleep(60)
            yield

        async def __aexit__(self, *exc):
            while not may_end.is_set():
                with suppress(asyncio.CancelledError):
                    await may_end.wait()

    wait = ConfigurationWait(file, lambda: load(file, {}), {"synthetic": Stuck}, read_every_seconds=0.05)
    task = asyncio.create_task(wait.wait())
    await is_open.wait()
    file.parent.mkdir(exist_ok=True)
    save(file, config(tmp_path, port))
    await asyncio.wait_for(task, 60)
    await asyncio.wait_for(wait.close(), 20)
    assert "did not stop within" in caplog.text
    may_end.set()


async def test_a_file_that_an_editor_replaces_is_no_first_start(file, port, tmp_path, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__PORT", str(port))
    file.parent.mkdir()
    save(file, config(tmp_path, port, more="[cluod]\n"))
    async with waiting(file, port, adapters={"synthetic": Looking}) as (task, browser):
        await got(browser, "/", until=lambda text: "cluod" in text)
        file.unlink()
        await got(browser, "/", until=lambda text: "cluod" not in text)
        _, text = await got(browser, "/api/v1/setup", until=lambda text: True)
        assert '"is_first_start":false' in text
        save(file, config(tmp_path, port))
        assert (await asyncio.wait_for(task, 60)).settings.status.port == port


async def test_buses_and_key_from_the_environment_need_no_file(file, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__HARDWARE_KEY", KEY)
    monkeypatch.setenv("XYTE_GATEWAY__ADAPTER", '[{"type": "synthetic"}]')
    async with waiting(file, 1, adapters={"synthetic": Looking}) as (task, _):
        assert (await asyncio.wait_for(task, 60)).entries
    assert not file.exists()


async def test_the_token_moves_with_the_store(file, port, tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("XYTE_GATEWAY__STORE__PATH")
    file.parent.mkdir()
    save(file, config(tmp_path / "first", port, more="[cluod]\n"))
    async with waiting(file, port) as (_, browser):
        await got(browser, "/healthz", until=lambda text: "true" in text)
        save(file, config(tmp_path / "second", port, more="[cluod]\n"))
        async with asyncio.timeout(60):
            while not (tmp_path / "second" / "store" / "status-token").exists():  # noqa: ASYNC110 - a file sets no event
                await asyncio.sleep(0.05)
        *_, token = re.findall(r"shown only this once: (\S+)", caplog.text)
        headers = {"Authorization": f"Bearer {token}"}
        status, _ = await got(browser, "/api/v1/setup", until=lambda text: "cluod" in text, headers=headers)
        assert status == 200


async def test_a_proposal_that_cannot_be_written_is_on_the_page(tmp_path, port, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__PORT", str(port))
    monkeypatch.setenv("XYTE_GATEWAY__STORE__PATH", f"{tmp_path}/gateway.sqlite3")
    (tmp_path / "a file").write_text("")
    file = tmp_path / "a file" / "gateway.toml"
    async with waiting(file, port, adapters={"synthetic": Looking}) as (_, browser):
        _, text = await got(browser, "/", until=lambda text: "A configuration to start with" in text)
        assert "It could not be written" in text
        _, text = await got(browser, "/api/v1/setup", until=lambda text: "hardware_key" in text)


async def test_each_mistake_is_told_with_file_line_and_fix_and_mending_it_ends_the_wait(file, port, tmp_path, caplog):
    file.parent.mkdir()
    save(file, config(tmp_path, port, more="[cluod]\nx = 1\n"))
    async with waiting(file, port) as (task, browser):
        _, text = await got(browser, "/", until=lambda text: "cluod" in text)
        assert f"{file}:10" in text
        assert "Did you mean &#39;cloud&#39;?" in text
        assert "One problem keeps the gateway from starting." in text
        assert KEY not in text + caplog.text
        save(file, config(tmp_path, port, more="[[adapter]]\ntype = 'modbs'\n[[adapter]]\ntype = 'serial'\n"))
        _, text = await got(browser, "/", until=lambda text: "modbs" in text)
        assert "2 problems keep the gateway from starting." in text
        assert "adapter[1].ports" in text
        assert not task.done()
        save(file, config(tmp_path, port, more="[[adapter]\n"))
        await got(browser, "/", until=lambda text: "is not TOML" in text)
        save(file, config(tmp_path, port))
        assert (await asyncio.wait_for(task, 60)).settings.status.port == port
    told = [record.message for record in caplog.records if "cluod" in record.message]
    assert len(told) == 1


async def test_the_page_goes_where_the_file_says_as_soon_as_it_does(file, port, tmp_path, unused_tcp_port_factory):
    other = unused_tcp_port_factory()
    file.parent.mkdir()
    save(file, config(tmp_path, port, more="[cluod]\n"))
    async with waiting(file, port) as (_, browser):
        await got(browser, "/healthz", until=lambda text: "true" in text)
        save(file, config(tmp_path, other, more="[cluod]\n"))
        async with aiohttp.ClientSession(f"http://127.0.0.1:{other}") as elsewhere:
            await got(elsewhere, "/healthz", until=lambda text: "true" in text)
        with pytest.raises(aiohttp.ClientConnectionError):
            await browser.get("/healthz")


async def test_bound_wide_the_page_wants_the_token_that_the_log_showed_once(file, port, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__HOST", "0.0.0.0")
    file.parent.mkdir()
    save(file, config(tmp_path, port, more="[cluod]\n"))
    async with waiting(file, port) as (_, browser):
        await got(browser, "/healthz", until=lambda text: "true" in text)
        (token,) = re.findall(r"shown only this once: (\S+)", caplog.text)
        async with browser.get("/api/v1/setup") as refused:
            assert refused.status == 401
            assert "cluod" not in await refused.text()
        async with browser.get("/api/v1/setup", headers={"Authorization": f"Bearer {token}"}) as let_in:
            assert "cluod" in await let_in.text()
        async with browser.get("/", allow_redirects=False) as refused:
            assert refused.headers["Location"].startswith("/login")
    assert token not in (tmp_path / "store" / "status-token").read_text()
    caplog.clear()
    async with waiting(file, port) as (_, browser):
        await got(browser, "/healthz", until=lambda text: "true" in text)
        assert "shown only this once" not in caplog.text
        async with browser.get("/api/v1/setup", headers={"Authorization": f"Bearer {token}"}) as let_in:
            assert let_in.status == 200


async def test_a_failure_outside_of_the_file_is_shown_and_tried_again(file, port, tmp_path):
    file.parent.mkdir()
    save(file, config(tmp_path, port))
    failure = StoreError("/var/lib/full: No space left on device")
    async with waiting(file, port, failure=failure) as (task, browser):
        await got(browser, "/", until=lambda text: "No space left" in text)
        assert not task.done()
        await asyncio.wait_for(task, 60)


async def test_where_no_token_can_be_kept_one_holds_for_this_run(file, port, tmp_path, monkeypatch, caplog):
    (tmp_path / "store").write_text("a file where the folder should be")
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__HOST", "0.0.0.0")
    file.parent.mkdir()
    save(file, config(tmp_path, port, more="[cluod]\n"))
    async with waiting(file, port) as (_, browser):
        await got(browser, "/healthz", until=lambda text: "true" in text)
        (token,) = re.findall(r"valid until the gateway stops: (\S+)", caplog.text)
        assert "cannot be stored" in caplog.text
        async with browser.get("/api/v1/setup", headers={"Authorization": f"Bearer {token}"}) as let_in:
            assert let_in.status == 200


async def test_a_host_that_cannot_be_any_costs_the_page_alone(file, port, tmp_path, caplog):
    file.parent.mkdir()
    save(file, config(tmp_path, port).replace("[status]", '[status]\nhost = "192.0.2.1"') + "[cluod]\n")
    async with waiting(file, port) as (task, browser):
        async with asyncio.timeout(60):
            while "the status page cannot be served at 192.0.2.1" not in caplog.text:  # noqa: ASYNC110 - a log sets no event
                await asyncio.sleep(0.05)
        save(file, config(tmp_path, port, more="[cluod]\n"))
        await got(browser, "/healthz", until=lambda text: "true" in text)
        assert not task.done()


async def test_a_page_that_is_switched_off_is_not_served_and_the_file_is_waited_for(file, port, tmp_path):
    file.parent.mkdir()
    text = config(tmp_path, port).replace("[status]", "[status]\nenabled = false")
    save(file, f"{text}\n[cluod]\n")
    async with waiting(file, port) as (task, browser):
        await asyncio.sleep(0.3)
        with pytest.raises(aiohttp.ClientConnectionError):
            await browser.get("/healthz")
        save(file, text)
        await asyncio.wait_for(task, 60)


async def test_what_else_the_machine_lacks_is_on_the_page_of_a_gateway_that_waits(file, port, tmp_path):
    file.parent.mkdir()
    save(file, config(tmp_path, port, more='[cluod]\n[[adapter]]\ntype = "serial"\nports = ["/dev/ttyUSB77"]\n'))
    async with waiting(file, port) as (_, browser):
        _, text = await got(browser, "/doctor", until=lambda text: "Findings" in text)
        assert "no such key" in text
        assert "/dev/ttyUSB77" in text
        _, text = await got(browser, "/api/v1/doctor", until=lambda text: "/dev/ttyUSB77" in text)
        assert KEY not in text
