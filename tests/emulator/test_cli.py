"""The command `emulator` as a process: what it prints, how it ends, what it refuses."""

import asyncio
import json
import os
import signal
import ssl
import sys
from contextlib import asynccontextmanager

import aiohttp
import pytest
import trustme

from gateway.emulator.authorities import NoCertificates, make_authorities

pytestmark = pytest.mark.enable_socket

PROGRAM = """
import importlib.util, pathlib, typer
import gateway
# The file alone, without the package around it: a broken neighbour command is not this test's business.
spec = importlib.util.spec_from_file_location("command", pathlib.Path(gateway.__file__).parent / "cli" / "emulator.py")
command = importlib.util.module_from_spec(spec)
spec.loader.exec_module(command)
app = typer.Typer()
app.command()(command.emulator)
app()
"""
FORM = {
    "hardware_key": "0f0e0d0c-1111-4222-8333-444455556666",
    "cloud_id": "ZzQ7k3V9mT2xB8nL5pR1sW",
    "sn": "GW-000123",
    "firmware_version": "2.4.0",
    "name": "Gateway [red]room\x1b[2J 12",
}


@asynccontextmanager
async def started(*words, ports=("--entry-port", "0", "--hub-port", "0")):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        *ports,
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def end(process, number):
    """Send a signal and wait for the end: far less than the minute that a call still hangs, and plenty for a busy machine."""
    process.send_signal(number)
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_prints_its_addresses_and_each_call_as_a_line_and_ends_at_once(session, number):
    async with started() as process:
        entry = (await process.stdout.readline()).split()[1].decode()
        hub = (await process.stdout.readline()).split()[1].decode()
        assert b"/_emulator/" in await process.stdout.readline()
        assert (await process.stdout.readline()).split()[0] == b"static"
        assert (await process.stdout.readline()).split()[0] == b"files"
        async with session.post(f"{entry}/v1/devices", json=FORM) as answer:
            device = await answer.json()
        async with session.get(f"{hub}/v1/devices/{device['id']}/command", headers={"Authorization": "Bearer x"}) as answer:
            assert answer.status == 401
        async with session.post(f"{hub}/_emulator/faults", json={"kind": "slow", "seconds": 60}) as answer:
            assert answer.status == 201
        hanging = asyncio.ensure_future(session.get(f"{hub}/v1/devices/x/command"))
        status, output, errors = await end(process, number)
        with pytest.raises(aiohttp.ClientError):
            await hanging
    assert (status, errors) == (0, "")
    registered, refused, *_slow = output.splitlines()
    assert registered.split()[1:] == ["Register", "Device", "Gateway", "[red]room?[2J", "12", f"({device['id'][:8]})", "201"]
    assert refused.endswith("401  Not authorized")
    assert device["access_key"] not in output
    assert FORM["hardware_key"] not in output


async def test_with_json_each_line_is_an_object(session, tmp_path):
    async with started("--json", "--store", str(tmp_path / "world.json"), "--quirk", "registration_status=200") as process:
        addresses = json.loads(await process.stdout.readline())
        async with session.post(f"{addresses['entry_url']}/v1/devices", json=FORM) as answer:
            assert answer.status == 200
            device = await answer.json()
        told = json.loads(await process.stdout.readline())
        assert (told["call"], told["device"], told["status"]) == ("Register Device", device["id"], 200)
        assert told["body"]["hardware_key"] == "***"
        process.kill()
    async with started("--store", str(tmp_path / "world.json")) as process:
        lines = [(await process.stdout.readline()).decode() for _ in range(6)]
    assert [line.split()[0] for line in lines[:5]] == ["entry", "hub", "control", "static", "files"]
    assert lines[5] == "1 devices are in the store\n"


async def test_it_speaks_https_with_a_certificate(session, tmp_path):
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(certificate, append=True)
    async with started("--json", "--certificate", str(certificate), "--private-key", str(key)) as process:
        addresses = json.loads(await process.stdout.readline())
        assert addresses["entry_url"].startswith("https://")
        async with session.get(f"{addresses['hub_url']}/_emulator/", ssl=False) as answer:
            assert answer.status == 200


