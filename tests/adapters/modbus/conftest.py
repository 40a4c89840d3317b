"""Units in memory, and settings, children and adapters for the tests in this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.settings import ModbusSettings
from adapters.modbus.tools.case_device import MemoryTransport, MemoryUnit
from adapters.modbus.tools.case_files import Case, read_case
from gateway.adapter import ChildDevice, Found


@pytest.fixture(name="read_case")
def reader_of_cases() -> Callable[[Path], Case]:
    return read_case


@pytest.fixture
def memory_unit() -> type[MemoryUnit]:
    return MemoryUnit


@pytest.fixture
def memory_transport() -> type[MemoryTransport]:
    return MemoryTransport


@pytest.fixture
def settings() -> Callable[..., ModbusSettings]:
    def make(**given: Any) -> ModbusSettings:
        buses = {} if given.keys() & {"hosts", "lines"} else {"hosts": [{"host": "127.0.0.1", "name": "bus"}]}
        return ModbusSettings.model_validate({"type": "modbus", "name": "plant", **buses, **given})

    return make


@pytest.fixture
def adapter_on(settings: Callable[..., ModbusSettings]) -> Callable[..., ModbusAdapter]:
    """An adapter on a bus in memory."""

    def make(transport: MemoryTransport, **given: Any) -> ModbusAdapter:
        return ModbusAdapter(settings(**given), transport=transport)

    return make


@pytest.fixture
def admitted() -> Callable[[Found], ChildDevice]:
    """Make a found device a child, as the gateway does."""

    def make(found: Found) -> ChildDevice:
        return ChildDevice(
            key=found.identity.key,
            adapter="plant",
            bus="bus",
            address=found.address,
            profile=found.profile,
            family=found.family,
            model_id="model",
            sub_model=found.sub_model,
            firmware_version=found.firmware_version,
            name=found.name,
        )

    return make
