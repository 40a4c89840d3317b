"""`scan` and `read` of a device that needs something from a person before it can be read."""

import json

import pytest

from gateway.testing.serial import Console, DeviceServer, Projector, SerialLine

pytestmark = pytest.mark.enable_socket


def entry(server, **device):
    ports = f'ports=[{{ port = "{server.port}", name = "hall" }}]'
    written = ", ".join(f'{key} = "{value}"' for key, value in device.items())
    devices = [f'devices=[{{ port = "hall", profile = "pjlink", {written} }}]'] if device else []
    return [part for one in (ports, *devices) for part in ("--with", one)]


async def test_a_projector_with_a_password_is_found_and_scan_ends_with_the_setting_to_write(type_in):
    async with DeviceServer(Projector(password="secret")) as server:
        code, out, err = await type_in("scan", "serial", *entry(server))
        as_json_code, as_json, _ = await type_in("scan", "serial", "--json", *entry(server))
    assert (code, as_json_code) == (1, 1)
    assert "1 device found" in out
    assert "it needs a password" in err
    assert "password_file = " in err
    (found,) = json.loads(as_json)["found"]
    assert found["profile"] == "pjlink"
    assert found["needs"].startswith("it needs a password")
    assert json.loads(as_json)["problems"][0]["problem"].startswith("hall pjlink: it needs a password")


async def test_read_of_a_projector_with_a_password_fails_with_the_setting_to_write(type_in):
    async with DeviceServer(Projector(password="secret")) as server:
        code, out, err = await type_in("read", "pjlink", "serial", *entry(server))
    assert (code, out) == (1, "")
    assert "it needs a password" in err


@pytest.mark.parametrize(("password", "ends"), [("secret", 0), ("mistaken", 1)])
async def test_a_password_is_used_and_never_shown(type_in, password, ends):
    async with DeviceServer(Projector(password="secret")) as server:
        scan = await type_in("scan", "serial", "--evidence", *entry(server, password=password))
        read = await type_in("read", "pjlink", "serial", *entry(server, password=password))
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
