"""List all cells of the fault matrix."""

from __future__ import annotations

import modbus_cells

CELLS = [*modbus_cells.CELLS]
