"""`scan` and `read` of one device of every serial profile that is asked, at ports of their own, as a person types them."""

import json
from contextlib import AsyncExitStack

import pytest

from gateway.testing.serial import DeviceServer
from tests.adapters.serial.test_every_profile import ASKED, PROFILES, DeviceOfCase, folder_of

pytestmark = pytest.mark.enable_socket


async def test_a_device_of_every_serial_profile_at_its_own_port_is_found_and_one_is_read(type_in):
    async with AsyncExitStack() as stack:
        ports = {}
        for name in ASKED:
            server = await stack.enter_async_context(DeviceServer(DeviceOfCase(folder_of(name))))
            only_asks_by_tcp = PROFILES[name].talk.login_only_tcp  # its case was recorded on a serial line, without the log-in
            ports[name] = server.port if only_asks_by_tcp else server.port.replace("socket://", "tcp://")
        rules = ", ".join(f'{{ port = "{url}", profiles = ["{name}"] }}' for name, url in ports.items())
        login = 'user = "ann", password = "made up"'
        asking = [name for name in ASKED if PROFILES[name].talk.needs_login]
        devices = ", ".join(f'{{ port = "{ports[name]}", profile = "{name}", {login} }}' for name in asking)
        bus = ("--with", f"ports=[{rules}]", "--with", f"devices=[{devices}]")
        code, out, err = await type_in("scan", "serial", *bus, "--json")
        told = json.loads(out)
        assert code == 0, err
        assert {one["profile"] for one in told["found"]} == set(ASKED)
        one = next(one for one in told["found"] if one["profile"] == "pjlink")
        code, read, err = await type_in("read", one["address"], "serial", "--with", f'ports=["{ports["pjlink"]}"]', "--json")
    assert code == 0, err
    assert json.loads(read)["profile"] == "pjlink"
