"""The link with hosts that are not ready at once, close idle connections or stop serving one; in simulated time."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from functools import partial

import pytest

from adapters.modbus.adapter import ModbusAdapter
from adapters.modbus.client import link as link_module
from adapters.modbus.client.buses import SerialLine, TcpHost
from adapters.modbus.client.connection_start import STARTUP_SECONDS
from adapters.modbus.client.keepalive import IDLE_SECONDS, UNACKNOWLEDGED_SECONDS
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ReadRequest, Table, WriteRequest
from adapters.modbus.client.session_health import UNANSWERED_AT_MOST, UNANSWERED_REQUESTS, SessionHealth
from adapters.modbus.client.transport import RetryPolicy
from adapters.modbus.discovery.framing_trial import FramingTrial
from adapters.modbus.settings import ModbusSettings
from gateway.adapter import BusUnavailable, DeviceUnreachable, Found, OutcomeUnknown
from gateway.testing.clock import simulated
from gateway.testing.modbus import ConnectionFaults, ExceptionCode, Faults, ModbusTcpHost, SimulatedUnit, VirtualLine
from gateway.testing.modbus import Table as Tables

WORD = ReadRequest(Table.HOLDING, 0, 1)
USUAL = RetryPolicy(0.5, tries=2)
LEARNED = RetryPolicy(0.04, tries=2)


def units(*ids: int) -> list[SimulatedUnit]:
    return [SimulatedUnit(unit, registers={Tables.HOLDING_REGISTERS: {0: 7, 1: 8}}) for unit in ids]


def host_of(faults: ConnectionFaults, *ids: int, framing="tcp") -> ModbusTcpHost:
    host = ModbusTcpHost(units(*ids), framing=framing)
    host.connection_faults = faults
    return host


def link_to(host: ModbusTcpHost, memory=None, **settings) -> Link:
    memory = {} if memory is None else memory
    return Link(
        TcpHost(host="virtual", framing="rtu" if host.framing == "rtu" else "tcp", **settings),
        dial=host.dial,
        memory=lambda: memory,
    )


def now() -> float:
    return asyncio.get_running_loop().time()


async def ask(link: Link, unit: int = 1, policy: RetryPolicy = USUAL, request: ReadRequest = WORD) -> float:
    """Ask, expect the answer, and return how long that took."""
    began_at = now()
    await link.ask(unit, request, policy)
    return now() - began_at


async def is_silent(link: Link, unit: int = 1, policy: RetryPolicy = USUAL) -> float:
    began_at = now()
    with pytest.raises(DeviceUnreachable):
        await link.ask(unit, WORD, policy)
    return now() - began_at


# hosts that do not answer at once after connecting ------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
@pytest.mark.parametrize("policy", [USUAL, LEARNED], ids=["usual time-out", "learned time-out"])
@pytest.mark.parametrize("ready_after", [0.3, 1.0, 2.0, 5.0])
def test_a_host_that_needs_a_while_after_connecting_is_asked_again_on_the_same_connection(framing, policy, ready_after):
    async def main():
        host = host_of(ConnectionFaults(ready_after_seconds=ready_after), 1, framing=framing)
        link = link_to(host)
        assert ready_after <= await ask(link, policy=policy) < ready_after + 0.6
        assert host.connections == 1

    simulated(main())


def test_what_a_host_needs_after_connecting_is_learned_remembered_and_forgotten():
    async def main():
        host, memory = host_of(ConnectionFaults(ready_after_seconds=1.5), 1), {}
        for _ in range(8):
            link = link_to(host, memory)  # a new process each time
            await ask(link)
            link.close()
        assert 1.5 <= link.session.start.learned_seconds < 2.0
        assert list(memory) == ["virtual:502 first answer"]
        link = link_to(host, memory)
        assert await ask(link) == pytest.approx(float(memory["virtual:502 first answer"].split()[0]), abs=0.01)
        host.connection_faults = ConnectionFaults()
        for _ in range(1000):
            link.close()
            await ask(link)
        assert link.session.start.learned_seconds == 0
        assert memory["virtual:502 first answer"] == "at once"

    simulated(main())


def test_a_request_that_a_scan_repeats_after_all_other_units_does_not_count_as_what_the_host_needs():
    async def main():
        host, memory = host_of(ConnectionFaults(ready_after_seconds=1.2), 1), {}
        link = link_to(host, memory)
        for unit in (1, *range(2, 15)):
            with suppress(DeviceUnreachable):
                await link.ask(unit, WORD, RetryPolicy(0.3, waits_for_start=False))
        await ask(link)
        assert now() > 4
        assert link.session.start.learned_seconds == 0, "it was ready long before it was asked again"
        link.close()
        assert await ask(link) < 2
        assert 1.2 <= link.session.start.learned_seconds < 1.8

    simulated(main())


def test_units_that_are_not_there_cost_a_fresh_connection_the_wait_for_its_start_once():
    async def main():
        host, memory = host_of(ConnectionFaults(), 5), {}
        link = link_to(host, memory)
        assert STARTUP_SECONDS <= await is_silent(link, 1) < STARTUP_SECONDS + 1.1
        assert await is_silent(link, 2) == pytest.approx(1.0, abs=0.01)
        assert await ask(link, 5) < 0.01
        link.close()
        assert await is_silent(link, 1) == pytest.approx(1.0, abs=0.01), "it is known that this host answers at once"

    simulated(main())


def test_a_host_that_answers_at_once_makes_no_dead_unit_wait_on_its_later_connections():
    async def main():
        link = link_to(host_of(ConnectionFaults(), 1), memory := {})
        await ask(link, 1)
        for _ in range(3):
            link.close()
            assert await is_silent(link, 2) == pytest.approx(1.0, abs=0.01)
        assert memory == {"virtual:502 first answer": "at once"}

    simulated(main())


def test_a_host_that_became_slow_after_connecting_is_learned_anew():
    async def main():
        host, memory = host_of(ConnectionFaults(), 1), {}
        link = link_to(host, memory)
        await ask(link)
        host.connection_faults = ConnectionFaults(ready_after_seconds=1.2)
        link.close()
        await is_silent(link)
        await ask(link)
        link.close()
        assert 1.2 <= await ask(link) < 1.6
        assert host.connections == 3

    simulated(main())


def test_the_configured_delay_is_waited_for_and_zero_means_none():
    async def main():
        host = host_of(ConnectionFaults(ready_after_seconds=1.5), 1)
        assert await ask(link_to(host, connect_delay=1.6)) == pytest.approx(1.6, abs=0.01)
        assert await is_silent(link_to(host, connect_delay=0)) == pytest.approx(1.0, abs=0.01)

    simulated(main())


def test_a_serial_adapter_that_restarts_the_device_gets_its_configured_delay():
    async def main():
        line = VirtualLine(units(1), baudrate=9600)
        link = Link(SerialLine(port="virtual", baudrate=9600, connect_delay=2), dial=line.dial)
        began_at = now()
        await ask(link)
        assert line.exchanges[0].started_at - began_at == pytest.approx(2.0, abs=0.01)
        link.close()

    simulated(main())


@pytest.mark.parametrize("is_known", [False, True], ids=["unknown host", "known host"])
def test_a_write_on_a_fresh_connection_waits_until_the_host_is_ready_and_is_sent_once(is_known):
    async def main():
        host, memory = host_of(ConnectionFaults(ready_after_seconds=1.5), 1), {}
        if is_known:
            first = link_to(host, memory)
            await ask(first)
            first.close()
        link = link_to(host, memory)
        assert await link.ask(1, WriteRequest(Table.HOLDING, 1, (42,)), USUAL) == b""
        assert [line.split(" ", 1)[1] for line in link.frames.lines() if "01 06 00 01 00 2a" in line].__len__() == 2, (
            "sent, answered"
        )

    simulated(main())


def test_a_write_to_a_host_that_never_answers_is_sent_once():
    async def main():
        host = host_of(ConnectionFaults(ready_after_seconds=3600), 1)
        link = link_to(host)
        with pytest.raises(OutcomeUnknown):
            await link.ask(1, WriteRequest(Table.HOLDING, 1, (42,)), USUAL)
        assert sum("01 06 00 01 00 2a" in line for line in link.frames.lines()) == 1

    simulated(main())


def test_a_host_that_closes_idle_connections_costs_no_failure_and_only_its_known_delay():
    async def main():
        host = host_of(ConnectionFaults(ready_after_seconds=1.0, idle_limit_seconds=5), 1)
        link = link_to(host)
        took = []
        for _ in range(40):
            took.append(await ask(link, policy=LEARNED))
            await asyncio.sleep(15)
        assert host.connections == 40
        assert max(took[1:]) < 1.7
        assert sum(took[10:]) < 30 * 1.35

    simulated(main())


def test_a_host_that_closes_the_connection_after_each_answer_is_read():
    async def main():
        host = host_of(ConnectionFaults(idle_limit_seconds=0.001), 1)
        link = link_to(host)
        for _ in range(20):
            assert await ask(link, policy=LEARNED) < 0.01
            await asyncio.sleep(0.01)
        assert host.connections >= 20

    simulated(main())


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_a_host_that_accepts_no_further_client_is_a_bus_that_is_not_available_and_says_why(framing):
    async def main():
        host = host_of(ConnectionFaults(max_clients=0), 1, framing=framing)
        link = link_to(host)
        with pytest.raises(BusUnavailable, match="closes each connection at once: its connections may all be in use"):
            await link.ask(1, WORD, USUAL)
        assert host.connections <= 4
        host.connection_faults = ConnectionFaults()
        assert await ask(link) < 0.1

    simulated(main())


CLOSING = {
    "at once": ConnectionFaults(max_clients=0),
    "at once with a reset": ConnectionFaults(max_clients=0, resets=True),
    "instead of answering": ConnectionFaults(closes_after_answers=0),
    "instead of answering with a reset": ConnectionFaults(closes_after_answers=0, resets=True),
}


async def searched(host: ModbusTcpHost, dial=None, units="1-5") -> list[str]:
    """Search the host, over sockets or in memory, and return the addresses of the devices found."""
    bus = TcpHost(host=host.host, port=host.port or 502, framing=host.framing)
    settings = ModbusSettings(type="modbus", name="site", hosts=[bus], units=units, timeout=0.05, scan_timeout=0.05)
    adapter = ModbusAdapter(settings, bus, link := Link(bus, dial=dial))
    adapter._framing = FramingTrial(bus, link, partial(Link, dial=dial))
    async with adapter:
        return [step.address async for step in adapter.discover() if isinstance(step, Found)]


@pytest.mark.enable_socket
@pytest.mark.parametrize("how", CLOSING)
async def test_a_search_on_a_host_that_closes_every_connection_fails_and_leaves_no_line_of_asyncio(how, caplog, monkeypatch):
    monkeypatch.setattr(link_module, "UNASKED_SECONDS", 0.05)
    async with host_of(CLOSING[how], 1) as host:
        when = how.removesuffix(" with a reset")
        with pytest.raises(BusUnavailable, match=f"it closes each connection {when}: its connections may all be in use"):
            await searched(host, units="1-2")
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.parametrize("how", ["at once", "instead of answering"])
def test_so_does_one_on_a_device_server_with_rtu_frames(how):
    async def main():
        host = host_of(CLOSING[how], 1, framing="rtu")
        with pytest.raises(BusUnavailable, match=f"it closes each connection {how}: its connections may all be in use"):
            await searched(host, host.dial)

    simulated(main())


@pytest.mark.enable_socket
@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("answers", [1, 2, 7])
async def test_a_host_that_closes_after_some_answers_is_searched_and_leaves_no_line_of_asyncio(answers, resets, caplog):
    async with host_of(ConnectionFaults(closes_after_answers=answers, resets=resets), 1, 2) as host:
        host.unknown_unit = ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND
        assert await searched(host) == ["1", "2"]
        assert host.connections > 2
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.enable_socket
async def test_a_host_that_hangs_up_while_it_is_connected_to_is_a_bus_that_is_not_available():
    """pymodbus then has no transport at all."""

    def hang_up(_reader, writer):
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    link = Link(TcpHost(host="127.0.0.1", port=server.sockets[0].getsockname()[1]))
    with pytest.raises(BusUnavailable, match="closes each connection at once"):
        await link.ask(1, WORD, USUAL)
    link.close()
    server.close()


@pytest.mark.enable_socket
async def test_a_full_host_is_told_with_how_many_of_its_connections_are_ours():
    async with host_of(ConnectionFaults(max_clients=2), 1) as host:
        bus = TcpHost(host=host.host, port=host.port)
        links = [Link(bus), Link(bus), Link(bus)]
        for link in links[:2]:
            await link.ask(1, WORD, USUAL)
        with pytest.raises(BusUnavailable, match=r"its connections may all be in use \(2 of ours\); end other programs'"):
            await links[2].ask(1, WORD, USUAL)
        for link in links:
            link.close()


def test_a_unit_behind_a_host_that_closes_for_absent_units_is_found():
    """Some gateways do so; that they close says nothing about the host while any unit answers."""

    async def main():
        host = host_of(ConnectionFaults(), 3)
        link = link_to(host)
        for _ in range(3):
            host.connection_faults = ConnectionFaults(closes_after_answers=0)
            for unit in (1, 2):
                await is_silent(link, unit)
            host.connection_faults = ConnectionFaults()
            link.close()
            await ask(link, 3)
            link.check_not_all_closed()

    simulated(main())


# connections on which nothing is answered any more ------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
@pytest.mark.parametrize("policy", [USUAL, LEARNED], ids=["usual time-out", "learned time-out"])
def test_a_connection_on_which_nothing_is_answered_any_more_is_replaced(framing, policy, caplog):
    async def main():
        host = host_of(ConnectionFaults(served_requests=20), 1, 2, framing=framing)
        link = link_to(host)
        lost = 0
        for number in range(200):
            try:
                await link.ask(1 + number % 2, WORD, policy)
            except DeviceUnreachable:
                lost += 1
            await asyncio.sleep(5)
        assert host.connections == pytest.approx(10, abs=1)
        assert lost <= 2 * host.connections

    with caplog.at_level(logging.INFO, "adapters.modbus"):
        simulated(main())
    said = [record.message for record in caplog.records]
    assert said[0].startswith("virtual:502: closed and opened the connection again after")
    assert "unanswered requests of all units" in said[0]
    assert len(said) == 1, "it is told once, not each time"


def test_a_dead_unit_beside_a_living_one_costs_no_connection():
    async def main():
        host = host_of(ConnectionFaults(), 1, 2)
        link = link_to(host)
        await ask(link, 1)
        await ask(link, 2)
        host.units[2].faults = Faults(silent=True)
        for _ in range(30):
            await is_silent(link, 2)
            await ask(link, 1)
        assert host.connections == 1

    simulated(main())


def test_units_that_never_answered_cost_no_connection():
    async def main():
        host = host_of(ConnectionFaults(), 1)
        link = link_to(host)
        await ask(link, 1)
        for unit in range(2, 60):
            await is_silent(link, unit)
        assert host.connections == 1

    simulated(main())


def test_units_that_are_really_gone_cost_ever_fewer_connections_and_no_time():
    async def main():
        host = host_of(ConnectionFaults(), 1)
        link = link_to(host)
        await ask(link, 1)
        await ask(link, 1)
        host.units[1].faults = Faults(silent=True)
        for _ in range(200):
            assert await is_silent(link, policy=RetryPolicy(0.5)) == pytest.approx(0.5, abs=0.01)
        assert host.connections <= 8
        host.units[1].faults = Faults()
        await ask(link, 1)

    simulated(main())


def test_a_unit_that_nobody_asks_any_more_does_not_keep_a_silent_connection():
    async def main():
        host = host_of(ConnectionFaults(served_requests=2), 1, 2)
        link = link_to(host)
        await ask(link, 1)
        await ask(link, 2)
        for _ in range(4 * UNANSWERED_REQUESTS):
            with suppress(DeviceUnreachable):
                await link.ask(1, WORD, RetryPolicy(0.5))
        assert host.connections == 2
        await ask(link, 1)

    simulated(main())


def test_the_number_of_unanswered_requests_before_a_new_connection_doubles_up_to_a_limit():
    health, limits = SessionHealth(), []
    health.answered(1)
    for _ in range(8):
        count = 0
        while not health.is_silent(1000.0):
            health.unanswered(1, 0.0)
            count += 1
        limits.append(count)
        health.renewed()
    assert limits == [3, 6, 12, 24, 48, 96, 96, 96]
    assert limits[-1] == UNANSWERED_AT_MOST
    health.answered(1)
    for _ in range(UNANSWERED_REQUESTS):
        health.unanswered(1, 1000.0)
    assert not health.is_silent(1004.0), "answers may be late"
    assert health.is_silent(1005.0)


@pytest.mark.enable_socket
async def test_the_operating_system_probes_idle_connections_and_gives_up_on_a_peer_that_is_gone():
    async with host_of(ConnectionFaults(), 1) as host:
        link = Link(TcpHost(host=host.host, port=host.port))
        await link.open()
        connection = link._exchange.connection._client.ctx.transport.get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == IDLE_SECONDS
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000 * UNACKNOWLEDGED_SECONDS
        link.close()
