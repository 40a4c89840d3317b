"""The contract suite, run on the adapters that come with the gateway and on the example in adapters/README.md."""

import asyncio
import re
from pathlib import Path

import pytest

from adapters.ble import BleAdapter
from adapters.modbus import ModbusAdapter
from adapters.serial import SerialAdapter
from gateway.adapter import Command, CommandResult
from gateway.testing.bluetooth import Characteristic, Peripheral, RadioEnvironment, Service, simulated_backend
from gateway.testing.contract import AdapterContract
from gateway.testing.demo_devices import rtu_units, tcp_units
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, SyntheticSettings
from gateway.testing.modbus import ExceptionCode, ModbusRtuBus, ModbusTcpHost, SimulatedUnit, Table
from gateway.testing.serial import Display, Gps, SerialLine

README = Path(__file__).parents[2] / "adapters" / "README.md"


class TestSynthetic(AdapterContract):
    absent_address = "nowhere"

    @pytest.fixture
    def adapter(self):
        bus = SyntheticBus([SyntheticDevice("1", "a1"), SyntheticDevice("2", "a2")])
        return SyntheticAdapter.on(bus)(SyntheticSettings(type="synthetic", name="synthetic"), bus)


@pytest.fixture
def generous_timeouts(monkeypatch):
    """The time-outs of Modbus adapters in real time: on a busy machine, an answer takes longer than the learned 40 ms."""
    monkeypatch.setattr("adapters.modbus.client.timing.SHORTEST_TIMEOUT_SECONDS", 1.0)
    return {"timeout": 1.0, "scan_timeout": 1.0}


@pytest.mark.enable_socket
class TestModbusTcp(AdapterContract):
    absent_address = "9"

    @pytest.fixture
    async def adapter(self, generous_timeouts):
        async with ModbusTcpHost(tcp_units(), unknown_unit=ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND) as host:
            settings = {"hosts": [f"127.0.0.1:{host.port}"], "units": "1-4", **generous_timeouts}
            yield ModbusAdapter(ModbusAdapter.settings_model.model_validate({"type": "modbus", "name": "plant", **settings}))


@pytest.mark.enable_socket
class TestModbusRelays(AdapterContract):
    absent_address = "9"

    @pytest.fixture
    async def adapter(self, generous_timeouts):
        coils, inputs = dict.fromkeys(range(8), 0), dict.fromkeys(range(8), 0)
        tables = {Table.COILS: coils, Table.DISCRETE_INPUTS: inputs, Table.HOLDING_REGISTERS: {0x8000: 100}}
        async with ModbusTcpHost(
            [SimulatedUnit(1, registers=tables)], unknown_unit=ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND
        ) as host:
            devices = [{"unit": 1, "profile": "waveshare-relay-b"}]
            settings = {"hosts": [f"127.0.0.1:{host.port}"], "units": "1", "devices": devices, **generous_timeouts}
            yield ModbusAdapter(ModbusAdapter.settings_model.model_validate({"type": "modbus", "name": "door", **settings}))


@pytest.mark.enable_socket
class TestModbusRtu(AdapterContract):
    absent_address = "9"

    @pytest.fixture
    async def adapter(self, generous_timeouts):
        async with ModbusRtuBus(rtu_units()) as bus:
            settings = {"lines": [{"port": bus.port, "parity": "N"}], "units": "1-3", **generous_timeouts}
            yield ModbusAdapter(ModbusAdapter.settings_model.model_validate({"type": "modbus", "name": "cellar", **settings}))


