"""`scan` and `read` of a bus with one device of every Modbus profile, as a person types them."""

import json

import pytest

from adapters.modbus.profile.library import PROFILE_FILES
from gateway.testing.modbus import ExceptionCode, ModbusTcpHost
from tests.adapters.modbus.profile_units import unit_of

pytestmark = pytest.mark.enable_socket

PROFILES = PROFILE_FILES.load()
UNIT_IDS = {name: number for number, name in enumerate(sorted(PROFILES), start=1)}


async def test_a_host_with_a_unit_of_every_modbus_profile_is_searched_and_one_unit_is_read(type_in):
    units = [unit_of(PROFILES[name], number).simulated() for name, number in UNIT_IDS.items()]
    devices = ", ".join(f'{{ unit = {UNIT_IDS[name]}, profile = "{name}" }}' for name in UNIT_IDS if not PROFILES[name].match)
    async with ModbusTcpHost(units, unknown_unit=ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND) as host:
        bus = ("--with", f'hosts=["127.0.0.1:{host.port}"]', "--with", f'units="1-{len(units)}"')
        bus += ("--with", "timeout=30", "--with", "scan_timeout=30", "--with", f"devices=[{devices}]")
        code, table, err = await type_in("scan", "modbus", *bus)
        assert code == 0, err
        last = max(UNIT_IDS.values())
        code, read, err = await type_in("read", str(last), "modbus", *bus, "--json")
    assert code == 0, err
    assert json.loads(read)["profile"] == max(UNIT_IDS)
    assert all(one["value"] is not None for one in json.loads(read)["readings"].values())
    rows = [line.split() for line in table.splitlines() if line.split()[1:2] and line.split()[1].isdigit()]
    assert {int(row[1]) for row in rows} == set(UNIT_IDS.values())
    assert max(map(len, table.splitlines())) <= 200
