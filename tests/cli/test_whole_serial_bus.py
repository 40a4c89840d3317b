"""`scan` and `read` of one device of every serial profile that is asked, at ports of their own, as a person types them."""

import json
from contextlib import AsyncExitStack

import pytest

from gateway.testing.serial import DeviceServer
from tests.adapters.serial.test_every_profile import ASKED, PROFILES, DeviceOfCase, folder_of

pytestmark = pytest.mark.enable_socket


AT_ONCE = 6
"""So many devices, in the process of the test, answer in time on a busy machine as well."""


@pytest.mark.parametrize("names", [ASKED[at : at + AT_ONCE] for at in range(0, len(ASKED), AT_ONCE)], ids=lambda names: names[0])
async def test_a_device_of_each_serial_profile_at_its_own_port_is_found_and_one_is_read(type_in, names):
    async with AsyncExitStack() as stack:
        ports = {}
        for name in names:
            server = await stack.enter_async_context(DeviceServer(DeviceOfCase(folder_of(name))))
            only_asks_by_tcp = PROFILES[name].talk.login_only_tcp  # its case was recorded on a serial line, without the log-in
            ports[name] = server.port if only_asks_by_tcp else server.port.replace("socket://", "tcp://")
        rules = ", ".join(f'{{ port = "{url}", profiles = ["{name}"] }}' for name, url in ports.items())
        login = 'user = "ann", password = "made up"'
        asking = [name for name in names if PROFILES[name].talk.needs_login]
        devices = ", ".join(f'{{ port = "{ports[name]}", profile = "{name}", {login} }}' for name in asking)
        bus = ("--with", f"ports=[{rules}]", "--with", f"devices=[{devices}]")
        code, out, err = await type_in("scan", "serial", *bus, "--json")
        told = json.loads(out)
        assert code == 0, err
        assert {one["profile"] for one in told["found"]} == set(names)
        name = next(name for name in names if name not in asking)
        one = next(one for one in told["found"] if one["profile"] == name)
        code, read, err = await type_in("read", one["address"], "serial", "--with", f'ports=["{ports[name]}"]', "--json")
    assert code == 0, err
    assert json.loads(read)["profile"] == name
