"""The gateway's own commands, sent by the emulated cloud: a dump without secrets, devices forgotten, tunnels refused."""

import io
import json
import logging
import tarfile
from datetime import timedelta

import pytest
from pydantic import SecretStr

from gateway.adapter import AdapterSettings
from gateway.cloud.files import dump_upload
from gateway.runtime.own_commands.declarations import OWN_COMMANDS
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}
QUICKLY = {"commands_every": timedelta(seconds=0.2)}


@pytest.fixture
def site():
    bus = SyntheticBus([SyntheticDevice("1", "a1", poll_every=timedelta(milliseconds=100))])
    return bus, {"synthetic": SyntheticAdapter.on(bus)}


@pytest.fixture
def parent(emulator, until):
    async def registered():
        def one():
            return next((device for device in emulator.cloud.devices.values() if device.parent_id is None), None)

        await until(lambda: one() is not None and len(emulator.cloud.devices) > 1)
        return one()

    return registered


@pytest.fixture
def outcome(emulator, until, parent):
    """Queue a command for the gateway and wait for its end."""

    async def run(name, parameters=None, **rest):
        command = emulator.cloud.queue_command((await parent()).id, name, parameters or {}, **rest)
        await until(lambda: not command.is_open, 60)
        return command

    return run


def files_of(dump):
    with tarfile.open(fileobj=io.BytesIO(dump.content)) as archive:
        return {member.name: archive.extractfile(member).read().decode() for member in archive.getmembers()}


class SecretSettings(AdapterSettings):
    """An entry with secrets of every form."""

    bind_key: SecretStr
    login: dict[str, str]
    api_token: str
    password_file: str
    url: str


SECRETS = {
    "typed": "typed-s3cr3t-bind-key",
    "nested": "nested-s3cr3t-password",
    "plain": 'plain "s3cr3t" tökén',
    "in a file": "s3cr3t-from-a-file",
    "in a URL": "s3cr3t-in-a-url",
}


async def test_a_dump_contains_what_helps_and_no_secret(emulator, running, until, site, outcome, tmp_path):
    _bus, adapters = site
    (tmp_path / "password").write_text(SECRETS["in a file"] + "\n")

    class SecretAdapter(adapters["synthetic"]):
        settings_model = SecretSettings

        def recent_frames(self):
            return ["> 01 03", "< password=" + SECRETS["nested"]]

    entry = {
        **SYNTHETIC,
        "bind_key": SECRETS["typed"],
        "login": {"user": "operator", "password": SECRETS["nested"]},
        "api_token": SECRETS["plain"],
        "password_file": str(tmp_path / "password"),
        "url": f"rfc2217://operator:{SECRETS['in a URL']}@rack:4001",
    }
    async with running({"synthetic": SecretAdapter}, entry, cloud=QUICKLY) as gateway:
        registry = gateway.parts.state.registry
        await until(lambda: any(one.access_key is not None for one in registry.children.values()))
        keys = [registry.gateway.credentials.access_key, *(one.access_key for one in registry.children.values())]
        secrets = {*SECRETS.values(), *(key.get_secret_value() for key in keys), "0f0e0d0c-1111-4222-8333-444455556666"}
        for secret in secrets:
            logging.getLogger("gateway").warning("a careless line: %s", secret)
        logging.getLogger("gateway").warning("signed: https://files.example.com/a.bin?signature=%s", "s3cr3t-signature")
        done = await outcome("dump")
    assert done.status == "done", done.message
    (dump,) = emulator.cloud.dumps.values()
    assert dump.mime_type == "application/gzip"
    assert set(dump.filename) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
    files = files_of(dump)
    assert {name.split("/")[1] for name in files} == {
        "log.txt", "status.json", "causes.json", "configuration.json", "commands.json", "frames.txt", "versions.json",
        "doctor.json",
    }  # fmt: skip
    texts = {name.split("/")[1]: text for name, text in files.items()}
    assert texts["log.txt"].count("a careless line") == len(secrets)
    assert "status page token" in texts["log.txt"]
    assert json.loads(texts["configuration.json"])["adapter"][0]["login"]["user"] == "operator"
    assert json.loads(texts["status.json"])["children"][0]["name"] == "device 1"
    assert json.loads(texts["commands.json"])[0]["name"] == "dump"
    assert "pydantic" in json.loads(texts["versions.json"])["packages"]
    assert {"store", "disk"} & {finding["what"].split(":")[0] for finding in json.loads(texts["doctor.json"])}
    assert "> 01 03" in texts["frames.txt"]
    whole = "".join(files.values())
    token = gateway.parts.page.new_token
    for secret in {*secrets, token, "s3cr3t-signature"}:
        assert secret not in whole, secret
        assert json.dumps(secret)[1:-1] not in whole, secret
    assert "s3cr3t" not in whole
    assert not [handler for handler in logging.getLogger().handlers if type(handler).__name__ == "RecentLog"]


@pytest.fixture
def pieces(monkeypatch):
    """Send dumps in pieces that are small enough for several."""
    monkeypatch.setattr(dump_upload, "CHUNK_BYTES", 1000)


