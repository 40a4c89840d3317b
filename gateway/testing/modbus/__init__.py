"""Modbus devices that need no hardware: units with live values, behind a TCP port or on a serial bus.

They read the Modbus specification on their own and share no code with the Modbus adapter: a mistake in one shows in the other.
"""

from __future__ import annotations

from gateway.testing.modbus.exception_codes import ExceptionCode, Refusal
from gateway.testing.modbus.framing import Frame, Mbap, NotModbus, Rtu, crc16
from gateway.testing.modbus.identification import Conformity, Identification, ServerId
from gateway.testing.modbus.line import Exchange, ScriptedUnit, Violation, VirtualLine
from gateway.testing.modbus.pty import on_a_pty
from gateway.testing.modbus.rtu import ModbusRtuBus
from gateway.testing.modbus.signals import Constant, Counter, Encoding, Signal, SignalValue, Sine, Steps, Table, Wave, WordOrder
from gateway.testing.modbus.sunspec import SunSpecModel, sunspec_registers
from gateway.testing.modbus.tcp import ModbusTcpHost
from gateway.testing.modbus.unit import ALL_FUNCTIONS, HEALTHY, Clock, Faults, Served, SimulatedUnit

__all__ = [
    "ALL_FUNCTIONS",
    "HEALTHY",
    "Clock",
    "Conformity",
    "Constant",
    "Counter",
    "Encoding",
    "ExceptionCode",
    "Exchange",
    "Faults",
    "Frame",
    "Identification",
    "Mbap",
    "ModbusRtuBus",
    "ModbusTcpHost",
    "NotModbus",
    "Refusal",
    "Rtu",
    "ScriptedUnit",
    "Served",
    "ServerId",
    "Signal",
    "SignalValue",
    "SimulatedUnit",
    "Sine",
    "Steps",
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
