"""SunSpec's own client and the adapter read the same values from the same device, through the same TCP port."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from adapters.modbus import ModbusAdapter
from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit, SunSpecModel, sunspec_registers

STRINGS = {18 + 8 * number + 5: 100 + 7 * number for number in range(24)}
CELLS = {44 + 4 * number: 3300 + 3 * number for number in range(40)}
MODULES = {10 + 20 * number + place: 10 * number + place for number in range(3) for place in (9, 10, 11)}
METERS = (
    SunSpecModel(203, 105, {2: 123, 6: -1, 18: -1500, 22: 0}),
    SunSpecModel(1, 66),
    SunSpecModel(203, 105, {2: 99, 6: -1, 18: 230, 22: 1}),
)
INVERTER = SunSpecModel(160, 8 + 20 * 3, {2: -1, 3: -2, 4: 1, 5: 0, 8: 3, **MODULES})
COMBINER = SunSpecModel(403, 16 + 24 * 8, {2: -1, 3: 0, 4: 0, 16: -2, 17: 0, **STRINGS})
BATTERY = SunSpecModel(805, 42 + 4 * 40, {42: -3, 43: 0, **CELLS})

OURS_AND_THEIRS = {
    "dc_current_{}": (160, "module", "DCA"),
    "dc_voltage_{}": (160, "module", "DCV"),
    "dc_power_{}": (160, "module", "DCW"),
    "string_amps_{}": (403, "string", "InDCA"),
    "cell_voltage_{}": (805, "lithium-ion-module-cell", "CellV"),
}


def read_by_their_client(port: int) -> dict[str, Any]:
    """Return what SunSpec's client reads, by our metrics."""
    client = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=5)
    try:
        client.scan()
        values = {
            ours.format(number): repetition.points[point].cvalue
            for ours, (model, group, point) in OURS_AND_THEIRS.items()
            if model in client.models
            for number, repetition in enumerate(client.models[model][0].groups[group], start=1)
        }
        powers = [meter.points["W"].cvalue for meter in client.models.get(203, ())]
        return values | dict(zip(("active_power", "active_power_2"), powers, strict=False))
    finally:
        client.close()


@pytest.mark.enable_socket
@pytest.mark.parametrize(("device", "count"), [((INVERTER, *METERS), 3 * 3 + 2), ((COMBINER,), 24), ((BATTERY,), 40)])
async def test_repeated_groups_and_second_models_have_the_values_that_sunspecs_own_client_reads(
    settings, admitted, device, count
):
    unit = SimulatedUnit(1, registers=sunspec_registers(device))
    async with ModbusTcpHost([unit]) as host:
        theirs = await asyncio.to_thread(read_by_their_client, host.port)
        adapter = ModbusAdapter(settings(hosts=[{"host": "127.0.0.1", "port": host.port}], units=1))
        async with adapter:
            child = admitted(await adapter.identify("1"))
            blocks = [block async for block in adapter.read(child, frozenset(adapter.poll_groups(child)))]
    ours = {one.metric.name: one.value for block in blocks for one in block}
    assert len(theirs) == count
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs)
