"""A Modbus TCP host on PyPI umodbus. Its argument: units as JSON; it writes its port, and serves until it is killed."""

import json
import sys
from socketserver import TCPServer

from umodbus.server.tcp import RequestHandler, get_server

FUNCTIONS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
WRITING = {"coil": [5, 15], "holding": [6, 16]}

TCPServer.allow_reuse_address = True
server = get_server(TCPServer, ("127.0.0.1", 0), RequestHandler)


def serve(unit, table, cells):
    @server.route(slave_ids=[unit], function_codes=[FUNCTIONS[table]], addresses=list(cells))
    def read(slave_id, function_code, address):
        return cells[address]

    @server.route(slave_ids=[unit], function_codes=WRITING.get(table, []), addresses=list(cells))
    def write(slave_id, function_code, address, value):
        cells[address] = value


for unit, tables in json.loads(sys.argv[1]).items():
    for table, cells in tables.items():
        if table in FUNCTIONS:
            serve(int(unit), table, {int(address): value for address, value in cells.items()})

sys.stdout.write(f"{server.server_address[1]}\n")
sys.stdout.flush()
server.serve_forever()
