"""`run` from the outside: waiting, starting, logging, ending; and `health`, which a container asks."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from gateway.emulator import Emulator

pytestmark = pytest.mark.enable_socket

COMMAND = Path(sys.executable).with_name("xyte-gateway")
KEY = "0f0e0d0c-1111-4222-8333-444455556666"


@pytest.fixture
async def cloud():
    async with Emulator(hardware_keys=[KEY]) as emulator:
        yield emulator


@pytest.fixture
def config(tmp_path, port, cloud):
    def write(more=""):
        (tmp_path / "gateway.toml").write_text(
            f"""[gateway]
mac = "02:00:5e:10:00:01"
[cloud]
entry_url = "{cloud.entry_url}"
allow_plain_http = true
hardware_key = "{KEY}"
telemetry_every = 5
[store]
path = "{tmp_path}/gateway.sqlite3"
[status]
port = {port}
hub_gone_limit = 1
{more}
"""
        )

    return write


@pytest.fixture
async def started(tmp_path):
    """Start `xyte-gateway run`; ends it at the latest with the test."""
    processes = []

    async def start(*arguments, **environment):
        process = await asyncio.create_subprocess_exec(
            COMMAND, "run", *arguments, cwd=tmp_path, stderr=asyncio.subprocess.PIPE, env={**os.environ, **environment}
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def logged(process, words):
    """Read the log up to the line that says this, and return what was read."""
    lines = []
    async with asyncio.timeout(60):
        while line := await process.stderr.readline():
            lines.append(line.decode())
            if words in lines[-1]:
                return "".join(lines)
    raise AssertionError(f"{words!r} was not logged, but {''.join(lines)}")


async def ended(process):
    """Tell it to stop, and return its exit code, the seconds it took, and the rest of its log."""
    begun = asyncio.get_running_loop().time()
    process.send_signal(signal.SIGTERM)
    rest = (await process.stderr.read()).decode()
    return await process.wait(), asyncio.get_running_loop().time() - begun, rest


async def test_a_gateway_that_waits_ends_when_it_is_told_to(started, config):
    config("[nonsense]")
    process = await started()
    log = await logged(process, "until then it waits")
    assert "gateway.toml:13: nonsense: no such key" in log
    code, seconds, rest = await ended(process)
    assert (code, "Traceback" in log + rest) == (0, False)
    assert seconds < 8


async def test_mending_the_file_starts_the_gateway_in_the_same_process(started, config, cloud):
    config("[nonsense]")
    process = await started()
    await logged(process, "until then it waits")
    config()
    log = await logged(process, "registered as")
    assert KEY not in log
    assert process.returncode is None
    code, seconds, _ = await ended(process)
    assert code == 0
    assert seconds < 8
    assert len(cloud.cloud.devices) == 1


async def test_a_store_that_cannot_be_used_is_told_and_tried_again_until_it_can(started, config, tmp_path):
    config()
    (tmp_path / "gateway.sqlite3").write_bytes(b"no database at all, and long enough to be looked at " * 40)
    process = await started()
    log = await logged(process, "until then it waits")
    assert "cannot be used as the store" in log
    (tmp_path / "gateway.sqlite3").unlink()
    config("# saved again")
    await logged(process, "registered as")
    assert (await ended(process))[0] == 0


async def test_a_file_that_may_not_be_looked_at_is_told_and_not_taken_for_missing(tmp_path, port):
    """As a user that may not enter the folder: in a container, one that is not mounted for it."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    (secret / "gateway.toml").write_text("")
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", COMMAND, "run"),
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "XYTE_GATEWAY_CONFIG": str(secret / "gateway.toml"),
            "XYTE_GATEWAY__STATUS__PORT": str(port),
            "XYTE_GATEWAY__STORE__PATH": str(tmp_path / "gateway.sqlite3"),
        },
    )
    try:
        log = await logged(process, "until then it waits")
        assert "gateway.toml: file: cannot be read: Permission denied" in log
        assert "Traceback" not in log
    finally:
        process.kill()
        await process.wait()


async def test_a_file_that_was_named_and_is_not_there_is_not_replaced_by_the_one_at_hand(started, config, tmp_path):
    config()
    process = await started("--config", "elsewhere.toml", XYTE_GATEWAY__ADAPTER="[]", XYTE_GATEWAY__STATUS__ENABLED="false")
    log = await logged(process, "until then it waits")
    assert "elsewhere.toml: cloud.hardware_key: is missing" in log
    assert (await ended(process))[0] == 0


async def test_an_identity_that_contradicts_the_registered_one_is_told_on_the_page(started, config):
    config()
    process = await started()
    await logged(process, "registered as")
    await ended(process)
    process = await started(XYTE_GATEWAY__GATEWAY__SERIAL_NUMBER="another")
    log = await logged(process, "until then it waits")
    assert "but this gateway is registered under" in log
    assert (await ended(process))[0] == 0


async def test_a_configuration_that_is_saved_while_the_gateway_runs_is_said_to_take_a_restart(started, config, port):
    config()
    process = await started()
    await logged(process, "registered as")
    config("# another line")
    await logged(process, "its settings are those of the start")
    config("[log]\nlevel = 'debug'")
    log = await logged(process, "restart the gateway to use it")
    assert "gateway.toml has changed since the start" in log
    async with aiohttp.ClientSession() as browser, browser.get(f"http://127.0.0.1:{port}/api/v1/status") as answer:
        assert "has changed since the start" in (await answer.json())["gateway"]["notice"]
    await ended(process)


