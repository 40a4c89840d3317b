"""Fixtures of the tests of simulated Modbus devices: a clock moved by hand, a small meter, raw exchanges."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.testing.modbus import (
    Conformity,
    Constant,
    Counter,
    Encoding,
    Firmware,
    Identification,
    ModbusTcpHost,
    ServerId,
    Signal,
    SimulatedUnit,
    Sine,
    StepWave,
    Table,
)

PATIENCE_SECONDS = 5


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


METER_IDENTIFICATION = Identification({0: b"ACME", 1: b"M1", 2: b"V1.0", 5: b"Meter One"}, conformity=Conformity.REGULAR)


@pytest.fixture
def make_meter(clock) -> Callable[..., SimulatedUnit]:
    """A small meter with something in each table; every call makes another one."""

    def make(unit_id: int = 1, **changes) -> SimulatedUnit:
        voltage = Sine(mean=230, amplitude=2, period_seconds=60)
        signals = [
            Signal(metric="voltage", table=Table.INPUT_REGISTERS, address=0, encoding=Encoding.FLOAT32, wave=voltage),
            Signal(
                metric="temperature",
                table=Table.INPUT_REGISTERS,
                address=2,
                encoding=Encoding.INT16,
                wave=Constant(-4.2),
                scale=0.1,
            ),
            Signal(metric="energy", table=Table.INPUT_REGISTERS, address=10, encoding=Encoding.UINT32, wave=Counter(70_000, 1)),
            Signal(
                metric="setpoint",
                table=Table.HOLDING_REGISTERS,
                address=5,
                encoding=Encoding.INT16,
                wave=Constant(40),
                writable=True,
            ),
            Signal(
                metric="door", table=Table.DISCRETE_INPUTS, address=7, encoding=Encoding.BOOL, wave=StepWave((False, True), 1)
            ),
            Signal(metric="relay", table=Table.COILS, address=3, encoding=Encoding.BOOL, wave=Constant(False), writable=True),
        ]
        settings = {
            "registers": {Table.HOLDING_REGISTERS: {100 + n: n for n in range(20)}, Table.COILS: {20: 1, 21: 0, 22: 1}},
            "firmware": Firmware(identification=METER_IDENTIFICATION, server_id=ServerId(b"M1")),
            "clock": clock,
        }
        return SimulatedUnit(unit_id, signals, **(settings | changes))

    return make


@pytest.fixture
def meter(make_meter) -> SimulatedUnit:
    return make_meter()


@pytest.fixture
def tcp_exchange() -> Callable[..., Awaitable[bytes]]:
    """Send bytes over a fresh connection and return the `count` bytes that come back."""

    async def exchange(host: ModbusTcpHost, sent: bytes, count: int) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection(host.host, host.port)
            writer.write(sent)
            try:
                return await reader.readexactly(count)
            finally:
                writer.close()
                await writer.wait_closed()

    return exchange
