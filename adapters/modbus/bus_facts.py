"""Say where a Modbus bus is and how its line is set, each fact with where it comes from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from adapters.modbus.client.buses import Bus, SerialLine, TcpHost
from adapters.modbus.settings import ModbusSettings
from gateway.adapter import BusFact, FactSource, seconds_text

PARITIES: Final = {"N": "none", "E": "even", "O": "odd"}
FRAMINGS: Final = {"tcp": "Modbus TCP", "rtu": "Modbus RTU", "ascii": "Modbus ASCII"}


def facts_of(bus: Bus, settings: ModbusSettings) -> Sequence[BusFact]:
    """Return the facts about a bus. What the configuration leaves out has its usual value."""
    of_bus = _facts_of_host(bus) if isinstance(bus, TcpHost) else _facts_of_line(bus)
    seconds, is_set = settings.timeout_seconds(bus), bus.timeout is not None or "timeout" in settings.model_fields_set
    return [*of_bus, BusFact("timeout", seconds_text(seconds), _source(is_set=is_set))]


def _facts_of_host(host: TcpHost) -> Iterator[BusFact]:
    given = host.model_fields_set
    yield BusFact("host", host.host, FactSource.CONFIGURED)
    yield BusFact("port", str(host.port), _source(is_set="port" in given))
    carrier = "TLS" if host.tls is not None else host.transport.upper()
    yield BusFact("transport", carrier, _source(is_set=bool({"tls", "transport"} & given)))
    yield BusFact("framing", FRAMINGS[host.framing], _source(is_set="framing" in given))
    if host.baudrate is not None:
        yield BusFact("speed", f"{host.baudrate} baud", FactSource.CONFIGURED)


def _facts_of_line(line: SerialLine) -> Iterator[BusFact]:
    given = line.model_fields_set
    yield BusFact("port", line.port, FactSource.CONFIGURED)
    yield BusFact("speed", f"{line.baudrate} baud", _source(is_set="baudrate" in given))
    yield BusFact("data_bits", str(line.data_bits), _source(is_set="bytesize" in given))
    yield BusFact("parity", PARITIES[line.parity], _source(is_set="parity" in given))
    yield BusFact("stop_bits", str(line.stopbits), _source(is_set="stopbits" in given))
    yield BusFact("framing", FRAMINGS[line.framing], _source(is_set="framing" in given))


def _source(*, is_set: bool) -> FactSource:
    return FactSource.CONFIGURED if is_set else FactSource.USUAL