async def test_health_follows_the_hub(started, config, cloud, type_in):
    config()
    assert (await type_in("health"))[0] == 1
    process = await started()
    await logged(process, "registered as")
    code, out, _ = await type_in("health")
    assert (code, out) == (0, "the gateway is ready\n")
    await cloud.__aexit__()
    await logged(process, "the hub is not reachable")
    await asyncio.sleep(1.5)
    code, out, err = await type_in("health", "--json")
    assert (code, err) == (1, "")
    said = json.loads(out)
    assert not said["is_ready"]
    assert "has not been reachable" in said["reasons"][0]
    await ended(process)
    code, _, err = await type_in("health")
    assert code == 1
    assert "no answer from the gateway" in err


async def test_health_of_a_gateway_that_waits_says_what_for(started, config, type_in):
    config("[nonsense]")
    process = await started()
    await logged(process, "status page is at")
    code, _, err = await type_in("health")
    assert code == 1
    assert "nonsense: no such key" in err
    await ended(process)


@pytest.mark.parametrize("said", ["[]", '{"is_ok": true}', "<html>"])
async def test_health_takes_no_other_program_for_the_gateway(config, port, type_in, said):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.0 200 OK\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode())
        writer.close()

    config()
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        code, _, err = await type_in("health")
    assert code == 1
    assert "is not a gateway: HTTP status 200" in err


async def test_another_gateway_that_has_the_port_is_named_by_health_doctor_and_the_log(started, config, tmp_path, type_in):
    config()
    own = (tmp_path / "gateway.toml").read_text()
    (tmp_path / "other").mkdir()
    other = own.replace(f"{tmp_path}/gateway.sqlite3", f"{tmp_path}/other/gateway.sqlite3").replace(":00:01", ":00:02")
    other = other.replace("[gateway]", "[gateway]\nname = 'Plant [north]'")
    (tmp_path / "other" / "gateway.toml").write_text(other)
    first = await started("--config", str(tmp_path / "other" / "gateway.toml"))
    await logged(first, "the status page is at")
    code, _, err = await type_in("health")
    assert code == 1
    said = " ".join(err.split())
    assert "another gateway, “Plant [north]”, answers at" in said
    assert f"another store than {tmp_path}/gateway.sqlite3" in said
    _, found, _ = await type_in("doctor", "--json")
    assert "works with another store than" in found
    assert "already serves its page" not in found
    second = await started()
    log = await logged(second, "the status page cannot be served at")
    assert "what answers there is another gateway, “Plant [north]”" in log
    assert (await type_in("health", "--config", str(tmp_path / "other" / "gateway.toml")))[0] in (0, 1)
    _, found, _ = await type_in("doctor", "--json", "--config", str(tmp_path / "other" / "gateway.toml"))
    assert "already serves its page" in found
    await ended(second)
    await ended(first)


async def test_health_without_a_page_says_that_there_is_none(config, type_in):
    config()
    code, _, err = await type_in("health", XYTE_GATEWAY__STATUS__ENABLED="false")
    assert code == 1
    assert "disabled" in err


async def test_the_log_is_for_programs_where_the_config_says_so(started, config):
    config('[log]\nformat = "json"\nlevel = "error"')  # the token is shown all the same: there is no second time
    process = await started()
    line = await logged(process, "status page token")
    said = json.loads(line.splitlines()[-1])
    assert (said["level"], said["logger"]) == ("warning", "gateway.status.auth.token_file")
    code, _, rest = await ended(process)
    assert code == 0
    assert all(json.loads(one)["level"] in ("warning", "error") for one in rest.splitlines())


@pytest.mark.parametrize("network", ["10.0.0.0/8", "300.1.1.0/24"])
async def test_networks_that_cannot_be_looked_at_are_refused_before_anything_starts(type_in, network):
    code, _, err = await type_in("run", "--look-in", network)
    assert code == 2
    assert "--look-in" in err


async def test_health_and_doctor_find_a_page_that_is_served_without_tls_while_its_certificate_is_unusable(
    started, config, type_in, tmp_path
):
    config()
    unusable = {
        "XYTE_GATEWAY__STATUS__CERTIFICATE": str(tmp_path / "none.pem"),
        "XYTE_GATEWAY__STATUS__KEY": str(tmp_path / "none.key"),
    }
    process = await started(**unusable)
    await logged(process, "the status page is at http://127.0.0.1")
    async with asyncio.timeout(60):
        while (await type_in("health", **unusable))[0] != 0:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)
    _, said, _ = await type_in("doctor", "--json", **unusable)
    assert "serves its page to this machine alone" in said
    assert "another program" not in said
    assert (await ended(process))[0] == 0


async def test_health_asks_a_page_that_is_served_by_https(started, config, type_in):
    config()
    process = await started(XYTE_GATEWAY__STATUS__CERTIFICATE="self-signed")
    await logged(process, "the status page is at https://")
    async with asyncio.timeout(60):
        while (await type_in("health", XYTE_GATEWAY__STATUS__CERTIFICATE="self-signed"))[0] != 0:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)
    _, said, _ = await type_in("doctor", "--json", XYTE_GATEWAY__STATUS__CERTIFICATE="self-signed")
    assert "a running gateway already serves its page" in said
    assert (await ended(process))[0] == 0
