"""How a Modbus bus is set, and where each fact comes from."""

from adapters.modbus import ModbusAdapter
from gateway.adapter import FactSource


def facts_of(given):
    settings = ModbusAdapter.settings_model.model_validate({"type": "modbus", "name": "plant", **given})
    return {one.name: (one.value, one.source) for one in ModbusAdapter(settings).bus_facts()}


def test_a_line_tells_what_is_configured_and_what_is_usual():
    facts = facts_of({"lines": [{"port": "/dev/ttyS1", "baudrate": 9600, "parity": "N"}], "timeout": 0.2})
    assert facts == {
        "port": ("/dev/ttyS1", FactSource.CONFIGURED),
        "speed": ("9600 baud", FactSource.CONFIGURED),
        "data_bits": ("8", FactSource.USUAL),
        "parity": ("none", FactSource.CONFIGURED),
        "stop_bits": ("1", FactSource.USUAL),
        "framing": ("Modbus RTU", FactSource.USUAL),
        "timeout": ("0.2 s", FactSource.CONFIGURED),
    }


def test_a_host_tells_its_port_its_transport_and_the_line_behind_it():
    facts = facts_of({"hosts": [{"host": "10.0.0.3", "framing": "rtu", "baudrate": 19200}]})
    assert facts["host"] == ("10.0.0.3", FactSource.CONFIGURED)
    assert facts["port"] == ("502", FactSource.USUAL)
    assert facts["transport"] == ("TCP", FactSource.USUAL)
    assert facts["framing"] == ("Modbus RTU", FactSource.CONFIGURED)
    assert facts["speed"] == ("19200 baud", FactSource.CONFIGURED)
    assert facts_of({"hosts": [{"host": "10.0.0.3", "transport": "udp"}]})["transport"] == ("UDP", FactSource.CONFIGURED)
    assert facts_of({"hosts": [{"host": "10.0.0.3", "tls": {}}]})["transport"] == ("TLS", FactSource.CONFIGURED)
