"""Clients that hold the status page: python page_clients.py PORT CLIENTS SECONDS SEED.

A quarter of them each is idle, sends half a form, asks for much and reads nothing, and sends a header byte by byte.
"""

import asyncio
import logging
import random
import sys
from contextlib import suppress


async def hold(port: int, kind: float, seconds: float) -> None:
    """Hold one connection for so long, or until it is closed."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            _reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            try:
                if kind > 0.75:
                    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
                elif kind > 0.5:
                    writer.write(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 5)
                elif kind > 0.25:
                    writer.write(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\ntoken=")
                while not writer.is_closing():
                    if kind > 0.75:
                        writer.write(b"a")
                    await asyncio.sleep(0.5)
            finally:
                writer.transport.abort()


async def main(port: int, clients: int, seconds: float, seed: str) -> None:
    chance = random.Random(seed)
    await asyncio.gather(*(hold(port, chance.random(), seconds) for _ in range(clients)))


if __name__ == "__main__":
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it tells of each connection that was closed
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