async def test_the_static_hub_has_its_own_certificate_and_each_further_server_its_own_host(session, tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.2")
    certificate = tmp_path / "static.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(certificate)
    words = ("--json", "--static-certificate", str(certificate), "--static-private-key", str(certificate))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with started(*words) as process:
        addresses = json.loads(await process.stdout.readline())
        assert {name: url.rpartition(":")[0] for name, url in addresses.items()} == {
            "entry_url": "http://127.0.0.1",
            "hub_url": "http://127.0.0.1",
            "hub_url_static_cert": "https://127.0.0.2",
            "files_url": "http://127.0.0.3",
        }
        async with session.post(f"{addresses['entry_url']}/v1/devices", json=FORM) as answer:
            assert (await answer.json())["hub_url_static_cert"] == addresses["hub_url_static_cert"]
        async with session.get(f"{addresses['hub_url_static_cert']}/v1/devices/x/command", ssl=trusting) as answer:
            assert answer.status == 401


@pytest.mark.parametrize(
    ("server", "authority", "is_trusted"),
    [
        ("hub_url", "hub", True),
        ("hub_url", "static", False),
        ("hub_url_static_cert", "static", True),
        ("hub_url_static_cert", "hub", False),
        ("hub_url_static_cert", "both", True),
        ("entry_url", "both", True),
    ],
)
async def test_with_tls_each_hub_has_a_certificate_of_an_authority_of_its_own(session, tmp_path, server, authority, is_trusted):
    async with started("--json", "--tls", str(tmp_path / "ca")) as process:
        addresses = json.loads(await process.stdout.readline())
        trusting = ssl.create_default_context(cafile=tmp_path / "ca" / f"{authority}-ca.pem")
        asked = session.get(f"{addresses[server]}/v1/devices/x/command", ssl=trusting)
        if is_trusted:
            async with asked as answer:
                assert answer.status in (401, 404)
        else:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await asked
    assert sorted(path.name for path in (tmp_path / "ca").iterdir()) == ["both-ca.pem", "hub-ca.pem", "static-ca.pem"]


def test_certificates_behind_a_wildcard_address_are_for_this_machine(tmp_path):
    make_authorities(tmp_path, "0.0.0.0")
    assert (tmp_path / "both-ca.pem").read_bytes().count(b"BEGIN CERTIFICATE") == 2
    assert b"PRIVATE" not in (tmp_path / "both-ca.pem").read_bytes()


def test_without_the_library_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(NoCertificates, match=r"xyte-gateway\[ble-parsers\]"):
        make_authorities(tmp_path / "ca", "127.0.0.1")
    assert not (tmp_path / "ca").exists()


async def test_only_the_named_hardware_keys_and_models_exist(session):
    words = ("--hardware-key", FORM["hardware_key"], "--model", "c2d1e0ff-0a0b-4c0d-8e0f-112233445566")
    async with started("--json", *words) as process:
        entry = json.loads(await process.stdout.readline())["entry_url"]
        other = {**FORM, "hardware_key": "0f0e0d0c-1111-4222-8333-000000000000"}
        async with session.post(f"{entry}/v1/devices", json=other) as answer:
            assert answer.status == 400
        async with session.post(f"{entry}/v1/devices", json=FORM) as answer:
            device = await answer.json()
        url, headers = f"{entry}/v1/devices/{device['id']}/children", {"Authorization": device["access_key"]}
        child = {"model_id": "c2d1e0ff-0a0b-4c0d-8e0f-000000000000", "firmware_version": "1.0.0"}
        async with session.post(url, json=child, headers=headers) as answer:
            assert answer.status == 404


async def test_a_port_in_use_is_said_clearly(emulator):
    port = emulator.hub_url.rpartition(":")[2]
    async with started(ports=("--entry-port", "0", "--hub-port", port)) as process:
        output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert errors.decode() == f"The emulator cannot run: hub port {port} of 127.0.0.1: is in use\n"
    assert output == b""


async def test_a_broken_store_is_said_clearly(tmp_path):
    (tmp_path / "world.json").write_text("nonsense")
    async with started("--store", str(tmp_path / "world.json")) as process:
        _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert "world.json: is not a store of the emulator" in errors.decode()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--quirk", "nonsense=1"), "unknown quirk"),
        (("--certificate", "nowhere.pem"), "both --certificate and"),
        (("--static-certificate", "nowhere.pem"), "both --static-certificate and"),
        (("--certificate", "nowhere.pem", "--private-key", "nowhere.key"), "No such file"),
    ],
)
async def test_a_wrong_option_is_said_and_exits_with_2(words, complaint):
    async with started(*words) as process:
        _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert complaint in " ".join(errors.decode().replace("│", " ").split())
