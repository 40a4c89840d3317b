"""A machine without a configuration is looked at by every adapter that can, and none that fails costs another its look."""

import asyncio

import pytest

from adapters.modbus.discovery import hosts as modbus_hosts
from adapters.modbus.discovery.hosts import listening_hosts
from gateway.field.plugins import installed, usable
from gateway.first_start import first_look
from gateway.first_start.first_look import FirstLook, parse_hosts
from gateway.testing.demo_devices import tcp_units
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice
from gateway.testing.modbus import ModbusTcpHost

pytestmark = pytest.mark.enable_socket


def looking(*devices, table=None, bus=None):
    """Return an adapter that looks at these devices without being told more."""

    class Looking(SyntheticAdapter.on(bus or SyntheticBus(devices))):
        @classmethod
        async def first_look(cls, hosts):
            if isinstance(table, BaseException):
                raise table
            return {} if table is None else table

    return Looking


async def test_what_is_there_is_met_bus_by_bus():
    adapters = {"synthetic": looking(SyntheticDevice("1", "a1"), SyntheticDevice("2", "a2"))}
    look = FirstLook(adapters, [])
    await look.run()
    (seen,) = look.buses
    assert set(seen.devices) == {"a1", "a2"}
    assert seen.is_done
    assert look.seconds is not None
    assert look.tables == {"synthetic": {}}


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (looking(table=RuntimeError("its author slept")), "a bug in the adapter: RuntimeError: its author slept"),
        (looking(table=SystemExit(3)), "`first_look` raised SystemExit: 3"),
        (looking(table={"no_such_key": 1}), "no_such_key"),
        (looking(bus=SyntheticBus(label="unplugged")), None),
    ],
)
async def test_an_adapter_that_fails_says_why_and_the_others_look(broken, says):
    adapters = {"broken": broken, "synthetic": looking(SyntheticDevice("1", "a1"))}
    look = FirstLook(adapters, [])
    await look.run()
    assert any(seen.devices for seen in look.buses if seen.entry == "synthetic")
    problems = [seen.problem for seen in look.buses if seen.entry == "broken"]
    assert says is None or says in problems[0]


async def test_a_bus_that_never_ends_is_left_after_a_while(monkeypatch):
    monkeypatch.setattr(first_look, "LOOK_SECONDS", 0.2)
    bus = SyntheticBus([SyntheticDevice("1", "a1")])

    class Endless(looking(bus=bus)):
        async def discover(self):
            async for found in super().discover():
                yield found
            await asyncio.sleep(60)

    look = FirstLook({"endless": Endless}, [])
    await asyncio.wait_for(look.run(), 30)
    assert set(look.buses[0].devices) == {"a1"}
    assert look.buses[0].problem is None


async def test_the_installed_adapters_look_without_a_configuration(monkeypatch):
    """Against a real Modbus host, and whatever ports and radios this machine has."""
    monkeypatch.setattr(modbus_hosts, "CONNECT_SECONDS", 30)  # a busy machine may need more than the one second of a network
    async with ModbusTcpHost(tcp_units()) as host:
        look = FirstLook(usable(installed()), [f"127.0.0.1:{host.port}", "127.0.0.1:1"])
        await asyncio.wait_for(look.run(), 60)
        (modbus,) = [seen for seen in look.buses if seen.entry == "modbus"]
        assert {found.family for found in modbus.devices.values()} == {"power-meter", "inverter", "io-module"}
        assert look.tables["modbus"] == {"hosts": [f"127.0.0.1:{host.port}"], "units": "1-16, 255"}
        assert look.tables["ble"] == {}
        assert all(rule["probe"] is False for rule in look.tables.get("serial", {}).get("ports", []))


async def test_hosts_that_do_not_listen_or_are_none_are_left_out(unused_tcp_port):
    assert await listening_hosts([f"127.0.0.1:{unused_tcp_port}", "no host at all", "nowhere.invalid"]) == []


async def test_a_host_on_the_port_of_modbus_over_tls_is_proposed_with_tls(monkeypatch, unused_tcp_port):
    monkeypatch.setattr(modbus_hosts, "MODBUS_PORT", unused_tcp_port)
    async with ModbusTcpHost([]) as host:
        monkeypatch.setattr(modbus_hosts, "TLS_PORT", host.port)
        assert await listening_hosts(["127.0.0.1"]) == [{"host": "127.0.0.1", "tls": {}}]


def test_networks_and_hosts_are_told_apart():
    assert parse_hosts(["192.168.1.0/30", "meter.local, 10.0.0.5:1502"]) == [
        "192.168.1.1",
        "192.168.1.2",
        "meter.local",
        "10.0.0.5:1502",
    ]
    assert parse_hosts(["10.0.0.7/32"]) == ["10.0.0.7"]
    assert parse_hosts([]) == []


@pytest.mark.parametrize(
    ("written", "says"),
    [("192.168.1.0/33", "is not a network"), ("10.0.0.0/8", "at most 1024"), (",".join(["h"] * 1025), "1025 hosts")],
)
def test_what_is_no_network_or_too_much_is_said(written, says):
    with pytest.raises(ValueError, match=says):
        parse_hosts([written])


async def test_a_bus_that_could_not_be_opened_in_time_says_so():
    class Slow(looking(SyntheticDevice("1", "a1"))):
        async def __aenter__(self):
            raise TimeoutError("no answer from the port")

    look = FirstLook({"slow": Slow}, [])
    await look.run()
    (seen,) = look.buses
    assert "no answer from the port" in seen.problem
