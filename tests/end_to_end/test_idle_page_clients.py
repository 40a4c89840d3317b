"""Idle clients of the page, more than the process may have open files: uploads go on, the log stays short."""

import asyncio
import contextlib
import shlex
import sys
from pathlib import Path

import pytest

from gateway.emulator import Emulator
from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit, Table

pytestmark = pytest.mark.enable_socket

COMMAND = Path(sys.executable).with_name("xyte-gateway")
DESCRIPTORS, CLIENTS = 160, 400
PROFILE = """name = "load"
maker = "Test"
title = "Load"
family = "meter"
[source]
document = "this"
edition = "1"
section = "1"
[groups]
fast = 1
[[points]]
metric = "power"
address = 0
group = "fast"
"""


async def test_more_idle_clients_than_descriptors_stop_no_upload_and_fill_no_log(emulator, tmp_path, port, until):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "load.toml").write_text(PROFILE)
    async with ModbusTcpHost([SimulatedUnit(1, registers={Table.HOLDING_REGISTERS: {0: 7}})]) as host:
        (tmp_path / "gateway.toml").write_text(
            f"""[gateway]
mac = "02:00:5e:10:00:01"
[cloud]
entry_url = "{emulator.entry_url}"
allow_plain_http = true
hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"
telemetry_every = 5
[store]
path = "{tmp_path}/gateway.sqlite3"
[status]
port = {port}
[models]
"*" = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
[[adapter]]
type = "modbus"
hosts = ["127.0.0.1:{host.port}"]
units = "1"
profiles = ["{tmp_path}/profiles"]
devices = [{{ bus = "127.0.0.1:{host.port}", unit = 1, profile = "load" }}]
"""
        )
        program = shlex.join([str(COMMAND), "run", "--config", str(tmp_path / "gateway.toml")])
        with (tmp_path / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", f"ulimit -n {DESCRIPTORS}; exec {program}", stderr=log
            )
        try:
            await until(lambda: samples_of_children(emulator) > 0, 90)
            crowd = [asyncio.create_task(be_idle(port)) for _ in range(CLIENTS)]
            await asyncio.sleep(2)
            lines_before, samples_before = (tmp_path / "log").read_bytes().count(b"\n"), samples_of_children(emulator)
            await until(lambda: samples_of_children(emulator) >= samples_before + 3, 90)
            assert await readiness(port) == b"200"
            lines = (tmp_path / "log").read_bytes().count(b"\n") - lines_before
            for one in crowd:
                one.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
        finally:
            process.terminate()
            await process.wait()
    log = (tmp_path / "log").read_text()
    assert lines <= 3, log
    assert "Traceback" not in log


def samples_of_children(emulator: Emulator) -> int:
    children = [device for device in emulator.cloud.devices.values() if device.parent_id is not None]
    return sum(len(emulator.journal.telemetry(child.id)) for child in children)


async def be_idle(port):
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET / HTTP/1.1\r\nHo")
                await reader.read()
            finally:
                writer.close()
        await asyncio.sleep(0.5)


async def readiness(port):
    """Return the status of `/readyz` for a client that is in a hurry, as a health check is."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    if answer := await reader.read(100):
                        return answer.split()[1]
                finally:
                    writer.close()
