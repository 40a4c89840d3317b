"""The Modbus client: PDUs, RTU frames, timing and one connection."""
