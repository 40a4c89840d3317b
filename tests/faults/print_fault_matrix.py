"""Print the fault matrix as Markdown: `tests/faults/print_fault_matrix.py [WORD]`, WORD being part of a fault or a bus."""

from __future__ import annotations

import logging
import sys

from fault_cells import as_markdown, run_together, told_in
from fault_matrix import CELLS

if __name__ == "__main__":
    logging.disable()
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    cells = [cell for cell in CELLS if wanted in cell.fault or wanted in cell.bus]
    told = run_together(cells)
    sys.stdout.write(as_markdown(cells, {at: told_in(cell, told) for at, cell in enumerate(cells)}) + "\n")
