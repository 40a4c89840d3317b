"""Modbus units on PyPI modbus-tk. Its arguments: units as JSON, and for RTU the port; it writes its TCP port or `ready`."""

import json
import sys
import threading
import time
from itertools import count, groupby

from modbus_tk import defines, modbus_rtu, modbus_tcp

BLOCKS = {
    "coil": defines.COILS,
    "discrete": defines.DISCRETE_INPUTS,
    "holding": defines.HOLDING_REGISTERS,
    "input": defines.ANALOG_INPUTS,
}


def neighbours(cells):
    """Yield first address and values of each run of addresses."""
    counter = count()
    for _, run in groupby(sorted(cells), lambda address: address - next(counter)):
        addresses = list(run)
        yield addresses[0], [cells[address] for address in addresses]


def line(path):
    from serial import Serial

    return Serial(path, baudrate=115200)


server = modbus_rtu.RtuServer(line(sys.argv[2])) if len(sys.argv) > 2 else modbus_tcp.TcpServer(port=0, address="127.0.0.1")
for unit, tables in json.loads(sys.argv[1]).items():
    slave = server.add_slave(int(unit))
    for table, cells in tables.items():
        if table in BLOCKS:
            for start, values in neighbours({int(address): value for address, value in cells.items()}):
                slave.add_block(f"{table}{start}", BLOCKS[table], start, len(values))
                slave.set_values(f"{table}{start}", start, values)
server.start()
if len(sys.argv) > 2:
    sys.stdout.write("ready\n")
else:
    while not server._sockets:
        time.sleep(0.01)
    sys.stdout.write(f"{server._sockets[0].getsockname()[1]}\n")
sys.stdout.flush()
threading.Event().wait()
