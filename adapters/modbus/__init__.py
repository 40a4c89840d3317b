"""Modbus TCP, RTU and RTU over TCP."""

from adapters.modbus.adapter import ModbusAdapter

__all__ = ["ModbusAdapter"]
