"""Make the faults of Modbus hosts and lines happen: simulated hosts and lines, real sockets and pseudo-terminals."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme
from fault_cells import Cell, as_another_user, in_real_time, told_of

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.buses import Bus, SerialLine, TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.discovery.framing_trial import FramingTrial
from adapters.modbus.settings import ModbusSettings
from gateway.adapter import Cause
from gateway.causes import Reason
from gateway.testing.clock import simulated
from gateway.testing.modbus import (
    HEALTHY,
    ConnectionFaults,
    Faults,
    ModbusTcpHost,
    ModbusUdpHost,
    SimulatedUnit,
    Table,
    VirtualLine,
    on_a_pty,
)

TCP, RTU, RTU_TCP, UDP, TLS = "Modbus TCP", "Modbus RTU", "RTU over TCP", "Modbus UDP", "Modbus TCP with TLS"
PROFILE = "eastron-sdm120"
REGISTERS = {Table.INPUT_REGISTERS: dict.fromkeys(range(700), 0), Table.HOLDING_REGISTERS: dict.fromkeys(range(700), 0)}


def unit(number: int = 1) -> SimulatedUnit:
    """Return a unit with the registers of its profile."""
    return SimulatedUnit(number, registers=REGISTERS)


def adapter_on(bus: Bus, dial: Any = None, *, numbers: Sequence[int] = (1, 2)) -> ModbusAdapter:
    """Return an adapter with two configured units on a bus."""
    key = "lines" if isinstance(bus, SerialLine) else "hosts"
    devices = [{"unit": number, "profile": PROFILE} for number in numbers]
    settings = ModbusSettings(
        type="modbus", name="site", units="1-2", devices=devices, timeout=0.1, scan_timeout=0.05, **{key: [bus]}
    )
    adapter = ModbusAdapter(settings, bus, link := Link(bus, dial=dial, memory=lambda: adapter.memory))
    adapter._framing = FramingTrial(bus, link, partial(Link, dial=dial))
    return adapter


# hosts and lines in simulated time --------------------------------------------------------------------------------------------

Change = Callable[[Any], None]


def on_host(
    framing: str, before: Change = lambda host: None, then: Change = lambda host: None, *, address: str = "1"
) -> Callable[[], Reason]:
    """Return a function that changes a host in memory, before it is opened or after it has worked."""

    async def main() -> Reason:
        host = ModbusTcpHost([unit(1), unit(2)], framing=framing)
        before(host)
        bus = TcpHost(host="virtual", framing=framing)
        numbers = sorted({1, int(address)})
        return await told_of(adapter_on(bus, host.dial, numbers=numbers), address, then=lambda: then(host))

    return lambda: simulated(main())


def on_line(
    before: Change = lambda line: None, then: Change = lambda line: None, *, address: str = "1", **settings: Any
) -> Callable[[], Reason]:
    """Return the same for a serial line; `settings` are those of the port."""

    async def main() -> Reason:
        line = VirtualLine([unit(1), unit(2)], baudrate=9600)
        before(line)
        bus = SerialLine(port="virtual", **({"baudrate": 9600} | settings))
        numbers = sorted({1, int(address)})
        adapter = adapter_on(bus, partial(line.dial, **({"baudrate": 9600} | settings)), numbers=numbers)
        return await told_of(adapter, address, then=lambda: then(line))

    return lambda: simulated(main())


def on_udp(before: Change = lambda host: None, then: Change = lambda host: None) -> Callable[[], Reason]:
    """Return the same for a host that is reached over UDP, in real time."""

    async def main() -> Reason:
        async with ModbusUdpHost([unit(1), unit(2)]) as host:
            before(host)
            bus = TcpHost(host=host.host, port=host.port, transport="udp")
            return await told_of(adapter_on(bus), "1", then=lambda: then(host), rounds=1)

    return in_real_time(main)


def faulty(faults: Faults, *numbers: int) -> Change:
    """Return a change of the faults of some units; of all without numbers."""

    def change(bus: Any) -> None:
        units = bus.units.values() if isinstance(bus.units, dict) else bus.units
        for one in units:
            if not numbers or one.unit_id in numbers:
                one.faults = faults

    return change


def connections(faults: ConnectionFaults) -> Change:
    """Return a change of the faults of connections."""

    def change(host: ModbusTcpHost) -> None:
        host.connection_faults = faults

    return change


def add_twin(line: VirtualLine) -> None:
    """Add a second unit with the id 1."""
    line.units.append(unit(1))


def only_echoes(line: VirtualLine) -> None:
    """Let the adapter receive what it sends itself, and no unit answer."""
    line.echoes = True
    faulty(DEAF)(line)


def noise(line: VirtualLine) -> None:
    """Damage every other answer, as reflections on a line without termination do."""

    class Sometimes:
        def __init__(self, real: SimulatedUnit) -> None:
            self.real, self.unit_id, self.turnaround_seconds, self.number = real, real.unit_id, 0.0, 0

        @property
        def faults(self) -> Faults:
            self.number += 1
            return Faults(wrong_crc=True) if self.number % 4 else HEALTHY

        def answer(self, request: bytes) -> bytes | None:
            return self.real.answer(request)

    line.units[:] = [Sometimes(one) for one in line.units]


# real hosts -------------------------------------------------------------------------------------------------------------------


def at(host: str, framing: str = "tcp", transport: str = "tcp", port: int = 502) -> Callable[[], Reason]:
    """Return a function that asks a host that is not there."""

    async def main() -> Reason:
        return await told_of(adapter_on(TcpHost(host=host, port=port, framing=framing, transport=transport)), "1")

    return in_real_time(main)


def unreachable(framing: str = "tcp", transport: str = "tcp") -> Callable[[], Reason]:
    """Return a function that asks a host to which this machine has no route.

    No address is surely so over UDP, so the error of the system is put in its place there; over TCP it is the real one.
    """

    async def no_route(make_protocol: Callable[[], Any]) -> Any:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    async def main() -> Reason:
        bus = TcpHost(host="255.255.255.255", framing=framing, transport=transport)
        return await told_of(adapter_on(bus, no_route if transport == "udp" else None), "1")

    return in_real_time(main)


def refused(framing: str = "tcp", transport: str = "tcp") -> Callable[[], Reason]:
    """Return a function that asks a port of this machine at which nothing listens."""

    async def main() -> Reason:
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        with socket.socket(type=kind) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        bus = TcpHost(host="127.0.0.1", port=port, framing=framing, transport=transport)
        return await told_of(adapter_on(bus), "1")

    return in_real_time(main)


def full(framing: str) -> Callable[[], Reason]:
    """Return a function that asks a host whose one connection is in use, by another client."""

    async def main() -> Reason:
        async with ModbusTcpHost([unit(1), unit(2)], framing=framing) as host:
            host.connection_faults = ConnectionFaults(max_clients=1)
            _, writer = await asyncio.open_connection(host.host, host.port)
            reason = await told_of(adapter_on(TcpHost(host=host.host, port=host.port, framing=framing)), "1")
            writer.close()
            return reason

    return in_real_time(main)


def tls(kind: str) -> Callable[[], Reason]:
    """Return a function that asks a host over TLS, whose certificate is not as it should be."""
    now = datetime.now(UTC)
    dates = {
        "expired": {"not_before": now - timedelta(days=9), "not_after": now - timedelta(days=1)},
        "not yet valid": {"not_before": now + timedelta(days=1), "not_after": now + timedelta(days=9)},
    }

    async def main() -> Reason:
        authority, other = trustme.CA(), trustme.CA()
        name = "elsewhere.local" if kind == "name" else "127.0.0.1"
        certificate = authority.issue_cert(name, **dates.get(kind, {}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        if kind == "client":
            context.verify_mode = ssl.CERT_REQUIRED
            authority.configure_trust(context)
        with TemporaryDirectory() as folder:
            file = Path(folder) / "ca.pem"
            (other if kind == "unknown" else authority).cert_pem.write_to_path(file)
            async with ModbusTcpHost([unit(1), unit(2)], tls=context) as host:
                bus = TcpHost(host=host.host, port=host.port, tls={"ca_file": file})
                return await told_of(adapter_on(bus), "1")

    return in_real_time(main)


# real ports -------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def a_port():
    """Open a pseudo-terminal with the two units."""
    async with on_a_pty(VirtualLine([unit(1), unit(2)], baudrate=19200)) as path:
        yield path


def missing_port() -> Callable[[], Reason]:
    """Return a function that opens a port that is not there."""

    async def main() -> Reason:
        return await told_of(adapter_on(SerialLine(port="/dev/ttyUSB-none")), "1")

    return in_real_time(main)


def unplugged_port() -> Callable[[], Reason]:
    """Return a function that loses its port while it is read."""

    async def main() -> Reason:
        line = VirtualLine([unit(1), unit(2)], baudrate=19200)
        adapter = adapter_on(SerialLine(port="virtual"), line.dial)
        return await told_of(adapter, "1", then=line.unplug)

    return lambda: simulated(main())


def forbidden_port() -> Callable[[], Reason]:
    """Return a function that opens a port which belongs to a group that its user is not in."""

    async def main() -> Reason:
        async with a_port() as path:
            os.chown(path, 0 if os.geteuid() == 0 else -1, 20 if os.geteuid() == 0 else -1)
            os.chmod(path, 0o060)  # noqa: PTH101 - a device file
            async with as_another_user():
                return await told_of(adapter_on(SerialLine(port=path)), "1")

    return in_real_time(main)


def used_port() -> Callable[[], Reason]:
    """Return a function that opens a port which another process has open."""

    async def main() -> Reason:
        async with a_port() as path:
            code = (
                f"import fcntl, termios, time; f = open({path!r}); fcntl.ioctl(f, termios.TIOCEXCL)\n"
                "fcntl.flock(f, fcntl.LOCK_EX); print('open', flush=True); time.sleep(60)"
            )
            other = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
            try:
                assert other.stdout is not None
                await other.stdout.readline()
                return await told_of(adapter_on(SerialLine(port=path)), "1")
            finally:
                other.kill()
                await other.wait()

    return in_real_time(main)


DEAF, DAMAGED, FOREIGN = Faults(silent=True), Faults(wrong_crc=True), Faults(answers_as=9)
CUT, REFUSING = Faults(truncated=True), Faults(exception=1)
BUSY, NOBODY_BEHIND = Faults(exception=0x06), Faults(exception=0x0B)

CELLS = [
    Cell("port missing at the start", RTU, (Cause.NO_PORT,), missing_port(), "no such serial port"),
    Cell("unplugged while running", RTU, (Cause.NO_PORT,), unplugged_port(), "plugged"),
    Cell("no permission", RTU, (Cause.NO_PERMISSION,), forbidden_port()),
    Cell("port in use", RTU, (Cause.PORT_IN_USE,), used_port(), "in use by"),
    Cell("opens, but silence", RTU, (Cause.SILENT_BUS,), on_line(faulty(DEAF)), "A and B"),
    Cell("opens, but silence", TCP, (Cause.SILENT_BUS,), on_host("tcp", faulty(DEAF)), "It accepts connections"),
    Cell("opens, but silence", RTU_TCP, (Cause.SILENT_BUS,), on_host("rtu", faulty(DEAF)), "It accepts connections"),
    Cell("opens, but silence", UDP, (Cause.SILENT_BUS,), on_udp(faulty(DEAF)), "address and port", waits=True),
    Cell("one device stops answering", RTU, (Cause.NO_ANSWER,), on_line(then=faulty(DEAF, 1))),
    Cell("one device stops answering", TCP, (Cause.NO_ANSWER,), on_host("tcp", then=faulty(DEAF, 1))),
    Cell("one device stops answering", RTU_TCP, (Cause.NO_ANSWER,), on_host("rtu", then=faulty(DEAF, 1))),
    Cell("one device stops answering", UDP, (Cause.NO_ANSWER,), on_udp(then=faulty(DEAF, 1))),
    Cell("wrong speed", RTU, (Cause.SILENT_BUS, Cause.CHECKSUM_ERRORS), on_line(baudrate=19200), "speed, parity"),
    Cell("wrong parity", RTU, (Cause.SILENT_BUS, Cause.CHECKSUM_ERRORS), on_line(parity="N"), "speed, parity"),
    Cell("every checksum wrong", RTU, (Cause.CHECKSUM_ERRORS,), on_line(faulty(DAMAGED)), "Compare speed, parity"),
    Cell("every checksum wrong", RTU_TCP, (Cause.CHECKSUM_ERRORS,), on_host("rtu", faulty(DAMAGED)), "Compare speed, parity"),
    Cell("some checksums wrong (termination)", RTU, (Cause.CHECKSUM_ERRORS,), on_line(then=noise), "termination"),
    Cell("two units on one id", RTU, (Cause.SAME_ADDRESS,), on_line(add_twin), "two units may have the id 1"),
    Cell("answers cut short", TCP, (Cause.WRONG_ANSWER, Cause.NO_ANSWER), on_host("tcp", then=faulty(CUT, 1))),
    Cell("answers cut short", RTU, (Cause.CHECKSUM_ERRORS,), on_line(then=faulty(CUT, 1))),
    Cell("another device answers", RTU, (Cause.OTHER_DEVICE,), on_line(then=faulty(FOREIGN, 1)), "unit 9 answered"),
    Cell("another device answers", TCP, (Cause.OTHER_DEVICE,), on_host("tcp", then=faulty(FOREIGN, 1)), "unit 9 answered"),
    Cell("another device answers", RTU_TCP, (Cause.OTHER_DEVICE,), on_host("rtu", then=faulty(FOREIGN, 1)), "unit 9 answered"),
    Cell("another device answers", UDP, (Cause.OTHER_DEVICE,), on_udp(then=faulty(FOREIGN, 1)), "unit 9 answered"),
    Cell("an exception for everything", RTU, (Cause.DEVICE_REFUSES,), on_line(then=faulty(REFUSING, 1))),
    Cell("an exception for everything", TCP, (Cause.DEVICE_REFUSES,), on_host("tcp", then=faulty(REFUSING, 1))),
    Cell("an exception for everything", RTU_TCP, (Cause.DEVICE_REFUSES,), on_host("rtu", then=faulty(REFUSING, 1))),
    Cell("an exception for everything", UDP, (Cause.DEVICE_REFUSES,), on_udp(then=faulty(REFUSING, 1))),
    # what is reported again and again of inverters: github.com/home-assistant/core/issues/50073, .../issues/51103
    Cell("busy (exception 06)", RTU, (Cause.DEVICE_REFUSES,), on_line(then=faulty(BUSY, 1)), "busy"),
    Cell("busy (exception 06)", TCP, (Cause.DEVICE_REFUSES,), on_host("tcp", then=faulty(BUSY, 1)), "busy"),
    # and of hosts with a line behind: github.com/node-modbus/stream/issues/66, github.com/NModbus4/NModbus4/issues/167
    Cell("no answer behind the host (exception 0B)", TCP, (Cause.NO_ANSWER,), on_host("tcp", faulty(NOBODY_BEHIND)), "behind it"),
    Cell(
        "no answer behind the host (exception 0B), while running",
        TCP,
        (Cause.NO_ANSWER,),
        on_host("tcp", then=faulty(NOBODY_BEHIND, 1)),
        "behind it",
    ),
    Cell("wrong unit", RTU, (Cause.NO_ANSWER,), on_line(address="7"), "7"),
    Cell("wrong unit", TCP, (Cause.NO_ANSWER,), on_host("tcp", address="7"), "7"),
    Cell("wrong unit", RTU_TCP, (Cause.NO_ANSWER,), on_host("rtu", address="7"), "7"),
    Cell("only its own echo", RTU, (Cause.SILENT_BUS,), on_line(only_echoes), "A and B"),
    *(
        cell
        for bus, framing, transport in ((TCP, "tcp", "tcp"), (RTU_TCP, "rtu", "tcp"), (UDP, "tcp", "udp"))
        for cell in (
            Cell("host name unknown", bus, (Cause.NAME_UNKNOWN,), at("nowhere.invalid", framing, transport), "name"),
            Cell("host unreachable", bus, (Cause.HOST_UNREACHABLE,), unreachable(framing, transport), "route"),
            Cell("host refuses", bus, (Cause.HOST_REFUSES,), refused(framing, transport), "refuses"),
        )
    ),
    *(
        cell
        for bus, framing in ((TCP, "tcp"), (RTU_TCP, "rtu"))
        for cell in (
            Cell(
                "host closes each connection at once",
                bus,
                (Cause.HOST_CLOSES,),
                on_host(framing, connections(ConnectionFaults(max_clients=0))),
                "its connections may all be in use",
            ),
            Cell(
                "host closes instead of answering",
                bus,
                (Cause.HOST_CLOSES,),
                on_host(framing, then=connections(ConnectionFaults(closes_after_answers=0))),
            ),
            Cell("host is full", bus, (Cause.HOST_CLOSES, Cause.HOST_FULL), full(framing), "may all be in use"),
        )
    ),
    Cell("unknown certificate", TLS, (Cause.TLS,), tls("unknown"), "authority"),
    Cell("certificate expired", TLS, (Cause.TLS,), tls("expired"), "has expired"),
    Cell("certificate not yet valid (clock wrong)", TLS, (Cause.CLOCK_WRONG,), tls("not yet valid"), "correct the clock"),
    Cell("certificate of another name", TLS, (Cause.TLS,), tls("name"), "elsewhere.local"),
    Cell("login refused", TLS, (Cause.LOGIN_REFUSED,), tls("client"), "wants a certificate of the gateway"),
]
