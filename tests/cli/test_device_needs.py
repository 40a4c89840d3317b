"""`scan` and `read` of a device that needs something from a person before it can be read."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from gateway.testing.serial import Console, DeviceServer, Projector, SerialLine

pytestmark = pytest.mark.enable_socket


def entry(server, **device):
    ports = f'ports=[{{ port = "{server.port}", name = "hall" }}]'
    written = ", ".join(f'{key} = "{value}"' for key, value in device.items())
    devices = [f'devices=[{{ port = "hall", profile = "pjlink", {written} }}]'] if device else []
    return [part for one in (ports, *devices) for part in ("--with", one)]


@asynccontextmanager
async def two_projectors():
    """Serve two projectors with a password, for two commands at the same time."""
    async with DeviceServer(Projector(password="secret")) as one, DeviceServer(Projector(password="secret")) as other:
        yield one, other


async def test_a_projector_with_a_password_is_found_and_the_commands_end_with_the_setting_to_write(type_in):
    async with two_projectors() as (one, other), DeviceServer(Projector(password="secret")) as third:
        (code, out, err), (as_json_code, as_json, _), read = await asyncio.gather(
            type_in("scan", "serial", *entry(one)),
            type_in("scan", "serial", "--json", *entry(other)),
            type_in("read", "pjlink", "serial", *entry(third)),
        )
    assert read[:2] == (1, "")
    assert "it needs a password" in read[2]
    assert (code, as_json_code) == (1, 1)
    assert "1 device found" in out
    assert "it needs a password" in err
    assert "password_file = " in err
    (found,) = json.loads(as_json)["found"]
    assert found["profile"] == "pjlink"
    assert found["needs"].startswith("it needs a password")
    assert json.loads(as_json)["problems"][0]["problem"].startswith("hall pjlink: it needs a password")


@pytest.mark.parametrize(("password", "ends"), [("secret", 0), ("mistaken", 1)])
async def test_a_password_is_used_and_never_shown(type_in, password, ends):
    async with two_projectors() as (one, other):
        scan, read = await asyncio.gather(
            type_in("scan", "serial", "--evidence", *entry(one, password=password)),
            type_in("read", "pjlink", "serial", *entry(other, password=password)),
        )
    assert (scan[0], read[0]) == (ends, ends)
    assert ("it rejects the password" in scan[2]) == ("it rejects the password" in read[2]) == (ends == 1)
    assert password not in "".join([*scan[1:], *read[1:]])
    assert ("power" in read[1]) == (ends == 0)


async def test_scan_says_that_a_port_is_the_console_of_a_computer(type_in, tmp_path):
    async with SerialLine(Console(), link=tmp_path / "ttyS0") as line:
        ports = f'ports=[{{ port = "{line.port}", profiles = ["lg-display"], line = "9600 8N1" }}]'
        code, out, err = await type_in("scan", "serial", "--with", ports)
    assert code == 0
    assert "0 devices found" in out
    assert "a log-in prompt of a computer answers on this port" in err
