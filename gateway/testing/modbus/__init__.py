"""Simulate Modbus devices without hardware: units with live values, behind a TCP port or on a serial bus.

They implement the Modbus specification separately and share no code with the Modbus adapter, so that a mistake in one becomes
visible in the other.
"""

from __future__ import annotations

from gateway.testing.former_names import former_names
from gateway.testing.modbus.ascii import Ascii
from gateway.testing.modbus.connections import HEALTHY_CONNECTIONS, ConnectionFaults
from gateway.testing.modbus.exception_codes import ExceptionCode, ExceptionResponse
from gateway.testing.modbus.framing import Frame, Mbap, NotModbus, Rtu, crc16
from gateway.testing.modbus.identification import Conformity, Identification, ServerId
from gateway.testing.modbus.line import Exchange, ScriptedUnit, Violation, VirtualLine
from gateway.testing.modbus.mbap_faults import HEALTHY_MBAP, MbapFaults
from gateway.testing.modbus.pty import on_a_pty
from gateway.testing.modbus.read_faults import LongReads, RefusedAddresses
from gateway.testing.modbus.rtu import ModbusRtuBus
from gateway.testing.modbus.signals import (
    Constant,
    Counter,
    Encoding,
    Signal,
    SignalValue,
    Sine,
    StepWave,
    Table,
    Wave,
    WordOrder,
)
from gateway.testing.modbus.sunspec import SunSpecModel, sunspec_registers
from gateway.testing.modbus.tcp import ModbusTcpHost
from gateway.testing.modbus.udp import DatagramFaults, ModbusUdpHost
from gateway.testing.modbus.unit import ALL_FUNCTIONS, HEALTHY, Clock, Faults, Firmware, ServedValue, SimulatedUnit

__all__ = [
    "ALL_FUNCTIONS",
    "HEALTHY",
    "HEALTHY_CONNECTIONS",
    "HEALTHY_MBAP",
    "Ascii",
    "Clock",
    "Conformity",
    "ConnectionFaults",
    "Constant",
    "Counter",
    "DatagramFaults",
    "Encoding",
    "ExceptionCode",
    "ExceptionResponse",
    "Exchange",
    "Faults",
    "Firmware",
    "Frame",
    "Identification",
    "LongReads",
    "Mbap",
    "MbapFaults",
    "ModbusRtuBus",
    "ModbusTcpHost",
    "ModbusUdpHost",
    "NotModbus",
    "RefusedAddresses",
    "Rtu",
    "ScriptedUnit",
    "ServedValue",
    "ServerId",
    "Signal",
    "SignalValue",
    "SimulatedUnit",
    "Sine",
    "StepWave",
    "SunSpecModel",
    "Table",
    "Violation",
    "VirtualLine",
    "Wave",
    "WordOrder",
    "crc16",
    "on_a_pty",
    "sunspec_registers",
]

__getattr__ = former_names(__name__, {"Refusal": ExceptionResponse, "Served": ServedValue, "Steps": StepWave})
