"""A Modbus host on the server of PyPI pymodbus. Its arguments: the kind (ascii, udp, tls), and for TLS its files.

The files: CA, certificate, key. Unit 1 has the holding registers 0 to 9 with the values 0 to 9. It writes its port, and serves
until it is killed.
"""

import asyncio
import ssl
import sys

from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer, ModbusTlsServer, ModbusUdpServer
from pymodbus.simulator import DataType, SimData, SimDevice


async def main(kind, *files):
    device = SimDevice(1, simdata=[SimData(0, values=list(range(10)), datatype=DataType.REGISTERS)])
    where = ("127.0.0.1", 0)
    if kind == "tls":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files[0])
        context.load_cert_chain(files[1], files[2])
        context.verify_mode = ssl.CERT_REQUIRED
        server = ModbusTlsServer(device, framer=FramerType.TLS, address=where, sslctx=context)
    elif kind == "udp":
        server = ModbusUdpServer(device, address=where)
    else:
        server = ModbusTcpServer(device, framer=FramerType.ASCII, address=where)
    await server.serve_forever(background=True)
    sockets = getattr(server.transport, "sockets", None)
    bound = sockets[0].getsockname() if sockets else server.transport.get_extra_info("sockname")
    sys.stdout.write(f"{bound[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
