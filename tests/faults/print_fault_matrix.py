"""Print the fault matrix as Markdown: `tests/faults/print_fault_matrix.py [WORD]`, WORD being part of a fault or a bus."""

from __future__ import annotations

import logging
import sys
import time

from fault_cells import as_markdown
from fault_matrix import CELLS

if __name__ == "__main__":
    logging.disable()
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    cells = [cell for cell in CELLS if wanted in cell.fault or wanted in cell.bus]
    told = {}
    for at, cell in enumerate(cells):
        began = time.monotonic()
        told[at] = cell.run()
        sys.stderr.write(f"{time.monotonic() - began:5.1f} s  {cell.fault} / {cell.bus}\n")
    sys.stdout.write(as_markdown(cells, told) + "\n")
