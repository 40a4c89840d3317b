"""What clients that ask the status page for more than it has time for do to the uploads of a gateway.

As `idle_page_clients`, but each of the clients sends 200 requests at once and reads all responses, again and again: for the
overview, the metrics, the list of children and the form to sign in.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

import idle_page_clients
from comparison import Comparison

CLIENTS, PIPELINED = 200, 200
ADDRESSES = 8
PATHS = ("/", "/metrics", "/api/v1/children", "/login")


def compare() -> Iterator[Comparison]:
    """Count the samples that arrive with the clients and without them."""
    alone, crowded, lines = asyncio.run(idle_page_clients.measure(crowd))
    failed = crowded.looks_that_failed
    yield Comparison(
        what=f"samples that reach the cloud beside {CLIENTS} clients of the page with {PIPELINED} requests each",
        unit="samples/s",
        figure=crowded.samples / crowded.seconds,
        baseline=alone.samples / alone.seconds,
        baseline_is="without them",
        goal="at least 75 %",
        holds=crowded.samples / crowded.seconds >= 0.75 * alone.samples / alone.seconds,
    )
    yield Comparison(
        what=f"an operator meanwhile, {lines} lines of log: {failed} of {crowded.looks} looks failed; the slowest",
        unit="s",
        figure=crowded.slowest_look,
        baseline=alone.slowest_look,
        baseline_is="without them",
        more_is_better=False,
        goal="none fails",
        holds=failed == 0,
    )


@contextmanager
def crowd(port: int) -> Iterator[None]:
    """Run the clients in a process of their own."""
    process = multiprocessing.get_context("spawn").Process(target=run_crowd, args=(port,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def run_crowd(port: int) -> None:
    asyncio.run(be_crowd(port))


async def be_crowd(port: int) -> None:
    paths = cycle(PATHS)
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(be_client(port, f"127.0.0.{2 + number % ADDRESSES}", next(paths)))


async def be_client(port: int, address: str, path: str) -> None:
    """Be one client, again and again."""
    requests = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * PIPELINED
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
            try:
                writer.write(requests)
                while await reader.read(65536):
                    pass
            finally:
                writer.close()
        await asyncio.sleep(0.1)
