"""`read` and `scan` of Modbus hosts that answer wrongly or late, as a person types them: values, or a sentence and code 1."""

import asyncio
import json

import pytest

from gateway.testing.demo_devices import eastron_sdm630
from gateway.testing.modbus import MbapFaults, ModbusTcpHost, SimulatedUnit, Table

pytestmark = pytest.mark.enable_socket


def on(host, units="1"):
    return "--with", f'hosts=["127.0.0.1:{host.port}"]', "--with", f'units="{units}"', "--json"


FAULTS = {
    "length": MbapFaults(length_error=1),
    "checksum and transaction id": MbapFaults(checksum="counted", transaction="one behind"),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
async def test_a_host_with_wrong_headers_is_read_and_its_mistake_told(type_in, faults):
    async with ModbusTcpHost([eastron_sdm630(1)]) as host:
        host.mbap_faults = faults
        code, out, _ = await type_in("read", "1", "modbus", *on(host))
    told = json.loads(out)
    assert code == 0
    assert told["profile"] == "eastron-sdm630"
    assert len(told["readings"]) > 10
    assert "not as Modbus TCP wants them" in told["remarks"][0]


async def test_a_device_without_a_profile_is_no_success(type_in):
    async with ModbusTcpHost([SimulatedUnit(1, registers={Table.HOLDING_REGISTERS: {0: 5}})]) as host:
        code, out, _ = await type_in("read", "1", "modbus", *on(host))
    told = json.loads(out)
    assert code == 1
    assert told["problem"] == "no profile matches, so nothing could be read"
    assert "illegal function" in told["evidence"]["identification (43/14)"]


async def test_a_host_of_rtu_frames_and_a_late_gateway_with_an_absent_unit_say_what_to_set(type_in):
    async with ModbusTcpHost([eastron_sdm630(1)], framing="rtu") as rtu, ModbusTcpHost([eastron_sdm630(2)]) as late:
        late.absent_seconds = 1.0
        (rtu_code, rtu_out, _), (code, out, _) = await asyncio.gather(
            type_in("read", "1", "modbus", *on(rtu)), type_in("scan", "modbus", *on(late, "1-4"))
        )
    assert rtu_code == 1
    assert 'set framing = "rtu" for this host' in json.loads(rtu_out)["error"]
    told = json.loads(out)
    assert code == 0
    assert [one["address"] for one in told["found"]] == ["2"]
    assert any("Set scan_timeout = " in one["remark"] for one in told["remarks"]), told["remarks"]
