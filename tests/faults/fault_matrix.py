"""List all cells of the fault matrix."""

from __future__ import annotations

import ble_cells
import cloud_cells
import modbus_cells
import serial_cells
import tcp_cells

CELLS = [*modbus_cells.CELLS, *serial_cells.CELLS, *tcp_cells.CELLS, *ble_cells.CELLS, *cloud_cells.CELLS]