class TestBluetooth(AdapterContract):
    absent_address = "A4:C1:38:00:00:99"

    @pytest.fixture
    async def adapter(self, monkeypatch):
        monkeypatch.setattr("adapters.ble.discovery.reachability.FIRST_ADVERTISEMENT_SECONDS", 0.3)
        level = Characteristic("2a19", ["read"], b"\x5a")
        replies = Characteristic("cba20003-224d-11e6-9fb8-0002a5d5c51b", ["notify"])
        orders = Characteristic(
            "cba20002-224d-11e6-9fb8-0002a5d5c51b", ["write"], on_write=lambda _write: replies.notify(b"\x01")
        )
        bot_service = "cba20d00-224d-11e6-9fb8-0002a5d5c51b"
        environment = RadioEnvironment(
            [
                Peripheral("A4:C1:38:00:00:01", name="GVH5075_2762", manufacturer_data={0xEC88: bytes.fromhex("000341c26400")}),
                Peripheral("C0:00:00:00:00:02", name="Probe", service_uuids=["180f"], services=[Service("180f", [level])]),
                Peripheral(
                    "C0:00:00:00:00:03",
                    service_data={"fd3d": b"\x48\x90\xe4"},
                    service_uuids=[bot_service],
                    services=[Service(bot_service, [orders, replies])],
                ),
            ]
        )
        backend = simulated_backend(environment)
        settings = {"scan_time": 0.3, "backend": {"scanner": backend.scanner, "client": backend.client}}
        return BleAdapter(BleAdapter.settings_model.model_validate({"type": "ble", "name": "radio", **settings}))


class TestSerialDisplay(AdapterContract):
    absent_address = "samsung-mdc/7"

    @pytest.fixture
    async def adapter(self):
        async with SerialLine(Display()) as line:
            port = {"port": line.port, "line": "9600 8N1", "profiles": ["samsung-mdc"]}
            settings = {"type": "serial", "name": "rack", "ports": [port]}
            yield SerialAdapter(SerialAdapter.settings_model.model_validate(settings))


class TestSerialTalker(AdapterContract):
    absent_address = "samsung-mdc/7"

    @pytest.fixture
    async def adapter(self):
        async with SerialLine(Gps(sends_every_seconds=0.05)) as line:
            settings = {"type": "serial", "name": "boat", "ports": [{"port": line.port, "line": "4800 8N1"}]}
            yield SerialAdapter(SerialAdapter.settings_model.model_validate(settings))


class Boaster(SyntheticAdapter):
    """Says that it reads back what it does not."""

    async def execute(self, child, command):
        return CommandResult()


class Overconfident(SyntheticAdapter):
    """Proves what nothing shows."""

    async def read_back(self, child, command):
        return CommandResult(is_proven=True)


class Twice(SyntheticAdapter):
    """Declares a command twice."""

    def commands(self, child):
        return (*super().commands(child), *super().commands(child))


@pytest.mark.parametrize(
    ("liar", "test"),
    [
        (Boaster, "test_a_command_is_carried_out_and_proven_as_its_declaration_says"),
        (Boaster, "test_an_unknown_command_is_refused_with_a_reason"),
        (Overconfident, "test_a_command_is_carried_out_and_proven_as_its_declaration_says"),
        (Twice, "test_commands_are_declared_also_while_the_bus_is_closed_each_name_once"),
    ],
)
async def test_the_suite_finds_an_adapter_whose_commands_are_not_what_it_says(liar, test):
    adapter = liar(SyntheticSettings(type="synthetic", name="synthetic"), SyntheticBus([SyntheticDevice("1", "a1")]))
    with pytest.raises(AssertionError):
        await getattr(AdapterContract(), test)(adapter)


@pytest.mark.enable_socket
class TestTheExampleOfTheReadme(AdapterContract):
    absent_address = "2"

    @pytest.fixture
    async def adapter(self):
        source = "\n".join(re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL))
        example: dict[str, object] = {"__name__": "acme_thermometer"}
        exec(compile(source, str(README), "exec"), example)

        answers = {b"SERIAL?\n": b"T-17\n", b"TEMP?\n": b"21.5\n", b"SET?\n": b"20.0\n"}

        async def serve(reader, writer):
            while line := await reader.readline():
                if line.startswith(b"SET "):
                    answers[b"SET?\n"] = line.removeprefix(b"SET ")
                writer.write(b"OK\n" if line.startswith(b"SET ") else answers[line])
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield example["HeatingAdapter"](
                example["ThermometerSettings"](type="thermometer", name="t", host="127.0.0.1", port=port)
            )

    async def test_its_command_is_proven_by_reading_back_also_later(self, adapter):
        command = Command(1, "c1", "set_temperature", {"celsius": 22.0})
        child = adapter.unregistered_child(address="1", name="heating")
        async with adapter:
            assert await adapter.read_back(child, command) is None
            done = await adapter.execute(child, command)
            assert done == CommandResult(is_proven=True, before={"celsius": 20.0}, after={"celsius": 22.0})
            assert (await adapter.read_back(child, command)).is_proven
