"""A machine without a configuration is looked at by every adapter that can, and none that fails costs another its look."""

import asyncio

import pytest

from adapters.modbus.discovery import hosts as modbus_hosts
from adapters.modbus.discovery.hosts import look_for_hosts
from gateway.adapter import Announcement, NamedNetworks, NetworkHost, SearchSummary
from gateway.field.plugins import installed, usable
from gateway.first_start import first_look
from gateway.first_start.first_look import FirstLook
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
    monkeypatch.setattr(first_look, "ANSWER_SECONDS", 0.3)
    async with ModbusTcpHost(tcp_units()) as host:
        look = FirstLook(usable(installed()), [f"127.0.0.1:{host.port}", "127.0.0.1:1"])
        await asyncio.wait_for(look.run(), 60)
        (modbus,) = [seen for seen in look.buses if seen.entry == "modbus"]
        assert {found.family for found in modbus.devices.values()} == {"power-meter", "inverter", "io-module"}
        assert look.tables["modbus"] == {"hosts": [f"127.0.0.1:{host.port}"], "units": "1-16, 255"}
        assert look.answering_hosts == {f"127.0.0.1:{host.port}"}
        assert look.tables["ble"] == {}
        assert all(rule["probe"] is False for rule in look.tables.get("serial", {}).get("ports", []))


async def test_a_named_host_is_proposed_while_it_is_still_searched(monkeypatch):
    """A person who sees a device may write the configuration at once: its host has to be in it."""
    monkeypatch.setattr(modbus_hosts, "CONNECT_SECONDS", 30)
    monkeypatch.setattr(first_look, "ANSWER_SECONDS", 0.3)
    async with ModbusTcpHost(tcp_units()[:1]) as host:  # each of its other units is waited for
        look = FirstLook({"modbus": usable(installed())["modbus"]}, [f"127.0.0.1:{host.port}"])
        searching = asyncio.create_task(look.run())
        async with asyncio.timeout(60):
            while not any(bus.devices for bus in look.buses):  # noqa: ASYNC110 - a search sets no event
                await asyncio.sleep(0.02)
        assert not look.buses[0].is_done
        assert look.tables["modbus"]["hosts"] == [f"127.0.0.1:{host.port}"]
        searching.cancel()
        await asyncio.gather(searching, return_exceptions=True)


async def looked_for(**networks):
    steps = [step async for step in look_for_hosts(NamedNetworks(**networks))]
    return [step for step in steps if isinstance(step, NetworkHost)], steps[-1]


async def test_hosts_that_do_not_listen_or_are_none_are_left_out(unused_tcp_port):
    hosts = [f"127.0.0.1:{unused_tcp_port}", "no host at all", "nowhere.invalid", "127.0.0.1:99999"]
    found, summary = await looked_for(hosts=hosts)
    assert found == []
    assert (summary.asked, summary.answered) == (2, 0)
    assert "access list" in summary.advice


async def test_a_host_on_the_port_of_modbus_over_tls_is_proposed_with_tls(monkeypatch, unused_tcp_port):
    monkeypatch.setattr(modbus_hosts, "MODBUS_PORT", unused_tcp_port)
    monkeypatch.setattr(modbus_hosts, "CONNECT_SECONDS", 30)
    async with ModbusTcpHost([]) as host:
        monkeypatch.setattr(modbus_hosts, "TLS_PORT", host.port)
        (found,), _ = await looked_for(hosts=["127.0.0.1"])
        assert found.entry["hosts"] == [{"host": "127.0.0.1", "tls": {}}]
        assert found.kind == "Modbus TCP with TLS"


async def test_a_port_that_is_announced_counts_when_it_accepts_a_connection(monkeypatch, unused_tcp_port):
    monkeypatch.setattr(modbus_hosts, "CONNECT_SECONDS", 30)
    async with ModbusTcpHost([]) as host:
        announced = [
            Announcement(service="_modbus._tcp", name="meter", host="127.0.0.1", port=host.port),
            Announcement(service="_mbap._tcp", name="same again", host="127.0.0.1", port=host.port),
            Announcement(service="_modbus._tcp", name="gone", host="127.0.0.1", port=unused_tcp_port),
            Announcement(service="_modbus._tcp", name="elsewhere", host="127.0.0.9", port=host.port),
            Announcement(service="_http._tcp", name="page", host="127.0.0.1", port=host.port),
        ]
        (found,), summary = await looked_for(addresses=frozenset({"127.0.0.1"}), announcements=announced)
        assert host.connections == 1
    assert found.entry == {"hosts": [{"host": "127.0.0.1", "port": host.port}], "units": "1-16, 255"}
    assert found.evidence == {f"connection to port {host.port}": "accepted"}
    assert summary == SearchSummary(2, 1, "connected to 2 hosts on the ports of Modbus: 1 accepts a connection", summary.advice)


async def test_a_bus_that_could_not_be_opened_in_time_says_so():
    class Slow(looking(SyntheticDevice("1", "a1"))):
        async def __aenter__(self):
            raise TimeoutError("no answer from the port")

    look = FirstLook({"slow": Slow}, [])
    await look.run()
    (seen,) = look.buses
    assert "no answer from the port" in seen.problem