async def test_a_dump_arrives_whole_through_failures(emulator, running, site, outcome, pieces):
    _bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        for kind in ("500-html", "drop", "429"):
            emulator.faults.add(kind, call="Append Dump", times=1, retry_after=0)
        emulator.faults.add("drop", call="Send Dump", times=2)
        done = await outcome("dump")
    assert done.status == "done", done.message
    (dump,) = emulator.cloud.dumps.values()
    assert any(name.endswith("log.txt") for name in files_of(dump))


async def test_a_piece_that_may_be_there_twice_is_sent_anew_under_another_name(emulator, running, site, outcome, pieces):
    _bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        emulator.faults.add("drop-after", call="Append Dump", times=1)
        done = await outcome("dump")
    assert done.status == "done", done.message
    first, second = emulator.cloud.dumps.values()
    assert second.filename == f"2-{first.filename}"
    assert second.filename in done.message
    assert any(name.endswith("log.txt") for name in files_of(second))


async def test_a_dump_that_the_cloud_refuses_fails_with_how_much_was_sent(emulator, running, site, outcome, pieces):
    _bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        emulator.faults.add("404", call="Append Dump", times=1)
        failed = await outcome("dump")
    assert failed.status == "failed"
    assert "only 0 of" in failed.message


async def test_a_part_that_fails_costs_the_dump_no_other_part(emulator, running, site, outcome):
    _bus, adapters = site

    class Broken(adapters["synthetic"]):
        def recent_frames(self):
            raise RuntimeError("a bug")

    async with running({"synthetic": Broken}, SYNTHETIC, cloud=QUICKLY) as gateway:
        gateway.parts.view.examine = None
        assert (await outcome("dump")).status == "done"
    (dump,) = emulator.cloud.dumps.values()
    assert "its adapter failed: RuntimeError" in "".join(files_of(dump).values())


async def test_a_found_device_is_forgotten_with_its_decision_and_found_again(emulator, running, site, outcome, until):
    bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY) as gateway:
        registry = gateway.parts.state.registry
        await until(lambda: registry.children)
        bus.devices["a2"] = SyntheticDevice("2", "a2", profile=None)
        assert (await outcome("rescan")).status == "done"
        await until(lambda: "sn:synthetic/2" in registry.found_devices)
        assert (await outcome("ignore", {"key": "sn:synthetic/2"})).status == "done"
        forgotten = await outcome("forget", {"key": "sn:synthetic/2"})
        assert (forgotten.status, "sn:synthetic/2" in registry.found_devices) == ("done", False)
        assert (await outcome("rescan")).status == "done"
        await until(lambda: "sn:synthetic/2" in registry.found_devices)
        assert registry.found_devices["sn:synthetic/2"].decision is None
        nobody = await outcome("forget", {"key": "sn:nobody/1"})
    assert nobody.status == "failed"
    assert "no device 'sn:nobody/1'" in nobody.message


async def test_a_child_is_forgotten_as_the_command_line_retires_it(emulator, running, site, outcome, until):
    _bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY) as gateway:
        registry = gateway.parts.state.registry
        await until(lambda: any(one.access_key is not None for one in registry.children.values()))
        forgotten = await outcome("forget", {"key": "sn:synthetic/1"})
        assert (forgotten.status, forgotten.message) == (
            "done",
            "device 1 is retired: it is deleted in the cloud, and its device is ignored until `admit`",
        )
        await until(lambda: len(emulator.cloud.devices) == 1)
        assert not registry.children
        (own,) = emulator.cloud.devices.values()
        admitted = emulator.cloud.queue_command(own.id, "admit", {"key": "sn:synthetic/1"})
        await until(lambda: len(emulator.cloud.devices) == 2 and not admitted.is_open)
    assert admitted.status == "done"


async def test_a_tunnel_is_refused_and_its_credentials_are_neither_logged_nor_stored(
    emulator, running, site, outcome, caplog, tmp_path
):
    caplog.set_level(logging.DEBUG)
    _bus, adapters = site
    tunnel = {"id": "t1", "ip": "198.51.100.7", "port": 2222, "username": "tunnel-user", "password": "s3cr3t-tunnel"}
    async with running(adapters, SYNTHETIC, cloud=QUICKLY) as gateway:
        refused = await outcome("open_page", None, tunnel=tunnel)
        kept = await gateway.parts.state.ledger.latest(1)
    assert refused.status == "failed"
    assert "no tunnel" in refused.message
    assert "s3cr3t-tunnel" not in f"{caplog.text}{refused.message}{kept}"
    assert b"s3cr3t-tunnel" not in (tmp_path / "gateway.sqlite3").read_bytes()


async def test_a_reboot_is_refused_where_nothing_would_start_the_gateway_again(running, site, outcome):
    _bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY) as gateway:
        refused = await outcome("reboot")
        assert not gateway.stop.is_set()
    assert refused.status == "failed"
    assert "neither as a service of systemd nor as the main process of a container" in refused.message


async def test_an_unknown_command_is_answered_with_those_that_the_portal_is_shown(running, site, outcome):
    _bus, adapters = site
    async with running(adapters, SYNTHETIC, cloud=QUICKLY):
        refused = await outcome("fly")
    known = ", ".join(spec.name for spec in OWN_COMMANDS)
    assert (refused.status, refused.message) == ("failed", f"the gateway has no command 'fly'; it has {known}")
